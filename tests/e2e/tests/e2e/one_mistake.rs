//! One mistake is one message, and the exit status at the end of the pipe is right without `pipefail`.

use crate::support::{Outcome, STEPS, Scratch, Shape, World};

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
    let outcome = scratch.sh(&command).await.exits(6);
    let errors: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("error:")).collect();
    assert_eq!(errors.len(), 1, "{outcome}");
    assert!(errors[0].starts_with("pve-vm error: no Proxmox VE API token"), "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_token_is_told_by_the_first_step_that_needs_it_alone() {
    let world = World::start(Shape::SMALL).await;
    let outcome = world.sh(&format!("unset PROXMOX_VE_API_TOKEN; {}", World::pipe())).await.exits(6);
    let errors: Vec<_> = outcome.stderr.lines().filter(|line| line.contains(" error: ")).collect();
    assert_eq!(errors.len(), 1, "{outcome}");
    assert!(errors[0].starts_with("talos-image error: no Proxmox VE API token"), "{outcome}");
}

#[tokio::test]
async fn a_setting_that_two_steps_read_is_complained_about_once() {
    let scratch = Scratch::new();
    for schematic in ["zzz", "{id: zzz}"] {
        let version = format!("talos: {{version: v1.13.9, schematic: {schematic}}}");
        scratch.write("cluster.yaml", FILE.replace("talos: {version: v1.13.9}", &version));
        let outcome = scratch.sh("talos-image -f cluster.yaml | talos-gen").await;
        assert_ne!(outcome.status, 0, "{outcome}");
        let errors: Vec<_> = outcome.stderr.lines().filter(|line| line.contains(" error: ")).collect();
        assert_eq!(errors.len(), 1, "{schematic}: {outcome}");
        assert!(errors[0].starts_with("talos-image error: "), "{outcome}");
    }
}

#[tokio::test]
async fn a_setting_of_proxmox_that_two_steps_read_is_complained_about_once() {
    let scratch = Scratch::new();
    let endpoint = "endpoint: https://127.9.9.2:8006";
    for (setting, says) in [
        (format!("{endpoint}, ca: nowhere.pem"), "nowhere.pem"),
        (format!("{endpoint}, fingerprint: zz"), "fingerprint"),
        ("endpoint: \"ftp://127.9.9.2\"".to_owned(), "ftp://127.9.9.2"),
        ("endpoint: \"https://127.9.9.2:99999\"".to_owned(), "127.9.9.2:99999"),
        (format!("{endpoint}, token: secret"), "token"),
    ] {
        scratch.write("cluster.yaml", FILE.replace(endpoint, &setting));
        let token = "export PROXMOX_VE_API_TOKEN='a@pve!b=11111111-2222-3333-4444-555555555555'";
        let outcome = scratch
            .sh(&format!("{token}; {}", World::pipe().replacen("talos-image", "talos-image -f cluster.yaml", 1)))
            .await;
        assert!([2, 8].contains(&outcome.status), "{setting}: {outcome}");
        let errors: Vec<_> = outcome.stderr.lines().filter(|line| line.contains(" error: ")).collect();
        assert_eq!(errors.len(), 1, "{setting}: {outcome}");
        assert!(errors[0].starts_with("talos-image error: ") && errors[0].contains(says), "{outcome}");
    }
}

#[tokio::test]
async fn a_wrong_call_is_told_once_by_every_program_and_in_every_place() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    for (pipe, says) in [
        (
            "ichor explode -f cluster.yaml | pve-vm --raw | talos-gen | talos-apply",
            "pve-vm error: unexpected argument '--raw'",
        ),
        ("ichor pve-vn | ichor talos-gen | ichor talos-apply", "ichor error: pve-vn: no such program"),
        ("talos-apply -n 127.0.0.1 | talos-bootstrap", "talos-apply error: no machine config is given"),
    ] {
        let outcome = scratch.sh(pipe).await.exits(2).says(says);
        assert_eq!(outcome.stderr.matches(" error: ").count(), 1, "{outcome}");
    }
}

#[tokio::test]
async fn an_empty_file_is_called_so() {
    let scratch = Scratch::new();
    scratch.write("empty.yaml", "");
    for (input, says) in [
        ("-f empty.yaml", "talos-gen error: empty.yaml is empty"),
        ("-f /dev/null", "talos-gen error: /dev/null is empty"),
        ("< /dev/null", "talos-gen error: no input: stdin is empty"),
        ("< empty.yaml", "talos-gen error: no input: stdin is empty"),
    ] {
        scratch.sh(&format!("talos-gen {input}")).await.exits(8).says(says).never_says("previous command");
    }
    scratch.sh("true | talos-gen").await.exits(8).says("the previous command in the pipe wrote nothing");
}

