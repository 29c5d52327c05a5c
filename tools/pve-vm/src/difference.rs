//! The differences between a VM and its spec, and what follows from each.
//!
//! A value is looked at twice: what the VM has now, and what it will have after its next start. So a change that still
//! waits for a power cycle is never taken for done, and one that somebody else left pending is noticed.

use std::collections::BTreeSet;

use pve_client::answer::Config;
use record::{Change, Impact};

use crate::{
    identity::has_tag,
    location::Location,
    machine::{Machine, Setting, is_roots},
    nic::Nic,
    parameters::{Kind, Parameter, When, find},
    values::{flag, pairs, same, words},
};

pub(crate) mod drives;
mod effects;
pub(crate) mod moved;

/// The flag that allows switching a VM off and on.
const REBOOT: &str = "--reboot";
/// The parameter of the notes.
pub(crate) const NOTES: &str = "description";

/// What the VM is compared with besides its config.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) location: &'a Location,
    pub(crate) config: &'a Config,
    pub(crate) is_running: bool,
    /// The pool that it is in, as far as the token sees pools.
    pub(crate) pool: Option<&'a str>,
    /// Whether disks are moved to the storages that the file has them on.
    pub(crate) migrates: bool,
    /// Parameters that were sent in this run and taken without an error: they are not sent again.
    pub(crate) sent: &'a BTreeSet<String>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// The parameter.
    pub(crate) key: String,
    /// What is told of it, with its impact on a running VM.
    pub(crate) change: Change,
    pub(crate) act: Act,
}

/// What is done about a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// The value is sent; a running VM takes it, or keeps it for its next start.
    Set(String),
    /// The same, and it makes a volume: sent alone, and never again without a look.
    Allocate(String),
    /// The value is sent while the VM is off.
    SetOff(String),
    /// It was sent, and waits until the VM was off.
    Cycle,
    /// Somebody else's change that waits for the next start is taken back.
    Revert,
    /// The disk grows to this many bytes.
    Grow(u64),
    /// The disk is detached and kept, and another one made in its place while the VM is off; why.
    Replace(String, String),
    /// A disk is made in a slot that is empty, although there is one that may be it; why.
    Beside(String, String),
    /// The disk is moved from its storage to this one.
    MoveDisk { from: String, to: String },
    /// The disk of this slot is in another one; why. Nothing puts that right but a person.
    Moved(String),
    /// The VM is destroyed and made again; why.
    Recreate(String),
    /// The disk is lost with the VM that is recreated.
    Lose,
    /// Only root@pam could.
    Refuse,
}

/// The changes that a VM needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Difference {
    pub(crate) items: Vec<Item>,
    /// What differs and stays so.
    pub(crate) told: Vec<String>,
}

/// What becomes of a value, by whether it is the wanted one now and after the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Fine,
    /// It waits for the next start.
    Waits,
    /// Another value waits for the next start.
    Undone,
    Differs,
}

impl Standing {
    fn of(is_now: bool, is_next: bool) -> Self {
        match (is_now, is_next) {
            (true, true) => Self::Fine,
            (false, true) => Self::Waits,
            (true, false) => Self::Undone,
            (false, false) => Self::Differs,
        }
    }
}

impl Item {
    /// The value that is sent for it.
    pub(crate) fn value(&self) -> Option<&str> {
        match &self.act {
            Act::Set(value) | Act::Allocate(value) | Act::SetOff(value) => Some(value),
            Act::Replace(value, _) | Act::Beside(value, _) => Some(value),
            Act::Cycle | Act::Revert | Act::Grow(_) | Act::MoveDisk { .. } | Act::Moved(_) => None,
            Act::Recreate(_) | Act::Lose | Act::Refuse => None,
        }
    }

    /// Whether a volume is made for it.
    pub(crate) fn makes_a_volume(&self) -> bool {
        matches!(self.act, Act::Allocate(_) | Act::Replace(..) | Act::Beside(..))
    }

    /// What is noted when it was sent and taken.
    pub(crate) fn mark(&self) -> Option<String> {
        match &self.act {
            // The notes change with each disk that is made.
            Act::Set(value) if self.key == NOTES => Some(format!("{}: {value}", self.key)),
            Act::Set(_) | Act::Allocate(_) | Act::SetOff(_) | Act::Replace(..) | Act::Beside(..) => {
                Some(self.key.clone())
            }
            Act::Grow(_) => Some(format!("{}: size", self.key)),
            Act::Revert => Some(format!("{}: pending", self.key)),
            Act::Cycle | Act::MoveDisk { .. } | Act::Moved(_) | Act::Recreate(_) | Act::Lose | Act::Refuse => None,
        }
    }
}

