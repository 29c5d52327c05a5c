//! Each place that CONTRIBUTING.md names under "Adding a step" and "Adding a Talos release" is checked here, or by a
//! test beside the place itself; so a missing one fails a test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use record::table;
use talos_releases::{RELEASES, Stage};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn every_program_of_the_table_is_a_crate_of_the_shape_that_contributing_says() {
    for row in table::rows() {
        let program = row.program();
        let source = root().join("tools").join(program).join("src");
        assert!(source.join("lib.rs").is_file(), "{}: there is no tools/{program}", row.name);
        if program == "ichor" {
            continue;
        }
        for file in ["args.rs", "run.rs", "main.rs"] {
            assert!(source.join(file).is_file(), "tools/{program}/src/{file}");
        }
        let line = format!("{program} = {{ path = \"tools/{program}\" }}");
        assert!(read("Cargo.toml").contains(&line), "[workspace.dependencies] lacks {line}");
    }
}

#[test]
fn every_program_of_the_table_is_held_by_ichor_and_named_in_the_changelog() {
    for row in table::rows().filter(|row| row.program() != "ichor") {
        let call = format!("{}::main", row.program().replace('-', "_"));
        assert!(read("tools/ichor/src/lib.rs").contains(&call), "tools/ichor doesn't call {call}");
        assert!(read("CHANGELOG.md").contains(&format!("`{}`", row.program())), "CHANGELOG.md: {}", row.program());
    }
}

#[test]
fn every_row_is_in_a_test_of_whole_processes() {
    let tests: String =
        walk(&root().join("tests/e2e/tests")).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let tests = tests + &read("tools/pve-vm/tests/lab/main.rs");
    for row in table::BESIDE {
        let verb = row.name.split(' ').nth(1).unwrap();
        let called = tests.contains(row.name) || tests.contains(&format!("\"{verb}\""));
        assert!(called, "no test runs `{}`", row.name);
    }
    for row in table::PIPE {
        assert!(tests.contains(row.name), "no test runs `{}`", row.name);
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn every_release_has_golden_configs_and_those_of_the_pipe_are_played_and_named() {
    let (readme, changelog) = (read("README.md"), read("CHANGELOG.md"));
    let catalog = read("tests/lab/lab-factory/src/catalog.rs");
    for release in RELEASES {
        let golden = root().join(format!("tests/conformance/golden/plain/{release}"));
        assert!(golden.is_dir(), "{} is missing", golden.display());
        if release.stage == Stage::Piped {
            assert!(catalog.contains(&format!("({}, ", release.minor)), "the lab's factory lacks {release}");
            assert!(changelog.contains(&release.to_string()), "CHANGELOG.md lacks {release}");
        }
    }
    let newest = format!("version: v1.{}.", talos_releases::newest_stable());
    assert!(readme.contains(&newest), "README.md's example isn't of the newest release that the pipe runs: {newest}");
}
