//! What has happened to the resources of a type since somebody first watched them.
//!
//! As in COSI's own store, a position counts the events of a type in a namespace, and a bookmark is such a position
//! behind a cookie of this boot. The ring starts small and grows, so how far back a watch may begin depends on how
//! much has happened.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};
use talos_proto::cosi::resource::{EventType, Resource};

use super::{Definition, Query, Selection, id_of};
use crate::node::Node;
use crate::world::{Id, World};

/// How many events Talos keeps of a type: at first and at most; and how near to the end of them no watch begins.
const FIRST: i64 = 8;
const MOST: i64 = 1024;
const GAP: i64 = 4;

/// Something that happened to a resource.
#[derive(Debug, Clone)]
pub(crate) struct ResourceEvent {
    pub(crate) kind: EventType,
    pub(crate) resource: Resource,
    pub(crate) old: Option<Resource>,
}

/// What happened to the resources of a type in a namespace, and how they are now.
pub(crate) struct EventLog {
    selection: Selection,
    boot_id: String,
    revision: u64,
    now: Vec<Resource>,
    kept: VecDeque<ResourceEvent>,
    written: i64,
}

/// By node, type and namespace.
pub(crate) type EventLogs = RefCell<HashMap<(Id, &'static str, String), EventLog>>;

impl EventLog {
    fn new(definition: &'static Definition, namespace: &str) -> Self {
        Self {
            selection: Selection::new(definition, namespace, None, Query::default()),
            boot_id: String::new(),
            revision: 0,
            now: Vec::new(),
            kept: VecDeque::new(),
            written: 0,
        }
    }

    /// Notes what differs from the last request; another boot starts over.
    fn follow(&mut self, world: &World, node: Id) {
        let Node { boot_id, revision, .. } = &world.nodes[node];
        if self.boot_id != *boot_id {
            self.boot_id.clone_from(boot_id);
            (self.now, self.kept, self.written) = Default::default();
        }
        self.revision = *revision;
        let now = self.selection.resources(world, node);
        let before = std::mem::replace(&mut self.now, now);
        let mut happened = Vec::new();
        for resource in &self.now {
            let (kind, old) = match before.iter().find(|old| id_of(old) == id_of(resource)) {
                None => (EventType::Created, None),
                Some(old) if old.spec != resource.spec => (EventType::Updated, Some(old.clone())),
                Some(_) => continue,
            };
            happened.push(ResourceEvent { kind, resource: resource.clone(), old });
        }
        let gone = before.into_iter().filter(|old| !self.now.iter().any(|new| id_of(new) == id_of(old)));
        happened.extend(gone.map(|resource| ResourceEvent { kind: EventType::Destroyed, resource, old: None }));
        happened.into_iter().for_each(|happening| self.publish(happening));
    }

    fn publish(&mut self, happening: ResourceEvent) {
        self.kept.push_back(happening);
        self.written += 1;
        if self.kept.len() as i64 > self.capacity() {
            self.kept.pop_front();
        }
    }

    /// The size of the ring: it doubles each time that it is full, until it is as large as it gets.
    fn capacity(&self) -> i64 {
        let mut capacity = FIRST;
        while capacity < self.written && capacity < MOST {
            capacity *= 2;
        }
        capacity
    }

    /// The position of the next event.
    pub(crate) fn end(&self) -> i64 {
        self.written
    }

    fn cookie(&self) -> [u8; 8] {
        let digest = Sha256::digest(&self.boot_id);
        std::array::from_fn(|place| digest[place])
    }

    /// What stands for the event at a position; -1 for what was before all of them.
    pub(crate) fn bookmark(&self, position: i64) -> Vec<u8> {
        [self.cookie(), position.to_be_bytes()].concat()
    }

    /// The position after a bookmark, unless it is unknown or too old; `lowest` is the first that may be asked for.
    pub(crate) fn after(&self, bookmark: &[u8], lowest: i64) -> Option<i64> {
        let position = bookmark.strip_prefix(&self.cookie())?;
        let position = i64::from_be_bytes(position.try_into().ok()?);
        let oldest = lowest.max(self.written - self.capacity() + GAP);
        (oldest..self.written).contains(&position).then_some(position + 1)
    }

    /// The message for events that were asked for too late.
    pub(crate) fn overrun(&self, position: i64) -> String {
        let Selection { definition, namespace, .. } = &self.selection;
        let (kind, end, capacity) = (definition.kind, self.written, self.capacity());
        format!(
            "buffer overrun: namespace \"{namespace}\" type \"{kind}\", write pos {end}, pos {position}, capacity {capacity}"
        )
    }

    /// Where the last so many events begin; only those of one resource count, if it is named.
    pub(crate) fn tail(&self, count: i32, id: Option<&str>) -> i64 {
        let reach = self.written.min(self.capacity() - GAP);
        let counts = |happening: &&ResourceEvent| id.is_none_or(|id| id_of(&happening.resource) == id);
        let latest = self.kept.iter().rev().zip(1..=reach).filter(|(happening, _)| counts(happening));
        let found: Vec<i64> = latest.map(|(_, back)| back).take(usize::try_from(count).unwrap_or(0)).collect();
        match found.len() as i64 == i64::from(count) {
            true => self.written - found.last().unwrap_or(&0),
            false => self.written - reach,
        }
    }

    /// The events from a position on, each with its own; none if some of them are no longer kept.
    pub(crate) fn since(&self, position: i64) -> Option<impl Iterator<Item = (i64, &ResourceEvent)>> {
        let first = self.written - self.kept.len() as i64;
        let skipped = usize::try_from(position - first).ok()?;
        Some((position..).zip(self.kept.iter().skip(skipped)))
    }
}

impl World {
    /// Looks at the past of what is selected; it is kept from now on.
    pub(crate) fn past<R>(&self, node: Id, selection: &Selection, look: impl FnOnce(&EventLog) -> R) -> R {
        let Selection { definition, namespace, .. } = selection;
        let mut event_logs = self.event_logs.borrow_mut();
        let key = (node, definition.kind, namespace.clone());
        let history = event_logs.entry(key).or_insert_with(|| EventLog::new(definition, namespace));
        history.follow(self, node);
        look(history)
    }

    /// Notes what has just happened to resources that somebody has watched.
    pub(crate) fn remember(&self) {
        for ((node, ..), history) in self.event_logs.borrow_mut().iter_mut() {
            if self.nodes[*node].on && self.nodes[*node].revision != history.revision {
                history.follow(self, *node);
            }
        }
    }
}