impl Difference {
    /// Compares; parameters that neither the file nor a default sets are ignored.
    pub(crate) fn between(wanted: &Machine, sight: Sight<'_>) -> Self {
        let mut difference = Self::default();
        for setting in &wanted.settings {
            if let Some(parameter) = find(&setting.key) {
                match parameter.kind {
                    // With the disks.
                    Kind::Lines => {}
                    Kind::Nic => difference.nic(setting, parameter, sight),
                    _ => difference.setting(setting, parameter, sight),
                }
            }
        }
        difference.address(wanted, sight);
        difference.drives(wanted, sight);
        difference.tags(wanted, sight);
        difference.host(wanted, sight);
        difference.settle(sight);
        difference.losses(wanted, sight);
        difference
    }

    fn setting(&mut self, setting: &Setting, parameter: &'static Parameter, sight: Sight<'_>) {
        let Setting { key, value, extent } = setting;
        let is = |found: Option<&str>| same(parameter, *extent, value, found);
        let (now, next) = (sight.config.running(key), sight.config.get(key));
        let mut change = Change::live(key.as_str()).to(value.as_str());
        change.from = now.map(Into::into);
        match Standing::of(is(now), is(next)) {
            Standing::Fine => {}
            Standing::Undone => self.revert(key, parameter, sight),
            Standing::Waits => self.waits(key, parameter, change, value, sight),
            Standing::Differs => self.differs(key, parameter, change, value, sight),
        }
    }

    fn differs(&mut self, key: &str, parameter: &'static Parameter, mut change: Change, value: &str, sight: Sight<'_>) {
        if parameter.kind == Kind::Secret {
            let was = change.from.is_some();
            change = change.redacted(was, true);
        }
        let value = value.to_owned();
        let act = match parameter.when {
            _ if is_roots(key, &value) => Act::Refuse,
            When::Recreate => {
                let now = sight.config.running(key).or(parameter.default).unwrap_or("(none)");
                Act::Recreate(format!("its {key} is {now}, not {value}"))
            }
            When::NextStart => Act::SetOff(value),
            _ => Act::Set(value),
        };
        change.impact = if act == Act::Refuse { Impact::Live } else { impact(parameter.when, sight.config) };
        self.add(key, change, act);
    }

    /// A value that waits for the next start. Where a running VM could have taken it, that failed: it is tried again.
    fn waits(&mut self, key: &str, parameter: &'static Parameter, mut change: Change, value: &str, sight: Sight<'_>) {
        if !sight.is_running {
            return;
        }
        let is_live = impact(parameter.when, sight.config) == Impact::Live;
        if is_live && !sight.sent.contains(key) {
            return self.add(key, change, Act::Set(value.to_owned()));
        }
        change.impact = Impact::PowerCycle;
        self.add(key, change, Act::Cycle);
    }

    fn revert(&mut self, key: &str, parameter: &'static Parameter, sight: Sight<'_>) {
        let (now, next) = (sight.config.running(key), sight.config.get(key));
        let mut change = Change::live(key);
        (change.from, change.to) = (next.map(Into::into), now.map(Into::into));
        if parameter.kind == Kind::Secret {
            change = change.redacted(next.is_some(), now.is_some());
        }
        self.add(key, change, Act::Revert);
    }

    fn nic(&mut self, setting: &Setting, parameter: &'static Parameter, sight: Sight<'_>) {
        let Setting { key, value, extent } = setting;
        let wanted = Nic::parse(value);
        let is = |found: Option<&str>| found.is_some_and(|found| wanted.is(&Nic::parse(found), *extent));
        let (now, next) = (sight.config.running(key), sight.config.get(key));
        let found = now.map(Nic::parse);
        let value = found.as_ref().map_or(wanted.clone(), |found| wanted.over(found, *extent)).to_string();
        let mut change = Change::live(key.as_str()).to(value.as_str());
        change.from = now.map(Into::into);
        // Another card would be pulled out of the running VM at once.
        let stays = found.is_none_or(|found| wanted.stays(&found));
        match Standing::of(is(now), is(next)) {
            Standing::Fine => {}
            Standing::Undone => self.revert(key, parameter, sight),
            Standing::Waits if stays => self.waits(key, parameter, change, &value, sight),
            Standing::Waits if !sight.is_running => {}
            Standing::Waits => self.add(key, Change { impact: Impact::PowerCycle, ..change }, Act::Cycle),
            Standing::Differs => {
                change.impact = if stays { impact(parameter.when, sight.config) } else { Impact::PowerCycle };
                let act = if stays { Act::Set(value) } else { Act::SetOff(value) };
                self.add(key, change, act);
            }
        }
    }

