//! How failures travel in the data.

use super::*;

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
    // The toy has no `--raw`: the word is the mistake. Without a stream, records come all the same.
    for words in [&[][..], &["--onyl", "a"], &["-f", "x.yaml"], &["--format", "yaml"], &["--raw"], &["-n", "10.0.0.1"]]
    {
        assert!(asks(words), "{words:?}");
    }
    for words in [
        &["explain", "--oops"][..],
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
    let lacking = parse(&["completions"]);
    let expected = "the following required arguments were not provided: <shell>";
    assert_eq!(lacking.message, expected);
    assert!(lacking.hint.unwrap().starts_with("Usage: "), "it is not said twice");
}

#[tokio::test]
async fn what_follows_a_cluster_file_in_json_is_refused() {
    let file = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"home","spec":{"talos":{"version":"v1.13.9"}},"nodes":[{"name":"a-1","role":"controlplane","address":"10.0.0.1/24"}]}"#;
    assert_eq!(run(format!("{file}\n"), &[]).await.names(), ["a-1"]);
    let outcome = run(format!("{file}\n{file}\n"), &[]).await;
    assert_eq!((outcome.exit, outcome.names().len()), (Exit::Unusable, 0));
    let records = run(format!("{file}\n{}", stream(&["a-1"])), &[]).await;
    assert_eq!((records.exit, records.begun), (Exit::Unusable, 0), "nothing is begun for records behind it");
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
async fn a_task_that_panics_is_a_failure_of_the_step() {
    let outcome = run(stream(&["panic-1", "a-1"]), &[]).await;
    assert_eq!((outcome.exit, outcome.names()), (Exit::Failed, vec!["a-1"]));
    assert_eq!(outcome.last()["status"]["error"]["code"], "internal");
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

#[tokio::test]
async fn a_failure_of_the_whole_step_is_signed_with_program_and_verb() {
    let toy = Toy { row: &table::PVE_VM_DESTROY, ..Toy::default() };
    let outcome = Setting { toy, ..Setting::of(stream(&["a-1"])) }.run().await;
    assert_eq!(outcome.last()["status"]["error"]["step"], "pve-vm destroy");
}

#[tokio::test]
async fn what_failed_before_is_counted_as_skipped() {
    let error = json!({"step": "pve-vm", "code": "x", "message": "m", "exit": 5});
    let failed = node("b-1").replace(r#""spec""#, &format!(r#""status":{{"error":{error}}},"spec""#));
    let outcome = run(format!("{}\n{failed}\n{}\n{END}\n", head(&["b-1", "idle-1"]), node("idle-1")), &[]).await;
    assert!(outcome.stderr.contains("2 skipped"), "{}", outcome.stderr);
}

#[tokio::test]
async fn missing_nodes_are_no_error_of_their_own_where_one_explains_them() {
    let input = failed_stream(&["a-1", "a-2"], "pve-vm", 5).replace(&node("a-2"), "");
    let outcome = run(input, &[]).await;
    assert_eq!((outcome.exit, outcome.stderr.contains("error:")), (Exit::Unreachable, false), "{}", outcome.stderr);
}

#[tokio::test]
async fn work_on_the_cluster_that_panics_leaves_its_nodes_untouched() {
    let panics: toy::OnCluster = Box::new(|_| Box::pin(async { panic!("work that panics") }));
    let toy = Toy { on_cluster: Some(panics), ..Toy::default() };
    let outcome = Setting { toy, ..Setting::of(stream(&["a-1"])) }.run().await;
    assert_eq!((outcome.exit, &outcome.node("a-1")["status"]), (Exit::Failed, &json!({})));
    assert_eq!(outcome.last()["status"]["error"]["code"], "internal");
}

#[tokio::test]
async fn a_worse_failure_of_its_own_counts_and_takes_the_place_of_an_earlier_one() {
    let outcome = run(failed_stream(&["a-1"], "talos-image", 1).replace(END, "garbage"), &[]).await;
    assert_eq!((outcome.exit, &outcome.last()["status"]["error"]["exit"]), (Exit::Unusable, &json!(8)));
    let lesser = run(failed_stream(&["a-1"], "talos-image", 8).replace(&node("a-1"), ""), &[]).await;
    assert_eq!((lesser.exit, &lesser.last()["status"]["error"]["step"]), (Exit::Unusable, &json!("talos-image")));
}

#[tokio::test]
async fn an_input_that_was_cut_holds_up_nobody() {
    let asking = Toy::doing(|run, _| async move { found(run.control_planes().await?.len().to_string()) });
    let cut = [head(&["cp-1", "a-1"]), node("a-1")].join("\n") + "\n";
    let outcome = Setting { toy: asking, piped: true, ..Setting::of(cut) }.run().await;
    assert_eq!(outcome.node("a-1")["status"]["config"]["sha256"], "0");
}

#[tokio::test]
async fn an_error_of_somebody_else_explains_no_field() {
    let input = failed_stream(&["wanting-1"], "my-script", 5)
        .replace(r#""status":{"#, r#""status":{"image":{"version":"v1"},"#);
    assert_eq!(run(input, &[]).await.node("wanting-1")["status"]["config"]["changed"], true);
}

#[tokio::test]
async fn a_failed_stream_is_a_failure_whatever_status_it_claims() {
    for claimed in [0, 3] {
        let error = json!({"step": "my-script", "code": "x", "message": "m", "exit": claimed});
        let status = json!({"error": error});
        let line = json!({"apiVersion": "ichor/v1", "kind": "Cluster", "name": "", "status": status, "end": true});
        assert_eq!(run(format!("{line}\n"), &[]).await.exit, Exit::Failed, "{claimed}");
    }
}

#[tokio::test]
async fn an_input_that_cannot_be_read_is_not_a_complete_one() {
    struct Torn(Cursor<Vec<u8>>, bool);
    impl std::io::Read for Torn {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if !std::mem::replace(&mut self.1, true) {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::other("the disk is gone")),
                count => Ok(count),
            }
        }
    }
    let torn = Torn(Cursor::new(stream(&["a-1"]).into_bytes()), false);
    let outcome = Setting { input: Box::new(torn), ..Setting::of("") }.run().await;
    assert_eq!((outcome.exit, outcome.names()), (Exit::Unusable, vec!["a-1"]), "a read that is interrupted goes on");
    assert!(outcome.stderr.contains("the disk is gone"), "{}", outcome.stderr);
}

#[tokio::test]
async fn two_documents_in_one_cluster_file_are_refused() {
    let file = "apiVersion: ichor/v1\nkind: Cluster\nname: home\nspec: {talos: {version: v1.13.9}}\nnodes:\n- {name: a-1, role: controlplane, address: 10.0.0.1/24}\n";
    let outcome = run(format!("{file}---\n{file}"), &[]).await;
    assert_eq!((outcome.exit, outcome.names().len(), outcome.begun), (Exit::Unusable, 0, 0));
}

#[tokio::test]
async fn an_error_for_good_that_the_step_before_found_later_goes_before_one_that_asks_to_run_again() {
    let error = json!({"step": "talos-image", "code": "x", "message": "m", "exit": 8, "theirs": 1});
    let last = END.replace(r#""end""#, &format!(r#""status":{{"error":{error}}},"end""#));
    let outcome = run(failed_stream(&["a-1"], "talos-image", 5).replace(END, &last), &[]).await;
    assert_eq!((outcome.exit, &outcome.last()["status"]["error"]), (Exit::Unusable, &error));
    // The other way round the first one is kept: it explains the others.
    let later = last.replace(r#""exit":8"#, r#""exit":5"#);
    let outcome = run(failed_stream(&["a-1"], "talos-image", 1).replace(END, &later), &[]).await;
    assert_eq!((outcome.exit, &outcome.last()["status"]["error"]["exit"]), (Exit::Failed, &json!(1)));
}

#[tokio::test]
async fn a_record_that_was_cut_in_its_middle_is_a_cut_too() {
    let input = stream(&["a-1"]);
    let torn = &input[..input.len() - 9];
    let of_pipe = Setting { piped: true, ..Setting::of(torn) }.run().await;
    assert_eq!((of_pipe.exit, &of_pipe.last()["status"]["error"]["code"]), (Exit::Unreachable, &json!("cut")));
    assert_eq!(run(torn.to_owned(), &[]).await.exit, Exit::Unusable, "a file gives the same when it is read again");
}

#[tokio::test]
async fn half_a_record_behind_a_complete_stream_is_a_second_stream_and_no_cut() {
    let input = stream(&["a-1"]) + r#"{"apiVersion":"#;
    let outcome = Setting { piped: true, ..Setting::of(input) }.run().await;
    assert_eq!((outcome.exit, &outcome.last()["status"]["error"]["exit"]), (Exit::Unusable, &json!(8)));
}
