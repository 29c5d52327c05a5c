//! Disks that aren't where they were made, and the notes that remember that.

use std::collections::BTreeSet;

use pve_access::seed::Mark;
use pve_client::answer::Config;
use record::Change;

use super::{Act, Difference, NOTES, Sight, drives::unused};
use crate::{
    disks::{Drive, Found, SYSTEM, Source, is_firmware, is_on_a_bus},
    identity::Identity,
    machine::Machine,
    notes::{self, Volumes},
    values::Extent,
};

/// The most characters that notes have.
const LONGEST: usize = 8192;

/// Where the volumes of a VM are, and where they were made.
pub(super) struct Places {
    /// The volumes that were made for the VM; empty for a VM of an earlier version.
    made: Volumes,
    /// The slots with their volumes, attached or waiting for the next start, and those that were detached.
    found: BTreeSet<(String, String)>,
    /// The slots of the file.
    wanted: BTreeSet<String>,
}

impl Places {
    pub(super) fn read(wanted: &Machine, config: &Config) -> Self {
        let is_disk = |(slot, _): &(&str, &str)| is_on_a_bus(slot) || is_firmware(slot);
        let volume = |(slot, text): (&str, &str)| {
            let found = Found::parse(text);
            found.holds_data().then(|| (slot.to_owned(), found.volume))
        };
        let now = config.as_running();
        let attached = config.values().chain(now.values()).filter(is_disk);
        Self {
            made: Volumes::read(config.get(NOTES).unwrap_or_default()),
            found: attached.chain(unused(config)).filter_map(volume).collect(),
            wanted: wanted.drives.iter().map(|drive| drive.slot.clone()).collect(),
        }
    }

    /// The volume that a slot should have, as far as that is known.
    fn expected<'a>(&'a self, drive: &'a Drive) -> Option<&'a str> {
        match &drive.source {
            Source::New(_) | Source::Import(_) => self.made.of(&drive.slot),
            Source::Volume(volume) => Some(volume),
            Source::CloudInit | Source::Medium(_) => None,
        }
    }

    /// The other slot that a drive's volume is in.
    fn elsewhere(&self, drive: &Drive) -> Option<(&str, &str)> {
        let volume = self.expected(drive)?;
        let is_it = |(_, other): &&(String, String)| other == volume;
        if self.found.iter().filter(is_it).any(|(slot, _)| *slot == drive.slot) {
            return None;
        }
        self.found.iter().find(is_it).map(|(slot, volume)| (slot.as_str(), volume.as_str()))
    }

    /// Why a drive's slot isn't touched: its volume is in another slot, and something else in its own. Of the system disk,
    /// and of a volume that the file names, that is enough. A disk that was moved to another storage may leave its old
    /// volume as a detached one: then what is in the slot is the disk, unless it was made for another slot.
    pub(super) fn moved(&self, drive: &Drive, vmid: u32) -> Option<String> {
        let slot = drive.slot.as_str();
        let own = self.found.iter().find(|(found, _)| found == slot);
        if let (Source::Volume(volume), None) = (&drive.source, own)
            && let Some(owner) = owner(volume).filter(|owner| *owner != vmid)
        {
            return Some(format!(
                "the file says {slot} is {volume}, which belongs to VM {owner} (on its host, `qm disk move {owner} SLOT --target-vmid {vmid} --target-disk {slot}` gives it to this VM)"
            ));
        }
        let (other, volume) = self.elsewhere(drive)?;
        let is_of_another = |own: &str| self.made.iter().any(|(made_for, made)| made == own && made_for != slot);
        match own {
            Some((_, own)) if is_detached(other) && !is_of_another(own) => None,
            Some((_, own)) => Some(format!("{slot} was made as {volume}, which is {other} now, and {slot} is {own}")),
            None if slot == SYSTEM => Some(format!("{slot} was made as {volume}, which is {other} now")),
            None if matches!(drive.source, Source::Volume(_)) => {
                Some(format!("the file says {slot} is {volume}, which is {other}"))
            }
            None => None,
        }
    }

    /// Why a drive whose slot is empty isn't simply made: a disk that may be it.
    pub(super) fn instead(&self, drive: &Drive, vmid: u32) -> Option<String> {
        if !matches!(drive.source, Source::New(_) | Source::Import(_)) {
            return None;
        }
        let slot = drive.slot.as_str();
        if let Some((other, volume)) = self.elsewhere(drive) {
            let back = attached(vmid, drive, other, volume);
            return Some(format!("{slot} was made as {volume}, which is {other} now ({back})"));
        }
        if let Some(volume) = self.made.of(slot) {
            return Some(format!("{slot} was made as {volume}, which the VM doesn't have any more"));
        }
        if is_firmware(slot) && !self.made.is_empty() {
            return None;
        }
        let may_be = |(other, volume): &&(String, String)| match self.made.is_empty() {
            // Of a VM that remembers nothing, any disk that the file doesn't have may be it.
            true => !self.wanted.contains(other) && !is_firmware(other) && (!is_firmware(slot) || is_detached(other)),
            false => !self.wanted.contains(other) && self.made.iter().any(|(_, made)| made == volume),
        };
        let others: Vec<String> = self
            .found
            .iter()
            .filter(may_be)
            .map(|(other, volume)| format!("{other} is {volume} ({})", attached(vmid, drive, other, volume)))
            .collect();
        if others.is_empty() {
            return None;
        }
        Some(format!("the VM has no {slot}, but a disk that isn't in the file and may be that: {}", others.join(", ")))
    }

