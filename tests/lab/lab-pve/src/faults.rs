//! What goes wrong on purpose.

use std::collections::BTreeSet;
use std::time::Duration;

use lab_core::fault::Fault;

use super::arrivals::Arrival;
use super::locks::Lock;
use super::storage::Storage;

/// Everything that is to go wrong.
#[derive(Default)]
pub(crate) struct Faults {
    creates: Vec<(String, String)>,
    storage_locks: Vec<String>,
    /// How many of the next tasks fail to start.
    pub(crate) workers: u32,
    slow: Vec<(String, Duration)>,
    requests: Vec<(String, String, Fault)>,
    /// How many requests come before one that goes wrong, and how; nothing is left once it was met.
    counted: Option<(u64, Fault)>,
    held: BTreeSet<String>,
    unreadable: BTreeSet<String>,
    vm_locks: Vec<u32>,
    cluster_locks: Vec<String>,
    /// Hosts that take calls and answer too late.
    pub(crate) late: BTreeSet<String>,
    deaf: BTreeSet<u32>,
    /// Whether connections are accepted and then left alone.
    pub(crate) hanging: bool,
    /// Hosts that do not answer.
    pub(crate) offline: BTreeSet<String>,
    /// Hosts that are cut off from the majority.
    pub(crate) minority: BTreeSet<String>,
    /// Files that are still to come.
    pub(crate) arrivals: Vec<Arrival>,
    /// Why no host can download anything.
    pub(crate) unreached: Option<String>,
}

impl Faults {
    /// Fails the next creations of a VM with this name.
    pub(crate) fn fail_create(&mut self, name: &str, text: &str, times: usize) {
        self.creates.extend(std::iter::repeat_n((name.to_owned(), text.to_owned()), times));
    }

    /// Takes the error of a creation, if there is one to come.
    pub(crate) fn create(&mut self, name: &str) -> Option<String> {
        let at = self.creates.iter().position(|(other, _)| other == name)?;
        Some(self.creates.remove(at).1)
    }

    /// Lets the next allocations on a storage run into its lock.
    pub(crate) fn lock_storage(&mut self, storage: &str, times: usize) {
        self.storage_locks.extend(std::iter::repeat_n(storage.to_owned(), times));
    }

    /// Takes a lock time-out of a storage, if there is one to come.
    pub(crate) fn storage_lock(&mut self, node: &str, storage: &Storage) -> Option<String> {
        let at = self.storage_locks.iter().position(|other| *other == storage.name)?;
        self.storage_locks.remove(at);
        Some(Lock::of_storage(node, storage).timed_out())
    }

    /// Lets the next changes of a VM run into the lock of its configuration.
    pub(crate) fn lock_vm(&mut self, vmid: u32, times: usize) {
        self.vm_locks.extend(std::iter::repeat_n(vmid, times));
    }

    /// Takes a lock time-out of a VM, if there is one to come.
    pub(crate) fn vm_lock(&mut self, vmid: u32) -> Option<String> {
        let at = self.vm_locks.iter().position(|other| *other == vmid)?;
        self.vm_locks.remove(at);
        Some(Lock::Vm(vmid).timed_out())
    }

    /// Lets the next change of a file of the cluster (`file-user_cfg` …) run into its lock.
    pub(crate) fn lock_cluster(&mut self, name: &str, times: usize) {
        self.cluster_locks.extend(std::iter::repeat_n(name.to_owned(), times));
    }

    /// Takes a lock time-out of the cluster, if there is one to come.
    pub(crate) fn cluster_lock(&mut self, name: &str) -> Option<String> {
        let at = self.cluster_locks.iter().position(|other| other == name)?;
        self.cluster_locks.remove(at);
        Some(Lock::Cluster(name.to_owned()).timed_out())
    }

    /// Lets a guest ignore requests to shut down, or heed them again.
    pub(crate) fn deafen(&mut self, vmid: u32, ignore: bool) {
        match ignore {
            true => self.deaf.insert(vmid),
            false => self.deaf.remove(&vmid),
        };
    }

    /// Whether a guest ignores requests to shut down.
    pub(crate) fn is_deaf(&self, vmid: u32) -> bool {
        self.deaf.contains(&vmid)
    }

    /// Makes the next task of this type take longer.
    pub(crate) fn slow_task(&mut self, kind: &str, time: Duration) {
        self.slow.push((kind.to_owned(), time));
    }

    /// Takes the time of a slow task, if there is one to come.
    pub(crate) fn slow(&mut self, kind: &str) -> Option<Duration> {
        let at = self.slow.iter().position(|(other, _)| other == kind)?;
        Some(self.slow.remove(at).1)
    }

    /// Lets the next request with this method and this text in its path go wrong.
    pub(crate) fn request(&mut self, method: &str, path: &str, fault: Fault) {
        self.requests.push((method.to_owned(), path.to_owned(), fault));
    }

    /// Lets the request after `before` others go wrong, whatever it is.
    pub(crate) fn count_down(&mut self, before: u64, fault: Fault) {
        self.counted = Some((before, fault));
    }

    /// Whether that request has come.
    pub(crate) fn is_counted_down(&self) -> bool {
        self.counted.is_none()
    }

    /// Takes what goes wrong with a request, if anything does.
    pub(crate) fn of_request(&mut self, method: &str, path: &str) -> Option<Fault> {
        match &mut self.counted {
            Some((0, _)) => return self.counted.take().map(|(_, fault)| fault),
            Some((before, _)) => *before -= 1,
            None => {}
        }
        let at = self.requests.iter().position(|(of, part, _)| of == method && path.contains(part.as_str()))?;
        Some(self.requests.remove(at).2)
    }

    /// Lets tasks of the VM with this name stay unfinished.
    pub(crate) fn hold(&mut self, name: &str) {
        self.held.insert(name.to_owned());
    }

    /// Lets them go on.
    pub(crate) fn release(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// Refuses to read the VM with this name, as when its configuration stays locked.
    pub(crate) fn refuse_reads(&mut self, name: &str) {
        self.unreadable.insert(name.to_owned());
    }

    /// Whether the VM with this name cannot be read.
    pub(crate) fn hides(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    /// Whether tasks of this VM are held.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.held.contains(name)
    }
}
