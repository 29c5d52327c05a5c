//! Locks of storages: one allocation at a time, on a host or, for a shared storage, in the whole cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use super::storage::Storage;

/// How long an allocation waits for the lock of its storage (`PVE::Storage::lock_storage`, 10 s for both kinds).
const PATIENCE: Duration = Duration::from_secs(10);

/// When each lock is free again.
#[derive(Default)]
pub(crate) struct Locks {
    /// Time since the server started.
    pub(crate) clock: Duration,
    /// By host (empty for shared storages) and storage.
    free: BTreeMap<(String, String), Duration>,
}

impl Locks {
    /// Takes the lock for one allocation; gives how long that takes with the wait for it, or how long it waited in vain.
    pub(crate) fn allocate(&mut self, node: &str, storage: &Storage, time: Duration) -> Result<Duration, Duration> {
        let place = if storage.shared { "" } else { node };
        let free = self.free.entry((place.to_owned(), storage.name.clone())).or_default();
        let wait = free.saturating_sub(self.clock);
        if wait > PATIENCE {
            return Err(PATIENCE);
        }
        *free = self.clock.max(*free) + time;
        Ok(wait + time)
    }
}

#[cfg(test)]
mod tests {
    use super::super::StorageKind;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn allocations_on_one_storage_queue_and_the_twelfth_second_is_one_too_many() {
        let (mut locks, storage) = (Locks::default(), Storage::new("s", StorageKind::Dir, &["images"]));
        for number in 1..=11 {
            assert_eq!(locks.allocate("pve1", &storage, SECOND), Ok(SECOND * number));
        }
        assert_eq!(locks.allocate("pve1", &storage, SECOND), Err(PATIENCE));
        assert_eq!(locks.allocate("pve2", &storage, SECOND), Ok(SECOND), "another host has a lock of its own");
        locks.clock = SECOND * 5;
        assert_eq!(locks.allocate("pve1", &storage, SECOND), Ok(SECOND * 7));
    }

    #[test]
    fn a_shared_storage_has_one_lock_for_all_hosts() {
        let storage = Storage { shared: true, ..Storage::new("s", StorageKind::Dir, &["images"]) };
        let mut locks = Locks::default();
        assert_eq!(locks.allocate("pve1", &storage, SECOND), Ok(SECOND));
        assert_eq!(locks.allocate("pve2", &storage, SECOND), Ok(SECOND * 2));
    }
}