#[tokio::test]
async fn flags_that_would_be_ignored_are_refused() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    for (command, says) in [
        ("talos-wait -f cluster.yaml --talosconfig x", "--talosconfig needs -n"),
        ("talos-bootstrap -f cluster.yaml --talosconfig x", "--talosconfig needs -n"),
        ("talos-wait -f cluster.yaml -e 127.0.0.77", "-e and -f can't"),
        ("talos-bootstrap -n 127.0.0.77 --dir x", "-n and --dir can't"),
        ("kubeconfig-export -n 127.0.0.77 -f cluster.yaml", "-n and -f can't"),
        ("talos-wait -f cluster.yaml --for etcd --kubeconfig x", "--kubeconfig and --for etcd can't"),
        ("talos-apply -f cluster.yaml --timeout 5m", "--timeout needs --mode try"),
        ("kubeconfig-export -f cluster.yaml --raw --inline", "--raw and --inline can't"),
        ("kubeconfig-export -f cluster.yaml --raw --merge", "--raw and --merge can't"),
        ("kubeconfig-export -f cluster.yaml --raw --format yaml", "--raw and --format can't"),
        ("kubeconfig-export -f cluster.yaml --server notaurl", "--server <URL>"),
        ("talos-wait -f cluster.yaml --wait-timeout 0", "--wait-timeout <DURATION>"),
    ] {
        scratch.sh(command).await.exits(2).says(says);
    }
}

#[tokio::test]
async fn without_a_talosconfig_the_places_are_named_and_nobody_speaks_of_a_pipe() {
    let scratch = Scratch::new();
    scratch.write("node.yaml", "version: v1alpha1\nmachine: {type: worker, token: abc}\n");
    for command in [
        "talos-wait -n 127.0.0.77,127.0.0.78",
        "talos-wait -e 127.0.0.77",
        "talos-apply -f node.yaml -n 127.0.0.77",
        "kubeconfig-export -n 127.0.0.77 --raw",
        "talos-bootstrap -n 127.0.0.77",
    ] {
        let outcome = scratch.sh(command).await.exits(2).says("there is no talosconfig: looked for ");
        let outcome = outcome.says("/.talos/config").says("--talosconfig").never_says("pipe");
        assert_eq!(outcome.stderr.matches(" error: ").count(), 1, "{outcome}");
    }
    // Where nothing is asked of the node that needs credentials, none are needed.
    scratch
        .sh("talos-wait -n 127.0.0.77 --for maintenance --wait-timeout 1ms")
        .await
        .exits(5)
        .never_says("talosconfig");
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
    }
    for step in ["talos-image", "kubeconfig-export"] {
        let raw = scratch.sh(&format!("{step} --no-such-flag --raw < /dev/null")).await.exits(2);
        assert_eq!(raw.stdout, "", "{step}: --raw asks for no records");
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
    scratch.sh("ichor explode --oops").await.exits(2).says("Usage: ichor explode ");
    assert!(scratch.sh("ichor explode --help").await.exits(0).stdout.contains("Usage: ichor explode "));
    let completions = scratch.sh("ichor explode completions bash").await.exits(0).stdout;
    assert!(
        completions.lines().any(|line| line.trim_start().starts_with("complete ") && line.ends_with(" ichor")),
        "{completions}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_what_many_vms_share_is_told_once_and_nothing_is_made() {
    let world = World::start(Shape { workers: 3, ..Shape::SMALL }).await;
    world.edit("worker: {vm: {cores", "worker: {vm: {corse");
    let outcome = world.sh(&World::pipe()).await.exits(8).says("spec.worker.vm.corse is no parameter of a VM");
    let errors = outcome.stderr.lines().filter(|line| line.contains("error:")).count();
    assert_eq!((errors, world.lab.pve().vms().len()), (1, 0), "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_many_nodes_share_and_nobody_can_read_is_told_once() {
    let world = World::start(Shape { workers: 3, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm > lab.jsonl").await.exits(0);
    for (layer, patch, place) in [
        ("  worker: {", "@nofile.yaml", "spec.worker.patches: patch"),
        ("  controlplane: {", "machine: {kubelet: {nodeIP: 7}}", "spec.controlplane.patches: patch 1"),
    ] {
        world.edit(layer, &format!("{layer}patches: [\"{patch}\"], "));
        let outcome = world.sh("talos-image | pve-vm | talos-gen | talos-apply > /dev/null").await.exits(8).says(place);
        assert_eq!(outcome.stderr.lines().filter(|line| line.contains("error:")).count(), 1, "{outcome}");
        assert!(!outcome.stderr.contains("talos-gen created"), "nothing is made of a file with a mistake: {outcome}");
        world.edit(&format!("patches: [\"{patch}\"], "), "");
    }
}
