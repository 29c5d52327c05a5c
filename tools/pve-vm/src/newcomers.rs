//! The VMs that a run has made, looked at once more before it is done: another run may have made a second one for a node
//! after this one had looked for twins. The node that ends last looks for all of them, so it is one look a run.

use std::sync::{Mutex, PoisonError};

use pve_client::{
    answer::{Config, Resource},
    request,
};
use record::Failure;
use tokio::time::Instant;

use crate::{
    creation::may_be_twin, error::Error, fleet::Fleet, identity::Owner, inventory::is_of_namesake, location::Location,
};

/// What is being made, and what was made and not looked at again.
#[derive(Debug, Default)]
pub(crate) struct Newcomers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    at_work: usize,
    made: Vec<(String, Location)>,
}

/// A node whose VM is being made, until this is dropped.
#[derive(Debug)]
pub(crate) struct Making<'a>(&'a Newcomers);

impl Newcomers {
    /// A VM is about to be made.
    pub(crate) fn begin(&self) -> Making<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at_work += 1;
        Making(self)
    }
}

impl Making<'_> {
    /// The node is done. If no other one is being made, all that were made are looked at.
    pub(crate) async fn done(self, fleet: &Fleet, node: &str, location: &Location) -> Result<(), Failure> {
        let due = {
            let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.made.push((node.to_owned(), location.clone()));
            if state.at_work == 1 { std::mem::take(&mut state.made) } else { Vec::new() }
        };
        if due.is_empty() {
            return Ok(());
        }
        let guests = fleet.guests(Instant::now()).await?;
        for (node, made) in &due {
            fleet.is_alone(&guests, node, made).await?;
        }
        Ok(())
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).at_work -= 1;
    }
}

impl Fleet {
    /// Refuses a second VM of a node, also of another set of VMs for this cluster.
    async fn is_alone(&self, guests: &[Resource], node: &str, made: &Location) -> Result<(), Failure> {
        let vm_name = self.identity.vm_name(node);
        let others = guests.iter().filter(|row| row.vmid != made.vmid && may_be_twin(self, row, &vm_name));
        for row in others {
            match self.pve.ask(&request::pending(&row.node, row.vmid)).await {
                Ok(config) if self.identity.owner(&config, node) == Owner::Ours => {
                    let (first, second) = (made.vmid.min(row.vmid), made.vmid.max(row.vmid));
                    return Err(Error::Twice { first, second, node: node.to_owned() }.into());
                }
                Ok(config) => self.is_no_other_set(&config, row.vmid, node, made)?,
                Err(error) if error.is_no_vm() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Refuses a VM that was made for this node from another `ichor.lock`.
    pub(crate) fn is_no_other_set(&self, config: &Config, vmid: u32, node: &str, made: &Location) -> Result<(), Error> {
        // What the list calls nothing yet may be any VM of another cluster that has this one's name.
        let is_nodes = config.get("name") == Some(&self.identity.vm_name(node));
        if !is_nodes || self.identity.marks(config) || !is_of_namesake(config, &self.cluster) {
            return Ok(());
        }
        let (own, cluster) = (made.vmid, self.cluster.clone());
        Err(Error::TwoSets { own, other: vmid, node: node.to_owned(), cluster })
    }
}
