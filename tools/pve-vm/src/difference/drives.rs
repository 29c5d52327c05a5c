//! Drives: what is wanted, what is found, and what follows.
//!
//! A drive of the file is made once. From then on its slot has it, whatever it was made from: only its options and its
//! size are compared, and nothing is ever made in place of a volume unless the user names the disk.

use std::collections::BTreeMap;

use pve_access::seed::Mark;
use pve_client::answer::Config;
use record::{Change, Impact};

use super::{Act, Difference, Sight, Standing, moved::Places, plugs};
use crate::{
    disks::{Drive, Found, SYSTEM, Source, is_on_a_bus},
    machine::Machine,
    parameters::{When, find},
    sizes::written,
};

/// Bytes by which storages round sizes up; a disk that is larger by no more has the wanted size.
const ROUNDING: u64 = 64 << 20;

impl Difference {
    pub(super) fn drives(&mut self, wanted: &Machine, sight: Sight<'_>) {
        let places = Places::read(wanted, sight.config);
        let seed = Mark::of(sight.config).filter(|mark| mark.explains(sight.config));
        for drive in &wanted.drives {
            // A seed took its place, and it doesn't come back: the node has its addresses from its config.
            if seed.is_some() && drive.source == Source::CloudInit {
                continue;
            }
            let drive = at_its_slot(drive, sight.config);
            self.drive(wanted, &drive, &places, sight);
        }
        self.left(wanted, sight);
        self.notes(wanted, &places, sight);
    }

    fn drive(&mut self, wanted: &Machine, drive: &Drive, places: &Places, sight: Sight<'_>) {
        let slot = drive.slot.as_str();
        let (now, next) = (sight.config.running(slot), sight.config.get(slot));
        let (now, next) = (now.map(Found::parse), next.map(Found::parse));
        if let Some(why) = places.moved(drive, sight.location.vmid) {
            let change = Change::new(slot, Impact::DataLoss).to(drive.size.map(written).unwrap_or_default());
            return self.add(slot, change, Act::Moved(why));
        }
        match (now, next) {
            (None, None) => self.missing(wanted, drive, places, sight),
            (None, Some(next)) => self.plugged(wanted, drive, &next, sight),
            // It is to be detached at the next start.
            (Some(now), None) if drive.is(&now) => self.undo(slot, sight),
            (Some(now), None) => self.other(wanted, drive, &now, &other(slot, &now), sight),
            // Another volume is to take its place at the next start.
            (Some(now), Some(next)) if now.volume != next.volume && drive.is(&now) => self.undo(slot, sight),
            (Some(now), Some(next)) if !drive.is(&next) => match &drive.source {
                Source::Medium(_) if !next.holds_data() && !next.is_cloud_init() => {
                    self.medium(wanted, drive, &now, sight);
                }
                _ => self.other(wanted, drive, &next, &other(slot, &next), sight),
            },
            (Some(now), Some(next)) => {
                let fixed = drive.fixed(&next);
                if !fixed.is_empty() {
                    return self.other(wanted, drive, &next, &format!("its {slot}'s {}", fixed.join(", ")), sight);
                }
                self.elsewhere(wanted, drive, &next, sight);
                self.size(wanted, drive, &next, sight);
                self.options(drive, &now, &next, sight);
            }
        }
    }

    /// Nothing is in the slot.
    fn missing(&mut self, wanted: &Machine, drive: &Drive, places: &Places, sight: Sight<'_>) {
        let slot = drive.slot.as_str();
        let value = wanted.made(drive, &sight.location.host);
        let told = drive.size.map_or_else(|| value.clone(), written);
        if slot == SYSTEM {
            let change = Change::new(slot, Impact::DataLoss).to(told);
            return self.add(slot, change, Act::Recreate("it has no disk scsi0".into()));
        }
        let impact = if is_plugged(slot, sight.config) { Impact::Live } else { Impact::PowerCycle };
        let change = Change::new(slot, impact).to(told);
        match places.instead(drive, sight.location.vmid) {
            Some(why) => self.add(slot, change.needs(&consent(wanted, slot)), Act::Beside(value, why)),
            None if drive.allocates() => self.add(slot, change, Act::Allocate(value)),
            None => self.add(slot, change, Act::Set(value)),
        }
    }

