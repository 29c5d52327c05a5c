//! Trials of VMs that are under way, or were cut off: a VM that is being made shows nothing yet by which it could be known.

use serde_json::{Value, json};

use super::Lock;

/// The key of the entry: names of nodes.
const KEY: &str = "trials";

impl Lock {
    /// The nodes whose new VM is being tried, or was when a run was cut off.
    pub fn trials(&self) -> impl Iterator<Item = &str> {
        self.fields.get(KEY).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Remembers that a node's new VM is tried.
    pub fn remember_trial(&mut self, node: &str) {
        if self.trials().any(|known| known == node) {
            return;
        }
        match self.fields.entry(KEY).or_insert_with(|| json!([])) {
            Value::Array(nodes) => nodes.push(node.into()),
            spoiled => *spoiled = json!([node]),
        }
    }

    /// Forgets a trial of which nothing is left.
    pub fn forget_trial(&mut self, node: &str) {
        let Some(Value::Array(nodes)) = self.fields.get_mut(KEY) else { return };
        nodes.retain(|known| known != node);
        if nodes.is_empty() {
            self.fields.shift_remove(KEY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_remembered_until_nothing_is_left_of_it() {
        let mut lock = Lock::new("lab");
        for node in ["w-1", "w-2", "w-1"] {
            lock.remember_trial(node);
        }
        let mut lock = Lock::parse(&lock.emit(), "lab").unwrap();
        assert_eq!(lock.trials().collect::<Vec<_>>(), ["w-1", "w-2"]);
        for node in ["w-1", "w-2", "w-3"] {
            lock.forget_trial(node);
        }
        assert_eq!(lock.emit(), Lock::new("lab").emit());
        lock.fields.insert(KEY.into(), json!("spoiled"));
        assert_eq!(lock.trials().count(), 0);
        lock.remember_trial("w-1");
        assert_eq!(lock.trials().collect::<Vec<_>>(), ["w-1"]);
    }
}
