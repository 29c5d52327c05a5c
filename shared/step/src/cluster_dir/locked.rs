//! `ichor.lock` in the cluster's folder.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, PoisonError};

use record::{Failure, Lock};

use super::{ClusterDir, failed, random_hex};

/// A lock as it was read or written last.
#[derive(Debug)]
pub(super) struct Parsed {
    text: Vec<u8>,
    lock: Arc<Lock>,
}

impl ClusterDir {
    /// The content of `ichor.lock`; `None` if there is none yet. The file is read each time, and parsed when it has changed:
    /// every node asks it.
    ///
    /// # Errors
    /// A lock that cannot be read.
    pub fn lock(&self) -> Result<Option<Arc<Lock>>, Failure> {
        let Some(text) = self.read("ichor.lock")? else { return Ok(None) };
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = parsed.as_ref().filter(|known| known.text == text) {
            return Ok(Some(Arc::clone(&known.lock)));
        }
        let lock = Arc::new(Lock::parse(&String::from_utf8_lossy(&text), &self.cluster)?);
        *parsed = Some(Parsed { text, lock: Arc::clone(&lock) });
        Ok(Some(lock))
    }

    /// Changes `ichor.lock` while no other step does, and returns what `change` returned.
    ///
    /// # Errors
    /// A lock that cannot be read or written.
    pub fn update_lock<T>(&self, change: impl FnOnce(&mut Lock) -> T) -> Result<T, Failure> {
        self.folder()?;
        let guard = File::open(&self.dir).map_err(|error| failed(&self.dir, &error))?;
        guard.lock().map_err(|error| failed(&self.dir, &error))?;
        let known = self.lock()?;
        // The only one that is left is changed without a copy.
        self.keep(None);
        let mut lock = known.map_or_else(|| Lock::new(&self.cluster), Arc::unwrap_or_clone);
        let result = change(&mut lock);
        let text = lock.emit().into_bytes();
        self.write("ichor.lock", &text)?;
        let path = self.path("ichor.lock");
        // Unlike the secrets beside it, the lock is meant to be committed and read.
        let readable = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, readable).map_err(|error| failed(&path, &error))?;
        self.keep(Some(Parsed { text, lock: Arc::new(lock) }));
        Ok(result)
    }

    fn keep(&self, parsed: Option<Parsed>) {
        *self.parsed.lock().unwrap_or_else(PoisonError::into_inner) = parsed;
    }

    /// The cluster's identity (32 hexadecimal digits); generated and written to the lock, if there is none yet.
    ///
    /// # Errors
    /// A lock that cannot be read or written.
    pub fn uid(&self) -> Result<String, Failure> {
        if let Some(uid) = self.lock()?.and_then(|lock| lock.uid().map(str::to_owned)) {
            return Ok(uid);
        }
        let fresh = random_hex::<16>()?;
        self.update_lock(|lock| match lock.uid() {
            Some(uid) => uid.to_owned(),
            None => {
                lock.set_uid(&fresh);
                fresh
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_wrote_is_read_at_once_and_an_unchanged_lock_is_parsed_once() {
        let folder = tempfile::tempdir().unwrap();
        let dir = || ClusterDir::new(folder.path().join("lab"), "lab");
        let (one, other) = (dir(), dir());
        one.update_lock(|lock| lock.remember_vm("w-1", 100)).unwrap();
        let read = || one.lock().unwrap().unwrap();
        assert!(Arc::ptr_eq(&read(), &read()));

        other.update_lock(|lock| lock.remember_vm("w-1", 200)).unwrap();

        assert_eq!(read().vm("w-1"), Some(200));
        one.update_lock(|lock| lock.remember_vm("w-2", 300)).unwrap();
        assert_eq!((read().vm("w-1"), other.lock().unwrap().unwrap().vm("w-2")), (Some(200), Some(300)));
        std::fs::remove_file(folder.path().join("lab/ichor.lock")).unwrap();
        assert_eq!(one.lock().unwrap(), None);
    }
}
