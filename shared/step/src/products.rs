//! The cluster's folder: secrets, configs, talosconfig, `ichor.lock`.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use record::{Exit, Failure, Lock};
use sha2::{Digest, Sha256};

/// What the folder's `.gitignore` says: only the lock may be committed.
const GITIGNORE: &str = "*\n!ichor.lock\n";

/// SHA-256 of some bytes, hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

/// What became of a file that is made only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was made now.
    Now,
    /// It was there, made by an earlier run or by one at the same time.
    Before,
}

/// The right to be the only process of its step at work on a cluster.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

/// The folder that a cluster's files are in.
#[derive(Debug, Clone)]
pub struct Products {
    dir: PathBuf,
    cluster: String,
}

impl Products {
    /// The files of `cluster` in `dir` (absolute).
    #[must_use]
    pub fn new(dir: PathBuf, cluster: &str) -> Self {
        Self { dir, cluster: cluster.to_owned() }
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
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// The contents of a file that a record refers to by path and SHA-256.
    ///
    /// # Errors
    /// A file that is gone, or that was changed since the record was written (exit status 8).
    pub fn read_exactly(&self, file: &str, sha256_hex: &str) -> Result<Vec<u8>, Failure> {
        let path = self.path(file);
        let unusable = |what: &str| {
            Failure::new(Exit::Unusable, "digest-mismatch", format!("{}: {what}", path.display()))
                .hint("run the pipe again from the cluster file")
        };
        let bytes = self.read(file)?.ok_or_else(|| unusable("the file that the record refers to is gone"))?;
        if sha256(&bytes) != sha256_hex {
            return Err(unusable("the file was changed after the record was written (its SHA-256 differs)"));
        }
        Ok(bytes)
    }

    /// Writes a file (0600, atomically) unless it has these contents already; says whether it did.
    ///
    /// # Errors
    /// A folder or file that cannot be written; the old file is then as it was.
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<bool, Failure> {
        let path = self.path(file);
        if self.read(file)?.as_deref() == Some(bytes) {
            return Ok(false);
        }
        let temporary = self.temporary(&path, bytes)?;
        temporary.persist(&path).map_err(|error| failed(&path, &error.error))?;
        Ok(true)
    }

    /// Writes a file that must never be replaced: of two runs at the same time one makes it, the other one sees it.
    ///
    /// # Errors
    /// A folder or file that cannot be written.
    pub fn create(&self, file: &str, bytes: &[u8]) -> Result<Made, Failure> {
        let path = self.path(file);
        let temporary = self.temporary(&path, bytes)?;
        match std::fs::hard_link(temporary.path(), &path) {
            Ok(()) => Ok(Made::Now),
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

    /// Makes the folder and its `.gitignore`.
    fn folder(&self) -> Result<(), Failure> {
        make_folder(&self.dir)?;
        let ignore = self.dir.join(".gitignore");
        match File::create_new(&ignore) {
            Ok(mut file) => file.write_all(GITIGNORE.as_bytes()).map_err(|error| failed(&ignore, &error)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(failed(&ignore, &error)),
        }
    }

    /// Claims the folder for this step, as long as the claim lives: `None` while another process has it.
    ///
    /// The kernel lets go of the claim of a process that ends, however it ends.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn claim(&self, step: &str) -> Result<Option<Claim>, Failure> {
        self.folder()?;
        let path = self.path(&format!(".{step}.lock"));
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| failed(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(&path, &error)),
        }
    }

    /// Whether the folder's `.gitignore` keeps a file out of version control. A folder that had one keeps it.
    #[must_use]
    pub fn is_ignored(&self, file: &str) -> bool {
        let text = std::fs::read_to_string(self.dir.join(".gitignore")).unwrap_or_default();
        text.lines().map(str::trim).any(|line| line == "*" || line.trim_start_matches('/') == file)
    }

    /// `ichor.lock` as it is; `None` if there is none yet.
    ///
    /// # Errors
    /// A lock that cannot be read, or that is another cluster's.
    pub fn lock(&self) -> Result<Option<Lock>, Failure> {
        let Some(bytes) = self.read("ichor.lock")? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        Ok(Some(Lock::parse(&text, &self.cluster)?))
    }

    /// Changes `ichor.lock` while no other step does, and returns what `change` returned.
    ///
    /// # Errors
    /// A lock that cannot be read or written.
    pub fn update_lock<T>(&self, change: impl FnOnce(&mut Lock) -> T) -> Result<T, Failure> {
        self.folder()?;
        let guard = File::open(&self.dir).map_err(|error| failed(&self.dir, &error))?;
        guard.lock().map_err(|error| failed(&self.dir, &error))?;
        let mut lock = self.lock()?.unwrap_or_else(|| Lock::new(&self.cluster));
        let result = change(&mut lock);
        self.write("ichor.lock", lock.emit().as_bytes())?;
        let path = self.path("ichor.lock");
        // Unlike the secrets beside it, the lock is meant to be committed and read.
        let readable = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, readable).map_err(|error| failed(&path, &error))?;
        Ok(result)
    }

    /// The cluster's identity (32 hexadecimal digits); made by chance and locked, if there is none yet.
    ///
    /// # Errors
    /// A lock that cannot be read or written.
    pub fn uid(&self) -> Result<String, Failure> {
        if let Some(uid) = self.lock()?.and_then(|lock| lock.uid().map(str::to_owned)) {
            return Ok(uid);
        }
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)
            .map_err(|error| Failure::new(Exit::Failed, "no-randomness", format!("no random numbers: {error}")))?;
        let fresh = base16ct::lower::encode_string(&random);
        self.update_lock(|lock| match lock.uid() {
            Some(uid) => uid.to_owned(),
            None => {
                lock.set_uid(&fresh);
                fresh
            }
        })
    }
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let (exit, code) = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (Exit::NotAllowed, "not-allowed"),
        _ => (Exit::Failed, "file"),
    };
    Failure::new(exit, code, format!("{}: {error}", path.display()))
}
