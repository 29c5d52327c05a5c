//! The image on Proxmox VE: which hosts have it, and having them compare or download it.

use std::{collections::BTreeMap, time::Duration};

use pve_client::{
    Client, Kind, Rights, Sent, Upid, Upload,
    answer::{Host, Storage},
    request::{self, StoredFile},
};
use record::{Failure, spec::Via};

use crate::{
    digest::Digest,
    error::{Error, LEAST},
};

/// How long a host may take to download an image, or to compare one.
const DOWNLOAD: Duration = Duration::from_secs(40 * 60);
/// How often the log of such a task is read.
const LOOK: Duration = Duration::from_secs(5);

/// An image storage and the file that is wanted on it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) storage: String,
    pub(crate) file: String,
    pub(crate) via: Via,
}

/// Which hosts have the image.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Host to volume, for all hosts that have the storage.
    pub(crate) volumes: BTreeMap<String, String>,
    /// The hosts that lack it; only the first of those that share a storage.
    pub(crate) absent: Vec<String>,
    /// The files that are there; only the first of those that share a storage.
    pub(crate) copies: Vec<Copy>,
}

/// A file of the image's name on a host. That it is the image is not known by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) host: String,
    volume: String,
    pub(crate) size: u64,
    /// When it was last changed, in seconds since 1970.
    ctime: u64,
}

/// What a host says of the file that it has.
#[derive(Debug)]
pub(crate) enum Comparison {
    /// It is the image.
    Same,
    /// It is something else.
    Other(Failure),
    /// The token may not have it compared.
    Forbidden,
}

/// The mark of a file that an upload of ours may have left, with the digest of the image.
const BEGUN: &str = "upload of ";

/// The mark of a place on which an upload begins where nothing was before.
pub(crate) fn begun(sha256: &str) -> String {
    format!("{BEGUN}{sha256}")
}

/// Whether a place has that mark: what is there then comes from an upload of ours.
pub(crate) fn is_begun(mark: Option<&str>) -> bool {
    mark.is_some_and(|mark| mark.starts_with(BEGUN))
}

/// The size that a file had when it was compared with this digest, by its mark.
pub(crate) fn marked_size(mark: &str, sha256: &str) -> Option<u64> {
    mark.strip_prefix(sha256)?.trim_start().split(' ').next()?.parse().ok()
}

