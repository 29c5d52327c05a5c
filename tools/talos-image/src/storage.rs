//! The image on Proxmox VE: which hosts have it, and downloading it to the others.

use std::{collections::BTreeMap, time::Duration};

use pve_client::{
    Client, Kind, Rights,
    answer::{Host, Storage},
    request,
};
use record::Failure;
use tokio::task::JoinSet;

use crate::error::Error;

/// How long a host may take to download an image.
const DOWNLOAD: Duration = Duration::from_secs(40 * 60);
/// How many hosts download at the same time.
const AT_ONCE: usize = 4;

/// An image storage and the file that is wanted on it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) storage: String,
    pub(crate) file: String,
}

/// Which hosts have the image.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Host to volume, for all hosts that have the storage.
    pub(crate) volumes: BTreeMap<String, String>,
    /// The hosts that must download it; only the first of those that share a storage.
    pub(crate) absent: Vec<String>,
    /// The files that are there; only the first of those that share a storage.
    pub(crate) copies: Vec<Copy>,
}

/// A file of the image's name on a host. That it is the image is not known by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) host: String,
    volume: String,
    size: u64,
    /// When it was last changed, in seconds since 1970.
    ctime: u64,
}

impl Copy {
    /// Where it is, as ichor.lock names it.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.host, self.volume)
    }

    /// What it is once it was compared with this digest. A file that is replaced, cut or written to has another size or
    /// time.
    pub(crate) fn mark(&self, sha256: &str) -> String {
        format!("{sha256} {} {}", self.size, self.ctime)
    }
}

impl Place {
    /// The volume ID of the file.
    fn volume(&self) -> String {
        format!("{}:import/{}", self.storage, self.file)
    }

    /// Looks at every host that is online.
    pub(crate) async fn look(&self, pve: &Client) -> Result<Found, Failure> {
        // A token without rights of its own sees empty lists.
        if Rights::from(pve.ask(&request::permissions()).await?).is_empty() {
            return Err(Error::NoRights { token: pve.token().to_owned() }.into());
        }
        let hosts = pve.ask(&request::nodes()).await?;
        let (mut found, mut shared): (Found, Option<bool>) = (Found::default(), None);
        for host in online(&hosts) {
            let storages = pve.ask(&request::storages(host)).await?;
            let Some(row) = storages.iter().find(|row| row.storage == self.storage) else { continue };
            self.usable(pve, host, row).await?;
            found.volumes.insert(host.to_owned(), self.volume());
            if row.shared && shared.replace(true).is_some() {
                continue;
            }
            match self.copy(pve, host).await? {
                Some(copy) => found.copies.push(copy),
                None => found.absent.push(host.to_owned()),
            }
        }
        if found.volumes.is_empty() { Err(Error::NoStorage(self.storage.clone()).into()) } else { Ok(found) }
    }

    /// Refuses a storage that can't take disk images, and says what is wrong with it.
    async fn usable(&self, pve: &Client, host: &str, row: &Storage) -> Result<(), Failure> {
        let (storage, on) = (self.storage.clone(), host.to_owned());
        if !row.active {
            return Err(Error::Inactive { storage, host: on }.into());
        }
        if row.holds("import") {
            return Ok(());
        }
        let release = pve.ask(&request::node_version(host)).await?;
        Err(match release.minor() < (8, 4) {
            true => Error::TooOld { host: on, version: release.version },
            false => Error::NoImport { storage, host: on, advice: row.advice("import") },
        }
        .into())
    }

    /// The file of this name on a host.
    pub(crate) async fn copy(&self, pve: &Client, host: &str) -> Result<Option<Copy>, pve_client::Error> {
        let contents = pve.ask(&request::contents(host, &self.storage, "import")).await?;
        let volume = self.volume();
        let found = contents.into_iter().find(|content| content.volid == volume);
        Ok(found.map(|content| Copy {
            host: host.to_owned(),
            volume,
            size: content.size.unwrap_or_default(),
            ctime: content.ctime.unwrap_or_default(),
        }))
    }

    /// Has the host compare the file that it has with the digest; nothing is downloaded.
    pub(crate) async fn verify(&self, pve: &Client, host: &str, url: &str, sha256: &str) -> Result<(), Failure> {
        let request = request::download(host, &self.storage, &self.file, url, Some(sha256));
        match pve.run(&request, DOWNLOAD).await {
            Ok(()) => Ok(()),
            Err(error) if mismatch(&error) => {
                Err(Error::WrongFile { volume: self.volume(), host: host.to_owned() }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Downloads the image to each of these hosts, a few at a time.
    pub(crate) async fn download_to(
        &self,
        pve: &Client,
        hosts: &[String],
        url: &str,
        sha256: &str,
        said: impl Fn(&str),
    ) -> Result<(), Failure> {
        let (mut waiting, mut work, mut result) = (hosts.iter().cloned(), JoinSet::new(), Ok(()));
        loop {
            while work.len() < AT_ONCE && result.is_ok() {
                let Some(host) = waiting.next() else { break };
                let (place, pve, url, sha256) = (self.clone(), pve.clone(), url.to_owned(), sha256.to_owned());
                work.spawn(async move {
                    let done = place.download(&pve, &host, &url, &sha256).await;
                    (host, done)
                });
            }
            match work.join_next().await {
                None => return result,
                Some(Ok((host, Ok(())))) => said(&format!("{host} has {}", self.file)),
                Some(Ok((_, Err(failure)))) => result = result.and(Err(failure)),
                Some(Err(error)) => result = result.and(Err(crashed(&error))),
            }
        }
    }

    async fn download(&self, pve: &Client, host: &str, url: &str, sha256: &str) -> Result<(), Failure> {
        let request = request::download(host, &self.storage, &self.file, url, Some(sha256));
        match pve.run(&request, DOWNLOAD).await {
            Ok(()) => Ok(()),
            Err(error) if mismatch(&error) => Err(Error::Rebuilt { url: url.into() }.into()),
            // Another run was faster; whether its file is the image is verified.
            Err(error) if matches!(error.kind(), Some(Kind::Exists | Kind::VolumeExists)) => {
                self.verify(pve, host, url, sha256).await
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn mismatch(error: &pve_client::Error) -> bool {
    const TEXTS: [&str; 2] = ["checksum mismatch", "does not match the given checksum"];
    let says = |refusal: &pve_client::Refusal| TEXTS.iter().any(|text| refusal.message.contains(text));
    error.refusal().is_some_and(|refusal| says(refusal) && refusal.kind != Kind::Changed)
}

fn crashed(error: &tokio::task::JoinError) -> Failure {
    Failure::new(record::Exit::Failed, record::Code::Internal, format!("a download ended without a result: {error}"))
}

/// The hosts that can be asked; one whose state isn't known yet is tried.
fn online(hosts: &[Host]) -> impl Iterator<Item = &str> {
    hosts.iter().filter(|host| host.status != "offline").map(|host| host.node.as_str())
}
