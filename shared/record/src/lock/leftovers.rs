//! Volumes that the destruction of a VM left on a storage: only here it is written whose they are.

use serde_json::{Value, json};

use super::Lock;
use crate::Map;

/// The key of the entry: hosts with their volumes.
const KEY: &str = "leftovers";

impl Lock {
    /// The volumes that are left, each with the host that it was seen on.
    pub fn leftovers(&self) -> impl Iterator<Item = (&str, &str)> {
        let hosts = self.fields.get(KEY).and_then(Value::as_object).into_iter().flatten();
        hosts.flat_map(|(host, volumes)| {
            let volumes = volumes.as_array().into_iter().flatten().filter_map(Value::as_str);
            volumes.map(move |volume| (host.as_str(), volume))
        })
    }

    /// Remembers a volume that is left.
    pub fn remember_leftover(&mut self, host: &str, volume: &str) {
        if self.leftovers().any(|known| known == (host, volume)) {
            return;
        }
        let hosts = self.fields.entry(KEY).or_insert_with(|| Map::new().into());
        if !hosts.is_object() {
            *hosts = Map::new().into();
        }
        let Value::Object(hosts) = hosts else { return };
        match hosts.entry(host).or_insert_with(|| json!([])) {
            Value::Array(volumes) => volumes.push(volume.into()),
            spoiled => *spoiled = json!([volume]),
        }
    }

    /// Forgets a volume that is gone.
    pub fn forget_leftover(&mut self, host: &str, volume: &str) {
        let Some(Value::Object(hosts)) = self.fields.get_mut(KEY) else { return };
        if let Some(Value::Array(volumes)) = hosts.get_mut(host) {
            volumes.retain(|known| known != volume);
        }
        hosts.retain(|_, volumes| volumes.as_array().is_some_and(|volumes| !volumes.is_empty()));
        if hosts.is_empty() {
            self.fields.shift_remove(KEY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_remembered_until_it_is_gone() {
        let mut lock = Lock::new("lab");
        for (host, volume) in [("pve1", "a:1"), ("pve2", "a:1"), ("pve1", "a:2"), ("pve1", "a:1")] {
            lock.remember_leftover(host, volume);
        }
        let mut lock = Lock::parse(&lock.emit(), "lab").unwrap();
        assert_eq!(lock.leftovers().collect::<Vec<_>>(), [("pve1", "a:1"), ("pve1", "a:2"), ("pve2", "a:1")]);
        lock.forget_vms();
        for (host, volume) in [("pve1", "a:1"), ("pve2", "a:1"), ("pve1", "a:2"), ("pve7", "a:2")] {
            lock.forget_leftover(host, volume);
        }
        assert_eq!(lock.emit(), Lock::new("lab").emit());
    }

    #[test]
    fn an_entry_that_somebody_spoiled_names_nothing() {
        let mut lock = Lock::new("lab");
        for spoiled in [json!("x"), json!({"pve1": "x"}), json!({"pve1": [7]})] {
            lock.fields.insert(KEY.into(), spoiled);
            assert_eq!(lock.leftovers().count(), 0);
        }
        lock.fields.insert(KEY.into(), json!({"pve1": "x"}));
        lock.remember_leftover("pve1", "a:1");
        assert_eq!(lock.leftovers().collect::<Vec<_>>(), [("pve1", "a:1")]);
    }
}
