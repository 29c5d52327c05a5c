//! Patches: what begins with a dash, and what Talos would lose in silence.

use crate::{CONFIG, code, configs, done, folder, run, stderr};

#[test]
fn a_patch_may_begin_with_a_dash_as_talosctl_takes_it() {
    let folder = folder();
    configs(folder.path(), &["--talos-version", "v1.11", "-t", "worker"]);
    let patch = "- op: add\n  path: /machine/certSANs/-\n  value: a.example\n";
    for flags in [["-p", patch], ["--patch", patch]] {
        let patched = done(folder.path(), &[&["patch", "worker.yaml"][..], &flags].concat());
        assert!(patched.contains("- a.example\n"), "{patched}");
    }
    let made = ["--talos-version", "v1.11", "-o", "-", "-t", "worker", "--config-patch", patch];
    assert!(done(folder.path(), &[&CONFIG[..], &made].concat()).contains("- a.example\n"));
}

#[test]
fn what_talos_loses_in_silence_is_told_alone() {
    let folder = folder();
    let reboot = "apiVersion: v1alpha1\nkind: UnattendedInstallConfig\nreboot: false\n";
    let made = run(
        folder.path(),
        &[&CONFIG[..], &["--talos-version", "v1.14", "-o", "-", "-t", "worker", "--config-patch", reboot]].concat(),
    );
    let lost = "patch 1 erases provisioning.diskSelector.match of UnattendedInstallConfig";
    assert!(code(&made) == 0 && stderr(&made).contains(lost), "{}", stderr(&made));
    configs(folder.path(), &["--talos-version", "v1.14", "-t", "worker", "--install-disk", ""]);
    let checked = |mode: &str| {
        let output = run(folder.path(), &["validate", "-c", "worker.yaml", "-m", mode]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stderr(&output)
    };
    assert!(checked("metal").contains("runs from memory"));
    assert!(!checked("cloud").contains("runs from memory"));
    let accepted = "cluster: {acceptedCAs: [{crt: QUJD}]}";
    let patched = run(folder.path(), &["patch", "worker.yaml", "-p", accepted]);
    assert!(stderr(&patched).contains("cluster.acceptedCAs is ignored"), "{}", stderr(&patched));
}
