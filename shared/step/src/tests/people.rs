//! What people see.

use super::*;

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
    let counts = "toy: 1 changed, 1 unchanged, 1 failed, cluster changed";
    assert_eq!(end(Place::Alone).await, ["toy: run again: toy --only 'a b'", counts]);
    assert_eq!(end(Place::Last).await[0], "toy: run the same pipe again");
    assert_eq!(end(Place::Within).await[0], counts, "the last step says it for all");
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

#[tokio::test]
async fn run_again_is_said_only_where_it_helps_and_nothing_is_summed_up_that_was_never_begun() {
    let last = |input: String| {
        let setting = Setting { place: Place::Last, ..Setting::of(input) };
        async move { setting.run().await.stderr.lines().last().unwrap().to_owned() }
    };
    assert_eq!(last(stream(&["bad-1"])).await, "toy: 1 failed, cluster changed");
    let unusable = last("hello".to_owned()).await;
    assert!(unusable.contains("error:") || unusable.contains("hint:"), "{unusable}");
}

#[tokio::test]
async fn the_result_that_there_is_none_of_is_a_failure() {
    let outcome = Setting { layout: Layout::Raw, ..Setting::of(stream(&["a-1"])) }.run().await;
    assert_eq!((outcome.exit, outcome.stdout.as_str()), (Exit::Failed, ""));
    assert!(outcome.stderr.contains("toy error:"), "{}", outcome.stderr);
}

#[tokio::test]
async fn what_a_cluster_file_leaves_open_is_said_aloud() {
    let file = "apiVersion: ichor/v1\nkind: Cluster\nname: home\nspec: {talos: {version: v1.13.9}}\nnodes:\n- {name: a-1, role: controlplane, address: 10.0.0.1/24}\n";
    let outcome = run(file.to_owned(), &[]).await;
    assert!(outcome.stderr.contains("toy warning: spec.kubernetes.version"), "{}", outcome.stderr);
}

#[tokio::test]
async fn what_happens_to_a_node_is_said_with_its_name() {
    let toy = Toy::doing(|run, node| async move {
        run.say(&node, "booting");
        found("")
    });
    let outcome = Setting { toy, ..Setting::of(stream(&["a-1"])) }.run().await;
    assert!(outcome.stderr.lines().any(|line| line == "toy a-1 booting"), "{}", outcome.stderr);
}

#[test]
fn an_error_and_its_hint_are_one_write() {
    struct Writes(std::sync::mpsc::Sender<String>);
    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).unwrap();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (sender, writes) = std::sync::mpsc::channel();
    let console = crate::Console::writing_to("toy", Box::new(Writes(sender)));
    console.failure(Some("a-1"), &Failure::new(Exit::Failed, Code::Failed, "m").hint("h"));
    drop(console);
    assert_eq!(writes.iter().collect::<Vec<_>>(), ["toy a-1 error: m\ntoy a-1 hint: h\n"]);
}

#[test]
fn flags_are_what_was_typed() {
    use clap::Parser;

    let typed = |words: &[&str]| toy::Args::try_parse_from([&["toy"], words].concat());
    let flags = Toy::flags(&typed(&["--wait-timeout", "90s", "--parallel", "3"]).unwrap_or_else(|e| panic!("{e}")));
    assert_eq!((flags.wait_timeout.as_secs(), flags.parallel), (90, 3));
    for wrong in
        [&["--wait-timeout", "90"][..], &["--wait-timeout", "0"], &["--wait-timeout", "0s"], &["--parallel", "0"]]
    {
        assert!(typed(wrong).is_err_and(|error| error.to_string().contains(wrong[0])), "{wrong:?}");
    }
}

#[test]
fn what_was_asked_for_is_no_wrong_call() {
    let argv = ["toy", "--version"].map(Into::into);
    assert!(matches!(crate::arguments::parse::<Toy>(&argv), crate::arguments::Parsed::Done(Exit::Done)));
}
