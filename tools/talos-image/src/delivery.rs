//! Bringing the image to every host that has the storage.

use std::collections::BTreeMap;

use factory_client::Client;
use pve_client::request;
use record::{Change, Code, Effect, Exit, Failure, spec::Via, status};
use schematic::Image;
use step::{Hold, Run, Stop};
use tokio::{io::AsyncSeekExt, task::JoinSet};

use crate::{
    error::Error,
    storage::{Comparison, Copy, Found, Place, is_begun, marked_size, unsure},
};

/// How many hosts download at the same time.
const AT_ONCE: usize = 4;
/// How often a download that was cut off is begun again.
const TRIES: u32 = 3;

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
        let Found { volumes, absent, copies } = self.place.look(&self.pve).await?;
        status.volumes = volumes;
        let url = status.url.clone();
        let locked = self.run.dir()?.lock()?.and_then(|lock| lock.image(&url).map(str::to_owned));
        if self.run.is_dry_run() {
            let found = Found { volumes: status.volumes.clone(), absent, copies };
            let planned = self.plan(&found, &url, locked.as_deref()).await;
            status.sha256 = locked;
            return planned;
        }
        let mut kept = None;
        let sha256 = match locked {
            Some(sha256) => sha256,
            None => {
                let (sha256, read) = self.read(&url, uploads && !absent.is_empty()).await?;
                kept = read;
                self.lock(&url, sha256)?
            }
        };
        status.sha256 = Some(sha256.clone());
        let replaced = self.compared(&copies, &url, &sha256).await?;
        let hosts = || absent.iter().cloned().chain(replaced.iter().map(|copy| copy.host.clone())).collect::<Vec<_>>();
        if hosts().is_empty() {
            return Ok((Effect::Unchanged, Vec::new()));
        }
        if uploads {
            let kept = match kept {
                Some(kept) => kept,
                None => self.read(&url, true).await?.1.expect("it was asked to keep the file"),
            };
            if kept.sha256 != sha256 {
                return Err(Error::Rebuilt { url }.into());
            }
            for host in hosts() {
                let old = replaced.iter().find(|copy| copy.host == host);
                self.upload(&host, &kept, old, &url, &sha256).await?;
            }
        } else {
            self.factory.prepare(self.image).await?;
            self.run.announce(&format!("downloading {url} to {} on {}", self.place.storage, hosts().join(", ")));
            self.download(&hosts(), &url, &sha256).await?;
        }
        Ok((Effect::Changed, changes(&hosts(), &status.volumes)))
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
    async fn compared(&self, copies: &[Copy], url: &str, sha256: &str) -> Result<Vec<Copy>, Stop> {
        let lock = self.run.dir()?.lock()?;
        let mark = |copy: &Copy| lock.as_ref().and_then(|lock| lock.copy(&copy.place()).map(str::to_owned));
        let mut replaced = Vec::new();
        for copy in copies {
            let mark = mark(copy);
            if mark.as_ref() == Some(&copy.mark(sha256)) {
                continue;
            }
            let (is_ours, why) = (is_begun(mark.as_deref()), unsure(mark.as_deref()));
            self.run.announce(&format!("{} compares the image that it has with its digest: {why}", copy.host));
            match self.compare(&copy.host, url, sha256).await? {
                Comparison::Same => self.remember(copy, sha256)?,
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
    pub(crate) async fn compare(&self, host: &str, url: &str, sha256: &str) -> Result<Comparison, Stop> {
        let compared = self.place.compare(&self.pve, host, url, sha256).await?;
        if !matches!(compared, Comparison::Other(_)) || !self.is_copying().await? {
            return Ok(compared);
        }
        self.settled().await?;
        Ok(self.place.compare(&self.pve, host, url, sha256).await?)
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

    /// Notes in ichor.lock that this file was compared with the digest.
    pub(crate) fn remember(&self, copy: &Copy, sha256: &str) -> Result<(), Failure> {
        self.run.dir()?.update_lock(|lock| lock.set_copy(&copy.place(), &copy.mark(sha256)))
    }

    /// Downloads the image to each of these hosts, a few at a time.
    async fn download(&self, hosts: &[String], url: &str, sha256: &str) -> Result<(), Failure> {
        let (mut waiting, mut work, mut result) = (hosts.iter().cloned(), JoinSet::new(), Ok(()));
        loop {
            while work.len() < AT_ONCE && result.is_ok() {
                let Some(host) = waiting.next() else { break };
                let (place, pve, run) = (self.place.clone(), self.pve.clone(), self.run.clone());
                let (url, sha256) = (url.to_owned(), sha256.to_owned());
                work.spawn(async move {
                    let progress = run.progress(None, format!("{host} downloads {}", place.file));
                    let saw = |seen: pve_client::Progress| progress.percent(seen.percent, seen.detail.as_deref());
                    let done = place.download(&pve, &host, &url, &sha256, saw).await;
                    drop(progress);
                    (host, done)
                });
            }
            match work.join_next().await {
                None => return result,
                Some(Ok((host, Ok(())))) => {
                    self.run.announce(&format!("{host} has {}", self.place.file));
                    result = result.and(self.downloaded(&host, sha256).await);
                }
                Some(Ok((_, Err(failure)))) => result = result.and(Err(failure)),
                Some(Err(error)) => result = result.and(Err(crashed(&error))),
            }
        }
    }

    /// What the host has compared itself while it downloaded is known.
    async fn downloaded(&self, host: &str, sha256: &str) -> Result<(), Failure> {
        match self.place.copy(&self.pve, host).await? {
            Some(copy) => self.remember(&copy, sha256),
            None => Ok(()),
        }
    }

    /// Reads the image once, and keeps it on this machine if it is to be uploaded.
    async fn read(&self, url: &str, keep: bool) -> Result<(String, Option<Kept>), Stop> {
        self.factory.prepare(self.image).await?;
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
                    self.factory.fetch(url, &mut sink, moved).await
                }
                None => self.factory.fetch(url, &mut tokio::io::sink(), moved).await,
            };
            match fetched {
                // Nothing of it was used, so starting again costs only time.
                Err(error) if error.is_transient() && tries > 0 => {}
                Err(error) => return Err(error.into()),
                Ok(fetched) => {
                    let (sha256, size) = (fetched.sha256, fetched.bytes);
                    let kept = scratch.map(|file| Kept { file, size, sha256: sha256.clone() });
                    return Ok((sha256, kept));
                }
            }
        }
    }

    /// Locks a digest that was just read; if another run locked one meanwhile, that is used, and the host checks against
    /// it.
    fn lock(&self, url: &str, sha256: String) -> Result<String, Failure> {
        self.run.dir()?.update_lock(|lock| match lock.image(url) {
            Some(locked) => locked.to_owned(),
            None => {
                lock.set_image(url, &sha256);
                sha256
            }
        })
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
