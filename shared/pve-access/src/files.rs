//! Putting small files onto storages.

use std::io::Write;

use pve_client::{Client, Sent, Upload, request::StoredFile};
use record::{Code, Exit, Failure};
use step::{Run, Stop};

/// How often an upload that breaks off is begun again.
const TRIES: usize = 3;

/// Where a file goes: it is an `iso`.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The host.
    pub host: &'a str,
    /// The storage.
    pub storage: &'a str,
    /// Its name.
    pub file: &'a str,
}

/// Uploads bytes; a file of that name is overwritten.
///
/// # Errors
/// Proxmox VE refuses them, or they can't be written to this machine on the way.
pub async fn put(run: &Run, pve: &Client, target: &Target<'_>, bytes: &[u8]) -> Result<(), Stop> {
    let sha256 = step::sha256(bytes);
    let Target { host, storage, file } = *target;
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let to = StoredFile { node: host, storage, content: "iso", file };
        let (source, size) = (scratch(run, bytes)?, bytes.len() as u64);
        let upload = Upload { to, source, size, sha256: &sha256, sent: Sent::default() };
        let sent = async {
            let upid = pve.upload(upload, std::future::ready(Ok(()))).await?;
            pve.finish(&upid, run.wait_timeout()).await
        };
        match sent.await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() && tries > 0 && !run.stopping().is_cancelled() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A file without a name that holds the bytes.
fn scratch(run: &Run, bytes: &[u8]) -> Result<tokio::fs::File, Failure> {
    let mut file = run.dir()?.scratch()?;
    let written = file.write_all(bytes).and_then(|()| std::io::Seek::rewind(&mut file));
    written
        .map_err(|error| Failure::new(Exit::Failed, Code::File, format!("can't write the seed on its way: {error}")))?;
    Ok(tokio::fs::File::from_std(file))
}
