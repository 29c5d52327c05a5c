//! Bringing the image to every host that has the storage.

use std::{collections::BTreeMap, time::Duration};

use factory_client::{Client, Fetched};
use pve_client::request;
use record::{Change, Code, Effect, Exit, Failure, spec::Via, status};
use schematic::Image;
use step::{Hold, Run, Stop};
use tokio::{
    io::{AsyncSeekExt, AsyncWrite},
    task::JoinSet,
};

use crate::{
    digest::Digest,
    error::Error,
    storage::{Comparison, Copy, Found, Place, is_begun, marked_size, unsure},
};

/// How many hosts download at the same time.
const AT_ONCE: usize = 4;
/// How often a download that was cut off is begun again.
const TRIES: u32 = 3;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(500);

/// The image, where it comes from and where it goes.
pub(crate) struct Delivery<'a> {
    pub(crate) run: &'a Run,
    pub(crate) factory: &'a Client,
    pub(crate) image: &'a Image,
    pub(crate) pve: pve_client::Client,
    pub(crate) place: Place,
}

/// The image on this machine, as long as it is uploaded.
pub(crate) struct Kept {
    pub(crate) file: std::fs::File,
    pub(crate) size: u64,
    sha256: String,
}

impl Delivery<'_> {
    /// Puts the image onto every host that lacks it.
    pub(crate) async fn deliver(&self, status: &mut status::Image) -> Result<(Effect, Vec<Change>), Stop> {
        let uploads = self.place.via == Via::Upload;
        // Of two runs the second one finds what the first one uploaded.
        let _claim = if uploads && !self.run.is_dry_run() { Some(self.run.claim().await?) } else { None };
        let found = self.place.look(&self.pve).await?;
        status.volumes.clone_from(&found.volumes);
        let url = status.url.clone();
        if self.run.is_dry_run() {
            status.sha256 = self.locked(&url)?;
            return self.plan(&found, &url, status.sha256.as_deref()).await;
        }
        let mut refused = None;
        loop {
            let (digest, kept) = match self.locked(&url)? {
                Some(sha256) => (Digest { sha256, is_locked: true }, None),
                None => {
                    let (sha256, kept) = self.read(&url, uploads && !found.absent.is_empty()).await?;
                    (Digest { sha256, is_locked: false }, kept)
                }
            };
            match self.bring(&found, &url, &digest, kept).await {
                // What was read here isn't what the hosts have or get: perhaps it was no image of this schematic. A digest
                // is locked only after a host took the image by it, so it is read once more.
                Err(Stop::Failed(failure))
                    if !digest.is_locked
                        && failure.is(Code::DigestMismatch)
                        && refused.as_ref() != Some(&digest.sha256) =>
                {
                    self.run.announce(&format!("{}; reading it once more", failure.message));
                    refused = Some(digest.sha256);
                }
                brought => {
                    let hosts = brought?;
                    status.sha256 = Some(digest.sha256);
                    let effect = if hosts.is_empty() { Effect::Unchanged } else { Effect::Changed };
                    return Ok((effect, changes(&hosts, &status.volumes)));
                }
            }
        }
    }

    /// The digest in ichor.lock.
    fn locked(&self, url: &str) -> Result<Option<String>, Failure> {
        Ok(self.run.dir()?.lock()?.and_then(|lock| lock.image(url).map(str::to_owned)))
    }

    /// Has the files that are there compared with the digest, and brings the image to the hosts that lack it: these are
    /// returned.
    async fn bring(&self, found: &Found, url: &str, digest: &Digest, kept: Option<Kept>) -> Result<Vec<String>, Stop> {
        let replaced = self.compared(&found.copies, url, digest).await?;
        let hosts: Vec<String> =
            found.absent.iter().cloned().chain(replaced.iter().map(|copy| copy.host.clone())).collect();
        if hosts.is_empty() {
            return Ok(hosts);
        }
        if self.place.via == Via::Upload {
            let kept = match kept {
                Some(kept) => kept,
                None => self.read(url, true).await?.1.expect("it was asked to keep the file"),
            };
            if kept.sha256 != digest.sha256 {
                return Err(digest.changed(url, None).into());
            }
            for host in &hosts {
                let old = replaced.iter().find(|copy| copy.host == *host);
                self.upload(host, &kept, old, url, digest).await?;
            }
        } else {
            self.factory.prepare(self.image).await?;
            self.run.announce(&format!("downloading {url} to {} on {}", self.place.storage, hosts.join(", ")));
            self.download(&hosts, url, digest).await?;
        }
        Ok(hosts)
    }

    /// What would be done. A file that is there is not trusted by its name: what can be known of it without a download is its
    /// size.
    async fn plan(&self, found: &Found, url: &str, sha256: Option<&str>) -> Result<(Effect, Vec<Change>), Stop> {
        let (lock, mut hosts, mut announced) = (self.run.dir()?.lock()?, found.absent.clone(), None);
        for copy in &found.copies {
            let mark = lock.as_ref().and_then(|lock| lock.copy(&copy.place()));
            if mark.is_some() && mark == sha256.map(|sha256| copy.mark(sha256)).as_deref() {
                continue;
            }
            let mut size = sha256.and_then(|sha256| marked_size(mark?, sha256));
            if size.is_none() {
                // A factory that can't be asked leaves it open.
                size = *announced.get_or_insert(self.factory.prepare(self.image).await.ok().flatten());
            }
            let (host, volume) = (copy.host.clone(), self.place.volume());
            match size.filter(|wanted| *wanted != copy.size) {
                None => self
                    .run
                    .announce(&format!("{host} would compare the image that it has with its digest: {}", unsure(mark))),
                Some(_) if is_begun(mark) && self.place.via == Via::Upload => hosts.push(host),
                Some(wanted) => return Err(Error::WrongSize { volume, host, size: copy.size, wanted }.into()),
            }
        }
        if hosts.is_empty() {
            return Ok((Effect::Unchanged, Vec::new()));
        }
        let how = if self.place.via == Via::Upload { "upload" } else { "download" };
        self.run.announce(&format!("would {how} {url} to {} on {}", self.place.storage, hosts.join(", ")));
        Ok((Effect::Pending, changes(&hosts, &found.volumes)))
    }

    /// Has the hosts compare the files whose content isn't known; returns those that an upload of ours left unfinished.
    async fn compared(&self, copies: &[Copy], url: &str, digest: &Digest) -> Result<Vec<Copy>, Stop> {
        let lock = self.run.dir()?.lock()?;
        let mark = |copy: &Copy| lock.as_ref().and_then(|lock| lock.copy(&copy.place()).map(str::to_owned));
        let mut replaced = Vec::new();
        for copy in copies {
            let mark = mark(copy);
            if digest.is_locked && mark.as_ref() == Some(&copy.mark(&digest.sha256)) {
                continue;
            }
            let (is_ours, why) = (is_begun(mark.as_deref()), unsure(mark.as_deref()));
            self.run.announce(&format!("{} compares the image that it has with its digest: {why}", copy.host));
            match self.compare(&copy.host, url, digest).await? {
                Comparison::Same => self.remember(copy, url, digest)?,
                Comparison::Other(_) | Comparison::Forbidden if is_ours && self.place.via == Via::Upload => {
                    let (volume, host) = (self.place.volume(), &copy.host);
                    self.run
                        .announce(&format!("{volume} on {host} is what an upload left that was cut off: replacing it"));
                    replaced.push(copy.clone());
                }
                Comparison::Other(failure) => return Err(failure.into()),
                Comparison::Forbidden => return Err(self.place.not_compared(&self.pve, &copy.host).into()),
            }
        }
        Ok(replaced)
    }

    /// Has a host compare its file. One that another run has just uploaded may not be whole yet: then once more.
    pub(crate) async fn compare(&self, host: &str, url: &str, digest: &Digest) -> Result<Comparison, Stop> {
        let compared = self.place.compare(&self.pve, host, url, digest).await?;
        if !matches!(compared, Comparison::Other(_)) || !self.is_copying().await? {
            return Ok(compared);
        }
        self.settled().await?;
        Ok(self.place.compare(&self.pve, host, url, digest).await?)
    }

    /// Whether an uploaded file, of anybody that the token sees, is being put in its place.
    async fn is_copying(&self) -> Result<bool, pve_client::Error> {
        let tasks = self.pve.ask(&request::copying()).await?;
        Ok(tasks.iter().any(|task| task.kind == "imgcopy" && task.endtime.is_none()))
    }

    /// Waits until no uploaded file is being put in its place: which one it is, Proxmox VE doesn't say.
    pub(crate) async fn settled(&self) -> Result<(), Stop> {
        let look = || async {
            match self.is_copying().await? {
                true => Err(Hold::not_yet("an upload to Proxmox VE is being put in its place")),
                false => Ok(()),
            }
        };
        let expired = |expired: step::Expired| Error::StillCopying { waited: expired.waited.as_secs() }.into();
        self.run.wait_for_cluster().until_or(look, expired).await
    }

    /// Notes in ichor.lock that a host took this file by the digest: from then on it is the image's, unless another run
    /// has locked another one meanwhile.
    pub(crate) fn remember(&self, copy: &Copy, url: &str, digest: &Digest) -> Result<(), Failure> {
        let noted = self.run.dir()?.update_lock(|lock| match lock.image(url) {
            Some(locked) if locked != digest.sha256 => false,
            _ => {
                lock.set_image(url, &digest.sha256);
                lock.set_copy(&copy.place(), &copy.mark(&digest.sha256));
                true
            }
        })?;
        if noted { Ok(()) } else { Err(Error::Rebuilt { url: url.into() }.into()) }
    }

    /// Downloads the image to each of these hosts, a few at a time.
    async fn download(&self, hosts: &[String], url: &str, digest: &Digest) -> Result<(), Failure> {
        let (mut waiting, mut work, mut result) = (hosts.iter().cloned(), JoinSet::new(), Ok(()));
        loop {
            while work.len() < AT_ONCE && result.is_ok() {
                let Some(host) = waiting.next() else { break };
                let (place, pve, run) = (self.place.clone(), self.pve.clone(), self.run.clone());
                let (url, digest) = (url.to_owned(), digest.clone());
                work.spawn(async move {
                    let progress = run.progress(None, format!("{host} downloads {}", place.file));
                    let saw = |seen: pve_client::Progress| progress.percent(seen.percent, seen.detail.as_deref());
                    let done = place.download(&pve, &host, &url, &digest, saw).await;
                    drop(progress);
                    (host, done)
                });
            }
            match work.join_next().await {
                None => return result,
                Some(Ok((host, Ok(())))) => {
                    self.run.announce(&format!("{host} has {}", self.place.file));
                    result = result.and(self.downloaded(&host, url, digest).await);
                }
                Some(Ok((_, Err(failure)))) => result = result.and(Err(failure)),
                Some(Err(error)) => result = result.and(Err(crashed(&error))),
            }
        }
    }

    /// What the host has compared itself while it downloaded is known.
    async fn downloaded(&self, host: &str, url: &str, digest: &Digest) -> Result<(), Failure> {
        match self.place.copy(&self.pve, host).await? {
            Some(copy) => self.remember(&copy, url, digest),
            None => Ok(()),
        }
    }

    /// Reads the image once, and keeps it on this machine if it is to be uploaded.
    async fn read(&self, url: &str, keep: bool) -> Result<(String, Option<Kept>), Stop> {
        let why = if keep { "to upload it" } else { "once, to lock its digest" };
        self.run.announce(&format!("reading {url} {why}"));
        let stopping = self.run.stopping();
        tokio::select! {
            read = self.fetch(url, keep) => Ok(read?),
            () = stopping.cancelled() => Err(Failure::interrupted().into()),
        }
    }

    async fn fetch(&self, url: &str, keep: bool) -> Result<(String, Option<Kept>), Failure> {
        let progress = self.run.progress(None, format!("reading {url}"));
        let moved = |moved, whole| progress.bytes(moved, whole);
        let scratch = if keep { Some(self.run.dir()?.scratch()?) } else { None };
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let fetched = match &scratch {
                Some(file) => {
                    let mut sink = tokio::fs::File::from_std(file.try_clone().map_err(unwritten)?);
                    sink.set_len(0).await.map_err(unwritten)?;
                    sink.rewind().await.map_err(unwritten)?;
                    self.fetch_once(&mut sink, moved).await
                }
                None => self.fetch_once(&mut tokio::io::sink(), moved).await,
            };
            match fetched {
                // Nothing of it was used, so starting again costs only time.
                Err(error) if error.is_worth_repeating() && tries > 0 => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
                Ok(fetched) => {
                    let (sha256, size) = (fetched.sha256, fetched.bytes);
                    let kept = scratch.map(|file| Kept { file, size, sha256: sha256.clone() });
                    return Ok((sha256, kept));
                }
            }
        }
    }

    /// Has the image built, which announces its size, and reads it.
    async fn fetch_once(
        &self,
        sink: &mut (impl AsyncWrite + Unpin),
        moved: impl Fn(u64, Option<u64>),
    ) -> Result<Fetched, factory_client::Error> {
        let size = self.factory.prepare(self.image).await?;
        self.factory.fetch(self.image, size, sink, moved).await
    }
}

/// A file on this machine that can't be written.
pub(crate) fn unwritten(source: std::io::Error) -> Failure {
    factory_client::Error::Unwritten { source }.into()
}

/// The changes that bringing the image to these hosts makes.
fn changes(hosts: &[String], volumes: &BTreeMap<String, String>) -> Vec<Change> {
    let added =
        |host: &String| Change::live(format!("image on {host}")).to(volumes.get(host).cloned().unwrap_or_default());
    hosts.iter().map(added).collect()
}

fn crashed(error: &tokio::task::JoinError) -> Failure {
    Failure::new(Exit::Failed, Code::Internal, format!("a download ended without a result: {error}"))
}
