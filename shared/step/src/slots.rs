//! Slots: `--parallel`, and other limits of what can be done at once. Control planes are served first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// A number of slots.
#[derive(Debug)]
pub struct Slots {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    control_planes: VecDeque<oneshot::Sender<Slot>>,
    workers: VecDeque<oneshot::Sender<Slot>>,
}

/// A slot, given back when dropped. Hold none while waiting for something.
#[derive(Debug)]
pub struct Slot {
    slots: Option<Arc<Slots>>,
}

impl Slots {
    /// This many slots.
    #[must_use]
    pub fn new(count: usize) -> Arc<Self> {
        let state = State { free: count, control_planes: VecDeque::new(), workers: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Waits for a slot. Control planes overtake workers; among their like, first come, first served.
    pub async fn take(self: &Arc<Self>, is_control_plane: bool) -> Slot {
        if !is_control_plane {
            // Control planes that become ready at the same moment get here first.
            tokio::task::yield_now().await;
        }
        let waiting = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.free > 0 {
                state.free -= 1;
                return Slot { slots: Some(Arc::clone(self)) };
            }
            let (sender, receiver) = oneshot::channel();
            let queue = if is_control_plane { &mut state.control_planes } else { &mut state.workers };
            queue.push_back(sender);
            receiver
        };
        waiting.await.expect("a queue lives as long as its slots")
    }

    /// Hands a slot to the next in the queue, or puts it back.
    fn give(self: Arc<Self>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slot = Slot { slots: Some(Arc::clone(&self)) };
        while let Some(next) = state.control_planes.pop_front().or_else(|| state.workers.pop_front()) {
            match next.send(slot) {
                Ok(()) => return,
                Err(back) => slot = back, // the task that waited is gone
            }
        }
        slot.slots = None;
        state.free += 1;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn control_planes_are_served_before_workers_that_waited_longer() {
        let slots = Slots::new(1);
        let held = slots.take(false).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for (name, is_control_plane) in [("w-1", false), ("w-2", false), ("cp-1", true)] {
            let (slots, order) = (Arc::clone(&slots), Arc::clone(&order));
            tasks.spawn(async move {
                let _slot = slots.take(is_control_plane).await;
                order.lock().unwrap().push(name);
            });
            tokio::task::yield_now().await;
        }
        drop(held);
        tasks.join_all().await;
        assert_eq!(*order.lock().unwrap(), ["cp-1", "w-1", "w-2"]);
    }

    #[tokio::test]
    async fn a_place_of_a_task_that_is_gone_is_not_lost() {
        let slots = Slots::new(1);
        let held = slots.take(false).await;
        let gone = tokio::spawn({
            let slots = Arc::clone(&slots);
            // A control plane queues at once.
            async move { drop(slots.take(true).await) }
        });
        tokio::task::yield_now().await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled(), "it is gone before its turn comes");
        drop(held);
        assert!(tokio::time::timeout(std::time::Duration::from_secs(5), slots.take(false)).await.is_ok());
    }

    #[tokio::test]
    async fn a_control_plane_that_is_ready_at_the_same_moment_is_served_first() {
        let slots = Slots::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let ask = |name, is_control_plane| {
            let (slots, order) = (Arc::clone(&slots), Arc::clone(&order));
            async move {
                let _slot = slots.take(is_control_plane).await;
                order.lock().unwrap().push(name);
            }
        };
        tokio::join!(ask("w-1", false), ask("cp-1", true));
        assert_eq!(*order.lock().unwrap(), ["cp-1", "w-1"]);
    }
}
