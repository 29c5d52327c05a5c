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