    /// It is made, and the running VM doesn't have it yet. It is never made again.
    fn plugged(&mut self, wanted: &Machine, drive: &Drive, next: &Found, sight: Sight<'_>) {
        let slot = drive.slot.as_str();
        if !drive.is(next) {
            return self.other(wanted, drive, next, &other(slot, next), sight);
        }
        if !drive.has_options_of(next) {
            let value = drive.over(next);
            let change = Change::new(slot, Impact::PowerCycle).to(value.as_str());
            return self.add(slot, change, Act::Set(value));
        }
        if !sight.is_running {
            return;
        }
        let retry = is_plugged(slot, sight.config) && !sight.sent.contains(slot);
        let change = Change::new(slot, if retry { Impact::Live } else { Impact::PowerCycle }).to(next.told());
        let act = if retry { Act::Set(sight.config.get(slot).unwrap_or_default().to_owned()) } else { Act::Cycle };
        self.add(slot, change, act);
    }

    /// A change that somebody else left for the next start is taken back.
    fn undo(&mut self, slot: &str, sight: Sight<'_>) {
        let mut change = Change::live(slot);
        change.from = sight.config.get(slot).map(Into::into);
        change.to = sight.config.running(slot).map(Into::into);
        self.add(slot, change, Act::Revert);
    }

    /// Another disc goes into the drive.
    fn medium(&mut self, wanted: &Machine, drive: &Drive, now: &Found, sight: Sight<'_>) {
        let slot = drive.slot.as_str();
        let value = wanted.made(drive, &sight.location.host);
        let change = Change::live(slot).from(now.volume.as_str()).to(value.as_str());
        self.add(slot, change, Act::Set(value));
    }

    /// The slot holds something else, or what no change makes the wanted drive.
    fn other(&mut self, wanted: &Machine, drive: &Drive, found: &Found, why: &str, sight: Sight<'_>) {
        let slot = drive.slot.as_str();
        if slot == SYSTEM {
            let change = Change::new(slot, Impact::DataLoss).from(found.told());
            return self.add(slot, change, Act::Recreate(why.to_owned()));
        }
        let value = wanted.made(drive, &sight.location.host);
        let to = drive.size.map_or_else(|| value.clone(), written);
        let change = Change::new(slot, Impact::DataLoss).from(found.told()).to(to).needs(&consent(wanted, slot));
        self.add(slot, change, Act::Replace(value, why.to_owned()));
    }

    fn elsewhere(&mut self, wanted: &Machine, drive: &Drive, found: &Found, sight: Sight<'_>) {
        let made = matches!(drive.source, Source::New(_) | Source::Import(_) | Source::CloudInit);
        let storage = drive.storage.as_deref().or_else(|| wanted.storage(&sight.location.host));
        let (Some(storage), Some(now)) = (storage.filter(|_| made), found.storage()) else { return };
        if storage == now {
            return;
        }
        let (slot, vmid, host) = (drive.slot.as_str(), sight.location.vmid, &sight.location.host);
        if drive.source == Source::CloudInit {
            self.told.push(format!(
                "VM {vmid} has its cloud-init drive on {now}, the file says {storage}: Proxmox VE moves none (after `qm set {vmid} --delete {slot}` on {host} and a shutdown, the next run makes it there)"
            ));
            return;
        }
        if sight.migrates {
            let act = Act::MoveDisk { from: now.to_owned(), to: storage.to_owned() };
            // The state of a TPM is open while the VM runs.
            let impact = if moves_off(slot) { Impact::PowerCycle } else { Impact::Live };
            return self.add(slot, Change::new(slot, impact).from(now).to(storage), act);
        }
        self.told.push(format!("VM {vmid} has {slot} on {now}, the file says {storage}: --migrate moves the disk"));
    }

    fn size(&mut self, wanted: &Machine, drive: &Drive, found: &Found, sight: Sight<'_>) {
        let slot = drive.slot.as_str();
        let what = if slot == SYSTEM { "disk" } else { slot };
        let (Some(target), Some(size)) = (drive.size, found.size) else { return };
        let (from, to) = (written(size), written(target));
        if size < target {
            self.add(slot, Change::live(what).from(from).to(to), Act::Grow(target));
        } else if size > target + ROUNDING {
            let change = Change::new(what, Impact::DataLoss).from(from.as_str()).to(to.as_str());
            let why = format!("its {what} has {from}, not {to}");
            if slot == SYSTEM {
                return self.add(slot, change, Act::Recreate(why));
            }
            let value = wanted.made(drive, &sight.location.host);
            self.add(slot, change.needs(&consent(wanted, slot)), Act::Replace(value, why));
        }
    }

