//! One mistake is one message, and the exit status at the end of the pipe is right without `pipefail`.

use crate::support::{Outcome, STEPS, Scratch, World};

const FILE: &str = "\
apiVersion: ichor/v1
kind: Cluster
name: lab
spec:
  talos: {version: v1.13.9}
  kubernetes: {version: v1.36.3}
  proxmox: {endpoint: https://127.9.9.2:8006, storage: local-lvm, images: local, bridge: vmbr0}
  network: {gateway: 127.9.9.1, vip: 127.9.9.10}
nodes:
  - {name: cp-1, role: controlplane, address: 127.9.9.11/24}
";

/// Runs the pipe with `first` in place of its first step, without `pipefail`, and checks that there is one message.
async fn one_message(scratch: &Scratch, first: &str, status: i32, says: &str) -> Outcome {
    let pipe = World::pipe().replacen("talos-image", first, 1);
    let outcome = scratch.sh(&pipe).await.exits(status).says(says);
    let errors: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("error:")).collect();
    assert_eq!(errors.len(), 1, "{first}\n{outcome}");
    assert!(errors[0].starts_with("talos-image error: "), "{}", errors[0]);
    let last = outcome.stdout.lines().last().unwrap_or_default();
    assert!(last.contains(r#""name":"""#) && last.ends_with(r#""end":true}"#), "{last}");
    outcome
}

#[tokio::test]
async fn a_typo_in_the_file_is_told_once() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE.replace("controlplane,", "controlplan,"));
    one_message(&scratch, "talos-image -f cluster.yaml", 8, "controlplan").await;
}

#[tokio::test]
async fn a_wrong_flag_is_told_once() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    one_message(&scratch, "talos-image -f cluster.yaml --dry-rum", 2, "--dry-run").await;
}

#[tokio::test]
async fn a_file_that_is_not_there_or_cannot_be_read_is_told_once() {
    let scratch = Scratch::new();
    one_message(&scratch, "talos-image -f nowhere.yaml", 2, "nowhere.yaml: no such file").await;
    scratch.sh("mkdir folder").await.exits(0);
    one_message(&scratch, "talos-image -f folder", 8, "is a directory").await;
}

#[tokio::test]
async fn a_missing_token_is_told_once() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE.replace("images: local, ", ""));
    // talos-image needs no token here: pve-vm is the one that fails, with one message.
    let pipe = "jq -c 'if .kind==\"Cluster\" then .status.image={volumes:{pve1:\"x\"}} else . end'";
    if judges::require("jq").is_none() {
        return;
    }
    let command = format!(
        "unset PROXMOX_VE_API_TOKEN; ichor explode -f cluster.yaml | {pipe} | {}",
        World::pipe().replacen("talos-image | ", "", 1)
    );
    let outcome = scratch.sh(&command).await.exits(8);
    let errors: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("error:")).collect();
    assert_eq!(errors.len(), 1, "{outcome}");
    assert!(errors[0].starts_with("pve-vm error: no Proxmox VE API token"), "{outcome}");
}

#[tokio::test]
async fn a_program_that_is_not_found_is_named_by_the_step_behind_it() {
    let scratch = Scratch::new();
    let outcome = scratch.sh("no-such-program | talos-gen | talos-apply").await.exits(8);
    let outcome = outcome.says("talos-gen error: no input: the previous command in the pipe wrote nothing");
    assert_eq!(outcome.stderr.matches(" error: ").count(), 1, "{outcome}");
}

#[tokio::test]
async fn every_error_begins_with_the_name_of_its_program() {
    let scratch = Scratch::new();
    for step in STEPS {
        let outcome = scratch.sh(&format!("{step} --no-such-flag < /dev/null")).await.exits(2);
        assert!(outcome.stderr.starts_with(&format!("{step} error: unexpected argument")), "{outcome}");
        assert!(outcome.stdout.contains(&format!(r#""step":"{step}""#)), "{outcome}");
        let alone = scratch.sh(&format!("{step} --no-such-flag --raw < /dev/null")).await.exits(2);
        assert_eq!(alone.stdout, "", "{step}: --raw asks for no records");
    }
}

#[tokio::test]
async fn a_step_that_has_failed_ends_at_once_when_it_is_told_to() {
    let scratch = Scratch::new();
    for step in STEPS {
        let command = format!("yes '{{\"x\":1}}' | timeout --kill-after 20 1 {step} > /dev/null");
        scratch.sh(&command).await.exits(124);
    }
}

#[tokio::test]
async fn flags_that_mean_nothing_to_a_step_are_not_offered_and_are_refused() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    for (step, flags) in [
        ("talos-image", &["--inline", "--parallel", "--wait-timeout"][..]),
        ("pve-vm", &["--raw", "--inline"]),
        ("talos-gen", &["--raw", "--parallel", "--wait-timeout"]),
        ("talos-apply", &["--raw", "--inline"]),
        ("talos-bootstrap", &["--raw", "--inline", "--parallel"]),
        ("kubeconfig-export", &["--parallel"]),
        ("talos-wait", &["--raw", "--inline", "--parallel"]),
    ] {
        let help = scratch.sh(&format!("{step} --help")).await.exits(0).stdout;
        for flag in flags {
            assert!(!help.lines().any(|line| line.trim_start().starts_with(flag)), "{step} offers {flag}");
            scratch.sh(&format!("{step} -f cluster.yaml {flag}")).await.exits(2).says(flag);
            assert_eq!(scratch.files(""), ["cluster.yaml"], "{step} {flag} wrote something");
        }
    }
    scratch
        .sh("pve-vm list -f cluster.yaml --recreate")
        .await
        .exits(2)
        .says("--recreate can't be used with `pve-vm list`");
}

#[tokio::test]
async fn explode_turns_a_cluster_file_into_records_for_a_pipe_that_begins_with_a_script() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    let outcome = scratch.sh("ichor explode -f cluster.yaml").await.exits(0);
    assert_eq!(outcome.nodes().len(), 1);
    assert!(outcome.stdout.lines().next().unwrap().contains(r#""run":""#), "{outcome}");
    scratch.sh("ichor explode -f cluster.yaml | talos-gen --dry-run").await.exits(3);
}
