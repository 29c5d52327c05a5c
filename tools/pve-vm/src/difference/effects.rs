//! What a difference means for the VM: what is sent, what is lost, what it costs.

use pve_client::{answer::Config, request::Parameters};
use record::{Change, Impact};

use super::{Act, Difference, Item, NOTES, REBOOT, drives::moves_off};
use crate::notes::{self, Volumes};

impl Item {
    /// The notes without the disk that the user gives up for this one. They are sent before the new disk is made: a run that
    /// is cut between the two must not take the old one for a disk that was moved.
    pub(crate) fn forgetting(&self, config: &Config) -> Option<Self> {
        if !matches!(self.act, Act::Replace(..) | Act::Beside(..)) {
            return None;
        }
        let notes = config.get(NOTES).unwrap_or_default();
        let volumes = Volumes::read(notes);
        volumes.of(&self.key)?;
        let act = Act::Set(notes::with(notes, &volumes.without(&self.key)));
        Some(Self { key: NOTES.to_owned(), change: Change::live(NOTES), act })
    }
}

impl Difference {
    /// Whether nothing is to be done.
    pub(crate) fn is_none(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether something takes effect only after the VM was off.
    pub(crate) fn needs_power_cycle(&self) -> bool {
        self.items.iter().any(|item| item.change.impact == Impact::PowerCycle || matches!(item.act, Act::Replace(..)))
    }

    /// Why the VM must be recreated.
    pub(crate) fn recreate(&self) -> Vec<String> {
        let why = |item: &'_ Item| match &item.act {
            Act::Recreate(why) => Some(why.clone()),
            _ => None,
        };
        self.items.iter().filter_map(why).collect()
    }

    /// The parameters that are sent, with their values.
    pub(crate) fn sent(&self) -> Parameters {
        let sent = self.items.iter().filter_map(|item| match item.act {
            Act::Revert => Some((item.key.clone(), String::new())),
            _ => item.value().map(|value| (item.key.clone(), value.to_owned())),
        });
        sent.collect()
    }

    /// Those among them that make a volume.
    pub(crate) fn made(&self) -> Parameters {
        let made = self.items.iter().filter(|item| item.makes_a_volume());
        let made = made.filter_map(|item| item.value().map(|value| (item.key.clone(), value.to_owned())));
        made.collect()
    }

    /// Whether the VM gets another address.
    pub(crate) fn changes_address(&self) -> bool {
        self.items.iter().any(|item| item.key.starts_with("ipconfig"))
    }

    /// The slots of the disks that grow.
    pub(crate) fn grown(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter(|item| matches!(item.act, Act::Grow(_))).map(|item| item.key.as_str())
    }

    /// The first disk that can be moved now, from where and to where.
    pub(crate) fn first_move(&self, is_running: bool) -> Option<(&Item, &str, &str)> {
        self.items.iter().find_map(|item| match &item.act {
            Act::MoveDisk { .. } if is_running && moves_off(&item.key) => None,
            Act::MoveDisk { from, to } => Some((item, from.as_str(), to.as_str())),
            _ => None,
        })
    }

    /// The storages that disks are moved to.
    pub(crate) fn moved_to(&self) -> impl Iterator<Item = String> {
        self.items.iter().filter_map(|item| match &item.act {
            Act::MoveDisk { to, .. } => Some(to.clone()),
            _ => None,
        })
    }

    /// The disks that are lost with a VM that is recreated.
    pub(crate) fn lost(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter(|item| item.act == Act::Lose).map(|item| item.key.as_str())
    }

    /// The disks that are given up, with why.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = (&str, &str)> {
        self.items.iter().filter_map(|item| match &item.act {
            Act::Replace(_, why) | Act::Beside(_, why) => Some((item.key.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// The parameter that only root@pam could set.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.items.iter().find(|item| item.act == Act::Refuse).map(|item| item.key.as_str())
    }

    /// The disk that is in another slot, and why nothing is done about it.
    pub(crate) fn moved(&self) -> Option<(&str, &str)> {
        self.items.iter().find_map(|item| match &item.act {
            Act::Moved(why) => Some((item.key.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// The differences as changes: a VM that is off takes everything immediately, and one that runs is switched off for a
    /// disk in place of another.
    pub(crate) fn costs(&self, running: bool) -> Vec<Change> {
        let is_recreated = !self.recreate().is_empty();
        let cost = |item: &Item| {
            let mut change = item.change.clone();
            // The VM that is made again has it from the beginning.
            if is_recreated && change.needs.as_deref() == Some(REBOOT) {
                change.needs = Some("--recreate".to_owned());
                return change;
            }
            if change.impact == Impact::PowerCycle && !running {
                change.impact = Impact::Live;
                change.needs = change.needs.filter(|needs| needs != REBOOT);
            }
            let is_off_for_it = matches!(item.act, Act::Replace(..)) || change.impact == Impact::PowerCycle;
            if running && is_off_for_it && change.needs.as_deref().is_some_and(|needs| needs != REBOOT) {
                change.needs = change.needs.map(|needs| format!("{REBOOT} {needs}"));
            }
            change
        };
        self.items.iter().map(cost).collect()
    }

    /// Whether an item is told with the VM or the disk that is given up for it.
    fn is_told_apart(item: &Item) -> bool {
        matches!(item.act, Act::Recreate(_) | Act::Lose | Act::Replace(..) | Act::Beside(..))
    }

    /// The differences as text, without those that take a VM or a disk to be given up.
    pub(crate) fn others(&self) -> Vec<String> {
        self.items.iter().filter(|item| !Self::is_told_apart(item)).map(text).collect()
    }

    /// Whether one of these takes effect only after the VM was off.
    pub(crate) fn others_need_power_cycle(&self) -> bool {
        let others = self.items.iter().filter(|item| !Self::is_told_apart(item));
        others.into_iter().any(|item| item.change.impact == Impact::PowerCycle)
    }

    /// The differences as text: `memory 2048 -> 4096`, without the long description.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.items.iter().map(text).collect()
    }
}

/// A difference as text.
fn text(item: &Item) -> String {
    let shown = |value: &Option<serde_json::Value>| match value.as_ref().and_then(serde_json::Value::as_str) {
        None | Some("") => "(none)".to_owned(),
        Some(text) => text.to_owned(),
    };
    let change = &item.change;
    if change.what == NOTES {
        let notes = |value: &Option<serde_json::Value>| {
            value.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        return notes::told(&notes(&change.from), &notes(&change.to)).to_owned();
    }
    let text = format!("{} {} -> {}", change.what, shown(&change.from), shown(&change.to));
    match item.act {
        Act::Cycle => format!("{text} (set, takes effect when the VM was off)"),
        Act::Revert => format!("{text} (somebody's pending change is taken back)"),
        _ => text,
    }
}
