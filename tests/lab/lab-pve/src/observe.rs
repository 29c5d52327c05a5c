//! Looking at a hypervisor without holding it: for the page that shows the lab.

use std::sync::Arc;

use tokio::sync::watch;

use super::driver::Driver;
use super::{Pve, TaskView, VmView};

/// Somebody who looks, and keeps nothing running.
#[derive(Clone)]
pub struct Observer {
    driver: Arc<Driver>,
}

impl Pve {
    /// Somebody who looks.
    pub fn observer(&self) -> Observer {
        Observer { driver: Arc::clone(&self.driver) }
    }
}

impl Observer {
    /// Tells of changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.driver.changes()
    }

    /// All VMs by ID.
    pub fn vms(&self) -> Vec<VmView> {
        self.driver.look(|state| state.vms.iter().map(|(id, vm)| VmView::of(*id, vm)).collect())
    }

    /// Hosts, and whether they are on the network.
    pub fn hosts(&self) -> Vec<(String, bool)> {
        self.driver.look(|state| {
            let nodes = state.settings.nodes.iter();
            nodes.map(|node| (node.clone(), !state.faults.offline.contains(node))).collect()
        })
    }

    /// The latest tasks, the newest first.
    pub fn latest_tasks(&self, count: usize) -> Vec<TaskView> {
        self.driver.look(|state| state.tasks.newest_first().take(count).map(TaskView::of).collect())
    }
}
