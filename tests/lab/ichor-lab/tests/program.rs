//! The program, as its users run it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ichor-lab")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_command_runs_in_the_environment_of_a_lab_and_its_status_is_passed_on() {
    let script = "test -f \"$ICHOR_CLUSTER\" && test -n \"$PROXMOX_VE_API_TOKEN\" && echo \"$ICHOR_LAB\" && exit 7";
    let output = lab(&["run", "--delays", "zero", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("http://127."));
    assert_eq!(lab(&["run", "--", "/nowhere"]).status.code(), Some(127));
}

#[test]
fn every_error_begins_with_the_name_of_the_program() {
    for wrong in [
        &["serve", "--no-such-flag"][..],
        &["run", "--scenario", "nonsense", "--", "true"],
        &["run", "--delays", "zero", "--", "/nowhere"],
        &["scenario", "show", "nonsense"],
    ] {
        let said = text(&lab(wrong).stderr);
        assert!(said.starts_with("ichor-lab error: "), "{wrong:?}: {said}");
    }
    assert!(text(&lab(&["--help"]).stdout).starts_with("Plays "));
}

#[test]
fn a_scenario_that_is_shown_can_be_used_as_a_file() {
    let list = text(&lab(&["scenario", "list"]).stdout);
    let name = list.split_whitespace().next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.yaml");
    std::fs::write(&path, lab(&["scenario", "show", name]).stdout).unwrap();
    let output = lab(&["run", "--scenario", path.to_str().unwrap(), "--", "true"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let wrong = lab(&["run", "--scenario", "nonsense", "--", "true"]);
    assert!(!wrong.status.success());
    assert!(
        text(&wrong.stderr).contains("no scenario or file `nonsense`; `ichor-lab scenario list` shows the scenarios")
    );
}

#[test]
fn a_lab_that_is_asked_to_be_ready_has_files_for_kubectl_and_talosctl_with_a_node_to_ask() {
    let script = "grep -q current-context \"$KUBECONFIG\" && grep -A1 nodes: \"$TALOSCONFIG\" | grep -qw 127";
    let output = lab(&["run", "--ready", "--delays", "zero", "--talos", "v1.12.4", "--", "sh", "-c", script]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_lab_in_the_background_goes_on_until_it_is_stopped_and_its_secrets_are_the_users_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("it's here");
    // The output ends with the command: the lab holds none of its files.
    let output = lab(&["serve", "--background", "--ready", "--delays", "zero", "--dir", dir.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let script = "eval \"$1\"; kill -0 \"$ICHOR_LAB_PID\" || exit 3; stat -c %a \"$KUBECONFIG\" \"$TALOSCONFIG\"; \
                  kill \"$ICHOR_LAB_PID\" && tail --pid \"$ICHOR_LAB_PID\" -f /dev/null";
    let used = Command::new("sh").args(["-c", script, "sh", &text(&output.stdout)]).output().unwrap();
    assert!(used.status.success(), "{}", text(&used.stderr));
    assert_eq!(text(&used.stdout), "600\n600\n");
}

#[test]
fn a_lab_in_the_background_that_nobody_hears_of_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ichor-lab"));
    command.args(["serve", "--background", "--delays", "zero", "--dir"]).arg(folder.path()).stdout(full);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    let folder = folder.path().to_str().unwrap();
    assert_eq!(processes.filter(|line| text(line).contains(folder)).count(), 0);
}

#[test]
fn a_lab_that_can_not_come_up_in_the_background_says_why() {
    let output = lab(&["serve", "--background", "--ready", "--talos", "v0.1", "--delays", "zero"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    assert!(text(&output.stderr).contains("0.1"), "{}", text(&output.stderr));
}
