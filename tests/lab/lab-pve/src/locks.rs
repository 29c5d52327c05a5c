//! Locks: of a VM's configuration file, of a storage, of a file of the cluster.
//!
//! Who comes second waits, for so long and no longer; what it says then is the same in every release. A lock is held by a
//! task (known by its identifier) or by somebody outside; calls that answer at once never hold one across two calls.

use std::collections::{BTreeMap, VecDeque};

use super::storage::Storage;

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// `/var/lock/qemu-server/lock-N.conf`, which everything that changes a VM takes.
    Vm(u32),
    /// `/var/lock/pve-manager/pve-storage-S` of a host: allocating and freeing on a storage that is not shared.
    Local {
        /// The host.
        node: String,
        /// The storage.
        storage: String,
    },
    /// A directory below `/etc/pve/priv/lock`, one for the whole cluster: `storage-S`, `file-user_cfg`, `domain-ha`.
    Cluster(String),
}

impl Lock {
    /// The lock of a storage, as a host takes it.
    pub(crate) fn of_storage(node: &str, storage: &Storage) -> Self {
        match storage.shared {
            true => Self::Cluster(format!("storage-{}", storage.name)),
            false => Self::Local { node: node.to_owned(), storage: storage.name.clone() },
        }
    }

    /// The lock of users, groups, roles, rights and pools.
    pub(crate) fn users() -> Self {
        Self::Cluster("file-user_cfg".to_owned())
    }

    /// The lock of high availability.
    pub(crate) fn ha() -> Self {
        Self::Cluster("domain-ha".to_owned())
    }

    /// What is said by whoever has waited in vain (`PVE::Tools::lock_file_full`, `PVE::Cluster::cfs_lock`).
    pub(crate) fn timed_out(&self) -> String {
        match self {
            Self::Vm(vmid) => format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout"),
            Self::Local { storage, .. } => {
                format!("can't lock file '/var/lock/pve-manager/pve-storage-{storage}' - got timeout")
            }
            Self::Cluster(name) => format!("cfs-lock '{name}' error: got lock request timeout"),
        }
    }

    /// What a task prints when it has to wait.
    pub(crate) fn waiting(&self) -> String {
        match self {
            Self::Vm(_) | Self::Local { .. } => "trying to acquire lock...".to_owned(),
            Self::Cluster(name) => format!("trying to acquire cfs lock '{name}' ..."),
        }
    }

    /// What a task prints when its wait is over.
    pub(crate) fn acquired(&self) -> Option<&'static str> {
        matches!(self, Self::Vm(_) | Self::Local { .. }).then_some(" OK")
    }
}

/// Who wants a lock, and whether it may be shared with others who only read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Party {
    name: String,
    shared: bool,
}

#[derive(Debug, Default)]
struct Queue {
    holders: Vec<Party>,
    waiting: VecDeque<Party>,
}

impl Queue {
    fn admits(&self, shared: bool) -> bool {
        self.holders.is_empty() || (shared && self.holders.iter().all(|holder| holder.shared))
    }

    /// Lets in who stands first, and all behind who may enter as well; gives their names.
    fn admit(&mut self) -> Vec<String> {
        let mut admitted = Vec::new();
        while let Some(first) = self.waiting.front().filter(|first| self.admits(first.shared)).cloned() {
            self.waiting.pop_front();
            admitted.push(first.name.clone());
            self.holders.push(first);
        }
        admitted
    }
}

/// Every lock that is held.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    queues: BTreeMap<Lock, Queue>,
}

impl Locks {
    /// Takes a lock, or stands in line for it; tells whether it is held now.
    pub(crate) fn take(&mut self, lock: &Lock, name: &str, shared: bool) -> bool {
        let queue = self.queues.entry(lock.clone()).or_default();
        let party = Party { name: name.to_owned(), shared };
        let free = queue.waiting.is_empty() && queue.admits(shared);
        match free {
            true => queue.holders.push(party),
            false => queue.waiting.push_back(party),
        }
        free
    }

    /// Whether nobody holds a lock.
    pub(crate) fn is_free(&self, lock: &Lock) -> bool {
        self.queues.get(lock).is_none_or(|queue| queue.holders.is_empty())
    }

    /// The lock that somebody stands in line for.
    pub(crate) fn awaited(&self, name: &str) -> Option<&Lock> {
        self.queues.iter().find(|(_, queue)| queue.waiting.iter().any(|party| party.name == name)).map(|(lock, _)| lock)
    }

    /// Gives a lock back; returns who has it now.
    pub(crate) fn give(&mut self, lock: &Lock, name: &str) -> Vec<String> {
        let Some(queue) = self.queues.get_mut(lock) else { return Vec::new() };
        queue.holders.retain(|party| party.name != name);
        queue.waiting.retain(|party| party.name != name);
        let admitted = queue.admit();
        self.queues.retain(|_, queue| !queue.holders.is_empty());
        admitted
    }

    /// Gives everything back and leaves every line; returns who has which lock now.
    pub(crate) fn leave(&mut self, name: &str) -> Vec<(Lock, Vec<String>)> {
        let all: Vec<Lock> = self.queues.keys().cloned().collect();
        let given = all.into_iter().map(|lock| (lock.clone(), self.give(&lock, name)));
        given.filter(|(_, next)| !next.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_gets_the_lock_when_the_first_gives_it_back() {
        let (mut locks, lock) = (Locks::default(), Lock::Vm(100));
        assert!(locks.take(&lock, "a", false));
        assert!(!locks.take(&lock, "b", false) && !locks.take(&lock, "c", false));
        assert!(locks.take(&Lock::Vm(101), "c2", false), "another VM has a lock of its own");
        assert_eq!(locks.awaited("b"), Some(&lock));
        assert_eq!(locks.leave("b"), [], "who gives up is not served");
        assert_eq!(locks.give(&lock, "a"), ["c"]);
        assert_eq!(locks.leave("c"), []);
        assert!(locks.is_free(&lock));
    }

    #[test]
    fn readers_share_a_lock_and_a_writer_waits_for_all_of_them() {
        let (mut locks, lock) = (Locks::default(), Lock::Vm(100));
        assert!(locks.take(&lock, "a", true) && locks.take(&lock, "b", true));
        assert!(!locks.take(&lock, "writer", false));
        assert!(!locks.take(&lock, "c", true), "nobody overtakes the writer");
        assert_eq!(locks.leave("a"), []);
        assert_eq!(locks.leave("b"), [(lock.clone(), vec!["writer".to_owned()])]);
        assert_eq!(locks.leave("writer"), [(lock, vec!["c".to_owned()])]);
    }

    #[test]
    fn a_storage_has_a_lock_on_each_host_and_a_shared_one_has_a_lock_for_all() {
        let own = Storage::new("s", super::super::StorageKind::Dir, &["images"]);
        let shared = Storage { shared: true, ..own.clone() };
        assert_ne!(Lock::of_storage("pve1", &own), Lock::of_storage("pve2", &own));
        assert_eq!(Lock::of_storage("pve1", &shared), Lock::of_storage("pve2", &shared));
    }
}
