//! The VMs that nodes have: only the hypervisor knows whether a VM that can't be seen exists, and it can be asked by its ID
//! alone.

use serde_json::Value;

use super::Lock;
use crate::Map;

/// The key of the entry.
const KEY: &str = "vms";

impl Lock {
    /// The ID of the VM that a node was seen with last, or made with. Nothing else is decided by it.
    #[must_use]
    pub fn vm(&self, node: &str) -> Option<u32> {
        self.fields.get(KEY)?.get(node)?.as_u64()?.try_into().ok()
    }

    /// The nodes whose VMs are remembered.
    pub fn nodes_with_vms(&self) -> impl Iterator<Item = &str> {
        let vms = self.fields.get(KEY).and_then(Value::as_object);
        vms.into_iter().flat_map(|vms| vms.iter().filter(|(_, vmid)| !vmid.is_null()).map(|(node, _)| node.as_str()))
    }

    /// Whether a node's VM was destroyed on purpose, and none made since.
    #[must_use]
    pub fn was_destroyed(&self, node: &str) -> bool {
        self.fields.get(KEY).and_then(|vms| vms.get(node)).is_some_and(Value::is_null)
    }

    /// Remembers the VM that a node has.
    pub fn remember_vm(&mut self, node: &str, vmid: u32) {
        self.set_vm(node, vmid.into());
    }

    /// Remembers that a node's VM was destroyed on purpose.
    pub fn remember_destroyed(&mut self, node: &str) {
        self.set_vm(node, Value::Null);
        self.forget_contact(node);
    }

    /// Forgets all VMs: the whole cluster was destroyed.
    pub fn forget_vms(&mut self) {
        self.fields.shift_remove(KEY);
        self.forget_contacts();
    }

    fn set_vm(&mut self, node: &str, vmid: Value) {
        let entry = self.fields.entry(KEY).or_insert_with(|| Map::new().into());
        if !entry.is_object() {
            *entry = Map::new().into();
        }
        if let Value::Object(entry) = entry {
            entry.insert(node.to_owned(), vmid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_is_remembered_until_it_is_destroyed() {
        let mut lock = Lock::new("lab");
        assert_eq!(lock.vm("w-1"), None);
        lock.remember_vm("w-1", 101);
        lock.remember_vm("cp-1", 100);
        lock.remember_vm("w-1", 102);
        let mut lock = Lock::parse(&lock.emit(), "lab").unwrap();
        assert_eq!((lock.vm("w-1"), lock.vm("cp-1"), lock.vm("w-2")), (Some(102), Some(100), None));
        lock.remember_destroyed("w-1");
        let mut lock = Lock::parse(&lock.emit(), "lab").unwrap();
        assert_eq!(lock.nodes_with_vms().collect::<Vec<_>>(), ["cp-1"]);
        assert_eq!((lock.vm("w-1"), lock.was_destroyed("w-1"), lock.was_destroyed("w-2")), (None, true, false));
        lock.forget_vms();
        assert_eq!(lock.emit(), Lock::new("lab").emit());
    }

    #[test]
    fn an_entry_that_somebody_spoiled_remembers_nothing() {
        let mut lock = Lock::new("lab");
        lock.fields.insert(KEY.into(), "x".into());
        assert_eq!((lock.vm("w-1"), lock.nodes_with_vms().count()), (None, 0));
        lock.remember_vm("w-1", 101);
        assert_eq!(lock.vm("w-1"), Some(101));
    }
}
