//! Of two runs of a step only one acts.

use std::fs::{File, TryLockError};
use std::path::Path;

use record::Failure;

use crate::cluster_dir::failed;

/// The right to be the only process of its step that works on a cluster.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

impl Claim {
    /// Claims a file that is there, for steps without a cluster's folder; `None` while another run has it.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn of_file(path: &Path) -> Result<Option<Self>, Failure> {
        Self::take(File::open(path), path)
    }

    pub(crate) fn take(file: std::io::Result<File>, path: &Path) -> Result<Option<Self>, Failure> {
        let file = file.map_err(|error| failed(path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(path, &error)),
        }
    }
}
