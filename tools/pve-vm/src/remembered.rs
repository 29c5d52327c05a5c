//! The VMs that `ichor.lock` remembers. What a token can't see is in no list; whether it exists, the server says of every
//! ID. So a node whose VM isn't seen is taken for one without a VM only if its last one is gone.

use pve_client::{Kind, request};
use record::{Code, Contact, Exit, Failure, Node};
use step::{Run, Stop};

use crate::{changes::VmOperation, fleet::Fleet};

impl Fleet {
    /// Refuses to take a node's VM for absent that exists and can't be seen.
    pub(crate) async fn is_gone(&self, run: &Run, node: &Node) -> Result<(), Stop> {
        let remembered = run.dir()?.lock()?.and_then(|lock| lock.vm(node.name()));
        let Some(vmid) = remembered.filter(|vmid| !self.inventory.taken.contains(vmid)) else { return Ok(()) };
        match self.pve.ask(&request::is_free(vmid)).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), Some(Kind::Exists | Kind::Invalid)) => {
                // Somebody may have taken the ID since the lists were read.
                let guests = self.pve.ask(&request::guests()).await?;
                if guests.iter().any(|guest| guest.vmid == vmid) {
                    return Err(Failure::new(
                        Exit::Unreachable,
                        Code::Unreachable,
                        format!("VM {vmid} was just made, and may be the node's"),
                    )
                    .into());
                }
                let message = format!("the token may not see VM {vmid}, which the node had last");
                let hint = format!(
                    "give it VM.Audit on /vms/{vmid}, or put the VM into the pool of the file; if it is nobody's any more, \
                     take the node's entry out of `vms` in ichor.lock"
                );
                Err(Failure::new(Exit::NotAllowed, Code::NotAllowed, message).hint(hint).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// VMs of nodes that aren't in the file, which only the lock knows, and which exist.
pub(crate) async fn strangers(run: &Run, fleet: &Fleet) -> Result<Vec<String>, Failure> {
    let (listed, lock) = (run.listed(), run.dir()?.lock()?);
    let mut found = Vec::new();
    for node in lock
        .as_deref()
        .into_iter()
        .flat_map(record::Lock::nodes_with_vms)
        .filter(|node| listed.position(node).is_none())
    {
        let Some(vmid) = lock.as_ref().and_then(|lock| lock.vm(node)) else { continue };
        if fleet.inventory.taken.contains(&vmid) {
            continue;
        }
        match fleet.pve.ask(&request::is_free(vmid)).await {
            Ok(_) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(_) => found.push(format!("VM {vmid} of {node}, which isn't in the file, can't be seen")),
        }
    }
    Ok(found)
}

/// Remembers the VM that a node has.
pub(crate) fn remember(run: &Run, node: &Node, vmid: u32) -> Result<(), Failure> {
    let dir = run.dir()?;
    if dir.lock()?.is_some_and(|lock| lock.vm(node.name()) == Some(vmid)) {
        return Ok(());
    }
    dir.update_lock(|lock| lock.remember_vm(node.name(), vmid))
}

/// What is known of this VM of a node.
pub(crate) fn contact(run: &Run, node: &Node, operation: &VmOperation<'_>) -> Result<Option<Contact>, Failure> {
    let contact = run.dir()?.lock()?.and_then(|lock| lock.contact(node.name()));
    Ok(contact.filter(|contact| contact.vm == operation.location.vmid))
}

/// Remembers what is known of a node's VM.
pub(crate) fn remember_contact(run: &Run, node: &Node, contact: &Contact) -> Result<(), Failure> {
    run.dir()?.update_lock(|lock| lock.remember_contact(node.name(), contact))
}

/// Forgets it, before the VM is destroyed: the next one may have its ID.
pub(crate) fn forget_contact(run: &Run, node: &Node) -> Result<(), Failure> {
    let dir = run.dir()?;
    if dir.lock()?.and_then(|lock| lock.contact(node.name())).is_none() {
        return Ok(());
    }
    dir.update_lock(|lock| lock.forget_contact(node.name()))
}

/// Remembers that this run destroys a node's VM.
pub(crate) fn destroyed(run: &Run, node: &Node) -> Result<(), Failure> {
    let dir = run.dir()?;
    if dir.lock()?.is_some_and(|lock| lock.was_destroyed(node.name())) {
        return Ok(());
    }
    dir.update_lock(|lock| lock.remember_destroyed(node.name()))
}
