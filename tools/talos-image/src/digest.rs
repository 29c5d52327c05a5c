//! The digest of the image.

use crate::error::Error;

/// The SHA-256 that the image must have, hexadecimal.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    pub(crate) sha256: String,
    /// Whether ichor.lock has it. One that was just read is believed only once a host took the image by it.
    pub(crate) is_locked: bool,
}

impl Digest {
    /// That the image at the URL has another one, for this machine or for `host`.
    pub(crate) fn changed(&self, url: &str, host: Option<&str>) -> Error {
        match host {
            Some(host) if !self.is_locked => Error::Differs { url: url.into(), host: host.into() },
            _ => Error::Rebuilt { url: url.into() },
        }
    }
}