/// Why a file is compared whose mark isn't that of the file as it is.
pub(crate) fn unsure(mark: Option<&str>) -> &'static str {
    match mark {
        Some(_) if is_begun(mark) => "its upload was cut off",
        Some(_) => "it has changed",
        None => "it was never compared",
    }
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
    pub(crate) fn volume(&self) -> String {
        format!("{}:{}/{}", self.storage, self.via.content(), self.file)
    }

    /// Where the file is on a host, as ichor.lock names it.
    pub(crate) fn on(&self, host: &str) -> String {
        format!("{host}/{}", self.volume())
    }

    fn stored<'a>(&'a self, node: &'a str) -> StoredFile<'a> {
        StoredFile { node, storage: &self.storage, content: self.via.content(), file: &self.file }
    }

    /// Looks at every host that is online.
    pub(crate) async fn look(&self, pve: &Client) -> Result<Found, Failure> {
        // A token without rights of its own sees empty lists.
        let rights = Rights::from(pve.ask(&request::permissions()).await?);
        if rights.is_empty() {
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
        if found.volumes.is_empty() {
            return Err(Error::NoStorage(self.storage.clone()).into());
        }
        self.allowed(pve, &rights, &found)?;
        Ok(found)
    }

    /// Nobody says no to an upload before all of it was sent, nor to a download before a digest was read: so that is asked
    /// first, and a plan knows it, too.
    fn allowed(&self, pve: &Client, rights: &Rights, found: &Found) -> Result<(), Failure> {
        let missing = self.missing(rights, &found.absent);
        if missing.is_empty() {
            return Ok(());
        }
        let paths: Vec<&str> = missing.iter().map(|(path, _)| path.as_str()).collect();
        let commands = rights.commands(pve.token(), &paths, &LEAST);
        let lacks = missing.iter().map(|(path, privilege)| format!("{privilege} on {path}")).collect();
        let (token, storage) = (pve.token().to_owned(), self.storage.clone());
        Err(Error::MayNot { token, storage, how: self.via, lacks, commands }.into())
    }

    /// The rights that bringing the image to these hosts takes, and the token lacks.
    fn missing(&self, rights: &Rights, hosts: &[String]) -> Vec<(String, &'static str)> {
        let has_both = ["Sys.Audit", "Sys.Modify"].iter().all(|privilege| rights.holds("/", privilege));
        let storage = (!hosts.is_empty()).then(|| (format!("/storage/{}", self.storage), "Datastore.AllocateTemplate"));
        let asks = hosts.iter().filter(|_| self.via != Via::Upload && !has_both);
        let nodes = asks.map(|host| (format!("/nodes/{host}"), "Sys.AccessNetwork"));
        storage.into_iter().chain(nodes).filter(|(path, privilege)| !rights.holds(path, privilege)).collect()
    }

    /// Refuses a storage that can't take the image; the error is what is wrong with it.
    async fn usable(&self, pve: &Client, host: &str, row: &Storage) -> Result<(), Failure> {
        let (storage, on) = (self.storage.clone(), host.to_owned());
        let content = self.via.content();
        if !row.active {
            return Err(Error::Inactive { storage, host: on }.into());
        }
        if row.holds(content) {
            return Ok(());
        }
        let release = pve.ask(&request::node_version(host)).await?;
        Err(match release.minor() < (8, 4) && self.via != Via::Iso {
            true => Error::TooOld { host: on, version: release.version },
            false => Error::NoContent { storage, host: on, content, advice: row.advice(content) },
        }
        .into())
    }

    /// The file of this name on a host.
    pub(crate) async fn copy(&self, pve: &Client, host: &str) -> Result<Option<Copy>, pve_client::Error> {
        let contents = pve.ask(&request::contents(host, &self.storage, self.via.content())).await?;
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
    pub(crate) async fn compare(
        &self,
        pve: &Client,
        host: &str,
        url: &str,
        digest: &Digest,
    ) -> Result<Comparison, Failure> {
        let request = request::download(&self.stored(host), url, Some(&digest.sha256));
        match pve.run(&request, DOWNLOAD).await {
            Ok(()) => Ok(Comparison::Same),
            Err(error) if mismatch(&error) => {
                let (volume, host, is_locked) = (self.volume(), host.to_owned(), digest.is_locked);
                Ok(Comparison::Other(Error::WrongFile { volume, host, is_locked }.into()))
            }
            Err(error) if error.kind() == Some(Kind::Forbidden) && self.via == Via::Upload => Ok(Comparison::Forbidden),
            Err(error) => Err(error.into()),
        }
    }

    /// That a file can't be compared.
    pub(crate) fn not_compared(&self, pve: &Client, host: &str) -> Failure {
        let (host, token) = (host.to_owned(), pve.token().to_owned());
        Error::NotCompared { volume: self.volume(), host, token }.into()
    }

    /// Has a host download the image; `saw` gets how far it is.
    pub(crate) async fn download(
        &self,
        pve: &Client,
        host: &str,
        url: &str,
        digest: &Digest,
        saw: impl Fn(pve_client::Progress),
    ) -> Result<(), Failure> {
        let request = request::download(&self.stored(host), url, Some(&digest.sha256));
        let begun = async {
            let upid = pve.ask(&request).await?;
            pve.watch(&upid, DOWNLOAD, LOOK, saw).await
        };
        match begun.await {
            Ok(()) => Ok(()),
            Err(error) if mismatch(&error) => Err(digest.changed(url, Some(host)).into()),
            // Another run was faster; whether its file is the image is compared.
            Err(error) if matches!(error.kind(), Some(Kind::Exists | Kind::VolumeExists)) => {
                match self.compare(pve, host, url, digest).await? {
                    Comparison::Same => Ok(()),
                    Comparison::Other(failure) => Err(failure),
                    Comparison::Forbidden => Err(self.not_compared(pve, host)),
                }
            }
            Err(error) => match not_fetched(&error) {
                Some(why) => {
                    let (host, url, why) = (host.to_owned(), url.to_owned(), why.to_owned());
                    let (storage, volume) = (self.storage.clone(), self.volume());
                    Err(Error::NotFetched { host, url, why, storage, volume, via: self.via }.into())
                }
                None => Err(error.into()),
            },
        }
    }

    /// The upload of a file to a host.
    pub(crate) fn upload<'a>(
        &'a self,
        host: &'a str,
        source: tokio::fs::File,
        size: u64,
        sha256: &'a str,
        sent: &Sent,
    ) -> Upload<'a> {
        Upload { to: self.stored(host), source, size, sha256, sent: sent.clone() }
    }

    /// Waits for the task that puts an uploaded file in its place.
    pub(crate) async fn placed(&self, pve: &Client, upid: &Upid) -> Result<(), pve_client::Error> {
        pve.finish(upid, DOWNLOAD).await
    }
}

/// Whether a file had another digest than the one that was given.
pub(crate) fn mismatch(error: &pve_client::Error) -> bool {
    const TEXTS: [&str; 2] = ["checksum mismatch", "does not match the given checksum"];
    let says = |refusal: &pve_client::Refusal| TEXTS.iter().any(|text| refusal.message.contains(text));
    error.refusal().is_some_and(|refusal| says(refusal) && refusal.kind != Kind::Changed)
}

