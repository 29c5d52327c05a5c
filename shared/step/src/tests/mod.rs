//! The contract, rule by rule, on a toy step. Each test fails without the rule that its name says.

mod toy;

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use record::status::Vm;
use record::table;
use record::{Cluster, Code, Exit, Failure};
use serde_json::{Value, json};
use toy::{END, Endless, Outcome, Setting, Toy, addresses, failed_stream, head, node, node_with, run, stream, until};

use crate::launch::Place;
use crate::output::Layout;
use crate::signals::Stopping;
use crate::{Format, Step};

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
async fn a_failed_node_carries_the_signed_error_and_the_others_go_on() {
    let outcome = run(stream(&["mute-1", "a-1"]), &[]).await;
    let error = &outcome.node("mute-1")["status"]["error"];
    assert_eq!(*error, json!({"step": "talos-gen", "code": "unreachable", "message": "no answer", "exit": 5}));
    assert_eq!(outcome.node("mute-1")["status"].get("config"), None);
    assert_eq!(outcome.exit, Exit::Partial);
}

#[tokio::test]
async fn an_error_is_signed_with_program_and_verb() {
    let toy = Toy { row: &table::PVE_VM_LIST, ..Toy::default() };
    let outcome = Setting { toy, ..Setting::of(stream(&["mute-1"])) }.run().await;
    assert_eq!(outcome.node("mute-1")["status"]["error"]["step"], "pve-vm list");
}

