//! Whether Talos has a release that the table of releases doesn't have yet. It fails nothing: a line says so.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::Command;

use talos_releases::{RELEASES, Version, newest_stable};

const MODULE: &str = "github.com/siderolabs/talos/pkg/machinery";

/// What the Go proxy lists, if it answers.
fn listed() -> Option<Vec<Version>> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("go");
    // Outside of any module, and with no other source than the proxy.
    command.current_dir(folder.path()).env("GOFLAGS", "-mod=mod").env("GOWORK", "off").env("GOVCS", "*:off");
    let output = command.args(["list", "-m", "-versions", MODULE]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let versions: Vec<Version> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    (output.status.success() && !versions.is_empty()).then_some(versions)
}

/// What is newer there than in the table, in words.
fn newer(versions: &[Version], newest_row: u32, newest_stable: u32) -> Vec<String> {
    let newest = |stable: bool| {
        let all = versions.iter().filter(|version| version.minor().0 == 1);
        all.filter(|version| !stable || !version.to_string().contains('-')).max()
    };
    let line = |version: &Version, table: String| format!("Talos {version} exists; the table of releases {table}");
    let row = newest(false).filter(|version| version.minor().1 > newest_row);
    let row = row.map(|version| line(version, format!("ends at v1.{newest_row}")));
    let stable = newest(true).filter(|version| version.minor().1 > newest_stable);
    let stable = stable.map(|version| line(version, format!("has v1.{newest_stable} as the newest that is out")));
    row.into_iter().chain(stable).collect()
}

#[test]
fn a_release_that_the_table_does_not_have_is_told() {
    let Some(_) = judges::require("go") else { return };
    let Some(versions) = judges::answer("go-proxy", listed()) else { return };
    for line in newer(&versions, RELEASES[RELEASES.len() - 1].minor, newest_stable()) {
        // Not `println!`, which the test harness keeps to itself.
        writeln!(std::io::stderr(), "note: {line}").unwrap();
    }
}

#[test]
fn the_newest_minor_is_compared_with_the_tables_rows() {
    let versions = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Version>>();
    let known = versions(&["v1.13.9", "v1.14.6", "v1.15.0-beta.1"]);
    assert_eq!(newer(&known, 15, 14), [""; 0]);
    let next = versions(&["v1.14.6", "v1.15.2", "v1.16.0-alpha.0"]);
    assert_eq!(
        newer(&next, 15, 14),
        [
            "Talos v1.16.0-alpha.0 exists; the table of releases ends at v1.15",
            "Talos v1.15.2 exists; the table of releases has v1.14 as the newest that is out"
        ]
    );
}
