//! The rules of a stream.

use super::*;
use crate::table::{PVE_VM_LIST, TALOS_GEN};

const HEAD: &str = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"lab","spec":{},"status":{"nodes":[{"name":"cp-1","role":"controlplane"},{"name":"w-1","role":"worker"}]}}"#;
const END: &str = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"lab","end":true}"#;

fn node(name: &str) -> String {
    let role = if name.starts_with("cp") { "controlplane" } else { "worker" };
    format!(
        r#"{{"apiVersion":"ichor/v1","kind":"Node","name":"{name}","cluster":"lab","spec":{{"role":"{role}"}},"status":{{"vm":{{"id":1}},"applied":{{"address":"10.0.0.1"}}}}}}"#
    )
}

fn run(lines: &[&str]) -> Result<Vec<String>, Unusable> {
    let mut stream = Stream::new(&TALOS_GEN, Vec::new());
    for (at, line) in lines.iter().enumerate() {
        stream.accept(line.as_bytes(), at as u64 + 1)?;
    }
    stream.finish()
}

fn refusal(lines: &[&str]) -> String {
    run(lines).unwrap_err().message
}

#[test]
fn a_complete_stream_is_accepted_in_any_order_of_nodes() {
    assert_eq!(run(&[HEAD, &node("w-1"), &node("cp-1"), END]), Ok(vec![]));
}

#[test]
fn what_a_later_step_wrote_is_dropped_on_reading() {
    let mut stream = Stream::new(&TALOS_GEN, Vec::new());
    stream.accept(HEAD.as_bytes(), 1).unwrap();
    let Item::Node(node) = stream.accept(node("w-1").as_bytes(), 2).unwrap() else { panic!("not a node") };
    assert_eq!(node.status().keys().collect::<Vec<_>>(), ["vm"]);
}

#[test]
fn a_node_that_is_not_selected_keeps_what_it_had() {
    let mut stream = Stream::new(&TALOS_GEN, vec!["cp-1".into()]);
    stream.accept(HEAD.as_bytes(), 1).unwrap();
    let Item::Node(node) = stream.accept(node("w-1").as_bytes(), 2).unwrap() else { panic!("not a node") };
    assert_eq!(node.status().keys().collect::<Vec<_>>(), ["vm", "applied"]);
}

