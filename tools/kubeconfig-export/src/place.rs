//! The file.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

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

/// The text of the file, if it is there.
pub(crate) fn read(file: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { file: file.to_owned(), source }),
    }
}

/// Keeps other runs from changing files in the same folder; the kernel lets go of it when the process ends.
#[derive(Debug)]
pub(crate) struct Turn {
    _folder: fs::File,
}

/// Takes the turn to read the file and to write it; `None` while another run has it.
pub(crate) fn turn(file: &Path) -> Result<Option<Turn>, Error> {
    let target = target(file);
    let parent = target.parent().unwrap_or(Path::new("/"));
    let taken = || -> std::io::Result<Option<Turn>> {
        fs::create_dir_all(parent)?;
        let folder = fs::File::open(parent)?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(Turn { _folder: folder })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    };
    taken().map_err(|source| Error::Write { file: file.to_owned(), source })
}

/// What a link leads to, also if nothing is there yet.
fn target(file: &Path) -> PathBuf {
    if let Ok(target) = fs::canonicalize(file) {
        return target;
    }
    match fs::read_link(file) {
        Ok(link) => file.parent().unwrap_or(Path::new("/")).join(link),
        Err(_) => file.to_owned(),
    }
}

/// Writes the file (0600, atomically). A link is followed, so that it stays a link.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Error> {
    let target = target(file);
    let written = || -> std::io::Result<()> {
        let parent = target.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent)?;
        let mut temporary = tempfile::NamedTempFile::new_in(parent)?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(&target).map(|_| ()).map_err(|error| error.error)
    };
    written().map_err(|source| Error::Write { file: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_for_its_owner_only_and_a_link_stays_a_link() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (link, real) = (folder.path().join("link"), folder.path().join("real"));
        fs::write(&real, "old").expect("a file");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).expect("permissions");
        std::os::unix::fs::symlink(&real, &link).expect("a link");

        write(&link, "new").expect("written");

        assert_eq!(fs::read_to_string(&real).expect("a file"), "new");
        assert_eq!(fs::metadata(&real).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_yet_stays_a_link() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("real", &link).expect("a link");

        write(&link, "new").expect("written");

        assert_eq!(fs::read_to_string(folder.path().join("real")).expect("a file"), "new");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
    }

    #[test]
    fn of_two_runs_one_has_the_turn() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config");
        let first = turn(&file).expect("a folder");
        assert!(first.is_some());
        assert!(turn(&file).expect("a folder").is_none());
        drop(first);
        assert!(turn(&file).expect("a folder").is_some());
    }

    #[test]
    fn a_folder_takes_a_file_of_the_usual_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");

        let file = file(Some(folder.path()), false, Path::new("x")).expect("a file");

        assert_eq!(file, folder.path().join("kubeconfig"));
    }
}
