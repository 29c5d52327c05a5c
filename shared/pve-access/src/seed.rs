//! Seeds: the ISO from which a node gets its config at its first boot, in the place of Proxmox VE's cloud-init drive.
//!
//! The notes of a VM say which slot has it, and where the file is: so neither the seed nor the drive that it left empty is a
//! difference, and whoever comes next removes what is done with, also after a kill. The line is written in the same call as
//! the drive, and loses the file only when that is gone.

use pve_client::{Client, Rights, answer::Config, property::Property, request};
use record::{Change, Code, Exit, Failure};
use step::{Run, Stop};

use crate::{Location, files, iso9660::empty};

/// The line of the notes.
pub const LINE: &str = "ichor-seed: ";
/// Instead of a digest: the file is being written, and may hold anything.
pub const BEGUN: &str = "begun";
/// Instead of a digest: the file holds nothing any more.
const EMPTY: &str = "empty";
/// The parameter of the notes.
pub const NOTES: &str = "description";
/// The privilege that removes files from a storage.
pub const REMOVES: &str = "Datastore.Allocate";
/// The privilege that writes them there.
pub const WRITES: &str = "Datastore.AllocateTemplate";

/// What the notes of a VM say of its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The slot that has it, or had it.
    pub slot: String,
    /// Where the file is; `None` once it is gone.
    pub file: Option<Kept>,
}

/// The file of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The host that it was uploaded to.
    pub host: String,
    /// Its volume ID.
    pub volume: String,
    /// Its SHA-256, hexadecimal, or [`BEGUN`]; empty if the file was overwritten and holds nothing.
    pub sha256: String,
}

impl Mark {
    /// Reads it from a VM's notes.
    pub fn read(notes: &str) -> Option<Self> {
        let line = notes.lines().find_map(|line| line.trim().strip_prefix(LINE))?;
        let mut words = line.split_whitespace();
        let slot = words.next()?.to_owned();
        let file = match (words.next(), words.next(), words.next()) {
            (Some(host), Some(volume), Some(sha256)) if volume.contains(':') => {
                let sha256 = if sha256 == EMPTY { "" } else { sha256 };
                Some(Kept { host: host.to_owned(), volume: volume.to_owned(), sha256: sha256.to_owned() })
            }
            _ => None,
        };
        Some(Self { slot, file })
    }

    /// That of a VM.
    pub fn of(config: &Config) -> Option<Self> {
        Self::read(config.get(NOTES)?)
    }

    /// Its line.
    pub fn line(&self) -> String {
        let file = self.file.as_ref().map(|Kept { host, volume, sha256 }| {
            format!(" {host} {volume} {}", if sha256.is_empty() { EMPTY } else { sha256 })
        });
        format!("{LINE}{}{}", self.slot, file.unwrap_or_default())
    }

    /// The notes with this line instead of the one that they had.
    pub fn within(&self, notes: &str) -> String {
        let kept: Vec<&str> = notes.lines().filter(|line| !line.trim().starts_with(LINE)).collect();
        format!("{}\n{}", kept.join("\n").trim_end(), self.line()).trim_start().to_owned()
    }

    /// Whether its slot holds the seed, or the empty drive that it left: then no cloud-init drive is missing. Before a seed
    /// that is only begun the drive is emptied, too, and whoever starts the VM then needs its cloud-init drive back.
    pub fn explains(&self, config: &Config) -> bool {
        let is_begun = self.file.as_ref().is_some_and(|file| file.sha256 == BEGUN);
        medium(config, &self.slot).is_some_and(|medium| (medium == "none" && !is_begun) || self.is(&medium))
    }

    /// Whether the seed is in its drive.
    pub fn is_attached(&self, config: &Config) -> bool {
        medium(config, &self.slot).is_some_and(|medium| self.is(&medium))
    }

    fn is(&self, medium: &str) -> bool {
        self.file.as_ref().is_some_and(|file| file.volume == medium)
    }
}

