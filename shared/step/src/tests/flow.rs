//! How records, nodes and the Cluster flow through a step.

use super::*;

#[tokio::test]
async fn nodes_leave_as_soon_as_they_are_ready() {
    let outcome = run(stream(&["slow-1", "a-1"]), &[]).await;
    assert_eq!(outcome.names(), ["a-1", "slow-1"]);
    assert_eq!((outcome.exit, &outcome.last()["end"]), (Exit::Done, &json!(true)));
}

#[tokio::test]
async fn a_line_is_flushed_although_the_step_goes_on() {
    // Nobody lets `slow-1` go, so the step can't end before the other line has been seen.
    let setting = Setting::of(stream(&["wanting-1", "slow-1"]));
    let stdout = setting.toy.stdout.clone();
    let running = tokio::spawn(setting.run());
    until(|| stdout.flushed().contains(r#""name":"wanting-1","cluster""#)).await;
    assert!(!running.is_finished());
    running.abort();
}

#[tokio::test]
async fn the_first_line_is_flushed_before_anything_is_begun() {
    let toy = Toy::default();
    let seen = Arc::clone(&toy.seen);
    Setting { toy, ..Setting::of(stream(&["a-1"])) }.run().await;
    let seen = seen.lock().unwrap().clone().unwrap();
    assert!(seen.ends_with('\n') && seen.contains(r#""kind":"Cluster""#), "{seen}");
}

#[tokio::test]
async fn the_cluster_comes_first_again_when_it_has_grown_and_last() {
    let outcome = run(stream(&["a-1"]), &[]).await;
    assert_eq!(outcome.lines[0]["kind"], "Cluster");
    assert_eq!(outcome.lines[0]["status"].get("access"), None, "nothing was done before the first line");
    assert!(outcome.lines.iter().any(|line| line["status"]["access"]["changed"] == true && line.get("end").is_none()));
    assert_eq!(outcome.last()["status"]["access"]["ca256"], "v1");
}

#[tokio::test]
async fn every_object_says_what_was_changed() {
    let outcome = run(stream(&["slow-1", "a-1"]), &[]).await;
    let changes = json!([{"what": "nodes/a-1.yaml", "to": "sha256:f", "impact": "live"}]);
    assert_eq!(outcome.node("a-1")["status"]["config"], json!({"sha256": "v1", "changed": true, "changes": changes}));
    let unchanged = json!({"sha256": "v1", "changed": false, "changes": []});
    assert_eq!(outcome.node("slow-1")["status"]["config"], unchanged);
    let access = &outcome.last()["status"]["access"];
    assert_eq!(access["changes"], json!([{"what": "talosconfig", "to": "new", "impact": "live"}]));
}

#[tokio::test]
async fn what_the_cluster_found_out_is_shared_by_all_nodes() {
    let outcome = run(stream(&["a-1", "b-1"]), &[]).await;
    let digest = |name: &str| outcome.node(name)["status"]["config"]["sha256"].clone();
    assert_eq!([digest("a-1"), digest("b-1")], ["v1", "v1"]);
}

#[tokio::test]
async fn nodes_do_not_wait_for_what_goes_on_beside_them() {
    let outcome = run(stream(&["a-1"]).replace("\"v1\"", "\"unsettled\""), &[]).await;
    assert_eq!(outcome.node("a-1")["status"]["config"]["sha256"], "unsettled");
    assert_eq!(outcome.last()["status"]["error"]["code"], "missing-input");
}

#[tokio::test]
async fn a_field_that_is_no_object_is_passed_on_as_it_is() {
    let input = format!("{}\n{}\n{END}\n", head(&["a-1"]), node_with("a-1", &addresses("10.0.0.9")));
    assert_eq!(run(input, &[]).await.node("a-1")["status"]["addresses"], json!(["10.0.0.9"]));
}

#[tokio::test]
async fn a_later_cluster_line_is_passed_on_if_it_has_grown_and_the_last_one_only_as_the_last() {
    let grown = |key: &str| head(&["a-1"]).replace(r#""status":{"#, &format!(r#""status":{{"{key}":1,"#));
    let last = END.replace(r#""end""#, r#""status":{"late":1},"end""#);
    let input = [head(&["a-1"]), grown("early"), grown("early"), node("a-1"), last].join("\n");
    let outcome = run(input, &[]).await;
    let clusters = outcome.lines.iter().filter(|line| line["kind"] == "Cluster").count();
    assert_eq!(clusters, 4, "as it came, grown, with what this step wrote, last: {}", outcome.stdout);
    assert!(outcome.last()["status"]["early"] == 1 && outcome.last()["status"]["late"] == 1);
}

#[tokio::test]
async fn a_node_that_the_step_has_nothing_to_do_with_is_passed_on_at_once() {
    let outcome = run(stream(&["left-1", "a-1"]), &[]).await;
    assert_eq!((&outcome.node("left-1")["status"], outcome.begun), (&json!({}), 2));
}

#[tokio::test]
async fn a_table_says_what_became_of_each_node_and_why() {
    let failed = node("old-1").replace(
        r#""spec""#,
        r#""status":{"error":{"step":"pve-vm","code":"x","message":"no \u001b[2J space","exit":1},"addresses":["10.0.0.7"]},"spec""#,
    );
    let input = format!("{}\n{failed}\n{}\n{END}\n", head(&["old-1", "a-1"]), node("a-1"));
    let outcome = Setting { layout: Layout::Records(Format::Table), ..Setting::of(input) }.run().await;
    let rows: Vec<Vec<_>> = outcome.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "ROLE", "ADDRESS", "STATE", "DETAIL"]);
    assert_eq!(rows[1], ["old-1", "worker", "10.0.0.7", "skipped", "pve-vm:", "no", "\u{fffd}[2J", "space"]);
    assert_eq!(rows[2], ["a-1", "worker", "-", "changed"]);
}

#[tokio::test]
async fn records_as_yaml_are_input_again_with_their_numbers() {
    let numbered = node("a-1").replace(r#""spec":{"#, r#""spec":{"big":9007199254740993,"neg":-1,"#);
    let input = format!("{}\n{numbered}\n{END}\n", head(&["a-1"]));
    let yaml = Setting { layout: Layout::Records(Format::Yaml), ..Setting::of(input) }.run().await;
    let again = run(yaml.stdout.clone(), &[]).await;
    assert_eq!((yaml.exit, again.exit, again.names()), (Exit::Done, Exit::Done, vec!["a-1"]), "{}", yaml.stdout);
    assert_eq!(again.node("a-1")["spec"], json!({"big": 9_007_199_254_740_993_u64, "neg": -1, "role": "worker"}));
}

#[tokio::test]
async fn of_several_fields_the_first_one_tells_the_changes() {
    let toy = Toy::doing(|_, _| async move {
        let changes = vec![record::Change::live("VM")];
        Ok(found("v1")?.and(&Vm::default()).changes(changes))
    });
    let outcome = Setting { toy, ..Setting::of(stream(&["a-1"])) }.run().await;
    let status = &outcome.node("a-1")["status"];
    let changes = |field: &str| status[field]["changes"].as_array().unwrap().len();
    assert_eq!((changes("config"), changes("vm"), &status["vm"]["changed"]), (1, 0, &json!(false)));
}
