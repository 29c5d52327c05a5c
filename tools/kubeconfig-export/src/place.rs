//! The file: where it is, reading, locking and writing it.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use step::file::{Existing, existing, target, write_private};

use crate::error::Error;

/// Where the kubeconfig goes: `--to`, else the usual file of kubectl when merging, else `default`.
pub(crate) fn file(to: Option<&Path>, merge: bool, default: &Path) -> Result<PathBuf, Error> {
    let file = match to {
        Some(to) => to.to_owned(),
        None if merge => usual()?,
        None => default.to_owned(),
    };
    let file = if file.is_dir() { file.join("kubeconfig") } else { file };
    std::path::absolute(&file).map_err(|source| Error::Read { file, source })
}

/// The file that kubectl uses.
fn usual() -> Result<PathBuf, Error> {
    if let Some(files) = step::variable("KUBECONFIG") {
        let mut files = std::env::split_paths(&files).filter(|file| !file.as_os_str().is_empty());
        return match (files.next(), files.next()) {
            (Some(file), None) => Ok(file),
            _ => Err(Error::SeveralFiles),
        };
    }
    std::env::home_dir().map(|home| home.join(".kube/config")).ok_or(Error::NoHome)
}

/// The text of the file, if it exists.
pub(crate) fn read(file: &Path) -> Result<Option<String>, Error> {
    if existing(file).is_ok_and(|found| found == Existing::Stream) {
        return Ok(None);
    }
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { file: file.to_owned(), source }),
    }
}

/// Keeps other runs from changing files in the same folder; the kernel lets go of it when the process ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _folder: Option<fs::File>,
}

/// Locks the folder to read the file and to write it; `None` while another run has it.
pub(crate) fn lock(file: &Path) -> Result<Option<FolderLock>, Error> {
    if existing(file).is_ok_and(|found| found == Existing::Stream) {
        return Ok(Some(FolderLock { _folder: None }));
    }
    let target = target(file);
    let parent = target.parent().unwrap_or(Path::new("/"));
    let taken = || -> std::io::Result<Option<FolderLock>> {
        fs::create_dir_all(parent)?;
        let folder = fs::File::open(parent)?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(FolderLock { _folder: Some(folder) })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    };
    taken().map_err(|source| Error::Write { file: file.to_owned(), source })
}

/// Writes the file (0600, atomically).
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Error> {
    write_private(file, text.as_bytes(), true).map_err(|source| Error::Write { file: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_runs_one_has_the_lock() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config");
        let first = lock(&file).expect("a folder");
        assert!(first.is_some());
        assert!(lock(&file).expect("a folder").is_none());
        drop(first);
        assert!(lock(&file).expect("a folder").is_some());
    }

    #[test]
    fn a_folder_takes_a_file_of_the_usual_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");

        let file = file(Some(folder.path()), false, Path::new("x")).expect("a file");

        assert_eq!(file, folder.path().join("kubeconfig"));
    }
}
