//! Making a VM, and making it again when something was in the way.

use std::time::Duration;

use patience::{Attempt, Backoff, Deadline, Ended, Patience, until};
use pve_client::{Kind, answer::Config, request};
use record::{Failure, Node};
use step::{Run, Stop};
use tokio::time::{Instant, sleep};

use crate::{
    changes::Work,
    error::Error,
    fleet::{Fleet, Gate},
    identity::Owner,
    machine::Machine,
};

/// Where a VM is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) vmid: u32,
    pub(crate) host: String,
}

/// What one attempt came to.
enum Outcome {
    Made(Spot),
    /// The VM ID was somebody's: at once again with another.
    Again,
    /// Something was in the way; later again.
    Later(Failure),
}

/// Creates a node's VM.
pub(crate) async fn create(fleet: &Fleet, run: &Run, node: &Node, machine: &Machine) -> Result<Spot, Stop> {
    let host = fleet.place(machine).map_err(Failure::from)?;
    let deadline = Deadline::within(run.wait_timeout());
    let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(15)).seeded(&machine.name);
    let stopping = run.stopping();
    let _place = tokio::select! {
        place = fleet.pass(Gate::Create, &host, machine) => place,
        () = stopping.cancelled() => return Err(Failure::interrupted().into()),
    };
    loop {
        let failure = match attempt(fleet, run, node, machine, &host).await? {
            Outcome::Made(spot) => {
                let spot = sole(fleet, run, node, machine, spot).await?;
                run.say(node, &format!("created VM {} on {}", spot.vmid, spot.host));
                return Ok(spot);
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
    let parameters = machine.creation(fleet.volume(host).map_err(Failure::from)?);
    let slot = run.slot(node).await?;
    let claim = fleet.claim.lock().await;
    let vmid = fleet.free_id(machine).await?;
    let asked = fleet.pve.ask(&request::create(host, vmid, parameters)).await;
    if asked.is_ok() {
        fleet.take(vmid);
    }
    drop(claim);
    drop(slot);
    let spot = Spot { vmid, host: host.to_owned() };
    let error = match asked {
        Ok(upid) => match fleet.pve.finish(&upid, run.wait_timeout()).await {
            Ok(()) => return Ok(Outcome::Made(spot)),
            Err(error) => error,
        },
        Err(error) => error,
    };
    // What the server said may be older than what it did: the VM itself decides.
    if may_exist(&error) && is_ours(fleet, &spot, &machine.name).await {
        settled(fleet, run, &spot).await?;
        fleet.take(vmid);
        return Ok(Outcome::Made(spot));
    }
    match error.kind() {
        Some(Kind::Exists) if machine.vmid.is_some() => {
            Err(Failure::from(Error::Taken { vmid, host: host.into(), node: machine.name.clone() }).into())
        }
        Some(Kind::Exists) => {
            fleet.take(vmid);
            Ok(Outcome::Again)
        }
        _ if error.is_transient() => Ok(Outcome::Later(pve_access::failure(&error))),
        _ => Err(pve_access::failure(&error).into()),
    }
}

/// A run elsewhere, or a request of ours that was thought lost, may have made the same VM. That with the lowest VM ID
/// stays; a higher one goes before it was ever started.
async fn sole(fleet: &Fleet, run: &Run, node: &Node, machine: &Machine, made: Spot) -> Result<Spot, Stop> {
    for host in fleet.inventory.hosts.iter().map(|host| &host.name) {
        // A host that does not answer has not made anything a moment ago.
        for row in fleet.pve.ask(&request::vms(host)).await.unwrap_or_default() {
            let twin = Spot { vmid: row.vmid, host: host.clone() };
            let same_name = row.name.as_deref() == Some(&machine.name) && twin.vmid < made.vmid;
            if same_name && is_ours(fleet, &twin, &machine.name).await {
                settled(fleet, run, &twin).await?;
                run.say(node, &format!("has VM {} already: removing the double {}", twin.vmid, made.vmid));
                Work { fleet, run, node, machine, spot: made }.destroy().await?;
                return Ok(twin);
            }
        }
    }
    Ok(made)
}

/// Whether the VM may be there in spite of the error.
fn may_exist(error: &pve_client::Error) -> bool {
    error.is_transient() || error.kind() == Some(Kind::Exists)
}

async fn is_ours(fleet: &Fleet, spot: &Spot, node: &str) -> bool {
    let config = fleet.pve.ask(&request::config(&spot.host, spot.vmid)).await;
    config.is_ok_and(|config| fleet.identity.owner(&config, node) == Owner::Ours)
}

/// The config of a VM once no creation is at work on it any more.
pub(crate) async fn settled(fleet: &Fleet, run: &Run, spot: &Spot) -> Result<Config, Stop> {
    let look = || async {
        match fleet.pve.ask(&request::config(&spot.host, spot.vmid)).await {
            Ok(config) => match config.get("lock") {
                Some(lock) => Attempt::NotYet(format!("it is locked ({lock})")),
                None => Attempt::Ready(config),
            },
            Err(error) if error.is_transient() => Attempt::NotYet(error.to_string()),
            Err(error) => Attempt::Failed(pve_access::failure(&error)),
        }
    };
    let stopping = run.stopping();
    let patience = Patience::new(Deadline::within(run.wait_timeout())).paced(Backoff::usual().seeded(&spot.host));
    match until(patience, stopping.cancelled(), look).await {
        Ok(config) => Ok(config),
        Err(Ended::Failed(failure)) => Err(failure.into()),
        Err(Ended::Interrupted { .. }) => Err(Failure::interrupted().into()),
        Err(Ended::Expired { last, .. }) => {
            let last = last.unwrap_or_else(|| "no answer".into());
            let locked = last.contains("(create)");
            let failure = Failure::from(Error::Restless { vmid: spot.vmid, host: spot.host.clone(), last });
            let unlock =
                format!("if no creation is under way there, `qm unlock {}` on {} lifts it", spot.vmid, spot.host);
            Err(if locked { failure.hint(unlock) } else { failure }.into())
        }
    }
}
