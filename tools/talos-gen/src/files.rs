//! Files of the commands without a stream.

use std::io::{ErrorKind, Read};
use std::path::Path;

use record::{Code, Exit, Failure};

/// A failure to read or write a file.
pub(crate) fn failed(path: &str, error: &std::io::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Exit::NotAllowed,
        ErrorKind::NotFound => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, Code::File, format!("{path}: {error}"))
}

/// The failure for an existing file.
pub(crate) fn exists(path: &str) -> Failure {
    Failure::new(Exit::Guard, Code::Exists, format!("file {path:?} already exists, use --force to overwrite"))
}

/// Reads a text file, or stdin for `-`; no more of it than configs may have.
pub(crate) fn read(path: &str) -> Result<String, Failure> {
    let read = || match path {
        "-" => limited(std::io::stdin().lock()),
        path => limited(std::fs::File::open(path)?),
    };
    let shown = if path == "-" { "stdin" } else { path };
    let bytes = read().map_err(|error| failed(shown, &error))?;
    let unusable = |what: &str| Failure::new(Exit::Unusable, Code::UnusableInput, format!("{shown}: {what}"));
    if bytes.len() > LIMIT {
        return Err(unusable(&format!("larger than {LIMIT} bytes, the maximum for a config")));
    }
    String::from_utf8(bytes)
        .map_err(|error| unusable(&format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to())))
}

/// The most that is read of a file, in bytes.
const LIMIT: usize = go_yaml::BYTES;

fn limited(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a patch file for the patch reader, whose error is text.
pub(crate) fn patch_file(path: &str) -> Result<String, String> {
    read(path).map_err(|failure| failure.message)
}

/// Writes a file that only its owner may read, atomically; an existing one only with `force`.
pub(crate) fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    step::file::write_private(path, text.as_bytes(), force).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(&path.display().to_string()),
        _ => failed(&path.display().to_string(), &error),
    })
}