    fn tags(&mut self, wanted: &Machine, sight: Sight<'_>) {
        let tags = sight.config.get("tags").unwrap_or_default();
        if sight.sent.contains("tags") || wanted.tags.iter().all(|tag| has_tag(tags, tag)) {
            return;
        }
        let ours = wanted.tags.join(";");
        let mut all = wanted.tags.clone();
        all.extend(words(tags).filter(|tag| !has_tag(&ours, tag)).map(str::to_owned));
        let change = Change::live("tags").from(tags.trim()).to(all.join(";"));
        self.add("tags", change, Act::Set(all.join(";")));
    }

    /// A node that no longer has a static address asks for one: the old one would stay in the cloud-init drive.
    fn address(&mut self, wanted: &Machine, sight: Sight<'_>) {
        const KEY: &str = "ipconfig0";
        let Some(found) = sight.config.get(KEY) else { return };
        let keys = pairs(found, "", &[]);
        let is_static = |key: &str| keys.get(key).is_some_and(|value| value.contains(['.', ':']));
        if wanted.setting(KEY).is_none() && (is_static("ip") || is_static("ip6")) {
            let change = Change::new(KEY, Impact::PowerCycle).from(found).to("ip=dhcp");
            self.add(KEY, change, Act::SetOff("ip=dhcp".to_owned()));
        }
    }

    fn host(&mut self, wanted: &Machine, sight: Sight<'_>) {
        let Location { vmid, host } = sight.location;
        if let Some(other) = wanted.host.as_ref().filter(|other| *other != host && !sight.migrates) {
            self.told.push(format!("VM {vmid} is on {host}, the file says {other}: --migrate moves it"));
        }
        if let Some(other) = wanted.vmid.filter(|other| other != vmid) {
            self.told.push(format!("it is VM {vmid}, the file says {other}: a VM keeps its ID until it is made again"));
        }
        // Without the right to see pools a VM seems to be in none.
        if let (Some(pool), Some(now)) = (&wanted.pool, sight.pool)
            && pool != now
        {
            self.told.push(format!(
                "VM {vmid} is in the pool {now}, the file says {pool}: it is not moved (to move it, run `pvesh set /pools/{pool} --vms {vmid} --allow-move 1`)"
            ));
        }
    }

    /// What was sent and taken is not sent again: the server keeps it in its own way.
    fn settle(&mut self, sight: Sight<'_>) {
        let (kept, items) = std::mem::take(&mut self.items)
            .into_iter()
            .partition(|item: &Item| item.mark().is_some_and(|mark| sight.sent.contains(&mark)));
        self.items = items;
        for Item { key, .. } in kept {
            let is_secret = find(&key).is_some_and(|parameter| parameter.kind == Kind::Secret);
            let value = if is_secret { None } else { sight.config.get(&key) };
            self.told.push(format!("Proxmox VE keeps {key} as {}", value.unwrap_or("(none)")));
        }
    }

    fn add(&mut self, key: &str, change: Change, act: Act) {
        let change = match change.impact {
            Impact::Live | Impact::Restart | Impact::Upgrade => change,
            Impact::Reboot | Impact::PowerCycle if change.needs.is_some() => change,
            Impact::Reboot | Impact::PowerCycle => change.needs(REBOOT),
            Impact::Recreate => change.needs("--recreate"),
            Impact::DataLoss if change.needs.is_none() => change.needs("--recreate"),
            Impact::DataLoss => change,
        };
        self.items.push(Item { key: key.to_owned(), change, act });
    }
}

/// What a change of a parameter costs a running VM.
fn impact(when: When, config: &Config) -> Impact {
    match when {
        When::Live | When::Ours | When::Creation => Impact::Live,
        When::Plugged(feature) if plugs(config, feature) => Impact::Live,
        When::Plugged(_) | When::PowerCycle | When::NextStart | When::Root | When::Refused(_) => Impact::PowerCycle,
        When::Recreate => Impact::DataLoss,
    }
}

/// Whether devices of a kind can be plugged into the running VM.
fn plugs(config: &Config, feature: &str) -> bool {
    match config.running("hotplug") {
        None => true,
        Some(list) => flag(list).unwrap_or_else(|| words(list).any(|word| word == feature)),
    }
}

#[cfg(test)]
mod tests;
