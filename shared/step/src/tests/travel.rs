//! What travels along the pipe: dry runs, limits, signals, folders.

use super::*;

#[tokio::test]
async fn a_dry_run_travels_and_pending_fields_are_refused_without_it() {
    let dry = run(stream(&["a-1"]), &["--dry-run"]).await;
    assert_eq!(dry.lines[0]["status"]["dryRun"], true);
    let pending = stream(&["a-1"]).replace(r#""version":"v1""#, r#""version":"v1","pending":true"#);
    let outcome = run(pending.clone(), &[]).await;
    let error = &outcome.last()["status"]["error"];
    assert_eq!((outcome.exit, &error["code"]), (Exit::Unusable, &json!("pending-input")));
    let planned = run(pending, &["--dry-run"]).await;
    assert_eq!(planned.node("a-1")["status"]["config"]["sha256"], "v1", "a dry run goes on with what is planned");
}

#[tokio::test]
async fn only_travels_and_limits_what_is_acted_on() {
    let outcome = run(stream(&["a-1", "bad-1"]), &["--only", "a-1"]).await;
    assert_eq!(outcome.node("bad-1")["status"], json!({}));
    assert_eq!((outcome.exit, &outcome.lines[0]["status"]["only"]), (Exit::Done, &json!(["a-1"])));
    let behind = run(outcome.stdout, &[]).await;
    assert_eq!(behind.node("bad-1")["status"], json!({}), "a later step obeys it without the flag");
    assert_eq!((behind.exit, &behind.last()["status"]["only"]), (Exit::Done, &json!(["a-1"])));
}

#[tokio::test]
async fn a_step_that_destroys_acts_on_nothing_behind_a_pipe_without_only_or_all() {
    let destroying = |flags: &[&'static str], input: String| {
        let toy = Toy { row: &table::PVE_VM_DESTROY, ..Toy::default() };
        Setting { toy, flags: flags.to_vec(), ..Setting::of(input) }.run()
    };
    let unlimited = destroying(&[], stream(&["a-1"])).await;
    assert_eq!((unlimited.exit, unlimited.begun), (Exit::Usage, 0));
    assert_eq!(unlimited.node("a-1")["status"], json!({}), "the records go on");
    assert_eq!(destroying(&["--only", "a-1"], stream(&["a-1"])).await.begun, 2);
    assert_eq!(destroying(&["--all"], stream(&["a-1"])).await.begun, 2);
    let travelled = run(stream(&["a-1", "b-1"]), &["--only", "a-1"]).await.stdout;
    assert_eq!(destroying(&[], travelled).await.begun, 2, "an earlier step's --only is enough");
    let file = "apiVersion: ichor/v1\nkind: Cluster\nname: home\nspec: {talos: {version: v1.13.9}}\nnodes:\n- {name: a-1, role: controlplane, address: 10.0.0.1/24}\n";
    assert_eq!(destroying(&[], file.to_owned()).await.begun, 1, "a cluster file names its nodes");
}

#[tokio::test]
async fn whoever_reads_the_cluster_file_names_the_run_and_later_steps_keep_the_name() {
    let file = "apiVersion: ichor/v1\nkind: Cluster\nname: home\nspec: {talos: {version: v1.13.9}}\nnodes:\n- {name: a-1, role: controlplane, address: 10.0.0.1/24}\n";
    let (one, two) = (run(file.to_owned(), &[]).await, run(file.to_owned(), &[]).await);
    let id = |outcome: &Outcome| outcome.lines[0]["status"]["run"].as_str().unwrap().to_owned();
    assert!(id(&one).len() == 16 && id(&one) != id(&two));
    assert_eq!(run(one.stdout.clone(), &[]).await.lines[0]["status"]["run"], id(&one));
    assert_eq!(run(stream(&["a-1"]), &[]).await.lines[0]["status"].get("run"), None, "a stream without one gets none");
}

#[tokio::test]
async fn after_a_signal_nothing_is_started_and_records_are_passed_on_to_the_end() {
    let stopping = Stopping::default();
    stopping.because(Exit::Interrupted);
    let outcome = Setting { stopping, ..Setting::of(stream(&["a-1", "a-2"])) }.run().await;
    assert_eq!((outcome.exit, outcome.begun), (Exit::Interrupted, 0));
    assert_eq!(outcome.node("a-2")["status"]["error"]["code"], "interrupted");
    assert_eq!(outcome.last()["end"], true);
}

#[tokio::test]
async fn a_signal_ends_waits_and_the_node_says_that_it_was_interrupted() {
    let setting = Setting::of(stream(&["waiting-1"]));
    let (stopping, begun) = (setting.stopping.clone(), Arc::clone(&setting.toy.begun));
    let running = tokio::spawn(setting.run());
    until(|| begun.load(Ordering::SeqCst) == 2).await;
    stopping.because(Exit::Interrupted);
    let outcome = running.await.unwrap();
    assert_eq!(outcome.node("waiting-1")["status"]["error"]["code"], "interrupted");
    assert_eq!((outcome.exit, outcome.stderr.contains("error:")), (Exit::Interrupted, false), "{}", outcome.stderr);
}

/// A reader that went away.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_started_for_a_reader_that_went_away() {
    let outcome = Setting { output: Some(Box::new(Gone)), ..Setting::of(stream(&["a-1"])) }.run().await;
    assert_eq!((outcome.exit, outcome.begun), (Exit::PipeClosed, 0));
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn output_that_cannot_be_written_is_a_failure() {
    let outcome = Setting { output: Some(Box::new(Full)), ..Setting::of(stream(&["a-1"])) }.run().await;
    assert_eq!((outcome.exit, outcome.begun), (Exit::Failed, 0));
    assert!(outcome.stderr.contains("toy error: the output cannot be written"), "{}", outcome.stderr);
}

#[tokio::test]
async fn a_cluster_file_is_exploded_with_a_folder_beside_it() {
    let file = "apiVersion: ichor/v1\nkind: Cluster\nname: home\nspec: {talos: {version: v1.13.9}}\nnodes:\n- {name: a-1, role: controlplane, address: 10.0.0.1/24}\n";
    let outcome = run(file.to_owned(), &[]).await;
    assert_eq!(outcome.lines[0]["status"]["dir"], "/base/home");
    assert_eq!(outcome.names(), ["a-1"]);
}

#[tokio::test]
async fn the_folder_that_a_flag_names_is_not_taken_back_by_later_lines() {
    let again = head(&["a-1"]).replace(r#""dir":"/nowhere""#, r#""dir":"/elsewhere""#);
    let input = format!("{}\n{again}\n{}\n{END}\n", head(&["a-1"]), node("a-1"));
    let outcome = run(input, &["--dir", "/mine"]).await;
    assert!(outcome.lines.iter().filter(|line| line["kind"] == "Cluster").all(|line| line["status"]["dir"] == "/mine"));
}

#[tokio::test]
async fn the_list_of_the_input_is_known_also_to_who_may_do_without_some_of_its_nodes() {
    let toy = Toy::doing(|run, _| async move {
        run.control_planes().await?;
        found(format!("{} of {}", run.cluster().roster().map_or(0, |now| now.len()), run.listed().len()))
    });
    let input = stream(&["a-1", "cp-1"]).replace(&node("cp-1"), "");
    let outcome = Setting { toy, flags: vec!["--allow-missing"], ..Setting::of(input) }.run().await;
    assert_eq!(outcome.node("a-1")["status"]["config"]["sha256"], "1 of 2");
}

#[tokio::test]
async fn the_folder_that_a_flag_names_goes_before_the_one_beside_the_cluster_file() {
    let file = "apiVersion: ichor/v1\nkind: Cluster\nname: home\nspec: {talos: {version: v1.13.9}}\nnodes:\n- {name: a-1, role: controlplane, address: 10.0.0.1/24}\n";
    let outcome = run(file.to_owned(), &["--dir", "/mine"]).await;
    assert!(outcome.lines.iter().filter(|line| line["kind"] == "Cluster").all(|line| line["status"]["dir"] == "/mine"));
}

#[tokio::test]
async fn tasks_see_which_nodes_the_step_acts_on() {
    let toy =
        Toy::doing(|run, _| async move { found(format!("{} {}", run.is_selected("a-1"), run.is_selected("b-1"))) });
    let outcome = Setting { toy, flags: vec!["--only", "a-1"], ..Setting::of(stream(&["a-1", "b-1"])) }.run().await;
    assert_eq!(outcome.node("a-1")["status"]["config"]["sha256"], "true false");
}

#[tokio::test]
async fn a_dry_run_is_not_taken_back_by_later_lines() {
    let bent = |line: &str| line.replace(r#""status":{"#, r#""status":{"dryRun":false,"#);
    let last = END.replace(r#""end""#, r#""status":{"dryRun":false},"end""#);
    let input = [bent(&head(&["a-1"])), bent(&head(&["a-1"])), node("a-1"), last].join("\n");
    let outcome = run(input, &["--dry-run"]).await;
    assert!(outcome.lines.iter().filter(|line| line["kind"] == "Cluster").all(|line| line["status"]["dryRun"] == true));
}

#[tokio::test]
async fn a_list_from_which_a_step_before_took_a_node_is_passed_on_so() {
    let shorter = head(&["a-1"]).replace(r#""spec":{}"#, r#""end":true"#);
    let outcome = run(format!("{}\n{}\n{shorter}\n", head(&["a-1", "b-1"]), node("a-1")), &[]).await;
    assert_eq!(outcome.exit, Exit::Done, "{}", outcome.stderr);
    assert_eq!(outcome.last()["status"]["nodes"], json!([{"name": "a-1", "role": "worker"}]));
}