#[tokio::test]
async fn a_record_with_an_error_of_an_earlier_step_is_passed_on_untouched() {
    let error = json!({"step": "pve-vm", "code": "x", "message": "m", "exit": 1});
    let failed = node("a-1").replace(r#""spec""#, &format!(r#""status":{{"error":{error}}},"spec""#));
    let outcome = run(format!("{}\n{failed}\n{END}\n", head(&["a-1"])), &[]).await;
    assert_eq!(outcome.node("a-1")["status"], json!({"error": error}));
    assert_eq!((outcome.exit, outcome.begun), (Exit::Failed, 1), "only the work on the cluster was begun");
}

#[tokio::test]
async fn a_row_beside_the_pipe_never_tries_a_node_again_that_failed() {
    let error = json!({"step": "pve-vm list", "code": "x", "message": "m", "exit": 5});
    let failed = node("a-1").replace(r#""spec""#, &format!(r#""status":{{"error":{error}}},"spec""#));
    let toy = Toy { row: &table::PVE_VM_LIST, ..Toy::default() };
    let outcome = Setting { toy, ..Setting::of(format!("{}\n{failed}\n{END}\n", head(&["a-1"]))) }.run().await;
    assert_eq!(outcome.node("a-1")["status"], json!({"error": error}));
}

#[tokio::test]
async fn a_missing_need_names_the_field_and_the_step_that_writes_it() {
    let outcome = run(stream(&["needy-1"]), &[]).await;
    let message = outcome.node("needy-1")["status"]["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "node needy-1: status.vm is missing; pve-vm writes it");
    assert_eq!(outcome.exit, Exit::Unusable);
}

#[tokio::test]
async fn a_lack_that_an_error_of_the_cluster_explains_is_no_error_of_its_own() {
    let with_image = failed_stream(&["needy-1", "wanting-1"], "pve-vm", 5)
        .replace(r#""status":{"#, r#""status":{"image":{"version":"v1"},"#);
    let outcome = run(with_image, &[]).await;
    assert_eq!(outcome.node("needy-1")["status"], json!({}));
    assert_eq!(outcome.node("wanting-1")["status"], json!({}), "whether there is a VM is not known");
    assert_eq!(outcome.exit, Exit::Unreachable);
}

#[tokio::test]
async fn a_field_that_is_only_used_may_be_missing() {
    let with_vm = format!("{}\n{}\n{}\n{END}\n", head(&["wanting-1", "wanting-2"]), node("wanting-1"), {
        node_with("wanting-2", &Vm::default())
    });
    let outcome = run(with_vm, &[]).await;
    assert_eq!(outcome.node("wanting-1")["status"]["config"]["changed"], true);
    assert_eq!(outcome.node("wanting-2")["status"]["config"]["changed"], false);
}

#[tokio::test]
async fn a_need_of_the_cluster_that_never_comes_is_an_error_of_the_step() {
    let outcome = run(stream(&["a-1"]).replace("image", "picture"), &[]).await;
    let error = &outcome.last()["status"]["error"];
    assert_eq!(error["message"], "cluster lab: status.image is missing; talos-image writes it");
    assert_eq!((outcome.exit, outcome.begun), (Exit::Unusable, 1), "no node is begun without what they share");
}

#[tokio::test]
async fn a_failure_of_the_whole_step_leaves_before_the_nodes_that_it_explains() {
    let outcome = run(stream(&["a-1"]).replace("image", "picture"), &[]).await;
    let at = |so: &dyn Fn(&Value) -> bool| outcome.lines.iter().position(so).expect("such a line");
    let error = at(&|line| line["status"]["error"]["step"] == "talos-gen" && line.get("end").is_none());
    assert!(error < at(&|line| line["kind"] == "Node"));
    assert_eq!(outcome.node("a-1")["status"], json!({}));
}

#[tokio::test]
async fn an_input_that_was_cut_is_never_mistaken_for_success() {
    let cut = stream(&["a-1"]).replace(END, "");
    let of_file = run(cut.clone(), &[]).await;
    assert_eq!(of_file.exit, Exit::Unusable, "a file gives the same when it is read again");
    assert_eq!(of_file.names(), ["a-1"], "what came is passed on");
    assert_eq!(of_file.last()["status"]["error"]["code"], "cut");
    let of_pipe = Setting { piped: true, ..Setting::of(cut) }.run().await;
    assert_eq!((of_pipe.exit, &of_pipe.last()["status"]["error"]["exit"]), (Exit::Unreachable, &json!(5)));
}

#[tokio::test]
async fn garbage_after_an_error_that_asks_to_run_again_is_unusable_all_the_same() {
    let input = failed_stream(&["a-1"], "talos-image", 5).replace(END, "garbage");
    let outcome = Setting { piped: true, ..Setting::of(input) }.run().await;
    assert_eq!((outcome.exit, &outcome.last()["status"]["error"]["exit"]), (Exit::Unusable, &json!(8)));
}

#[tokio::test]
async fn a_step_that_has_failed_reads_its_input_to_the_end() {
    let read = Arc::new(AtomicUsize::new(0));
    let text = format!("{}\n{{\"a\":}}\n", head(&["a-1"]));
    let more = 100 * 4096;
    let input =
        Endless { text: Cursor::new(text.clone().into()), after: &[b'x'; 4096], read: Arc::clone(&read), times: 100 };
    let outcome = Setting { input: Box::new(input), ..Setting::of("") }.run().await;
    assert_eq!((outcome.exit, read.load(Ordering::SeqCst)), (Exit::Unusable, text.len() + more));
}

#[tokio::test]
async fn a_step_that_has_failed_ends_on_the_first_signal_although_its_input_never_ends() {
    for head in ["{\"x\":1}\n".to_owned(), format!("{}\n{{\"x\":1}}\n", head(&["a-1"]))] {
        let read = Arc::new(AtomicUsize::new(0));
        let text = Cursor::new(head.into_bytes());
        let input = Endless { text, after: b"{\"x\":1}\n", read: Arc::clone(&read), times: usize::MAX };
        let setting = Setting { input: Box::new(input), piped: true, ..Setting::of("") };
        let stopping = setting.stopping.clone();
        let running = tokio::spawn(setting.run());
        until(|| read.load(Ordering::SeqCst) > 100_000).await;
        assert!(!running.is_finished(), "the step before is not stopped by our not reading");
        stopping.because(Exit::Terminated);
        assert_eq!(running.await.unwrap().exit, Exit::Terminated);
    }
}

#[tokio::test]
async fn a_failure_before_the_first_line_makes_a_stream_of_one_record() {
    let outcome = run("name: lab\n\tx".to_owned(), &[]).await;
    assert_eq!((outcome.exit, outcome.lines.len()), (Exit::Unusable, 1));
    let line = outcome.last();
    assert_eq!((&line["kind"], &line["name"], &line["end"]), (&json!("Cluster"), &json!(""), &json!(true)));
    assert_eq!((&line["status"]["error"]["step"], &line["status"]["error"]["exit"]), (&json!("talos-gen"), &json!(8)));
    for layout in [Layout::Raw, Layout::Records(Format::Table)] {
        let silent = Setting { layout, ..Setting::of("name: lab\n\tx") }.run().await;
        assert_eq!((silent.exit, silent.stdout.as_str()), (Exit::Unusable, ""), "{layout:?}");
    }
}

#[tokio::test]
async fn the_stream_of_a_step_that_failed_is_passed_on_silently_and_exited_by() {
    for exit in [Exit::Usage, Exit::NotAllowed, Exit::Unreachable, Exit::Unusable] {
        let mut failure = Failure::new(exit, Code::Usage, "a typo").hint("mend it");
        failure.step = "talos-image".to_owned();
        let line = serde_json::to_string(&Cluster::failed(&failure)).unwrap() + "\n";
        let setting =
            Setting { place: Place::Last, flags: vec!["--only", "nobody"], piped: true, ..Setting::of(line.clone()) };
        let outcome = setting.run().await;
        assert_eq!((outcome.exit, outcome.stdout, outcome.stderr.as_str(), outcome.begun), (exit, line, "", 0));
    }
}

#[test]
fn a_wrong_call_writes_a_stream_only_where_records_were_to_come() {
    let asks = |words: &[&str]| {
        let argv: Vec<_> = ["toy"].iter().chain(words).map(Into::into).collect();
        crate::arguments::asks_for_records::<Toy>(&argv)
    };
    for words in [&[][..], &["--onyl", "a"], &["-f", "x.yaml"], &["--format", "yaml"], &["--nodesx"]] {
        assert!(asks(words), "{words:?}");
    }
    for words in [
        &["--raw"][..],
        &["-n", "10.0.0.1"],
        &["-n10.0.0.1"],
        &["--nodes=10.0.0.1"],
        &["explain", "--oops"],
        &["--format", "table"],
        &["--format=table"],
        &["schema"],
        &["completions", "bash"],
        &["man"],
    ] {
        assert!(!asks(words), "{words:?}");
    }
}

#[test]
fn a_wrong_call_is_a_failure_in_our_form() {
    let parse = |words: &[&str]| {
        let argv: Vec<_> = ["toy"].iter().chain(words).map(Into::into).collect();
        match crate::arguments::parse::<Toy>(&argv) {
            crate::arguments::Parsed::Wrong(failure) => failure,
            _ => panic!("{words:?} is taken"),
        }
    };
    let failure = parse(&["--dry-rum"]);
    assert_eq!((failure.exit, failure.message.as_str()), (Exit::Usage, "unexpected argument '--dry-rum' found"));
    assert!(failure.hint.unwrap().contains("'--dry-run'"));
    let stray = parse(&["--dry-run", "explain"]);
    assert_eq!(stray.message, "--dry-run is for the stream; it can't stand before `explain`, which would ignore it");
    assert!(parse(&["--raw"]).message.contains("'--raw'"), "a flag that means nothing to a step is not offered");
}

#[tokio::test]
async fn what_follows_a_cluster_file_in_json_is_refused() {
    let file = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"home","spec":{"talos":{"version":"v1.13.9"}},"nodes":[{"name":"a-1","role":"controlplane","address":"10.0.0.1/24"}]}"#;
    assert_eq!(run(format!("{file}\n"), &[]).await.names(), ["a-1"]);
    let outcome = run(format!("{file}\n{file}\n"), &[]).await;
    assert_eq!((outcome.exit, outcome.names().len()), (Exit::Unusable, 0));
}

#[tokio::test]
async fn a_listed_node_that_never_comes_is_an_error_unless_allowed() {
    let input = stream(&["a-1", "a-2"]).replace(&node("a-2"), "");
    let strict = run(input.clone(), &[]).await;
    assert_eq!(strict.exit, Exit::Unusable);
    let message = &strict.last()["status"]["error"]["message"];
    assert_eq!(message, "listed in the cluster but missing from the input: a-2");
    let lenient = run(input, &["--allow-missing"]).await;
    assert_eq!(lenient.exit, Exit::Done);
    assert_eq!(lenient.last()["status"]["nodes"], json!([{"name": "a-1", "role": "worker"}]));
}

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
async fn an_error_is_printed_once_and_without_the_control_characters_of_others() {
    let outcome = run(stream(&["bad-1"]), &[]).await;
    let errors: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("bad-1")).collect();
    assert_eq!(errors, ["toy bad-1 error: it is\u{fffd}[2J bad", "toy bad-1 hint: look\u{fffd}at it"]);
}

#[tokio::test]
async fn the_end_counts_nodes_and_says_what_to_run_next() {
    let end = |place| {
        let setting = Setting { place, ..Setting::of(stream(&["mute-1", "a-1", "slow-1"])) };
        async move { setting.run().await.stderr.lines().rev().take(2).map(str::to_owned).collect::<Vec<_>>() }
    };
    // The Cluster's own growth counts too.
    assert_eq!(end(Place::Alone).await, ["toy: run again: toy --only 'a b'", "toy: 2 changed, 1 unchanged, 1 failed"]);
    assert_eq!(end(Place::Last).await[0], "toy: run the same pipe again");
    assert_eq!(end(Place::Within).await[0], "toy: 2 changed, 1 unchanged, 1 failed", "the last step says it for all");
}

#[tokio::test]
async fn the_result_alone_is_printed_once_all_is_well() {
    let raw = |input: String| {
        let toy = Toy { raw: true, ..Toy::default() };
        Setting { toy, layout: Layout::Raw, ..Setting::of(input) }.run()
    };
    let outcome = raw(stream(&["a-1"])).await;
    assert_eq!((outcome.exit, outcome.stdout.as_str()), (Exit::Done, "the result\n"));
    let failed = raw(stream(&["bad-1"])).await;
    assert_eq!((failed.exit, failed.stdout.as_str()), (Exit::Failed, ""));
}

#[tokio::test]
async fn a_task_that_panics_is_a_failure_of_the_step() {
    let outcome = run(stream(&["panic-1", "a-1"]), &[]).await;
    assert_eq!((outcome.exit, outcome.names()), (Exit::Failed, vec!["a-1"]));
    assert_eq!(outcome.last()["status"]["error"]["code"], "internal");
}

#[tokio::test]
async fn a_field_that_is_no_object_is_passed_on_as_it_is() {
    let input = format!("{}\n{}\n{END}\n", head(&["a-1"]), node_with("a-1", &addresses("10.0.0.9")));
    assert_eq!(run(input, &[]).await.node("a-1")["status"]["addresses"], json!(["10.0.0.9"]));
}

#[tokio::test]
async fn unusable_bytes_end_with_one_clear_message() {
    let big = format!("{}{}", r#"{"apiVersion":"ichor/v1","x":""#, "x".repeat(100 << 20));
    let table: [(Vec<u8>, &str); 6] = [
        (b"".to_vec(), "no input: the previous command in the pipe wrote nothing"),
        (b"\xEF\xBB\xBF  \r\n".to_vec(), "no input"),
        (b"hello".to_vec(), "not a map"),
        (b"{\"a\":}".to_vec(), "line 1: not JSON"),
        (b"name: \xff".to_vec(), "invalid UTF-8 on line 1"),
        (big.into_bytes(), "a record is larger than 64 MiB"),
    ];
    for (input, expected) in table {
        let outcome = Setting { piped: true, ..Setting::of(input) }.run().await;
        let message = outcome.last()["status"]["error"]["message"].as_str().unwrap();
        assert!(message.contains(expected) && outcome.exit == Exit::Unusable, "{message}");
        assert_eq!(outcome.stderr.matches("error:").count(), 1, "{}", outcome.stderr);
    }
}

#[test]
fn the_command_to_run_again_does_not_repeat_a_patch() {
    let words =
        ["talos-apply", "-n", "10.0.0.1", "-p", "machine: {token: abc}", "-p", "@a b.yaml", "--config-patch=x: y"];
    let argv: Vec<_> = words.map(std::ffi::OsString::from).to_vec();
    let text = crate::arguments::again(&argv, false);
    assert_eq!(text, "run again: talos-apply -n 10.0.0.1 -p … -p '@a b.yaml' --config-patch=…");
}

#[test]
fn help_shows_the_pipe_for_its_rows_and_what_stands_before_for_the_others() {
    let help = crate::arguments::reference(&[&table::PVE_VM, &table::PVE_VM_LIST]);
    assert!(help.contains("The pipe:\n  talos-image | pve-vm | talos-gen"), "{help}");
    assert!(help.contains("pve-vm list: report the VMs that exist") && help.contains("After:  the cluster file"));
    let beside = crate::arguments::reference(&[&table::PVE_VM_LIST]);
    assert!(!beside.contains("The pipe:"), "{beside}");
    assert_eq!(Toy::ROWS[0].name, "talos-gen");
}
