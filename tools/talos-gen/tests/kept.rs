//! What else is in the talosconfig stays when the step writes it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use talosconfig::{Context, Talosconfig};

const CLUSTER: &str = "apiVersion: ichor/v1
kind: Cluster
name: lab
spec:
  talos: {version: v1.13.9}
  kubernetes: {version: v1.36.3}
  network: {gateway: 10.0.0.1, nameservers: [10.0.0.1], vip: 10.0.0.10}
nodes:
  - {name: cp-1, role: controlplane, address: ADDRESS/24}
";

const OTHERS: &str = "context: prod
contexts:
    prod:
        endpoints:
            - 10.9.0.1
        ca: Q0E=
        crt: Q1JU
        key: S0VZ
        release: 1.10
theirs: {a: b}
";

/// A folder with an old cluster's secrets, so that no test searches for primes.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("the folder is ours and the program runs");
    std::fs::create_dir(folder.path().join("lab")).expect("the folder is ours and the program runs");
    assert!(run(folder.path(), &["secrets", "--talos-version", "v1.6", "-o", "lab/secrets.yaml"]).status.success());
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talos-gen"));
    command.current_dir(folder).env_clear().args(arguments).output().expect("the folder is ours and the program runs")
}

/// The exit status and what was said.
fn pipe(folder: &Path, address: &str, flags: &[&str]) -> (Option<i32>, String) {
    std::fs::write(folder.join("cluster.yaml"), CLUSTER.replace("ADDRESS", address))
        .expect("the folder is ours and the program runs");
    let output = run(folder, &[&["-f", "cluster.yaml", "--format", "jsonl"], flags].concat());
    (output.status.code(), String::from_utf8(output.stderr).expect("the folder is ours and the program runs"))
}

fn file(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("lab").join(name)).expect("the folder is ours and the program runs")
}

fn put(folder: &Path, text: &str) {
    std::fs::write(folder.join("lab/talosconfig"), text).expect("the folder is ours and the program runs");
}

fn lab(folder: &Path) -> Context {
    Talosconfig::parse(&file(folder, "talosconfig"))
        .expect("the folder is ours and the program runs")
        .context("lab")
        .expect("the folder is ours and the program runs")
        .clone()
}

#[test]
fn a_talosconfig_that_cannot_be_kept_is_refused_with_its_place_and_stays_as_it_is() {
    let broken = [
        (format!("{OTHERS}context: lab\n"), "line 11, column 1: mapping key \"context\" is already defined on line 1"),
        (format!("{OTHERS}---\n{OTHERS}"), "line 12, column 1: a second YAML document begins here"),
        ("contexts: [prod]\n".to_owned(), "line 1, column 11: contexts is a list, but has to be a mapping"),
        ("contexts: {lab: {endpoints: x}}\n".to_owned(), "contexts.lab.endpoints is a text, but has to be a list"),
    ];
    for with_secrets in [true, false] {
        for (text, why) in &broken {
            let folder = folder();
            if !with_secrets {
                std::fs::remove_file(folder.path().join("lab/secrets.yaml")).unwrap();
            }
            put(folder.path(), text);
            for flags in [&["--dry-run"][..], &[]] {
                let (code, said) = pipe(folder.path(), "10.0.0.11", flags);
                assert_eq!(code, Some(8), "{said}");
                let path = folder.path().join("lab/talosconfig").display().to_string();
                assert!(said.contains(&path) && said.contains(why) && said.contains("move"), "{said}");
                assert!(!said.contains("S0VZ"), "{said}");
            }
            assert_eq!(file(folder.path(), "talosconfig"), *text);
            assert_eq!(folder.path().join("lab/secrets.yaml").exists(), with_secrets, "none are made for nothing");
        }
    }
}

#[test]
fn other_contexts_and_unknown_keys_stay() {
    let folder = folder();
    put(folder.path(), OTHERS);

    let (code, said) = pipe(folder.path(), "10.0.0.11", &[]);

    assert_eq!(code, Some(0), "{said}");
    let text = file(folder.path(), "talosconfig");
    let prod = OTHERS.split_once("    prod:").unwrap().1.split_once("theirs").unwrap().0;
    assert!(text.contains(prod) && text.contains("theirs:\n    a: b\n"), "{text}");
    assert_eq!(lab(folder.path()).endpoints, ["10.0.0.11"]);
}

#[test]
fn the_users_own_keys_of_the_context_stay_when_endpoints_and_credentials_change() {
    let folder = folder();
    pipe(folder.path(), "10.0.0.11", &[]);
    let first = lab(folder.path());
    let text = file(folder.path(), "talosconfig");
    let mine =
        text.replace("        ca: ", "        nodes:\n            - 10.0.0.77\n        mine: 1.10\n        ca: ");
    put(folder.path(), &mine);

    assert_eq!(pipe(folder.path(), "10.0.0.12", &[]).0, Some(0));

    let second = lab(folder.path());
    assert_eq!((second.endpoints, second.nodes), (vec!["10.0.0.12".to_owned()], vec!["10.0.0.77".to_owned()]));
    assert_eq!(second.crt, first.crt);
    let crt = format!("        crt: {}\n", first.crt);
    put(folder.path(), &file(folder.path(), "talosconfig").replace(&crt, ""));

    assert_eq!(pipe(folder.path(), "10.0.0.12", &[]).0, Some(0));

    let third = lab(folder.path());
    assert!(third.crt != first.crt && !third.crt.is_empty() && third.nodes == ["10.0.0.77"]);
    assert!(file(folder.path(), "talosconfig").contains("        mine: 1.10\n"));
}

#[test]
fn where_comments_are_lost_the_file_is_kept_as_it_was_aloud_and_for_good() {
    let folder = folder();
    let commented = format!("# of the office\n{OTHERS}");
    put(folder.path(), &commented);

    let (code, said) = pipe(folder.path(), "10.0.0.11", &[]);

    let copy = folder.path().join("lab/talosconfig.before-ichor");
    assert!(code == Some(0) && said.contains(&copy.display().to_string()), "{said}");
    assert_eq!(file(folder.path(), "talosconfig.before-ichor"), commented);
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let (_, said) = pipe(folder.path(), "10.0.0.12", &[]);
    assert!(!said.contains("before-ichor"), "our own writing loses nothing: {said}");
    let again = format!("# again\n{}", file(folder.path(), "talosconfig"));
    put(folder.path(), &again);
    pipe(folder.path(), "10.0.0.13", &[]);

    assert_eq!(file(folder.path(), "talosconfig.before-ichor"), commented);
    assert_eq!(file(folder.path(), "talosconfig.before-ichor-2"), again);
}

#[test]
fn credentials_of_another_cluster_of_the_same_name_are_kept_beside_it() {
    let folder = folder();
    let theirs = "context: lab\ncontexts:\n    lab:\n        endpoints:\n            - 10.9.0.1\n        ca: Q0E=\n        crt: Q1JU\n        key: S0VZ\n";
    put(folder.path(), theirs);

    let (code, said) = pipe(folder.path(), "10.0.0.11", &[]);

    assert!(code == Some(0) && said.contains("talosconfig.before-ichor"), "{said}");
    assert_eq!(file(folder.path(), "talosconfig.before-ichor"), theirs);
    assert_ne!(lab(folder.path()).key.expose(), "S0VZ");
}
