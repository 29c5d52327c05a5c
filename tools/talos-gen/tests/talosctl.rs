//! talosctl, if one is on PATH or named by `ICHOR_TALOSCTL`, judges the commands without a stream: the same command
//! line gives the same files.

use std::path::Path;
use std::process::{Command, Output};

fn run(program: &Path, folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.current_dir(folder).args(args).output().expect("the program runs")
}

/// The minor of talosctl's own release of Talos 1.x.
fn newest(talosctl: &Path) -> u32 {
    let said = run(talosctl, Path::new("."), &["version", "--client"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let minor = said.split_once("v1.").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
    minor.unwrap_or_else(|| panic!("no version of talosctl in {said:?}"))
}

/// A folder with secrets that talosctl made.
fn folder(talosctl: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let made = run(talosctl, folder.path(), &["gen", "secrets", "--talos-version", "v1.6"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder
}

/// The results of both for the arguments of `gen config`: the files of each that succeeds.
fn both(talosctl: &Path, folder: &Path, args: &[&str]) -> [Option<Vec<String>>; 2] {
    let files = |out: &str, output: &Output| {
        let read = |name| std::fs::read_to_string(folder.join(out).join(name)).expect("it was written");
        output.status.success().then(|| ["controlplane.yaml", "worker.yaml"].map(read).to_vec())
    };
    let common =
        ["--with-secrets", "secrets.yaml", "--with-docs=false", "--with-examples=false", "--install-image", "i"];
    let common = [&common[..], &["-t", "controlplane,worker", "--force"], args].concat();
    let theirs = run(talosctl, folder, &[&["gen", "config", "-o", "theirs"], &common[..]].concat());
    let ours = Path::new(env!("CARGO_BIN_EXE_talos-gen"));
    let ours = run(ours, folder, &[&["config", "-o", "ours"], &common[..]].concat());
    [files("theirs", &theirs), files("ours", &ours)]
}

#[test]
fn the_same_command_line_gives_the_files_of_talosctl() {
    let Some(talosctl) = judges::require("talosctl") else { return };
    let folder = folder(&talosctl);
    let base = ["lab", "https://base:6443"];
    let newest = newest(&talosctl);
    for minor in [3, 5, 6, 8, 10, 11, 12, 13, 14].into_iter().filter(|minor| *minor <= newest) {
        let version = format!("v1.{minor}");
        for more in [
            &[][..],
            &["--additional-sans", "a.lan,10.0.0.9", "--with-kubespan", "--registry-mirror", "docker.io=https://m/x"],
            &["--install-disk", "", "--dns-domain", "lab.lan", "--with-cluster-discovery=false"],
            &[
                "--config-patch",
                "machine: {sysctls: {net.ipv4.ip_forward: '1'}}",
                "--config-patch-worker",
                "{machine: {env: {a: b}}}",
            ],
        ] {
            let version = ["--talos-version", &version, "--kubernetes-version", "1.30.0"];
            let args = [&base[..], &version, more].concat();
            let [theirs, ours] = both(&talosctl, folder.path(), &args);
            assert!(theirs.is_some(), "{args:?}");
            assert_eq!(theirs, ours, "{args:?}");
        }
    }
}

/// A talosconfig without what is new each time.
fn outline(text: &str) -> String {
    let shown = |line: &str| {
        line.split_once("crt: ").or(line.split_once("key: ")).map_or(line.to_owned(), |(name, _)| name.to_owned())
    };
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_are_quoted_in_a_talosconfig_as_by_talosctl() {
    let Some(talosctl) = judges::require("talosctl") else { return };
    let folder = folder(&talosctl);
    let version = format!(
        "v1.{}",
        newest(&talosctl)
            .min(talos_releases::RELEASES.map(|release| release.minor)[talos_releases::RELEASES.len() - 1])
    );
    let tail = ["https://a:6443", "--with-secrets", "secrets.yaml", "-t", "talosconfig", "-o", "-"];
    for name in ["lab", "yes", "1e3", "a b", "é"] {
        let theirs = run(&talosctl, folder.path(), &[&["gen", "config", name], &tail[..]].concat());
        let args = [&["config", name], &tail[..], &["--talos-version", &version]].concat();
        let ours = run(Path::new(env!("CARGO_BIN_EXE_talos-gen")), folder.path(), &args);
        let text = |output: &Output| outline(&String::from_utf8_lossy(&output.stdout));
        assert_eq!(text(&ours), text(&theirs), "{name}");
    }
}

#[test]
fn endpoints_are_taken_refused_and_written_as_talosctl_does() {
    let Some(talosctl) = judges::require("talosctl") else { return };
    let folder = folder(&talosctl);
    for endpoint in [
        "https://base",
        "https://-a",
        "https://ünï.lan",
        "https://base:70000",
        "https://base:abc",
        "https://base:0",
        "https://base:",
        "https://[::1",
        "https://[::1]:6443",
        "https://base/%zz",
        "https://base/%7e",
        "https://ba se",
        "https://u:p@base:1",
        "https://base/a b?x=1#f",
        "https://b%61se",
        "https://base/ä",
        "HTTPS://base",
        "http://base",
        "base:6443",
        "base",
        "10.0.0.1",
        "10.0.0.1:6443",
        "https://",
        "",
    ] {
        let version = ["--talos-version", "v1.13", "--kubernetes-version", "1.36.0"];
        let [theirs, ours] = both(&talosctl, folder.path(), &[&["lab", endpoint], &version[..]].concat());
        assert_eq!(theirs, ours, "{endpoint}");
    }
}
