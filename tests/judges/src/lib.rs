//! The judges: programs and data of others that tests compare ours with, where a machine has them.
//!
//! A test begins with `let Some(kubectl) = judges::require("kubectl") else { return };`. There is one rule for all: if
//! a judge is missing, the test is skipped, prints that on stderr, and is counted as skipped by `scripts/test` and
//! `.ci/run` (see [`tally`]). A judge that `ICHOR_REQUIRE` names (separated by spaces) must exist: without it the test
//! fails.
//!
//! A judge is at the path in `ICHOR_<NAME>`, on PATH, or in the folder that `scripts/judges` builds.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

pub mod tally;

/// Names the file that collects which test found or missed which judge.
pub const LOG: &str = "ICHOR_JUDGES_LOG";

/// Names the judges that must exist.
pub const REQUIRE: &str = "ICHOR_REQUIRE";

/// The workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The path of a program, or `None` where this machine doesn't have it: the test ends then, and counts as skipped.
///
/// # Panics
///
/// Panics when `ICHOR_REQUIRE` names the judge and it doesn't exist.
#[must_use]
pub fn require(name: &str) -> Option<PathBuf> {
    noted(name, program(name))
}

/// A file or folder of the vectors: recorded answers of real systems and upstream's test data, beside the workspace.
///
/// # Panics
///
/// Panics when `ICHOR_REQUIRE` names `vectors` and it doesn't exist.
#[must_use]
pub fn vectors(below: &str) -> Option<PathBuf> {
    let path = root().join("../shared/vectors").join(below);
    noted("vectors", path.exists().then_some(path))
}

/// A folder that a variable names, such as that of Terraform's providers; `name` is the name of the judge.
///
/// # Panics
///
/// Panics when `ICHOR_REQUIRE` names the judge and it doesn't exist.
#[must_use]
pub fn folder(name: &str, variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    noted(name, named.filter(|path| path.is_dir()))
}

/// The answer of a service in the network, or `None` where it can't be reached: the test ends then, and counts as
/// skipped; `name` is the name of the judge.
///
/// # Panics
///
/// Panics when `ICHOR_REQUIRE` names the judge and it doesn't answer.
#[must_use]
pub fn answer<T>(name: &str, found: Option<T>) -> Option<T> {
    noted(name, found)
}

/// Where a program is.
fn program(name: &str) -> Option<PathBuf> {
    let variable = format!("ICHOR_{}", name.to_uppercase().replace(['-', '.'], "_"));
    if let Some(named) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let built = root().join("target/judges/bin");
    std::env::split_paths(&path).chain([built]).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Notes in the log whether a judge exists.
fn noted<T>(name: &str, found: Option<T>) -> Option<T> {
    let verdict = Verdict::of(name, found.is_some(), std::env::var_os(REQUIRE).as_deref());
    let current = std::thread::current();
    let test = current.name().unwrap_or("?");
    if let Some(log) = std::env::var_os(LOG) {
        note(Path::new(&log), &tally::line(verdict == Verdict::Found, name, &program_under_test(), test));
    }
    match verdict {
        Verdict::Found => {}
        // Not `eprintln!`, which the test harness keeps to itself.
        Verdict::Skip => drop(writeln!(std::io::stderr(), "skipped: {test}: no {name} on this machine")),
        Verdict::Fail => panic!("{REQUIRE} names {name}, which this machine doesn't have"),
    }
    found
}

/// What a test does after it looked for a judge.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Found,
    Skip,
    Fail,
}

impl Verdict {
    fn of(name: &str, found: bool, required: Option<&OsStr>) -> Self {
        let required =
            required.is_some_and(|words| words.to_string_lossy().split_whitespace().any(|word| word == name));
        match (found, required) {
            (true, _) => Self::Found,
            (false, false) => Self::Skip,
            (false, true) => Self::Fail,
        }
    }
}

/// The name of the test program: tests of the same name in two programs are two.
fn program_under_test() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// One write of one line, so that lines of many tests at once don't mix.
fn note(log: &Path, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(log);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(written.is_ok(), "{LOG} names {}, which can't be written: {written:?}", log.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_judge_skips_a_test_and_fails_it_where_it_is_required() {
        assert_eq!(Verdict::of("helm", true, None), Verdict::Found);
        assert_eq!(Verdict::of("helm", false, None), Verdict::Skip);
        let required = Some(OsStr::new("kubectl helm\njq"));
        assert_eq!(Verdict::of("helm", false, required), Verdict::Fail);
        assert_eq!(Verdict::of("hel", false, required), Verdict::Skip);
        assert_eq!(Verdict::of("jq", true, required), Verdict::Found);
    }

    #[test]
    fn a_program_on_path_is_found_and_others_are_not() {
        assert!(program("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(program("no-program-has-this-name"), None);
    }

    #[test]
    fn the_log_gets_a_line_for_each_question() {
        let log = std::env::temp_dir().join(format!("ichor-judges-{}", std::process::id()));
        note(&log, "a\n");
        note(&log, "b\n");
        let text = std::fs::read_to_string(&log).expect("it was written");
        std::fs::remove_file(&log).expect("it was written");
        assert_eq!(text, "a\nb\n");
    }
}