/// The disc in a CD drive.
fn medium(config: &Config, slot: &str) -> Option<String> {
    let drive = Property::parse(config.get(slot)?);
    let file = drive.get("file").or(drive.bare())?;
    (drive.get("media") == Some("cdrom")).then(|| file.to_owned())
}

/// The name of the file of a node's seed: the same each time, so that none is ever left beside it.
pub fn file_name(uid: &str, node: &str) -> String {
    format!("{}{node}{END}", beginning(uid))
}

/// How the names of a cluster's seeds end.
const END: &str = "-seed.iso";

fn beginning(uid: &str) -> String {
    format!("ichor-{}-", uid.get(..8).unwrap_or(uid))
}

/// The node of a cluster whose seed this volume is, by its name.
pub fn node_of<'a>(uid: &str, volume: &'a str) -> Option<&'a str> {
    parts(volume).1.strip_prefix(&beginning(uid))?.strip_suffix(END)
}

/// Bytes of a file that was overwritten because the token may not remove it. No seed is as small.
pub fn empty_size() -> u64 {
    nothing().len() as u64
}

/// A disc with nothing on it.
fn nothing() -> Vec<u8> {
    empty("empty")
}

/// A seed that is to be removed.
pub struct Removal<'a> {
    /// The run.
    pub run: &'a Run,
    /// Proxmox VE.
    pub pve: &'a Client,
    /// The VM.
    pub location: &'a Location,
    /// What the token may do.
    pub rights: &'a Rights,
}

impl Removal<'_> {
    /// Whether there is something to remove, by a VM's config. A file that holds nothing waits for who may remove it.
    pub fn is_due(&self, config: &Config) -> bool {
        let Some(Mark { file: Some(file), .. }) = Mark::of(config) else { return false };
        !file.sha256.is_empty() || self.may(REMOVES, &file)
    }

    /// The removal as a change.
    pub fn change(config: &Config) -> Option<Change> {
        let file = Mark::of(config)?.file?;
        Some(Change::live("seed").from(file.volume))
    }

    /// Takes the seed out of its drive and removes its file. What was done.
    ///
    /// # Errors
    /// Proxmox VE refuses it, or can't be asked: the next run continues.
    pub async fn remove(&self) -> Result<Option<Change>, Stop> {
        let config = self.config().await?;
        let (Some(mark), true) = (Mark::of(&config), self.is_due(&config)) else { return Ok(None) };
        if mark.is_attached(&config) {
            let none = vec![(mark.slot.clone(), "none,media=cdrom".to_owned())];
            self.set(&config, none).await?;
        }
        let Some(file) = &mark.file else { return Ok(None) };
        let left = self.remove_file(file).await?;
        // The drive was changed since.
        let config = self.config().await?;
        let notes = Mark { file: left, ..mark.clone() }.within(config.get(NOTES).unwrap_or_default());
        self.set(&config, vec![(NOTES.to_owned(), notes)]).await?;
        Ok(Some(Change::live("seed").from(file.volume.clone())))
    }

    /// Removes the file of a VM that is about to be destroyed.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub async fn remove_for_good(&self, config: &Config) -> Result<(), Stop> {
        if let (Some(Mark { file: Some(file), .. }), true) = (Mark::of(config), self.is_due(config)) {
            self.remove_file(&file).await?;
        }
        Ok(())
    }

    async fn config(&self) -> Result<Config, pve_client::Error> {
        self.pve.ask(&request::pending(&self.location.host, self.location.vmid)).await
    }

    async fn set(&self, config: &Config, parameters: request::Parameters) -> Result<(), pve_client::Error> {
        let Location { vmid, host } = self.location;
        let request = request::set_config(host, *vmid, config.digest(), parameters);
        self.pve.settle(&request, self.run.wait_timeout()).await
    }

    fn may(&self, privilege: &str, file: &Kept) -> bool {
        let storage = file.volume.split(':').next().unwrap_or_default();
        self.rights.holds(&format!("/storage/{storage}"), privilege)
    }

    /// Removes a file, or overwrites it where the token may do no more; what is left then.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub async fn remove_file(&self, file: &Kept) -> Result<Option<Kept>, Stop> {
        let (storage, name) = parts(&file.volume);
        if self.may(REMOVES, file) {
            let free = request::free(&file.host, storage, &file.volume);
            return match self.pve.settle(&free, self.run.wait_timeout()).await {
                Ok(()) => Ok(None),
                Err(error) if is_gone(&error, name) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        if file.sha256.is_empty() {
            return Ok(Some(file.clone()));
        }
        if !self.may(WRITES, file) {
            let message = format!(
                "the token {} lacks {REMOVES} and {WRITES} on /storage/{storage}: the seed {} holds secrets, and stays",
                self.pve.token(),
                file.volume
            );
            let hint = format!("run `pvesm free {}` on {}, or give it one of these", file.volume, file.host);
            return Err(Failure::new(Exit::NotAllowed, Code::NotAllowed, message).hint(hint).into());
        }
        files::put(self.run, self.pve, &files::Target { host: &file.host, storage, file: name }, &nothing()).await?;
        self.run.warn(&format!(
            "the token may not remove {} ({REMOVES} on /storage/{storage}): it was overwritten, and holds \
             nothing any more",
            file.volume
        ));
        Ok(Some(Kept { sha256: String::new(), ..file.clone() }))
    }
}

