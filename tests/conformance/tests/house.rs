//! The workspace is as ARCHITECTURE.md describes it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
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

/// Names of the dependencies that only tests have.
fn test_dependencies(package: &Package) -> BTreeSet<&str> {
    let of_tests = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Development);
    of_tests.map(|dependency| dependency.name.as_str()).collect()
}

/// ARCHITECTURE.md's fenced blocks of text, in order.
fn pictures() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let blocks = page.split("```text\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// The code map: path and description of each crate.
fn code_map() -> Vec<(String, String)> {
    let map = pictures().into_iter().find(|picture| picture.contains("shared/record")).unwrap();
    let line = |line: &str| line.split_once(' ').map(|(path, what)| (path.to_owned(), what.trim().to_owned()));
    map.lines().filter_map(line).collect()
}

/// The arrows: who may depend on whom, with `tools/*` spelled out.
fn arrows(tools: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let picture =
        pictures().into_iter().find(|picture| picture.contains("─►") && picture.contains("tools/*  ")).unwrap();
    let spelled = |name: &str| -> Vec<String> {
        if name == "tools/*" { tools.iter().map(|tool| (*tool).to_owned()).collect() } else { vec![name.to_owned()] }
    };
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in picture.lines().filter(|line| !line.trim().is_empty()) {
        let (from, to) = line.split_once("─►").unwrap_or_else(|| panic!("not an arrow: {line}"));
        let to: Vec<String> = to.split(',').flat_map(|name| spelled(name.trim())).collect();
        let mut from = spelled(from.trim());
        if line.starts_with("tools/*") {
            from.push("ichor".to_owned());
        }
        for from in from {
            all.entry(from).or_default().extend(to.iter().cloned());
        }
    }
    all
}

#[test]
fn every_arrow_between_crates_is_in_the_picture_and_the_picture_has_no_other() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let tools: Vec<&str> =
        packages.iter().filter(|p| layer(p) == "tools" && p.name != "ichor").map(|p| p.name.as_str()).collect();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut drawn = arrows(&tools);
    for package in &packages {
        let found: BTreeSet<String> =
            dependencies(package).intersection(&ours).map(|name| (*name).to_owned()).collect();
        assert_eq!(found, drawn.remove(package.name.as_str()).unwrap_or_default(), "what {} depends on", package.name);
    }
    assert!(drawn.is_empty(), "the picture draws arrows of crates that don't exist: {drawn:?}");
}

#[test]
fn arrows_point_down_only() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let is_client = |name: &str| name.ends_with("-client") || name.ends_with("-access");
    for package in &packages {
        for dependency in dependencies(package) {
            let lab = layer(package) == "lab";
            assert!(!(lab && is_client(dependency)), "the lab would only agree with itself: {}", package.name);
            let upward =
                layer(package) == "shared" && packages.iter().any(|p| p.name == dependency && layer(p) != "shared");
            assert!(!upward, "{} depends on {dependency}", package.name);
        }
        for dependency in test_dependencies(package) {
            let a_tool = packages.iter().any(|p| p.name == dependency && layer(p) == "tools");
            assert!(!(a_tool && layer(package) != "tests"), "tests of {} depend on {dependency}", package.name);
        }
    }
}

#[test]
fn the_code_map_names_every_crate_and_the_pure_ones_have_nothing_to_do_io_with() {
    let effects = ["tokio", "reqwest", "tonic", "hyper", "tempfile", "rustix", "rustls", "clap", "getrandom"];
    let map = code_map();
    let root = root();
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.parent().unwrap().strip_prefix(root.to_str().unwrap()).unwrap();
        let line = map.iter().find(|(path, _)| path == folder || (layer(package) == "tools" && path == "tools/*"));
        let (_, what) = line.unwrap_or_else(|| panic!("{folder} is not in the code map"));
        if what.ends_with("pure") {
            let found: Vec<_> = dependencies(package).into_iter().filter(|name| effects.contains(name)).collect();
            assert!(found.is_empty(), "{} is pure, but depends on {found:?}", package.name);
        }
    }
    for (path, _) in map.iter().filter(|(path, _)| !path.ends_with('*')) {
        assert!(root.join(path).is_dir(), "the code map names {path}");
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

/// The limit in CONTRIBUTING.md.
fn longest_file() -> usize {
    let page = std::fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, rest) = page.split_once("Files: at most ").expect("CONTRIBUTING.md says how long a file may be");
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn each_file_is_as_short_as_contributing_promises() {
    let limit = longest_file();
    let listed = std::process::Command::new("git").arg("-C").arg(root()).args(["ls-files", "*.rs"]).output();
    let Some(listed) = listed.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: not a git checkout");
        return;
    };
    for path in String::from_utf8(listed.stdout).unwrap().lines().filter(|path| !path.contains("/gen/")) {
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        assert!(text.lines().count() <= limit, "{path} has {} lines", text.lines().count());
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