#[test]
fn a_row_beside_the_pipe_drops_only_its_own_fields() {
    let mut stream = Stream::new(&PVE_VM_LIST, Vec::new());
    stream.accept(HEAD.as_bytes(), 1).unwrap();
    let error = r#""error":{"step":"talos-apply","code":"x","message":"m","exit":5},"vm":"#;
    let text = node("w-1").replace(r#""vm":"#, error);
    let Item::Node(node) = stream.accept(text.as_bytes(), 2).unwrap() else { panic!("not a node") };
    assert_eq!(node.status().keys().collect::<Vec<_>>(), ["error", "applied"]);
}

#[test]
fn only_may_name_a_node_that_the_step_adds() {
    let selecting = |stream: Stream| {
        let mut stream = stream;
        stream.accept(HEAD.as_bytes(), 1).map(|_| ())
    };
    let only = || Stream::new(&PVE_VM_LIST, vec!["w-9".into()]);
    assert!(selecting(only()).unwrap_err().message.contains("--only w-9: no such node"));
    assert_eq!(selecting(only().adding()), Ok(()));
}

#[test]
fn only_travels_and_a_later_step_can_only_narrow_it() {
    let head = HEAD.replace(r#""status":{"#, r#""status":{"only":["cp-1","w-1"],"#);
    let begin = |only: &[&str]| {
        let mut stream = Stream::new(&TALOS_GEN, only.iter().map(|name| (*name).to_owned()).collect());
        match stream.accept(head.as_bytes(), 1) {
            Ok(Item::Cluster(cluster)) => Ok((cluster.only(), stream.is_selected("w-1"))),
            Ok(_) => panic!("not a Cluster"),
            Err(error) => Err(error),
        }
    };
    assert_eq!(begin(&[]), Ok((vec!["cp-1".to_owned(), "w-1".to_owned()], true)));
    assert_eq!(begin(&["cp-1"]), Ok((vec!["cp-1".to_owned()], false)));
    let head_of_one = HEAD.replace(r#""status":{"#, r#""status":{"only":["cp-1"],"#);
    let mut inherits = Stream::new(&TALOS_GEN, Vec::new());
    inherits.accept(head_of_one.as_bytes(), 1).unwrap();
    assert!(inherits.is_selected("cp-1") && !inherits.is_selected("w-1"), "an earlier --only holds here too");
    let mut wider = Stream::new(&TALOS_GEN, vec!["w-1".to_owned()]);
    let error = wider.accept(head_of_one.as_bytes(), 1).unwrap_err();
    assert_eq!(error.message, "line 1: --only w-1: an earlier step limits this run to cp-1");
}

#[test]
fn an_only_that_is_not_a_list_of_names_is_refused() {
    for wrong in [r#""w-1""#, "[1]", "true"] {
        let text = HEAD.replace(r#""status":{"#, &format!(r#""status":{{"only":{wrong},"#));
        assert!(refusal(&[&text]).contains("status.only is"), "{wrong}");
    }
}

#[test]
fn the_stream_of_a_step_that_failed_before_its_first_line_is_one_record() {
    const FAILED: &str = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"","status":{"error":{"step":"talos-image","code":"usage","message":"m","exit":2}},"end":true}"#;
    let mut stream = Stream::new(&TALOS_GEN, vec!["w-9".to_owned()]);
    assert!(matches!(stream.accept(FAILED.as_bytes(), 1), Ok(Item::Failed(_))), "no flag is checked against it");
    assert_eq!(stream.finish(), Ok(vec![]));
    assert!(refusal(&[FAILED, HEAD]).contains("a second stream"));
    assert!(refusal(&[HEAD, FAILED]).contains("two clusters"));
    for other in [FAILED.replace(r#","end":true"#, ""), FAILED.replace("error", "mistake")] {
        assert!(refusal(&[&other]).contains("is not a valid name"), "{other}");
    }
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let text = node("w-1").replace(r#""cluster":"lab""#, r#""cluster":"prod""#);
    assert_eq!(refusal(&[HEAD, &text]), "line 2: node w-1 belongs to cluster prod, the stream to cluster lab");
}

#[test]
fn a_stream_without_its_last_line_was_cut_and_one_without_a_line_is_no_input() {
    assert_eq!(run(&[HEAD, &node("w-1")]).unwrap_err().code, Code::Cut);
    assert_eq!(run(&[]).unwrap_err().code, Code::NoInput);
}

#[test]
fn a_second_stream_in_the_same_input_is_refused() {
    assert!(refusal(&[HEAD, &node("w-1"), &node("cp-1"), END, HEAD]).contains("line 5: a second stream"));
}

#[test]
fn nodes_that_do_not_belong_are_named() {
    assert_eq!(refusal(&[HEAD, &node("w-1"), &node("w-1")]), "line 3: node w-1 comes twice");
    assert!(refusal(&[HEAD, &node("w-9")]).contains("node w-9 is not in the Cluster record's list"));
    assert!(refusal(&[&node("w-1")]).contains("comes before its Cluster record"));
}

#[test]
fn a_name_that_could_leave_the_clusters_folder_is_refused_in_records_too() {
    for name in ["../../evil", "a/b", "..", "-rf", "a\\u001b[2J", "", &"x".repeat(254)] {
        let text = node("w-1").replace("w-1", name);
        assert!(refusal(&[HEAD, &text]).contains("is not a valid name"), "{name}");
        assert!(refusal(&[&HEAD.replace("w-1", name)]).contains("is not a valid name"), "{name}");
        assert!(refusal(&[&HEAD.replace("lab", name)]).contains("is not a valid name"), "{name}");
    }
    for name in ["10.0.0.11", "fe80::1%eth0", "[fd00::1]:50000", "node.lan"] {
        assert_eq!(run(&[&HEAD.replace("w-1", name), &node(name), &node("cp-1"), END]), Ok(vec![]), "{name}");
    }
}

#[test]
fn a_record_of_another_role_than_the_list_says_is_refused() {
    let text = node("w-1").replace("worker", "controlplane");
    assert!(refusal(&[HEAD, &text]).contains("node w-1 is listed as a worker"));
}

#[test]
fn a_dry_run_that_is_neither_true_nor_false_is_refused() {
    let text = HEAD.replace(r#""status":{"#, r#""status":{"dryRun":"yes","#);
    assert!(refusal(&[&text]).contains(r#"status.dryRun is "yes""#));
}

#[test]
fn listed_nodes_that_never_came_are_told() {
    assert_eq!(run(&[HEAD, &node("w-1"), END]), Ok(vec!["cp-1".to_owned()]));
}

#[test]
fn a_kubeconfig_is_called_by_its_name() {
    assert!(refusal(&[r#"{"apiVersion":"v1","kind":"Config"}"#]).contains("this is a kubeconfig"));
}

#[test]
fn invalid_utf8_is_placed() {
    let mut stream = Stream::new(&TALOS_GEN, Vec::new());
    let error = stream.accept(b"{\"a\":\"\xff\"}", 7).unwrap_err();
    assert_eq!(error.message, "line 7: invalid UTF-8 at byte 7 of the record");
}

#[test]
fn a_list_may_shrink_but_not_grow() {
    let fewer = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"lab","status":{"nodes":[{"name":"w-1","role":"worker"}]},"end":true}"#;
    assert_eq!(run(&[HEAD, &node("w-1"), fewer]), Ok(vec![]));
    let more = HEAD.replace("\"w-1\"", "\"w-2\"");
    assert!(refusal(&[HEAD, &more]).contains("node w-2 is added to the list in the middle of the stream"));
}

#[test]
fn an_only_that_names_no_node_of_the_cluster_is_refused() {
    let mut stream = Stream::new(&TALOS_GEN, vec!["cp-1".to_owned(), "w-9".to_owned()]);
    let message = stream.accept(HEAD.as_bytes(), 1).unwrap_err().message;
    assert!(message.contains("--only w-9"), "{message}");
}

#[test]
fn what_a_later_step_wrote_into_the_cluster_is_dropped_from_each_of_its_lines() {
    let status = r#""status":{"image":{},"access":{},"bootstrap":{},"#;
    let head = HEAD.replace(r#""status":{"#, status);
    let end = END.replace(r#""end""#, r#""status":{"image":{},"kubeconfig":{}},"end""#);
    let mut stream = Stream::new(&TALOS_GEN, Vec::new());
    let Item::Cluster(first) = stream.accept(head.as_bytes(), 1).unwrap() else { panic!("not a Cluster") };
    let Item::End(last) = stream.accept(end.as_bytes(), 2).unwrap() else { panic!("not the last line") };
    assert_eq!(first.status().keys().collect::<Vec<_>>(), ["image", "nodes"]);
    assert_eq!(last.status().keys().collect::<Vec<_>>(), ["image", "nodes"]);
    assert_eq!(last.roster().unwrap().len(), 2, "each line says which nodes come");
}

#[test]
fn a_stream_does_not_begin_with_its_last_line() {
    assert!(refusal(&[&HEAD.replace(r#""spec":{}"#, r#""end":true"#)]).contains("begins with its last line"));
}

#[test]
fn an_end_that_is_not_true_ends_nothing() {
    let text = HEAD.replace(r#""spec":{}"#, r#""end":false"#);
    assert_eq!(run(&[&text, &node("cp-1"), &node("w-1"), END]), Ok(vec![]));
}

#[test]
fn a_node_without_role_or_with_a_status_that_is_no_object_is_refused() {
    for (from, to) in [
        ("\"role\":\"worker\"", "\"role\":\"boss\""),
        ("\"status\":{\"vm\":{\"id\":1},\"applied\":{\"address\":\"10.0.0.1\"}}", "\"status\":[]"),
    ] {
        let text = node("w-1").replace(from, to);
        assert_ne!(text, node("w-1"));
        assert!(refusal(&[HEAD, &text]).starts_with("line 2: node w-1: "), "{to}");
    }
}

#[test]
fn an_only_that_an_earlier_step_excludes_has_a_code_of_its_own() {
    let head = HEAD.replace(r#""status":{"#, r#""status":{"only":["cp-1"],"#);
    let error = Stream::new(&TALOS_GEN, vec!["w-1".to_owned()]).accept(head.as_bytes(), 1).unwrap_err();
    assert_eq!(error.code, Code::NotSelected);
}

#[test]
fn a_first_line_that_lists_no_nodes_is_refused() {
    let text = HEAD.replace(r#""nodes":"#, r#""others":"#);
    assert!(refusal(&[&text]).contains("lists no nodes"));
}
