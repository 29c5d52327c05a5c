//! The Rust version that we promise can build us, as far as a newer compiler can check that.
//!
//! What the standard library lacks there is found by clippy (`incompatible_msrv`, which reads `rust-version`). The rest
//! is here: what pages promise, what dependencies require, and syntax that came later.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};
use regex::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The packages that are built for this platform.
fn metadata() -> Metadata {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let options = ["--offline", "--locked", "--filter-platform", &platform].map(str::to_owned);
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).other_options(options.to_vec()).exec().unwrap()
}

/// `rust-version` as `(major, minor)`.
fn promised() -> (u64, u64) {
    let metadata = metadata();
    let all = metadata.workspace_packages().into_iter().map(|package| package.rust_version.clone());
    let mut all: Vec<_> = all.map(|version| version.map(|version| (version.major, version.minor))).collect();
    all.dedup();
    assert_eq!(all.len(), 1, "all crates promise the same: {all:?}");
    all[0].unwrap()
}

#[test]
fn the_pages_name_the_rust_version_of_the_manifest() {
    let (major, minor) = promised();
    let words = format!("({major}.{minor} or newer)");
    for page in ["README.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        assert!(text.contains(&words), "{page} doesn't say {words:?}");
    }
}

#[test]
fn no_dependency_needs_a_newer_rust() {
    let promised = promised();
    let metadata = metadata();
    let needed = |id| metadata.packages.iter().find(|package| package.id == id);
    let used = metadata.resolve.as_ref().unwrap().nodes.iter().filter_map(|node| needed(node.id.clone()));
    let newer: Vec<String> = used
        .filter_map(|package| package.rust_version.as_ref().map(|version| (package, version)))
        .filter(|(_, version)| (version.major, version.minor) > promised)
        .map(|(package, version)| format!("{} {} needs {version}", package.name, package.version))
        .collect();
    assert!(newer.is_empty(), "{newer:#?}");
}

/// Syntax that is younger than the promise was: since when, its name, and how it looks.
const SYNTAX: [(u64, &str, &str); 2] =
    [(95, "an `if let` guard", r"\bif let (?:[^{};]|\{[^{};]*\})*?=>"), (95, "`cfg_select!`", r"\bcfg_select!")];

/// Syntax in a text that a Rust 1.x doesn't have yet.
fn too_new(text: &str, minor: u64) -> Vec<String> {
    let newer = SYNTAX.iter().filter(|(since, _, _)| *since > minor);
    newer
        .filter_map(|(since, name, pattern)| {
            let pattern = Regex::new(pattern).unwrap();
            // `if let … { a } else { b }, pattern =>` is an arm and the next one.
            let found = pattern.find_iter(text).find(|found| !found.as_str().contains(" else "))?;
            let line = text[..found.start()].lines().count().max(1);
            Some(format!("line {line}: {name} needs 1.{since}"))
        })
        .collect()
}

#[test]
fn no_file_has_syntax_that_the_promised_rust_lacks() {
    let (_, minor) = promised();
    let mut wrong = Vec::new();
    for layer in ["shared", "tools", "tests"] {
        for path in conformance::files(&root().join(layer)) {
            let own = path.ends_with("tests/conformance/tests/toolchain.rs");
            if path.extension().is_some_and(|extension| extension == "rs") && !own {
                let found = too_new(&conformance::text(&path), minor);
                wrong.extend(found.into_iter().map(|found| format!("{}: {found}", path.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn guards_are_told_from_other_uses_of_if_let() {
    for text in [
        "match a {\n    Some(b) if let Some(c) = d(b) => c,\n",
        "match a {\n    Some(b)\n        if let Point { x, .. } = d(b)\n            && x > 1 =>\n    {\n",
    ] {
        assert_eq!(too_new(text, 90).len(), 1, "{text}");
        assert!(too_new(text, 95).is_empty(), "{text}");
    }
    for text in [
        "if let Some(a) = b {\n    match c {\n        1 => 2,\n",
        "match a {\n    b => if let Some(c) = b { c } else { d },\n    e => f,\n",
        "let Some(a) = b else { return };\nmatch c {\n    d if e => f,\n",
    ] {
        assert!(too_new(text, 90).is_empty(), "{text}");
    }
}
