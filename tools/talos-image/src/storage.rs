//! The image on Proxmox VE: which hosts have it, and downloading it to the others.

use std::{collections::BTreeMap, time::Duration};

use pve_client::{
    Client, Kind,
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
}

impl Place {
    /// The volume ID of the file.
    fn volume(&self) -> String {
        format!("{}:import/{}", self.storage, self.file)
    }

    /// Looks at every host that is online.
    pub(crate) async fn look(&self, pve: &Client) -> Result<Found, Failure> {
        let hosts = pve.ask(&request::nodes()).await?;
        let (mut found, mut shared) = (Found::default(), None);
        for host in online(&hosts) {
            let storages = pve.ask(&request::storages(host)).await?;
            let Some(row) = storages.iter().find(|row| row.storage == self.storage) else { continue };
            self.usable(pve, host, row).await?;
            let is_there = match shared {
                Some(known) if row.shared => known,
                _ => self.is_there(pve, host).await?,
            };
            let first = !row.shared || shared.is_none();
            if row.shared {
                shared = Some(is_there);
            }
            found.volumes.insert(host.to_owned(), self.volume());
            if !is_there && first {
                found.absent.push(host.to_owned());
            }
        }
        if found.volumes.is_empty() { Err(Error::NoStorage(self.storage.clone()).into()) } else { Ok(found) }
    }

    /// Refuses a storage that can't take disk images; the error is what is wrong with it.
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
            false => Error::NoImport { storage, host: on, content: row.content.clone() },
        }
        .into())
    }

    async fn is_there(&self, pve: &Client, host: &str) -> Result<bool, pve_client::Error> {
        let contents = pve.ask(&request::contents(host, &self.storage, "import")).await?;
        let volume = self.volume();
        Ok(contents.iter().any(|content| content.volid == volume))
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
            // Another run was faster: a file of this name has this content.
            Err(error) if error.kind() == Some(Kind::Exists) && self.is_there(pve, host).await.unwrap_or(false) => {
                Ok(())
            }
            Err(error) if mismatch(&error) => Err(Error::Rebuilt { url: url.into() }.into()),
            Err(error) => Err(error.into()),
        }
    }
}

fn mismatch(error: &pve_client::Error) -> bool {
    error
        .refusal()
        .is_some_and(|refusal| refusal.message.contains("checksum mismatch") && refusal.kind != Kind::Changed)
}

fn crashed(error: &tokio::task::JoinError) -> Failure {
    Failure::new(record::Exit::Failed, record::Code::Internal, format!("a download ended without a result: {error}"))
}

/// The hosts that can be asked; one whose state isn't known yet is tried.
fn online(hosts: &[Host]) -> impl Iterator<Item = &str> {
    hosts.iter().filter(|host| host.status != "offline").map(|host| host.node.as_str())
}
