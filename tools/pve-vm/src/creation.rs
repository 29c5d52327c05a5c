//! Creating a VM, and trying again after a transient failure.

use std::time::Duration;

use patience::{Backoff, Deadline};
use pve_client::{Kind, request};
use record::{Failure, Node};
use step::{Run, Stop};
use tokio::time::{Instant, sleep};

use crate::{
    changes::VmOperation,
    error::Error,
    fleet::{Fleet, Gate},
    identity::Owner,
    location::{Location, settled},
    machine::Machine,
};

/// The result of one attempt.
enum Outcome {
    Made(Location),
    /// The VM ID was taken: try another one immediately.
    Again,
    /// A transient failure: try again later.
    Later(Failure),
}

/// Creates a node's VM.
pub(crate) async fn create(fleet: &Fleet, run: &Run, node: &Node, machine: &Machine) -> Result<Location, Stop> {
    let host = fleet.place(machine)?;
    let deadline = Deadline::within(run.wait_timeout());
    let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(15)).seeded(&machine.name);
    let stopping = run.stopping();
    let _place = tokio::select! {
        place = fleet.pass(Gate::Create, &host, machine) => place,
        () = stopping.cancelled() => return Err(Failure::interrupted().into()),
    };
    loop {
        let failure = match attempt(fleet, run, node, machine, &host).await? {
            Outcome::Made(location) => {
                let location = sole(fleet, run, node, machine, location).await?;
                run.say(node, &format!("created VM {} on {}", location.vmid, location.host));
                return Ok(location);
            }
            Outcome::Again => continue,
            Outcome::Later(failure) => failure,
        };
        let now = Instant::now();
        if deadline.passed(now) || stopping.is_cancelled() {
            return Err(failure.into());
        }
        tokio::select! {
            () = sleep(deadline.at_most(now, pauses.pause())) => {}
            () = stopping.cancelled() => {}
        }
    }
}

async fn attempt(fleet: &Fleet, run: &Run, node: &Node, machine: &Machine, host: &str) -> Result<Outcome, Stop> {
    let parameters = machine.creation(host, fleet.volume(host)?);
    let slot = run.slot(node).await?;
    let claim = fleet.claim.lock().await;
    let vmid = fleet.free_id(machine).await?;
    let asked = fleet.pve.ask(&request::create(host, vmid, parameters)).await;
    if asked.is_ok() {
        fleet.take(vmid);
    }
    drop(claim);
    drop(slot);
    let location = Location { vmid, host: host.to_owned() };
    let error = match asked {
        Ok(upid) => match fleet.pve.finish(&upid, run.wait_timeout()).await {
            Ok(()) => return Ok(Outcome::Made(location)),
            Err(error) => error,
        },
        Err(error) => error,
    };
    // The reply may be wrong (a lost success): look at the VM itself.
    if may_exist(&error) && is_ours(fleet, &location, &machine.name).await {
        settled(fleet, run, node, &location).await?;
        fleet.take(vmid);
        return Ok(Outcome::Made(location));
    }
    match error.kind() {
        Some(Kind::Exists) if machine.vmid.is_some() => {
            Err(Error::Taken { vmid, host: host.into(), node: machine.name.clone() }.into())
        }
        Some(Kind::Exists) => {
            fleet.take(vmid);
            Ok(Outcome::Again)
        }
        _ if error.is_transient() => Ok(Outcome::Later(error.into())),
        _ => Err(error.into()),
    }
}

/// Another run, or an earlier request of ours whose reply was lost, may have created the same VM. The one with the lowest
/// VM ID is kept; one with a higher ID is removed before it is ever started.
async fn sole(fleet: &Fleet, run: &Run, node: &Node, machine: &Machine, made: Location) -> Result<Location, Stop> {
    for host in fleet.inventory.hosts.iter().map(|host| &host.name) {
        // A host that doesn't respond hasn't just created a VM.
        for row in fleet.pve.ask(&request::vms(host)).await.unwrap_or_default() {
            let twin = Location { vmid: row.vmid, host: host.clone() };
            let same_name = row.name.as_deref() == Some(&machine.name) && twin.vmid < made.vmid;
            if same_name && is_ours(fleet, &twin, &machine.name).await {
                settled(fleet, run, node, &twin).await?;
                run.say(node, &format!("VM {} already exists: removing the duplicate {}", twin.vmid, made.vmid));
                VmOperation { fleet, run, node, machine, location: made }.destroy().await?;
                return Ok(twin);
            }
        }
    }
    Ok(made)
}

/// Whether the VM may exist in spite of the error.
fn may_exist(error: &pve_client::Error) -> bool {
    error.is_transient() || error.kind() == Some(Kind::Exists)
}

async fn is_ours(fleet: &Fleet, location: &Location, node: &str) -> bool {
    let config = fleet.pve.ask(&request::config(&location.host, location.vmid)).await;
    config.is_ok_and(|config| fleet.identity.owner(&config, node) == Owner::Ours)
}