    fn options(&mut self, drive: &Drive, now: &Found, next: &Found, sight: Sight<'_>) {
        let slot = drive.slot.as_str();
        let value = drive.over(next);
        let from = sight.config.running(slot).unwrap_or_default();
        let is_live = drive.is_live_over(now) && is_plugged(slot, sight.config);
        let impact = if is_live { Impact::Live } else { Impact::PowerCycle };
        let change = Change::new(slot, impact).from(from).to(value.as_str());
        match Standing::of(drive.has_options_of(now), drive.has_options_of(next)) {
            Standing::Fine => {}
            Standing::Undone => self.undo(slot, sight),
            Standing::Waits if !sight.is_running => {}
            Standing::Waits if is_live && !sight.sent.contains(slot) => self.add(slot, change, Act::Set(value)),
            Standing::Waits => self.add(slot, Change { impact: Impact::PowerCycle, ..change }, Act::Cycle),
            Standing::Differs => self.add(slot, change, Act::Set(value)),
        }
    }

    /// Recreating a VM destroys its other disks, attached or not: each needs to be named.
    pub(super) fn losses(&mut self, wanted: &Machine, sight: Sight<'_>) {
        if self.recreate().is_empty() {
            return;
        }
        for (slot, text) in data(sight.config) {
            let told = Found::parse(&text).told();
            let change = Change::new(slot.as_str(), Impact::DataLoss).from(told).needs(&consent(wanted, &slot));
            self.add(&slot, change, Act::Lose);
        }
    }

    /// Disks that the file doesn't have are kept, aloud.
    fn left(&mut self, wanted: &Machine, sight: Sight<'_>) {
        let (vmid, host) = (sight.location.vmid, &sight.location.host);
        for (slot, text) in sight.config.values().filter(|(slot, _)| is_on_a_bus(slot)) {
            let found = Found::parse(text);
            if found.holds_data() && !wanted.drives.iter().any(|drive| drive.slot == slot) {
                self.told.push(format!(
                    "VM {vmid} has {slot} ({}), which isn't in the file: kept (to detach it, run `qm set {vmid} --delete {slot}` on {host})",
                    found.told()
                ));
            }
        }
    }
}

/// Whether Proxmox VE moves a disk only while its VM is off.
pub(super) fn moves_off(slot: &str) -> bool {
    crate::parameters::index(slot, "tpmstate").is_some()
}

/// The flag that allows giving up a disk.
fn consent(wanted: &Machine, slot: &str) -> String {
    format!("--replace-disk {}:{slot}", wanted.name)
}

fn other(slot: &str, found: &Found) -> String {
    format!("its {slot} is {}", found.volume)
}

/// The disks of a VM that hold data besides the system's, attached or not.
fn data(config: &Config) -> BTreeMap<String, String> {
    let holds = |(slot, text): &(&str, &str)| is_on_a_bus(slot) && *slot != SYSTEM && Found::parse(text).holds_data();
    let now = config.as_running();
    let attached = config.values().chain(now.values()).filter(holds);
    attached.chain(unused(config)).map(|(slot, text)| (slot.to_owned(), text.to_owned())).collect()
}

/// Disks that were detached and kept.
pub(crate) fn unused(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    config.values().filter(|(name, _)| crate::parameters::index(name, "unused").is_some())
}

/// Whether the slot is one that a running VM takes a drive in.
fn is_plugged(slot: &str, config: &Config) -> bool {
    match find(slot).map(|parameter| parameter.when) {
        Some(When::Plugged(feature)) => plugs(config, feature),
        _ => false,
    }
}

/// The cloud-init drive is known by what it is, not by its slot. A new one takes a slot that is free.
fn at_its_slot(drive: &Drive, config: &Config) -> Drive {
    if drive.source != Source::CloudInit {
        return drive.clone();
    }
    let is_one = |(slot, text): &(&str, &str)| is_on_a_bus(slot) && Found::parse(text).is_cloud_init();
    let now = config.as_running();
    let found = config.values().chain(now.values()).find(is_one).map(|(slot, _)| slot.to_owned());
    let is_free = |slot: &String| config.get(slot).is_none() && now.get(slot).is_none();
    let free = || {
        let slots = ["ide", "sata"].iter().flat_map(|bus| (0..4).map(move |index| format!("{bus}{index}")));
        std::iter::once(drive.slot.clone()).chain(slots).find(is_free)
    };
    Drive { slot: found.or_else(free).unwrap_or_else(|| drive.slot.clone()), ..drive.clone() }
}
