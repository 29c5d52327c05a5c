//! The admin kubeconfig that a control plane node generates.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::{Error, Node};

/// Far more than any kubeconfig.
const MOST: u64 = 4 << 20;

/// What is wrong with the archive that holds a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It isn't a compressed tar archive.
    #[error("it is not a tar.gz archive")]
    NotArchive(#[source] std::io::Error),
    /// Its first entry is something else.
    #[error("its first file is `{0}` instead of `kubeconfig`")]
    OtherEntry(String),
    /// It has no entry.
    #[error("it is empty")]
    Empty,
}

impl Node {
    /// A kubeconfig for an administrator of the cluster, with a certificate that is new at every call.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call; [`Error::NotOffered`] on a worker, [`Error::NotYet`] before Kubernetes has an
    /// authority.
    pub async fn kubeconfig(&self) -> Result<String, Error> {
        let call = "Kubeconfig";
        let archive = self.bytes(call, || async { self.machine().kubeconfig(()).await }).await?;
        first_entry(&archive).map_err(|error| self.unreadable(call, error.to_string()))
    }
}

/// The kubeconfig in a `tar.gz` archive. Talos never finishes the archive, so nothing after its first entry is read.
fn first_entry(archive: &[u8]) -> Result<String, KubeconfigError> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive).take(MOST));
    let mut entries = archive.entries().map_err(KubeconfigError::NotArchive)?;
    let entry = entries.next().ok_or(KubeconfigError::Empty)?.map_err(KubeconfigError::NotArchive)?;
    let name = entry.path().map_err(KubeconfigError::NotArchive)?.display().to_string();
    if name != "kubeconfig" {
        return Err(KubeconfigError::OtherEntry(name));
    }
    let mut text = String::new();
    entry.take(MOST).read_to_string(&mut text).map_err(KubeconfigError::NotArchive)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// An archive as Talos writes it: header and content, without padding and without an end.
    fn unfinished(name: &str, content: &str) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).expect("a short name");
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(header.as_bytes()).expect("memory can be written");
        encoder.write_all(content.as_bytes()).expect("memory can be written");
        encoder.finish().expect("memory can be written")
    }

    #[test]
    fn an_archive_that_was_never_finished_gives_its_kubeconfig() {
        let text = first_entry(&unfinished("kubeconfig", "apiVersion: v1\n")).expect("a kubeconfig");

        assert_eq!(text, "apiVersion: v1\n");
    }

    #[test]
    fn an_archive_of_something_else_is_refused() {
        let other = first_entry(&unfinished("passwd", "root")).expect_err("another file");
        let garbage = first_entry(b"not gzip").expect_err("no archive");

        assert_eq!(other.to_string(), "its first file is `passwd` instead of `kubeconfig`");
        assert_eq!(garbage.to_string(), "it is not a tar.gz archive");
    }
}
