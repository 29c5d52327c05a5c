//! The notes of a VM: what its owner wrote, the lines by which Ichor knows the VM, and the volumes that it made for it.
//!
//! A slot says nothing about what is in it: people move disks between slots, and a volume that was detached loses its
//! options. So the notes remember which volume was made for which slot. By that a disk that was moved is told from one
//! that was never made, and no empty disk stands in for it.

use std::collections::BTreeMap;

use pve_access::seed;

use crate::identity::Identity;

/// The line that remembers the volumes.
const DISKS: &str = "ichor-disks: ";

/// The volumes that were made for a VM, by slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Volumes(BTreeMap<String, String>);

impl Volumes {
    /// Reads them from a VM's notes. VMs of earlier versions have none.
    pub(crate) fn read(notes: &str) -> Self {
        let line = notes.lines().find_map(|line| line.trim().strip_prefix(DISKS));
        let pairs = line.unwrap_or_default().split_whitespace().filter_map(|pair| pair.split_once('='));
        let is_pair = |(slot, volume): &(&str, &str)| !slot.is_empty() && volume.contains(':');
        Self(pairs.filter(is_pair).map(|(slot, volume)| (slot.to_owned(), volume.to_owned())).collect())
    }

    /// The volume that was made for a slot.
    pub(crate) fn of(&self, slot: &str) -> Option<&str> {
        self.0.get(slot).map(String::as_str)
    }

    /// The slots and their volumes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(slot, volume)| (slot.as_str(), volume.as_str()))
    }

    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn remember(&mut self, slot: &str, volume: &str) {
        self.0.insert(slot.to_owned(), volume.to_owned());
    }

    /// The same without what is remembered of a slot.
    pub(crate) fn without(mut self, slot: &str) -> Self {
        self.0.remove(slot);
        self
    }
}

/// What the owner wrote: the notes without the lines that are Ichor's.
pub(crate) fn own(notes: &str) -> String {
    let is_ours = |line: &str| line.starts_with(DISKS) || line.starts_with(seed::LINE) || Identity::wrote(line);
    let text = notes.replace("\r\n", "\n");
    let kept: Vec<&str> = text.lines().filter(|line| !is_ours(line.trim())).collect();
    kept.join("\n").trim().to_owned()
}

/// What a change of the notes does, in words.
pub(crate) fn told(from: &str, to: &str) -> &'static str {
    if own(from) != own(to) {
        return "its description";
    }
    let ours = |notes: &str| -> Vec<String> {
        notes.lines().map(str::trim).filter(|line| Identity::wrote(line)).map(str::to_owned).collect()
    };
    match (ours(from) == ours(to), Volumes::read(from) == Volumes::read(to)) {
        (true, _) => "its notes remember which disk is which",
        (false, true) => "its notes say whose it is, and in which role",
        (false, false) => "its notes say whose it is, in which role, and which disk is which",
    }
}

/// The notes with these volumes instead of those that they had.
pub(crate) fn with(notes: &str, volumes: &Volumes) -> String {
    let line =
        volumes.iter().fold(DISKS.trim_end().to_owned(), |line, (slot, volume)| format!("{line} {slot}={volume}"));
    let kept: Vec<&str> = notes.lines().filter(|line| !line.trim().starts_with(DISKS)).collect();
    let kept = kept.join("\n");
    if volumes.is_empty() { kept } else { format!("{}\n{line}", kept.trim_end()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volumes(pairs: &[(&str, &str)]) -> Volumes {
        let mut volumes = Volumes::default();
        pairs.iter().for_each(|(slot, volume)| volumes.remember(slot, volume));
        volumes
    }

    #[test]
    fn volumes_are_read_as_they_were_written_and_written_once() {
        let made = volumes(&[("scsi1", "local-lvm:vm-100-disk-2"), ("scsi0", "local:100/vm-100-disk-1.raw")]);
        let notes = with("mine\n\nichor-uid: x", &made);
        assert_eq!(
            notes,
            "mine\n\nichor-uid: x\nichor-disks: scsi0=local:100/vm-100-disk-1.raw scsi1=local-lvm:vm-100-disk-2"
        );
        assert_eq!(Volumes::read(&format!("{}\r\n", notes.replace('\n', "\r\n"))), made);
        assert_eq!(with(&notes, &made), notes);
        assert_eq!(with(&notes, &Volumes::default()), "mine\n\nichor-uid: x");
    }

    #[test]
    fn a_line_that_somebody_spoiled_is_read_as_far_as_it_goes() {
        assert_eq!(Volumes::read("ichor-disks: scsi0 =x scsi1=a:b=c ,"), volumes(&[("scsi1", "a:b=c")]));
        for notes in ["", "ichor-disks:", "ichor-disks: ", "# ichor-disks: scsi0=x"] {
            assert!(Volumes::read(notes).is_empty(), "{notes:?}");
        }
    }

    #[test]
    fn what_the_owner_wrote_is_told_from_our_lines() {
        let ours = Identity::new("00112233445566778899aabbccddeeff").description(
            "lab",
            "w-1",
            record::Role::Worker,
            Some("# A\n\nb \n"),
        );
        let notes = with(&ours, &volumes(&[("scsi0", "x:y")]));
        assert_eq!(own(&notes), "# A\n\nb");
        assert_eq!(own(&format!("{notes}\n\nlater")), "# A\n\nb\n\n\nlater");
        let earlier =
            "mine\n\nNode a of the Talos cluster b. The next line marks the VM as Ichor's; keep it.\nichor-uid: 1";
        assert_eq!(own(earlier), "mine");
        assert_eq!(own("A sentence of the Talos cluster lab."), "A sentence of the Talos cluster lab.");
    }
}
