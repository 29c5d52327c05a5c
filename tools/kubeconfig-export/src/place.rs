//! The file: where it is, reading, locking and writing it.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use go_yaml::kept::{Lost, Unkept};
use step::file::{Existing, existing, keep_copy, target, write_private};

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
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(Error::NotKubeconfig { file: file.to_owned(), why: Unkept::Text.to_string() })
        }
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

/// Writes the file (0600, atomically). Where something that it held is lost, a copy of it stays beside it: returns where.
pub(crate) fn replace(file: &Path, existing: Option<&str>, text: &str, lost: Lost) -> Result<Option<PathBuf>, Error> {
    let copy = match existing.filter(|_| lost != Lost::Nothing) {
        Some(existing) => keep_copy(file, existing.as_bytes(), lost == Lost::Comments)
            .map_err(|(file, source)| Error::Write { file, source })?,
        None => None,
    };
    write_private(file, text.as_bytes(), true).map_err(|source| Error::Write { file: file.to_owned(), source })?;
    Ok(copy)
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
    fn the_file_is_kept_as_it_was_where_something_is_lost_and_stays_where_it_cannot_be_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let file = path("config");
        let text = |name: &str| fs::read_to_string(path(name)).expect("a file");

        assert_eq!(replace(&file, None, "0", Lost::Nothing).expect("a file"), None);
        assert_eq!(replace(&file, Some("0"), "1", Lost::Nothing).expect("a file"), None);
        assert_eq!(replace(&file, Some("1"), "2", Lost::Layout).expect("a file"), Some(path("config.before-ichor")));
        assert_eq!(replace(&file, Some("2"), "3", Lost::Layout).expect("a file"), None);
        assert_eq!(
            replace(&file, Some("3"), "4", Lost::Comments).expect("a file"),
            Some(path("config.before-ichor-2"))
        );

        assert_eq!([text("config"), text("config.before-ichor"), text("config.before-ichor-2")], ["4", "1", "3"]);
        // A name that is too long for a copy.
        let long = path(&"x".repeat(250));
        replace(&long, None, "1", Lost::Nothing).expect("a file");
        let error = replace(&long, Some("1"), "2", Lost::Comments).expect_err("no copy");
        assert!(error.to_string().contains(".before-ichor"), "{error}");
        assert_eq!(fs::read_to_string(long).expect("a file"), "1");
    }

    #[test]
    fn bytes_that_are_no_text_are_no_kubeconfig() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config");
        fs::write(&file, b"kind: Config\n# \xff\n").expect("a file");

        assert!(matches!(read(&file), Err(Error::NotKubeconfig { why, .. }) if why.contains("UTF-8")));
    }

    #[test]
    fn a_folder_takes_a_file_of_the_usual_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");

        let file = file(Some(folder.path()), false, Path::new("x")).expect("a file");

        assert_eq!(file, folder.path().join("kubeconfig"));
    }
}
