//! Files of the commands that stand alone.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use record::{Exit, Failure};

/// A failure to read or write a file.
pub(crate) fn failed(path: &str, error: &std::io::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Exit::NotAllowed,
        ErrorKind::NotFound => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, "file", format!("{path}: {error}"))
}

/// Reads a text file, or stdin for `-`.
pub(crate) fn read(path: &str) -> Result<String, Failure> {
    if path != "-" {
        return std::fs::read_to_string(path).map_err(|error| failed(path, &error));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| failed("stdin", &error))?;
    Ok(text)
}

/// Reads a patch file for the patch reader, whose error is text.
pub(crate) fn patch_file(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Writes a file that only its owner may read, at once; an existing one only when `force`.
pub(crate) fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let work = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        if force {
            file.persist(path)?;
        } else {
            file.persist_noclobber(path)?;
        }
        Ok(())
    };
    work().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::new(Exit::Guard, "exists", format!("file {shown:?} already exists, use --force to overwrite"))
        }
        _ => failed(&shown, &error),
    })
}