    /// What is to be remembered: a disk that isn't where it was made stays as it was.
    fn remembered(&self, wanted: &Machine, config: &Config, vmid: u32) -> Volumes {
        let mut volumes = Volumes::default();
        // A disk that left the file, and that the VM still has, may come again.
        let is_left = |(slot, volume): &(&str, &str)| {
            let is_here = |(at, found): &(String, String)| found == volume && !self.wanted.contains(at);
            !self.wanted.contains(*slot) && self.found.iter().any(is_here)
        };
        self.made.iter().filter(is_left).for_each(|(slot, volume)| volumes.remember(slot, volume));
        // And one that never was in the file may come into it.
        let is_extra = |(slot, volume): &&(String, String)| {
            !self.wanted.contains(slot) && is_on_a_bus(slot) && !self.made.iter().any(|(_, made)| made == volume)
        };
        self.found.iter().filter(is_extra).for_each(|(slot, volume)| volumes.remember(slot, volume));
        for drive in &wanted.drives {
            if !matches!(drive.source, Source::New(_) | Source::Import(_)) {
                continue;
            }
            let slot = drive.slot.as_str();
            let [now, next] = [config.running(slot), config.get(slot)].map(|text| text.map(Found::parse));
            // What somebody else left for the next start is taken back.
            let found = now.or(next).filter(|found| drive.is(found) && self.moved(drive, vmid).is_none());
            match (found, self.made.of(slot)) {
                (Some(found), _) => volumes.remember(slot, &found.volume),
                (None, Some(volume)) => volumes.remember(slot, volume),
                (None, None) => {}
            }
        }
        volumes
    }
}

/// Whether a slot is that of a detached disk.
fn is_detached(slot: &str) -> bool {
    crate::parameters::index(slot, "unused").is_some()
}

/// The VM that a volume was allocated for, by its name.
pub(crate) fn owner(volume: &str) -> Option<u32> {
    let name = volume.rsplit([':', '/']).next()?;
    name.strip_prefix("vm-").or_else(|| name.strip_prefix("base-"))?.split('-').next()?.parse().ok()
}

/// How a disk gets into a drive's slot, with the options that the file has for it.
fn attached(vmid: u32, drive: &Drive, other: &str, volume: &str) -> String {
    let (slot, value) = (&drive.slot, drive.over(&Found::parse(volume)));
    match is_detached(other) {
        true => format!("`qm set {vmid} --{slot} {value}` attaches it"),
        false => format!("`qm set {vmid} --delete {other}`, then `qm set {vmid} --{slot} {value}` moves it"),
    }
}

impl Difference {
    /// The notes: what the file says or else what somebody wrote, our lines, and the volumes.
    pub(super) fn notes(&mut self, wanted: &Machine, places: &Places, sight: Sight<'_>) {
        let Some(setting) = wanted.settings.iter().find(|setting| setting.key == NOTES) else { return };
        let found = sight.config.get(NOTES).unwrap_or_default();
        let volumes = places.remembered(wanted, sight.config, sight.location.vmid);
        let own = match setting.extent {
            Extent::Whole => notes::own(&setting.value),
            Extent::Part => notes::own(found),
        };
        let ours: Vec<&str> = setting.value.lines().filter(|line| Identity::wrote(line)).collect();
        let has_ours = ours.iter().all(|line| found.lines().any(|it| it.trim() == *line));
        let is_full = |text: &str| text.chars().count() > LONGEST;
        if has_ours && notes::own(found) == own && Volumes::read(found) == volumes {
            return;
        }
        let gap = if own.is_empty() { "" } else { "\n\n" };
        let text = notes::with(&format!("{own}{gap}{}", ours.join("\n")), &volumes);
        // Where the seed is, only who put it there knows.
        let text = Mark::read(found).map_or(text.clone(), |mark| mark.within(&text));
        if has_ours && is_full(&text) {
            self.told.push("its notes are full: which disk is which is no longer remembered there".to_owned());
            return;
        }
        self.add(NOTES, Change::live(NOTES).from(found).to(text.as_str()), Act::Set(text));
    }
}
