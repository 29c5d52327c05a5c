//! How nodes are met for the first time: what the console of a VM told, until the node has its config.
//!
//! Talos prints a certificate and addresses once each, so whoever looks later sees nothing. What was seen is kept here: the
//! next run must not believe another machine only because it came later.

use serde_json::{Value, json};

use super::Lock;
use crate::Map;

/// The key of the entry.
const KEY: &str = "contacts";

/// What is known of one VM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// The VM that all of this is about: another one has other certificates.
    pub vm: u32,
    /// Where it was found last, if the file doesn't say that.
    pub addresses: Vec<String>,
    /// Of the certificates that it showed in maintenance mode: base64, the newest last. Empty while its console is read, or
    /// if there is none to read.
    pub fingerprints: Vec<String>,
    /// Whether its console was opened before it was switched on.
    pub is_watched: bool,
    /// Whether the node has a config.
    pub is_configured: bool,
}

impl Contact {
    /// That of a VM of which nothing is known yet.
    #[must_use]
    pub fn of(vm: u32) -> Self {
        Self { vm, ..Self::default() }
    }

    /// Whether whoever shows another certificate must not be believed: the machine is watched, and has no config that would
    /// prove who it is.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_watched && !self.is_configured
    }

    fn read(entry: &Value) -> Option<Self> {
        let texts = |key: &str| -> Vec<String> {
            let list = entry.get(key).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let is = |key: &str| entry.get(key).and_then(Value::as_bool).unwrap_or_default();
        Some(Self {
            vm: entry.get("vm")?.as_u64()?.try_into().ok()?,
            addresses: texts("addresses"),
            fingerprints: texts("fingerprints"),
            is_watched: is("watched"),
            is_configured: is("configured"),
        })
    }

    fn written(&self) -> Value {
        let mut entry = Map::new();
        entry.insert("vm".into(), self.vm.into());
        for (key, texts) in [("addresses", &self.addresses), ("fingerprints", &self.fingerprints)] {
            if !texts.is_empty() {
                entry.insert(key.into(), json!(texts));
            }
        }
        for (key, is) in [("watched", self.is_watched), ("configured", self.is_configured)] {
            if is {
                entry.insert(key.into(), true.into());
            }
        }
        entry.into()
    }
}

impl Lock {
    /// What is known of a node's VM.
    #[must_use]
    pub fn contact(&self, node: &str) -> Option<Contact> {
        Contact::read(self.fields.get(KEY)?.get(node)?)
    }

    /// Remembers it, in the place of what was known.
    pub fn remember_contact(&mut self, node: &str, contact: &Contact) {
        let entry = self.fields.entry(KEY).or_insert_with(|| Map::new().into());
        if !entry.is_object() {
            *entry = Map::new().into();
        }
        if let Value::Object(entry) = entry {
            entry.insert(node.to_owned(), contact.written());
        }
    }

    /// Forgets what is known of a node's VM.
    pub fn forget_contact(&mut self, node: &str) {
        if let Some(Value::Object(entry)) = self.fields.get_mut(KEY) {
            entry.shift_remove(node);
        }
    }

    pub(super) fn forget_contacts(&mut self) {
        self.fields.shift_remove(KEY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_console_told_is_remembered_until_the_vm_is_destroyed() {
        let mut lock = Lock::new("lab");
        assert_eq!(lock.contact("w-1"), None);
        let seen = Contact {
            vm: 101,
            addresses: vec!["10.0.0.7".into()],
            fingerprints: vec!["AA".into(), "BB".into()],
            is_watched: true,
            is_configured: true,
        };
        lock.remember_contact("w-1", &seen);
        lock.remember_contact("w-2", &Contact::of(102));
        let mut lock = Lock::parse(&lock.emit(), "lab").unwrap();
        assert_eq!(lock.contact("w-1"), Some(seen));
        assert_eq!(lock.contact("w-2"), Some(Contact::of(102)));

        lock.remember_destroyed("w-1");
        assert_eq!((lock.contact("w-1"), lock.contact("w-2").is_some()), (None, true));
        lock.forget_vms();
        assert_eq!(lock.contact("w-2"), None);
    }

    #[test]
    fn a_first_contact_is_open_from_the_console_to_the_config() {
        let unwatched = Contact::of(101);
        let open = Contact { is_watched: true, ..unwatched.clone() };
        let done = Contact { is_configured: true, ..open.clone() };
        assert_eq!([unwatched, open, done].map(|contact| contact.is_open()), [false, true, false]);
    }

    #[test]
    fn an_entry_that_somebody_spoiled_says_nothing() {
        let mut lock = Lock::new("lab");
        for spoiled in [json!("x"), json!({"w-1": 7}), json!({"w-1": {"vm": "x"}}), json!({"w-1": {"vm": -1}})] {
            lock.fields.insert(KEY.into(), spoiled);
            assert_eq!(lock.contact("w-1"), None);
        }
        lock.fields.insert(KEY.into(), json!({"w-1": {"vm": 101, "addresses": "x", "watched": 1}}));
        assert_eq!(lock.contact("w-1"), Some(Contact::of(101)));
        lock.fields.insert(KEY.into(), "x".into());
        lock.remember_contact("w-1", &Contact::of(101));
        assert_eq!(lock.contact("w-1"), Some(Contact::of(101)));
    }
}
