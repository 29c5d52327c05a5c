//! The cluster's folder: secrets, configs, talosconfig, `ichor.lock`.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use record::{Code, Exit, Failure};
use sha2::{Digest, Sha256};

use crate::claim::Claim;
use crate::file;
use crate::gitignore;

mod locked;

/// SHA-256 of some bytes, hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

/// Whether a file that is created only once was created now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was created now.
    Now,
    /// It existed already: an earlier run made it, or one at the same time.
    Before,
}

/// The folder that a cluster's files are in.
#[derive(Debug, Clone)]
pub struct ClusterDir {
    dir: PathBuf,
    cluster: String,
    /// The last `ichor.lock` that was read or written, and its text.
    parsed: Arc<Mutex<Option<locked::Parsed>>>,
}

impl ClusterDir {
    /// The files of `cluster` in `dir` (absolute).
    #[must_use]
    pub fn new(dir: PathBuf, cluster: &str) -> Self {
        Self { dir, cluster: cluster.to_owned(), parsed: Arc::default() }
    }

    /// Where a file named in a record is.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// The contents of a file; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path(file);
        match file::read_regular(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// The contents of a file that a record refers to by path and SHA-256.
    ///
    /// # Errors
    /// A file that doesn't exist, or that was changed since the record was written (exit status 8).
    pub fn read_exactly(&self, file: &str, sha256_hex: &str) -> Result<Vec<u8>, Failure> {
        let path = self.path(file);
        let unusable = |what: &str| {
            Failure::new(Exit::Unusable, Code::DigestMismatch, format!("{}: {what}", path.display()))
                .hint("run the pipe again from the cluster file")
        };
        let bytes = self.read(file)?.ok_or_else(|| unusable("the file that the record refers to is missing"))?;
        if sha256(&bytes) != sha256_hex {
            return Err(unusable("the file was changed after the record was written (its SHA-256 differs)"));
        }
        Ok(bytes)
    }

    /// Writes a file (0600, atomically) unless it has these contents already; returns whether it did.
    ///
    /// # Errors
    /// A folder or file that cannot be written; the old file then stays unchanged.
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<bool, Failure> {
        let path = self.path(file);
        if self.read(file)?.as_deref() == Some(bytes) {
            return Ok(false);
        }
        let temporary = self.temporary(&path, bytes)?;
        temporary.persist(&path).map_err(|error| failed(&path, &error.error))?;
        file::sync_folder(path.parent().unwrap_or(&self.dir));
        Ok(true)
    }

    /// Keeps a copy of a file that is about to be changed beside it, see [`file::keep_copy`].
    ///
    /// # Errors
    /// A folder or file that cannot be written.
    pub fn keep_copy(&self, file: &str, bytes: &[u8], again: bool) -> Result<Option<PathBuf>, Failure> {
        self.folder()?;
        file::keep_copy(&self.path(file), bytes, again).map_err(|(path, error)| failed(&path, &error))
    }

    /// Writes a file that must never be replaced: of two runs at the same time, one creates it and the other one reads
    /// it.
    ///
    /// # Errors
    /// A folder or file that cannot be written.
    pub fn create(&self, file: &str, bytes: &[u8]) -> Result<Made, Failure> {
        let path = self.path(file);
        let temporary = self.temporary(&path, bytes)?;
        match std::fs::hard_link(temporary.path(), &path) {
            Ok(()) => {
                file::sync_folder(path.parent().unwrap_or(&self.dir));
                Ok(Made::Now)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Made::Before),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// A file with these contents beside `path`, safely on disk.
    fn temporary(&self, path: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile, Failure> {
        self.folder()?;
        let parent = path.parent().unwrap_or(&self.dir);
        make_folder(parent)?;
        let make = || -> std::io::Result<tempfile::NamedTempFile> {
            let mut file = tempfile::NamedTempFile::new_in(parent)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        make().map_err(|error| failed(path, &error))
    }

    /// A file for a large product on its way elsewhere. It has no name, so nothing is left of it when it is closed.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn scratch(&self) -> Result<File, Failure> {
        self.folder()?;
        tempfile::tempfile_in(&self.dir).map_err(|error| failed(&self.dir, &error))
    }

    /// Makes the folder and its `.gitignore`.
    fn folder(&self) -> Result<(), Failure> {
        make_folder(&self.dir)?;
        gitignore::ensure(&self.dir).map_err(|error| failed(&self.dir.join(".gitignore"), &error))
    }

    /// Claims the folder for this step, while the claim is held: `None` while another process has it.
    ///
    /// The kernel releases the claim of a process that ends, however it ends.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn claim(&self, step: &str) -> Result<Option<Claim>, Failure> {
        self.folder()?;
        let path = self.path(&format!(".{step}.lock"));
        Claim::take(File::options().write(true).create(true).truncate(false).mode(0o600).open(&path), &path)
    }

    /// Whether the folder's `.gitignore` keeps a file out of version control. A folder that had one keeps it.
    #[must_use]
    pub fn is_ignored(&self, file: &str) -> bool {
        gitignore::ignores(&self.dir, file)
    }
}

/// This many random bytes, hexadecimal.
///
/// # Errors
/// The operating system returns no random numbers.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<String, Failure> {
    let mut random = [0_u8; BYTES];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(Exit::Failed, Code::NoRandomness, format!("no random numbers: {error}")))?;
    Ok(hex(&random))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(path, &error))
}

