//! The README holds the lists that the code has: error codes, and the privileges of the API token.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, path::Path};

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap()
}

#[test]
fn the_readme_holds_the_error_codes_from_the_code() {
    let table = record::Code::markdown();
    assert!(readme().contains(&table), "README.md should hold this table of error codes:\n{table}");
}

#[test]
fn the_role_in_the_readme_has_exactly_the_privileges_that_the_doctor_checks() {
    let readme = readme();
    let roles: Vec<&str> = readme.lines().filter(|line| line.starts_with("pveum role add ")).collect();
    let [role] = roles[..] else { panic!("one role in README.md, not {roles:?}") };
    let listed: Vec<&str> = role.split('"').nth(1).unwrap().split(' ').collect();
    let checked = pve_vm::privileges();

    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), checked.iter().collect::<BTreeSet<_>>());
    assert_eq!(listed.len(), checked.len(), "README.md lists a privilege twice");
}

#[test]
fn the_readme_holds_the_releases_from_the_table() {
    let row = |release: &talos_releases::Release| {
        let (oldest, newest) = release.kubernetes_window();
        format!("| {release} | 1.{oldest} to 1.{newest} | {} | {} |\n", release.kubernetes, release.compared)
    };
    let table: String = talos_releases::piped().map(row).collect();
    let whole = format!("| Talos | Kubernetes | default | last compared with |\n|---|---|---|---|\n{table}\n");
    assert!(readme().contains(&whole), "README.md should hold this table of releases:\n{whole}");
}
