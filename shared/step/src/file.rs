//! Files that the user names.

use std::fs;
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// What exists at a path that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    Nothing,
    /// A file, which would be replaced.
    File,
    /// A device or a pipe, such as `/dev/null`: it is written into and never replaced.
    Stream,
}

/// What exists at this path; links are followed.
///
/// # Errors
/// It can't be read, or it is a folder.
pub fn existing(path: &Path) -> Result<Existing> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Error::from(ErrorKind::IsADirectory)),
        Ok(metadata) if metadata.is_file() && !path.starts_with("/dev") => Ok(Existing::File),
        Ok(_) => Ok(Existing::Stream),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Existing::Nothing),
        Err(error) => Err(error),
    }
}

/// The contents of a file that isn't a pipe or a device: those may have no end, or wait for somebody to write.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for those, else the reason why it can't be read.
pub fn read_regular(path: &Path) -> Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    match metadata.is_file() || metadata.is_dir() {
        true => fs::read(path),
        false => Err(Error::new(ErrorKind::Unsupported, "it is a pipe or a device, not a file")),
    }
}

/// Writes a file that only its owner may read, whole or not at all; its folder is created. A link stays a link. An
/// existing file is replaced only if `replace` is set.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`], or the reason why it can't be written; the old file then stays unchanged.
pub fn write_private(path: &Path, bytes: &[u8], replace: bool) -> Result<()> {
    if existing(path)? == Existing::Stream {
        return stream(path, bytes);
    }
    let target = target(path);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // The library's error names the temporary file, which nobody asked for.
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(|error| Error::from(error.kind()))?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    let placed = if replace { temporary.persist(&target) } else { temporary.persist_noclobber(&target) };
    placed.map(drop).map_err(|error| error.error)?;
    sync_folder(folder);
    Ok(())
}

/// Keeps a copy of a file that is about to be changed beside it, for its owner only: `config.before-ichor`, or with a
/// number if that name is taken. A copy is never overwritten. Returns where a new one is.
///
/// One with the same contents is enough, and without `again` any earlier one is.
///
/// # Errors
/// The reason why it can't be written, and where; the file itself must then stay as it is.
pub fn keep_copy(path: &Path, bytes: &[u8], again: bool) -> std::result::Result<Option<PathBuf>, (PathBuf, Error)> {
    let mut number = 1;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ".before-ichor".to_owned() } else { format!(".before-ichor-{number}") });
        let copy = PathBuf::from(name);
        match fs::symlink_metadata(&copy) {
            Ok(_) if !again || read_regular(&copy).is_ok_and(|kept| kept == bytes) => return Ok(None),
            Ok(_) => number += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => match write_private(&copy, bytes, false) {
                Ok(()) => return Ok(Some(copy)),
                // Another run made it since the look above.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err((copy, error)),
            },
            Err(error) => return Err((copy, error)),
        }
    }
}

/// Brings the name of a file that was just placed to disk, so that a power cut doesn't take the file away again. Some file
/// systems can't sync a folder; what was written is whole there, too.
pub(crate) fn sync_folder(folder: &Path) {
    let _unsynced = fs::File::open(folder).and_then(|folder| folder.sync_all());
}

fn stream(path: &Path, bytes: &[u8]) -> Result<()> {
    if path == Path::new("/dev/stdout") {
        let mut stdout = std::io::stdout().lock();
        return stdout.write_all(bytes).and_then(|()| stdout.flush());
    }
    fs::File::options().write(true).open(path)?.write_all(bytes)
}

/// What a link leads to, even if nothing exists there yet.
pub fn target(path: &Path) -> PathBuf {
    if let Ok(target) = fs::canonicalize(path) {
        return target;
    }
    match fs::read_link(path) {
        Ok(link) => path.parent().unwrap_or(Path::new("/")).join(link),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_for_its_owner_only_and_a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (link, real) = (folder.path().join("link"), folder.path().join("real"));
        symlink("real", &link).unwrap();

        write_private(&link, b"new", false).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(write_private(&link, b"newer", false).unwrap_err().kind(), ErrorKind::AlreadyExists);
        write_private(&link, b"newest", true).unwrap();

        assert_eq!(fs::read(&real).unwrap(), b"newest");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_copy_of_what_was_there_is_for_its_owner_only_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let copy = |number: &str| folder.path().join(format!("config.before-ichor{number}"));

        assert_eq!(keep_copy(&file, b"one", false).unwrap(), Some(copy("")));
        assert_eq!(keep_copy(&file, b"two", false).unwrap(), None, "the first one is enough");
        assert_eq!(keep_copy(&file, b"one", true).unwrap(), None, "it is there already");
        assert_eq!(keep_copy(&file, b"two", true).unwrap(), Some(copy("-2")));
        // What else has the name isn't a copy, and isn't waited for.
        assert!(std::process::Command::new("mkfifo").arg(copy("-3")).status().unwrap().success());
        assert_eq!(keep_copy(&file, b"three", true).unwrap(), Some(copy("-4")));

        assert_eq!(["", "-2", "-4"].map(|n| fs::read(copy(n)).unwrap()), [&b"one"[..], b"two", b"three"]);
        assert_eq!(fs::metadata(copy("")).unwrap().permissions().mode() & 0o777, 0o600);
        let (at, error) = keep_copy(&folder.path().join("config.before-ichor/x"), b"", false).unwrap_err();
        assert!(at.ends_with("x.before-ichor") && error.kind() == ErrorKind::NotADirectory, "{error:?}");
    }

    /// The device is a terminal of the test's own, in a folder where nothing can be made or replaced: whatever a broken
    /// `write_private` does, run as root too, the devices of the machine stay.
    #[test]
    fn a_device_is_written_into_and_stays_what_it_is() {
        use rustix::pty::{self, OpenptFlags};

        let controller = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&controller).unwrap();
        pty::unlockpt(&controller).unwrap();
        let device = PathBuf::from(pty::ptsname(&controller, Vec::new()).unwrap().into_string().unwrap());
        // A terminal that nobody holds open forgets what was written to it.
        let held = fs::File::options().read(true).write(true).open(&device).unwrap();

        write_private(&device, b"first ", true).unwrap();
        write_private(&device, b"second", false).unwrap();

        let (mut controller, mut shown) = (fs::File::from(controller), [0; 12]);
        controller.read_exact(&mut shown).unwrap();
        assert_eq!(&shown, b"first second");
        assert!(fs::metadata(&device).unwrap().file_type().is_char_device());
        drop(held);
    }

    #[test]
    fn a_device_that_takes_no_bytes_is_an_error() {
        assert_eq!(stream(Path::new("/dev/full"), b"secret").unwrap_err().kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn devices_are_streams_and_a_folder_is_refused() {
        for device in ["/dev/null", "/dev/full"] {
            assert_eq!(existing(Path::new(device)).unwrap(), Existing::Stream, "{device}");
        }
        assert_eq!(existing(Path::new("/")).unwrap_err().kind(), ErrorKind::IsADirectory);
    }

    #[test]
    fn a_pipe_is_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let reading = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo).unwrap()
        });

        write_private(&fifo, b"through", true).unwrap();

        assert_eq!(reading.join().unwrap(), b"through");
    }
}