/// Why a host couldn't fetch a file, if that is why its task failed. An answer of the file's server is another matter.
fn not_fetched(error: &pve_client::Error) -> Option<&str> {
    let pve_client::Error::Task(task) = error else { return None };
    let why = task.refusal.message.strip_prefix("download failed: ")?.trim_end_matches('.');
    let answered = why.strip_prefix("ERROR ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    (task.upid.kind() == "download" && !answered).then_some(why)
}

/// The hosts that can be asked; one whose state isn't known yet is tried.
fn online(hosts: &[Host]) -> impl Iterator<Item = &str> {
    hosts.iter().filter(|host| host.status != "offline").map(|host| host.node.as_str())
}

#[cfg(test)]
mod tests {
    use pve_client::{FailedTask, Refusal};

    use super::*;

    fn task(kind: &str, error: &str) -> pve_client::Error {
        let upid = format!("UPID:pve1:000073B7:0002752E:6B044D6D:{kind}:x.qcow2:talos@pve!cli:");
        let upid = Upid::parse(&upid).unwrap();
        pve_client::Error::Task(Box::new(FailedTask { upid, refusal: Refusal::of_task(error), log: Vec::new() }))
    }

    #[test]
    fn only_what_keeps_the_host_from_the_factory_is_told_as_that() {
        for (error, why) in [
            (
                "download failed: Connecting to 10.0.0.9:443... failed: Connection refused.",
                Some("Connecting to 10.0.0.9:443... failed: Connection refused"),
            ),
            (
                "download failed: wget: unable to resolve host address 'factory.talos.dev'",
                Some("wget: unable to resolve host address 'factory.talos.dev'"),
            ),
            (
                "download failed: ERROR: cannot verify factory.lan's certificate",
                Some("ERROR: cannot verify factory.lan's certificate"),
            ),
            ("download failed: ERROR 404: Not Found.", None),
            ("checksum mismatch: got 'a' != expect 'b'", None),
        ] {
            assert_eq!(not_fetched(&task("download", error)), why, "{error}");
        }
        assert_eq!(not_fetched(&task("imgcopy", "download failed: x")), None);
    }

    #[test]
    fn a_place_with_a_begun_upload_is_told_from_one_whose_file_was_compared() {
        let copy = Copy { host: "pve1".into(), volume: "local:import/x".into(), size: 7, ctime: 9 };
        assert_eq!((copy.place().as_str(), copy.mark("ab").as_str()), ("pve1/local:import/x", "ab 7 9"));
        assert_eq!((marked_size(&copy.mark("ab"), "ab"), marked_size("ab 7 9", "cd")), (Some(7), None));
        assert!(is_begun(Some(&begun("ab"))));
        assert!(!is_begun(Some(&copy.mark("ab"))) && !is_begun(None));
    }

    #[test]
    fn what_the_token_may_not_is_known_before_anything_is_read() {
        let rights = |json: &str| Rights::from(serde_json::from_str::<pve_client::answer::Permissions>(json).unwrap());
        let place = |via| Place { storage: "local".into(), file: "x".into(), via };
        let (template, access) = ("Datastore.AllocateTemplate", "Sys.AccessNetwork");
        let hosts = ["pve1".to_owned()];
        for (held, via, lacks) in [
            (r#"{"/":{"Datastore.AllocateTemplate":1,"Sys.AccessNetwork":1}}"#, Via::Download, &[][..]),
            (r#"{"/":{"Datastore.AllocateTemplate":1,"Sys.Audit":1,"Sys.Modify":1}}"#, Via::Iso, &[]),
            (r#"{"/":{"Datastore.AllocateTemplate":1}}"#, Via::Download, &[("/nodes/pve1", access)]),
            (r#"{"/":{"Datastore.AllocateTemplate":1}}"#, Via::Upload, &[]),
            (r#"{"/":{"Sys.AccessNetwork":1}}"#, Via::Download, &[("/storage/local", template)]),
            (r#"{"/":{"VM.Audit":1}}"#, Via::Iso, &[("/storage/local", template), ("/nodes/pve1", access)]),
        ] {
            let found = place(via).missing(&rights(held), &hosts);
            let found: Vec<(&str, &str)> = found.iter().map(|(path, privilege)| (path.as_str(), *privilege)).collect();
            assert_eq!(found, lacks, "{held} {via:?}");
            assert_eq!(place(via).missing(&rights(held), &[]), [], "nothing is brought");
        }
    }

    #[test]
    fn the_way_says_which_content_the_file_is() {
        let place = |via| Place { storage: "local".into(), file: "x".into(), via };
        assert_eq!(place(Via::Iso).volume(), "local:iso/x");
        assert_eq!(place(Via::Upload).on("pve1"), "pve1/local:import/x");
    }
}
