//! The house is as ARCHITECTURE.md draws it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn metadata() -> Metadata {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().other_options(vec!["--offline".into()]).exec().unwrap()
}

/// `tools`, `shared`, `tests` or `lab`: the folder that a crate is in.
fn layer(package: &Package) -> String {
    let folder = package.manifest_path.parent().unwrap();
    assert_eq!(folder.file_name(), Some(package.name.as_str()), "folder name and crate name differ");
    folder.parent().unwrap().file_name().unwrap().to_owned()
}

/// Names of the normal dependencies.
fn dependencies(package: &Package) -> BTreeSet<&str> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str()).collect()
}

const CLIENTS: [&str; 4] = ["talos-client", "pve-client", "factory-client", "kube-client"];
const PURE: [&str; 9] = [
    "talos-releases",
    "verdict",
    "record",
    "go-yaml",
    "machine-config",
    "config-rules",
    "schematic",
    "talosconfig",
    "cluster-pki",
];

/// The crates of the workspace that a crate may depend on.
fn allowed(package: &Package, tools: &[&str]) -> Vec<String> {
    let name = package.name.as_str();
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    match (layer(package).as_str(), name) {
        ("lab", "lab-core") => Vec::new(),
        ("lab", "ichor-lab") => list(
            &[
                &["lab-core", "lab-pve", "lab-talos", "lab-kube", "lab-factory"],
                &["talos-proto", "go-yaml", "machine-config", "schematic", "talosconfig", "cluster-pki"][..],
            ]
            .concat(),
        ),
        // The parts know each other by the seams in lab-core only.
        ("lab", _) => {
            list(&["lab-core", "talos-proto", "go-yaml", "machine-config", "schematic", "talosconfig", "cluster-pki"])
        }
        ("tests", _) => list(&[&["ichor-lab", "ichor", "step", "record"], tools].concat()),
        ("tools", "talos-gen") => list(&[
            "step",
            "record",
            "go-yaml",
            "machine-config",
            "config-rules",
            "schematic",
            "talosconfig",
            "cluster-pki",
        ]),
        ("tools", "ichor") => list(&[&["step", "record"], tools].concat()),
        ("tools", _) => list(
            &[
                &[
                    "step",
                    "record",
                    "go-yaml",
                    "machine-config",
                    "talos-releases",
                    "schematic",
                    "talosconfig",
                    "patience",
                    "talos-access",
                    "pve-access",
                ],
                &CLIENTS[..],
            ]
            .concat(),
        ),
        (_, "record") => list(&["talos-releases", "verdict"]),
        (_, "machine-config") => list(&["talos-releases", "go-yaml"]),
        (_, "config-rules") => list(&["machine-config", "go-yaml"]),
        (_, "step") => list(&["record", "patience"]),
        (_, "talos-access") => list(&["step", "record", "patience", "talos-client", "talosconfig"]),
        (_, "pve-access") => list(&["step", "record", "pve-client"]),
        // Secrets and talosconfig are written by the one emitter.
        (_, "cluster-pki") => list(&["go-yaml", "machine-config", "talosconfig"]),
        (_, "talosconfig") => list(&["go-yaml"]),
        (_, "schematic") => list(&["talos-releases", "go-yaml"]),
        (_, "factory-client") => list(&["patience", "transport", "schematic", "talos-releases", "verdict"]),
        (_, client) if CLIENTS.contains(&client) => list(&["patience", "transport", "talos-proto", "verdict"]),
        _ => Vec::new(),
    }
}

#[test]
fn arrows_point_down_only() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let tools: Vec<&str> =
        packages.iter().filter(|p| layer(p) == "tools" && p.name != "ichor").map(|p| p.name.as_str()).collect();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    for package in &packages {
        let allowed = allowed(package, &tools);
        for dependency in dependencies(package).intersection(&ours) {
            assert!(allowed.iter().any(|a| a == dependency), "{} must not depend on {dependency}", package.name);
        }
    }
}

#[test]
fn the_pure_crates_have_nothing_to_do_io_with() {
    let effects = ["tokio", "reqwest", "tonic", "hyper", "tempfile", "rustix", "rustls", "clap"];
    for package in metadata().workspace_packages().iter().filter(|package| PURE.contains(&package.name.as_str())) {
        let found: Vec<_> = dependencies(package).into_iter().filter(|name| effects.contains(name)).collect();
        assert!(found.is_empty(), "{} depends on {found:?}", package.name);
    }
}

#[test]
fn no_crate_is_called_common_or_utils() {
    let banned = ["common", "util", "utils", "helper", "helpers", "misc", "core"];
    for package in metadata().workspace_packages() {
        assert!(!banned.contains(&package.name.as_str()), "{}", package.name);
    }
}

#[test]
fn the_top_level_holds_what_the_shape_says_and_nothing_else() {
    let allowed: BTreeSet<&str> = [
        "Cargo.toml",
        "Cargo.lock",
        "tools",
        "shared",
        "proto",
        "scripts",
        "tests",
        "justfile",
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "clippy.toml",
        "rustfmt.toml",
        "deny.toml",
    ]
    .into();
    let listed = std::process::Command::new("git").arg("-C").arg(root()).args(["ls-files"]).output();
    let Some(listed) = listed.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: not a git checkout");
        return;
    };
    let listed = String::from_utf8(listed.stdout).unwrap();
    let top: BTreeSet<&str> = listed.lines().filter_map(|path| path.split('/').next()).collect();
    let strange: Vec<_> = top.iter().filter(|name| !name.starts_with('.') && !allowed.contains(**name)).collect();
    assert!(strange.is_empty(), "{strange:?} at top level");
}

#[test]
fn each_file_is_short_enough_to_find_ones_way_in() {
    let listed = std::process::Command::new("git").arg("-C").arg(root()).args(["ls-files", "*.rs"]).output();
    let Some(listed) = listed.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: not a git checkout");
        return;
    };
    for path in String::from_utf8(listed.stdout).unwrap().lines().filter(|path| !path.contains("/gen/")) {
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        assert!(text.lines().count() <= 600, "{path} has {} lines", text.lines().count());
    }
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

#[test]
fn the_readme_holds_the_table_of_steps_from_the_code() {
    let table = record::table::markdown();
    assert!(readme().contains(&table), "README.md should hold this table of steps:\n{table}");
}

#[test]
fn the_readme_holds_the_exit_statuses_from_the_code() {
    let table = record::Exit::markdown();
    assert!(readme().contains(&table), "README.md should hold this table of exit statuses:\n{table}");
}