/// Storage and file name of a volume ID.
fn parts(volume: &str) -> (&str, &str) {
    let (storage, path) = volume.split_once(':').unwrap_or((volume, ""));
    (storage, path.rsplit('/').next().unwrap_or(path))
}

/// Whether the refusal says that the file itself isn't there any more; a storage that isn't there says nothing of it.
fn is_gone(error: &pve_client::Error, name: &str) -> bool {
    let says = |text: &str| text.contains(name) && (text.contains("does not exist") || text.contains("No such file"));
    error.refusal().is_some_and(|refusal| says(&refusal.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(sha256: &str) -> Mark {
        let file = Kept { host: "pve1".into(), volume: "local:iso/x.iso".into(), sha256: sha256.into() };
        Mark { slot: "ide0".into(), file: Some(file) }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_written_once() {
        for mark in [mark("ab"), mark(""), Mark { file: None, ..mark("") }] {
            let notes = mark.within("mine\n\nichor-uid: x");
            assert_eq!(Mark::read(&notes), Some(mark.clone()));
            assert_eq!(Mark::read(&notes.replace('\n', "\r\n")), Some(mark.clone()));
            assert_eq!(mark.within(&notes), notes);
        }
        assert_eq!(mark("ab").within("a"), "a\nichor-seed: ide0 pve1 local:iso/x.iso ab");
        assert_eq!(Mark::read("mine"), None);
        assert_eq!(Mark::read("ichor-seed: ide0 pve1"), Some(Mark { slot: "ide0".into(), file: None }));
    }

    #[test]
    fn only_the_seed_and_the_drive_that_it_left_are_explained() {
        let config = |value: &str| -> Config { [("ide0", value)].into_iter().collect() };
        for (value, explains, is_attached) in [
            ("local:iso/x.iso,media=cdrom,size=1M", true, true),
            ("none,media=cdrom", true, false),
            ("local:iso/tools.iso,media=cdrom", false, false),
            ("local-lvm:vm-100-cloudinit,media=cdrom", false, false),
            ("local-lvm:vm-100-disk-1,size=1G", false, false),
        ] {
            let config = config(value);
            assert_eq!(
                (mark("ab").explains(&config), mark("ab").is_attached(&config)),
                (explains, is_attached),
                "{value}"
            );
        }
        assert!(!mark("ab").explains(&Config::default()));
        let emptied: Config = [("ide0", "none,media=cdrom")].into_iter().collect();
        assert!(!mark(BEGUN).explains(&emptied), "nothing is in its place yet");
    }

    #[test]
    fn a_file_is_named_by_cluster_and_node() {
        assert_eq!(file_name("0011223344556677", "cp-1"), "ichor-00112233-cp-1-seed.iso");
        assert_eq!(parts("local:iso/x.iso"), ("local", "x.iso"));
    }
}
