//! Where the recorded and upstream data lie that the conformance tests compare with.

use std::path::{Path, PathBuf};

/// The folder of vectors beside the workspace, or `None` where it is absent.
///
/// Absent data skips a test and says so; under `CI=true` it fails, so that nothing is green for lack of data.
#[must_use]
pub fn vectors(below: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(below);
    if folder.exists() {
        return Some(folder);
    }
    let must_exist = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!must_exist, "no vectors at {}", folder.display());
    skipped(&folder);
    None
}

#[expect(clippy::print_stderr, reason = "a skipped test says so where its runner shows it")]
fn skipped(folder: &Path) {
    eprintln!("skipped: no vectors at {}", folder.display());
}

/// A text file of the vectors.
///
/// # Panics
///
/// Panics when it can't be read.
#[must_use]
pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder, in order.
///
/// # Panics
///
/// Panics when the folder can't be read.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