pub(crate) fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let (exit, code) = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (Exit::NotAllowed, Code::NotAllowed),
        ErrorKind::Unsupported => (Exit::Unusable, Code::File),
        _ => (Exit::Failed, Code::File),
    };
    Failure::new(exit, code, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> (tempfile::TempDir, ClusterDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = ClusterDir::new(folder.path().join("lab"), "lab");
        (folder, dir)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_and_its_files_are_for_their_owner_and_git_sees_only_the_lock() {
        let (_folder, dir) = folder();
        dir.write("nodes/cp-1.yaml", b"secret").unwrap();
        assert_eq!([dir.path(""), dir.path("nodes")].map(|path| mode(&path)), [0o700, 0o700]);
        assert_eq!(mode(&dir.path("nodes/cp-1.yaml")), 0o600);
        assert!(dir.is_ignored("secrets.yaml"));
        dir.uid().unwrap();
        assert_eq!(mode(&dir.path("ichor.lock")), 0o644);
        assert!(std::fs::read_to_string(dir.path(".gitignore")).unwrap().contains("!ichor.lock"));
    }

    #[test]
    fn a_file_that_differs_from_its_digest_is_refused() {
        let (_folder, dir) = folder();
        dir.write("a", b"one").unwrap();
        assert_eq!(dir.read_exactly("a", &sha256(b"one")).unwrap(), b"one");
        for (file, digest) in [("a", sha256(b"two")), ("b", sha256(b"one"))] {
            let failure = dir.read_exactly(file, &digest).unwrap_err();
            assert!(failure.is(Code::DigestMismatch) && failure.exit == Exit::Unusable, "{file}");
        }
    }

    /// Both would be read for ever.
    #[test]
    fn a_pipe_and_a_device_in_the_place_of_a_file_are_refused() {
        let (folder, dir) = folder();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [fifo.to_str().unwrap(), "/dev/zero"] {
            for failure in [dir.read(path).unwrap_err(), dir.read_exactly(path, &sha256(b"one")).unwrap_err()] {
                assert_eq!(failure.exit, Exit::Unusable);
                assert!(failure.message.contains(path) && failure.message.contains("not a file"), "{failure:?}");
            }
        }
    }

    #[test]
    fn a_file_that_is_created_once_is_never_replaced() {
        let (_folder, dir) = folder();
        assert_eq!(dir.create("secrets.yaml", b"first").unwrap(), Made::Now);
        assert_eq!(dir.create("secrets.yaml", b"second").unwrap(), Made::Before);
        assert_eq!(dir.read("secrets.yaml").unwrap().unwrap(), b"first");
    }

    #[test]
    fn a_write_says_whether_it_changed_anything() {
        let (_folder, dir) = folder();
        assert!(dir.write("a", b"one").unwrap());
        assert!(!dir.write("a", b"one").unwrap());
        assert!(dir.write("a", b"two").unwrap());
    }

    #[test]
    fn changes_of_the_lock_by_many_at_once_are_all_kept() {
        const RUNS: usize = 8;
        const EACH: usize = 12;
        let (_folder, dir) = folder();
        let start = std::sync::Barrier::new(RUNS);
        std::thread::scope(|scope| {
            for run in 0..RUNS {
                let (dir, start) = (&dir, &start);
                scope.spawn(move || {
                    start.wait();
                    for at in 0..EACH {
                        dir.update_lock(|lock| lock.set_image(&format!("https://x/{run}/{at}"), "digest")).unwrap();
                    }
                });
            }
        });
        let lock = dir.lock().unwrap().unwrap();
        let kept = (0..RUNS).flat_map(|run| (0..EACH).map(move |at| format!("https://x/{run}/{at}")));
        assert_eq!(kept.filter(|url| lock.image(url).is_some()).count(), RUNS * EACH);
    }

    #[test]
    fn one_process_at_a_time_has_the_claim_of_a_step() {
        let (_folder, dir) = folder();
        let claim = dir.claim("pve-vm").unwrap();
        assert_eq!(mode(&dir.path(".pve-vm.lock")), 0o600);
        assert!(claim.is_some() && dir.claim("pve-vm").unwrap().is_none());
        assert!(dir.claim("talos-apply").unwrap().is_some(), "each step has its own");
        drop(claim);
        assert!(dir.claim("pve-vm").unwrap().is_some());
    }

    #[test]
    fn the_identity_is_made_once() {
        let (_folder, dir) = folder();
        let uid = dir.uid().unwrap();
        assert!(uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uid}");
        assert_eq!(dir.uid().unwrap(), uid);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_never_written_into() {
        let (folder, dir) = folder();
        dir.write("a", b"one").unwrap();
        let old = folder.path().join("old");
        std::fs::hard_link(dir.path("a"), &old).unwrap();
        dir.write("a", b"two").unwrap();
        assert_eq!((std::fs::read(old).unwrap(), dir.read("a").unwrap().unwrap()), (b"one".to_vec(), b"two".to_vec()));
    }

    #[test]
    fn a_folder_that_has_its_own_gitignore_keeps_it() {
        let (_folder, dir) = folder();
        std::fs::create_dir(dir.path("")).unwrap();
        std::fs::write(dir.path(".gitignore"), "/secrets.yaml\n").unwrap();
        dir.write("a", b"one").unwrap();
        assert!(dir.is_ignored("secrets.yaml") && !dir.is_ignored("a"));
    }

    #[test]
    fn the_lock_of_another_cluster_is_refused() {
        let (_folder, dir) = folder();
        dir.uid().unwrap();
        let other = ClusterDir::new(dir.path(""), "prod");
        assert!(other.lock().is_err_and(|failure| failure.exit == Exit::Unusable) && other.uid().is_err());
    }

    #[test]
    fn a_folder_that_may_not_be_written_is_a_right_to_ask_for() {
        let exit = |kind| failed(Path::new("/x"), &std::io::Error::from(kind)).exit;
        let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem, ErrorKind::StorageFull];
        assert_eq!(kinds.map(exit), [Exit::NotAllowed, Exit::NotAllowed, Exit::Failed]);
    }

    #[test]
    fn the_identity_that_many_make_at_once_is_one() {
        const RUNS: usize = 8;
        let (_folder, dir) = folder();
        let start = std::sync::Barrier::new(RUNS);
        let uids: std::collections::HashSet<_> = std::thread::scope(|scope| {
            let run = || {
                start.wait();
                dir.uid().unwrap()
            };
            let runs: Vec<_> = (0..RUNS).map(|_| scope.spawn(run)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert_eq!(uids.len(), 1, "{uids:?}");
    }
}
