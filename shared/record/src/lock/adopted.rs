//! The machines of VMs that were adopted: what they are known by, as their hypervisor made it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Lock, LockedEtcd, REMEMBERS};
use crate::Map;

/// The key of the entry.
pub(super) const KEY: &str = "adopted";

/// What a machine is known by that Ichor didn't make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockedMachine {
    /// Its SMBIOS UUID, lower case.
    pub uuid: String,
    /// The hardware addresses of its NICs, upper case, by their number: `net0` is 0.
    pub macs: BTreeMap<usize, String>,
}

impl LockedMachine {
    fn to_value(&self) -> Value {
        let macs: Map = self.macs.iter().map(|(nic, mac)| (format!("net{nic}"), mac.as_str().into())).collect();
        json!({"uuid": self.uuid, "macs": macs})
    }

    fn read(entry: &Value) -> Option<Self> {
        let uuid = entry.get("uuid")?.as_str().filter(|uuid| !uuid.is_empty())?.to_owned();
        let nic =
            |(key, mac): (&String, &Value)| Some((key.strip_prefix("net")?.parse().ok()?, mac.as_str()?.to_owned()));
        let macs = entry.get("macs")?.as_object()?.iter().map(nic).collect::<Option<_>>()?;
        Some(Self { uuid, macs })
    }
}

/// The entry in the lock; `None` for something that isn't one.
pub(super) fn read(entry: Option<&Value>) -> Option<BTreeMap<String, LockedMachine>> {
    let Some(entry) = entry else { return Some(BTreeMap::new()) };
    let machines = entry.as_object()?.iter();
    machines.map(|(node, machine)| Some((node.clone(), LockedMachine::read(machine)?))).collect()
}

impl Lock {
    /// The machines that were adopted, by node. All others derive from [`Lock::uid`].
    #[must_use]
    pub fn adopted(&self) -> BTreeMap<String, LockedMachine> {
        read(self.fields.get(KEY)).unwrap_or_default()
    }

    /// Remembers the machine that a node has. Where such a machine came from, an etcd may run: that there never was one is
    /// no longer known.
    pub fn adopt(&mut self, node: &str, machine: &LockedMachine) {
        if self.etcd() == LockedEtcd::Never {
            self.fields.shift_remove("etcd");
        }
        let entry = self.fields.entry(KEY).or_insert_with(|| Map::new().into());
        if let Value::Object(entry) = entry {
            entry.insert(node.to_owned(), machine.to_value());
        }
        self.fields.insert("apiVersion".into(), REMEMBERS.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> LockedMachine {
        let macs = [(0, "BC:24:11:00:00:01".to_owned()), (2, "BC:24:11:00:00:03".to_owned())].into();
        LockedMachine { uuid: "4c4c4544-0038-3010-8054-b2c04f4d5032".into(), macs }
    }

    #[test]
    fn an_adopted_machine_is_remembered_and_an_older_program_refuses_the_lock() {
        let mut lock = Lock::new("lab");
        assert!(lock.adopted().is_empty());
        lock.adopt("w-1", &machine());
        let mut again = Lock::parse(&lock.emit(), "lab").unwrap();
        assert_eq!(again.adopted(), BTreeMap::from([("w-1".to_owned(), machine())]));
        assert_eq!(again.fields["apiVersion"], REMEMBERS);
        again.set_etcd(&[7].into());
        again.forget_etcd();
        assert_eq!((&again.fields["apiVersion"], again.etcd()), (&REMEMBERS.into(), LockedEtcd::Never));
    }

    #[test]
    fn with_an_adopted_machine_it_is_not_known_any_more_that_there_never_was_an_etcd() {
        let mut lock = Lock::new("lab");
        assert_eq!(lock.etcd(), LockedEtcd::Never);
        lock.adopt("cp-1", &machine());
        assert_eq!(Lock::parse(&lock.emit(), "lab").unwrap().etcd(), LockedEtcd::Unknown);
        lock.set_etcd(&[7].into());
        lock.adopt("cp-2", &machine());
        assert!(lock.etcd().is_bootstrapped(), "what is known stays known");
    }

    #[test]
    fn an_entry_that_nobody_wrote_is_refused() {
        for entry in
            ["true", r#"{"w-1":{}}"#, r#"{"w-1":{"uuid":"","macs":{}}}"#, r#"{"w-1":{"uuid":"a","macs":{"x":"b"}}}"#]
        {
            let text = format!(r#"{{"apiVersion":"ichor/v2","kind":"Lock","name":"lab","adopted":{entry}}}"#);
            assert!(Lock::parse(&text, "lab").unwrap_err().message.contains("`adopted` is not what"), "{entry}");
        }
    }
}
