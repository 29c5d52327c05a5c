use crate::support::Scratch;

/// The checkout's justfile.
const JUSTFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../justfile");

#[tokio::test(flavor = "multi_thread")]
async fn just_up_twice_in_ichor_lab_run_changes_nothing_the_second_time_and_after_down_it_begins_again() {
    if judges::require("jq").is_none() || judges::require("just").is_none() {
        return;
    }
    let scratch = Scratch::new();
    let just = format!("just --justfile {JUSTFILE} --working-directory .");
    let script = format!(
        "ichor-lab run --delays zero --workers 2 -- sh -c '{just} up > 1.jsonl && {just} up > 2.jsonl && {just} plan > 3.jsonl && rm $(dirname $ICHOR_CLUSTER)/kubeconfig && {just} kubeconfig > 4.jsonl && test -s $(dirname $ICHOR_CLUSTER)/kubeconfig && {just} down --yes && {just} up > 5.jsonl && {just} down --yes'"
    );
    scratch.sh(&script).await.exits(0);
    let changed = scratch
        .sh("jq -c '.status | to_entries[] | select(.value | type == \"object\" and .changed == true)' 2.jsonl")
        .await;
    assert_eq!(changed.exits(0).stdout, "");
    for made in ["1.jsonl", "5.jsonl"] {
        let changed = scratch.sh(&format!("jq -c 'select(.status.vm.changed)' {made}")).await;
        assert!(!changed.exits(0).stdout.is_empty(), "{made}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ichor_lab_run_passes_the_exit_status_on() {
    let scratch = Scratch::new();
    scratch.sh("ichor-lab run --delays zero -- sh -c 'exit 42'").await.exits(42);
    scratch.sh("ichor-lab run --delays zero -- no-such-command").await.exits(127);
}
