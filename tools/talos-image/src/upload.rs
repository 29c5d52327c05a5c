//! Uploading the image from this machine to a host.
//!
//! The server keeps nothing of an upload that doesn't end, and puts one that does in its place in a task: by copying over
//! a file of that name, if there is one. So the place is looked at once more before the last piece is sent, and what is in
//! ichor.lock meanwhile says that a file which then stands there unfinished is ours.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pve_client::{Sent, Upid};
use record::Failure;
use step::Stop;
use tokio::io::AsyncSeekExt;

use crate::{
    delivery::{Delivery, Kept, unwritten},
    digest::Digest,
    error::Error,
    storage::{Comparison, Copy, begun, mismatch},
};

/// How often an upload is begun that breaks off.
const TRIES: u32 = 3;
/// How often it is noted how far it is.
const TICK: Duration = Duration::from_secs(1);

/// What came of one attempt.
enum Attempt {
    Done,
    /// Another run has put the image there meanwhile.
    Appeared,
    Failed(pve_client::Error),
}

impl Delivery<'_> {
    /// Uploads the image to a host; `old` is what an upload of ours has left there.
    pub(crate) async fn upload(
        &self,
        host: &str,
        kept: &Kept,
        old: Option<&Copy>,
        url: &str,
        digest: &Digest,
    ) -> Result<(), Stop> {
        let (file, storage) = (&self.place.file, &self.place.storage);
        self.run.announce(&format!("uploading {file} to {storage} on {host}"));
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let failed = match self.attempt(host, kept, old, &digest.sha256).await? {
                Attempt::Done => return self.arrived(host, kept, url, digest).await,
                Attempt::Appeared => None,
                Attempt::Failed(error) if error.is_transient() || mismatch(&error) => Some(error),
                Attempt::Failed(error) => return Err(error.into()),
            };
            // The reply may be lost, and the file there all the same; or another run was faster.
            self.settled().await?;
            match (self.place.copy(&self.pve, host).await?.filter(|copy| Some(copy) != old), failed) {
                (Some(copy), _) => return self.appeared(&copy, url, digest).await,
                (None, Some(error)) if tries == 0 => return Err(error.into()),
                (None, _) => {}
            }
        }
    }

    /// A file that is there although this run didn't see it arrive.
    async fn appeared(&self, copy: &Copy, url: &str, digest: &Digest) -> Result<(), Stop> {
        match self.compare(&copy.host, url, digest).await? {
            Comparison::Same => Ok(self.remember(copy, url, digest)?),
            Comparison::Other(failure) => Err(failure.into()),
            Comparison::Forbidden => Err(self.place.not_compared(&self.pve, &copy.host).into()),
        }
    }

    async fn attempt(&self, host: &str, kept: &Kept, old: Option<&Copy>, sha256: &str) -> Result<Attempt, Stop> {
        let (dir, place) = (self.run.dir()?, self.place.on(host));
        dir.update_lock(|lock| lock.set_copy(&place, &begun(sha256)))?;
        let (sent, appeared) = (Sent::default(), Arc::new(AtomicBool::new(false)));
        let sending = self.send(host, kept, old, sha256, &sent, &appeared).await;
        let upid = match sending {
            Ok(Ok(upid)) => upid,
            other => {
                // Without its last piece nothing of it was kept, so nothing that stands there later is ours.
                if sent.bytes() < kept.size && old.is_none() {
                    dir.update_lock(|lock| lock.forget_copy(&place))?;
                }
                return match other {
                    Ok(Err(_)) if appeared.load(Ordering::Relaxed) => Ok(Attempt::Appeared),
                    Ok(Err(error)) => Ok(Attempt::Failed(error)),
                    Err(stop) => Err(stop),
                    Ok(Ok(_)) => unreachable!("a task that began is none of these"),
                };
            }
        };
        // What has begun comes to its end, also if the step was asked to stop.
        Ok(match self.place.placed(&self.pve, &upid).await {
            Ok(()) => Attempt::Done,
            Err(error) => Attempt::Failed(error),
        })
    }

    async fn send(
        &self,
        host: &str,
        kept: &Kept,
        old: Option<&Copy>,
        sha256: &str,
        sent: &Sent,
        appeared: &Arc<AtomicBool>,
    ) -> Result<Result<Upid, pve_client::Error>, Stop> {
        let progress =
            self.run.progress(None, format!("uploading {} to {} on {host}", self.place.file, self.place.storage));
        let mut source = tokio::fs::File::from_std(kept.file.try_clone().map_err(unwritten)?);
        source.rewind().await.map_err(unwritten)?;
        let upload = self.place.upload(host, source, kept.size, sha256, sent);
        let gate = self.still_free(host, old, appeared);
        let ticking = async {
            loop {
                progress.bytes(sent.bytes(), Some(kept.size));
                tokio::time::sleep(TICK).await;
            }
        };
        let stopping = self.run.stopping();
        tokio::select! {
            biased;
            asked = self.pve.upload(upload, gate) => Ok(asked),
            () = stopping.cancelled() => Err(Failure::interrupted().into()),
            () = ticking => unreachable!("it ticks until the upload has ended"),
        }
    }

    /// Looks once more whether somebody else has put a file there.
    fn still_free(
        &self,
        host: &str,
        old: Option<&Copy>,
        appeared: &Arc<AtomicBool>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (place, pve, appeared) = (self.place.clone(), self.pve.clone(), Arc::clone(appeared));
        let (host, old) = (host.to_owned(), old.cloned());
        async move {
            let now = place.copy(&pve, &host).await.map_err(io::Error::other)?;
            if now == old || now.is_none() {
                return Ok(());
            }
            appeared.store(true, Ordering::Relaxed);
            Err(io::Error::other(format!("{} is on {host} now", place.volume())))
        }
    }

    /// Nobody uses the image before all of it is there: another run may be copying over it at this moment.
    async fn arrived(&self, host: &str, kept: &Kept, url: &str, digest: &Digest) -> Result<(), Stop> {
        self.settled().await?;
        let copy = self.place.copy(&self.pve, host).await?;
        let Some(copy) = copy.as_ref().filter(|copy| copy.size == kept.size) else {
            let (volume, host, size) = (self.place.volume(), host.to_owned(), copy.map_or(0, |copy| copy.size));
            return Err(Error::CutShort { volume, host, size, wanted: kept.size }.into());
        };
        self.remember(copy, url, digest)?;
        self.run.announce(&format!("{host} has {}", self.place.file));
        Ok(())
    }
}
