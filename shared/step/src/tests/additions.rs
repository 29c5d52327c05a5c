//! Nodes that a step adds to its stream.

use record::{Map, Node};

use super::toy::Doing;
use super::*;

/// A step that adds these nodes.
fn adding(names: &'static [&'static str]) -> Toy {
    let node = |name: &&str| {
        let mut spec = Map::new();
        spec.insert("role".into(), if name.starts_with("cp") { "controlplane" } else { "worker" }.into());
        Node::new(name, "lab", spec)
    };
    let found = move |_| -> Doing<Vec<Node>> { Box::pin(async move { Ok(names.iter().map(node).collect()) }) };
    Toy { row: &table::PVE_VM_LIST, adding: Some(Box::new(found)), ..Toy::default() }
}

fn failing(failure: fn() -> Failure) -> Toy {
    let found = move |_| -> Doing<Vec<Node>> { Box::pin(async move { Err(failure().into()) }) };
    Toy { adding: Some(Box::new(found)), ..Toy::default() }
}

fn listed(cluster: &Value) -> String {
    let name = |node: &Value| {
        let mark = if node["orphan"] == true { "*" } else { "" };
        format!("{}{mark}", node["name"].as_str().unwrap())
    };
    cluster["status"]["nodes"].as_array().unwrap().iter().map(name).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn nodes_that_a_step_adds_are_in_its_first_line_and_its_last_and_come_once() {
    // A later line of the input doesn't know them.
    let input = stream(&["a-1"]).replacen(END, &format!("{}\n{END}", head(&["a-1"])), 1);
    let outcome = Setting { toy: adding(&["b-9"]), ..Setting::of(input) }.run().await;

    assert_eq!(outcome.exit, Exit::Done, "{}", outcome.stderr);
    let mut names = outcome.names();
    names.sort_unstable();
    assert_eq!(names, ["a-1", "b-9"]);
    let clusters: Vec<_> = outcome.lines.iter().filter(|line| line["kind"] == "Cluster").map(listed).collect();
    assert!(clusters.len() >= 2 && clusters.iter().all(|nodes| nodes == "a-1 b-9*"), "{clusters:?}");
}

#[tokio::test]
async fn only_may_name_an_added_node_and_nothing_that_is_nowhere() {
    let only = |name| {
        let flags = vec!["--only", name];
        Setting { toy: adding(&["b-9"]), flags, ..Setting::of(stream(&["a-1"])) }.run()
    };
    let outcome = only("b-9").await;
    assert_eq!((outcome.exit, &outcome.lines[0]["status"]["only"]), (Exit::Done, &json!(["b-9"])));
    assert_eq!(outcome.node("a-1")["status"], json!({}));
    assert!(!outcome.node("b-9")["status"]["config"].is_null());

    let nobody = only("b-8").await;
    assert_eq!((nobody.exit, nobody.begun), (Exit::Unusable, 0));
    assert!(nobody.stderr.contains("--only b-8: no such node in cluster lab"), "{}", nobody.stderr);
    let behind = run(outcome.stdout, &["--only", "b-9"]).await;
    assert!(!behind.stderr.contains("no such node"), "{}", behind.stderr);
}

#[tokio::test]
async fn a_step_that_makes_nodes_what_their_specs_say_refuses_those_without_one_and_others_act() {
    let added = Setting { toy: adding(&["b-9"]), ..Setting::of(stream(&["a-1"])) }.run().await.stdout;
    let behind = |row| Setting { toy: Toy { row, ..Toy::default() }, ..Setting::of(added.clone()) }.run();

    let maker = behind(&table::TALOS_GEN).await;
    assert_eq!(maker.exit, Exit::Unusable);
    assert_eq!(maker.node("b-9")["status"]["error"]["code"], "missing-input");
    assert!(maker.node("a-1")["status"]["error"].is_null(), "the others go on");
    let other = behind(&table::TALOS_WAIT).await;
    assert_eq!(other.exit, Exit::Done, "{}", other.stderr);
}

#[tokio::test]
async fn a_step_that_can_not_find_out_what_it_adds_does_nothing_and_says_so_once() {
    let offline = || Failure::new(Exit::Unreachable, Code::HostOffline, "pve2 is offline");
    let outcome = Setting { toy: failing(offline), ..Setting::of(stream(&["a-1"])) }.run().await;

    assert_eq!((outcome.exit, outcome.begun), (Exit::Unreachable, 0));
    assert_eq!(outcome.stderr.matches("pve2 is offline").count(), 1, "{}", outcome.stderr);
    assert_eq!(outcome.lines[0]["status"]["error"]["code"], "host-offline");
    assert_eq!((listed(&outcome.lines[0]).as_str(), outcome.names()), ("a-1", vec!["a-1"]));
}

#[tokio::test]
async fn a_signal_ends_the_search_for_nodes_to_add() {
    let never = |_| -> Doing<Vec<Node>> { Box::pin(std::future::pending()) };
    let toy = Toy { adding: Some(Box::new(never)), ..Toy::default() };
    let stopping = Stopping::default();
    stopping.because(Exit::Interrupted);
    let outcome = Setting { toy, stopping, ..Setting::of(stream(&["a-1"])) }.run().await;
    assert_eq!((outcome.exit, outcome.begun), (Exit::Interrupted, 0));
    assert_eq!(outcome.last()["end"], true);
}
