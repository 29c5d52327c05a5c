//! Creating a VM, and trying again after a transient failure.

use std::{collections::BTreeSet, time::Duration};

use patience::{Backoff, Deadline};
use pve_client::{
    Kind,
    answer::{AtWork, Resource},
    property::Property,
    request::{self, Parameters},
};
use record::{Failure, Node};
use step::{Hold, Run, Stop};
use tokio::time::{Instant, sleep};

use crate::{
    changes::VmOperation,
    error::Error,
    fleet::Fleet,
    identity::Owner,
    location::{Busy, Location, settled},
    machine::Machine,
    ties::Id,
    watch,
};

/// The result of one attempt.
enum Outcome {
    Made(Location),
    /// The VM ID was taken: try another one immediately.
    Again,
    /// A transient failure: try again later.
    Later(Failure),
}

/// Creates a node's VM on this host.
pub(crate) async fn create(
    fleet: &Fleet,
    run: &Run,
    node: &Node,
    machine: &Machine,
    host: &str,
) -> Result<Location, Stop> {
    let parameters = machine.creation(host, fleet.volume(host)?);
    let deadline = Deadline::within(run.wait_timeout());
    let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(15)).seeded(&machine.name);
    let stopping = run.stopping();
    let storages = storages(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let places = tokio::select! {
        places = fleet.turn_on(run, node, host, &storages, machine) => places?,
        () = stopping.cancelled() => return Err(Failure::interrupted().into()),
    };
    loop {
        let failure = match attempt(fleet, run, node, machine, host, &parameters).await? {
            Outcome::Made(location) => {
                // A duplicate is destroyed below, which takes places of its own: who held some would wait for itself.
                drop(places);
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

async fn attempt(
    fleet: &Fleet,
    run: &Run,
    node: &Node,
    machine: &Machine,
    host: &str,
    parameters: &Parameters,
) -> Result<Outcome, Stop> {
    let slot = run.slot(node).await?;
    let claim = fleet.claim.lock().await;
    let vmid = fleet.free_id(run, machine).await?;
    let asked = fleet.pve.ask(&request::create(host, vmid, parameters.clone())).await;
    if asked.is_ok() {
        fleet.make(vmid, &machine.name);
    }
    drop(claim);
    drop(slot);
    let location = Location { vmid, host: host.to_owned() };
    let error = match asked {
        Ok(upid) => match watch::created(&fleet.pve, run, node, &upid).await {
            Ok(()) => return Ok(Outcome::Made(location)),
            Err(error) => error,
        },
        Err(error) => error,
    };
    // The reply may be wrong (a lost success): look at the VM itself. If it can't be seen, that is the node's error: a
    // second VM would be worse than none.
    if may_exist(&error) && is_ours(fleet, run, (node, &machine.name), &location).await? {
        fleet.make(vmid, &machine.name);
        return Ok(Outcome::Made(location));
    }
    match error.kind() {
        Some(Kind::Exists) if machine.vmid.is_some() => {
            let holder = error.refusal().and_then(pve_client::Refusal::holder);
            let holder = holder.map_or_else(|| format!("a guest {vmid}"), |holder| holder.to_string());
            Err(Error::Taken { vmid, holder, node: machine.name.clone() }.into())
        }
        Some(Kind::Exists) => {
            fleet.take(vmid);
            Ok(Outcome::Again)
        }
        Some(Kind::VolumeExists) => left_over(fleet, run, machine, &error, location).await,
        _ if error.is_transient() => Ok(Outcome::Later(error.into())),
        _ => Err(error.into()),
    }
}

/// A volume of an earlier VM of this ID is in the way: the VM ID itself is free.
async fn left_over(
    fleet: &Fleet,
    run: &Run,
    machine: &Machine,
    error: &pve_client::Error,
    location: Location,
) -> Result<Outcome, Stop> {
    let named = error.refusal().and_then(pve_client::Refusal::volume).unwrap_or("VOLUME").to_owned();
    let volume = volume_id(fleet, machine, &location.host, &named).await.unwrap_or(named);
    let left = Error::InTheWay { vmid: location.vmid, host: location.host, volume };
    if machine.vmid.is_some() {
        return Err(left.into());
    }
    run.warn(&format!("VM ID {} is left out: {left}", location.vmid));
    fleet.take(location.vmid);
    Ok(Outcome::Again)
}

/// The ID of a volume that the server named by its path: only that is what `pvesm` takes.
async fn volume_id(fleet: &Fleet, machine: &Machine, host: &str, named: &str) -> Option<String> {
    let last = |name: &str| name.rsplit(['/', ':']).next().map(str::to_owned);
    let parameters = machine.creation(host, "-");
    for storage in storages(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        let volumes = fleet.pve.ask(&request::disks(host, &storage)).await.unwrap_or_default();
        let found = volumes.into_iter().map(|volume| volume.volid).find(|volid| last(volid) == last(named));
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The storages of the drives among these parameters.
pub(crate) fn storages<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeSet<String> {
    const DRIVES: [&str; 7] = ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "unused"];
    let is_drive =
        |name: &str| DRIVES.iter().any(|bus| name.strip_prefix(bus).is_some_and(|index| index.parse::<u32>().is_ok()));
    let storage = |value: &str| {
        let drive = Property::parse(value);
        let file = drive.get("file").or(drive.bare())?;
        Some(file.split_once(':')?.0.to_owned())
    };
    parameters.filter(|(name, _)| is_drive(name)).filter_map(|(_, value)| storage(value)).collect()
}

/// How long a VM of another run with a higher ID may take to go.
const YIELDS: Duration = Duration::from_secs(10);

/// Another run, or an earlier request of ours whose reply was lost, may have created the same VM. Of two that were made at
/// the same time, the one with the higher VM ID goes; one that runs or was there before is kept in any case. IDs come free
/// again, so the other run may have looked for lower ones before ours was made: if its VM doesn't go, ours does. The one
/// that goes is removed before it is ever started.
async fn sole(fleet: &Fleet, run: &Run, node: &Node, machine: &Machine, made: Location) -> Result<Location, Stop> {
    let made_at = Instant::now();
    fleet.look_is_due(made_at).await;
    let twins: Vec<Location> = {
        // A creation of this run that is just being answered would pass for somebody else's, and be waited for.
        let _claim = fleet.claim.lock().await;
        let guests = fleet.guests(made_at).await?;
        let vm_name = fleet.identity.vm_name(&machine.name);
        let twins = guests.iter().filter(|row| may_be_twin(fleet, row, &vm_name));
        twins.map(|row| Location { vmid: row.vmid, host: row.node.clone() }).collect()
    };
    for twin in twins {
        let was_before = fleet.inventory.taken.contains(&twin.vmid);
        if twin.vmid == made.vmid {
            continue;
        }
        if !is_ours(fleet, run, (node, &machine.name), &twin).await? {
            match fleet.pve.ask(&request::pending(&twin.host, twin.vmid)).await {
                Ok(config) => fleet.is_no_other_set(&config, twin.vmid, &machine.name, &made)?,
                Err(error) if error.is_no_vm() => {}
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        let stays = twin.vmid < made.vmid || was_before || runs(fleet, &twin).await?;
        if stays || !goes(fleet, run, node, &twin).await? {
            run.say(node, &format!("VM {} already exists: removing the duplicate {}", twin.vmid, made.vmid));
            VmOperation { fleet, run, node, machine, location: made }.destroy(None, Id::Kept).await?;
            return Ok(twin);
        }
    }
    Ok(made)
}

/// Whether another run removes its VM, which has a higher ID than ours.
async fn goes(fleet: &Fleet, run: &Run, node: &Node, twin: &Location) -> Result<bool, Stop> {
    let (host, vmid) = (&twin.host, twin.vmid);
    let _shown = run.progress(Some(node), format!("VM {vmid} was made for it, too, by another run"));
    let deadline = Deadline::within(YIELDS);
    let mut pauses = Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).seeded(&vmid.to_string());
    loop {
        match fleet.pve.ask(&request::pending(host, vmid)).await {
            Err(error) if error.is_no_vm() => return Ok(true),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let now = Instant::now();
        let is_at_work = || async {
            let tasks = fleet.pve.ask(&request::at_work(host, vmid)).await?;
            Ok::<_, pve_client::Error>(tasks.iter().any(AtWork::is_at_work))
        };
        if deadline.passed(now) && !is_at_work().await? {
            return Ok(false);
        }
        sleep(pauses.pause()).await;
    }
}

/// Whether a VM may be the node's whose VM has this name: it has it, or none yet because it is new. A VM at which the host
/// looked while it was being made is called `VM 100` for ten seconds more (9.2.11).
pub(crate) fn may_be_twin(fleet: &Fleet, row: &Resource, vm_name: &str) -> bool {
    let is_new = || !fleet.inventory.taken.contains(&row.vmid);
    let is_unnamed = |name: &str| name == format!("VM {}", row.vmid);
    let has_name = |name: &str| name == vm_name || (is_unnamed(name) && is_new());
    row.kind == "qemu" && !fleet.has_made(row.vmid) && row.name.as_deref().map_or_else(is_new, has_name)
}

async fn runs(fleet: &Fleet, location: &Location) -> Result<bool, Failure> {
    Ok(fleet.pve.ask(&request::power(&location.host, location.vmid)).await?.is_running())
}

/// Whether the VM may exist in spite of the error.
fn may_exist(error: &pve_client::Error) -> bool {
    error.is_transient() || error.kind() == Some(Kind::Exists)
}

/// Whether the VM there is this node's. One that is being created is waited for: until then its config says nothing.
async fn is_ours(fleet: &Fleet, run: &Run, (node, name): (&Node, &str), location: &Location) -> Result<bool, Stop> {
    let (host, vmid) = (&location.host, location.vmid);
    let gone = |error: &pve_client::Error| error.is_no_vm();
    match fleet.pve.ask(&request::pending(host, vmid)).await {
        Err(error) if gone(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
        Ok(config) if config.lock() != Some("create") || config.uuid().is_some() => {
            return finished(fleet, run, (node, name), location, &config).await;
        }
        Ok(_) => {}
    }
    // A creation that was cut off stays so for ever; one of somebody else's token is not ours.
    let look = || async {
        let tasks = fleet.pve.ask(&request::creations(host, vmid)).await?;
        if tasks.is_empty() { Ok(()) } else { Err(Hold::not_yet(format!("VM {vmid} is being created"))) }
    };
    run.wait(node).until_or(look, |expired| location.still_busy(expired.last).into()).await?;
    match fleet.pve.ask(&request::pending(host, vmid)).await {
        Err(error) if gone(&error) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(config) => finished(fleet, run, (node, name), location, &config).await,
    }
}

/// Whether the VM with this config is the node's, once nothing is at work on it.
async fn finished(
    fleet: &Fleet,
    run: &Run,
    (node, name): (&Node, &str),
    location: &Location,
    config: &pve_client::answer::Config,
) -> Result<bool, Stop> {
    let ours = fleet.identity.owner(config, name) == Owner::Ours;
    if ours {
        settled(fleet, run, node, location).await?;
    }
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_storages_of_all_drives_are_known() {
        let found = storages(
            [
                ("scsi0", "fast:0,import-from=local:import/x.qcow2,discard=on"),
                ("scsi1", "file=slow:10,ssd=1"),
                ("efidisk0", "fast:1,efitype=4m"),
                ("ide0", "ci:cloudinit,media=cdrom"),
                ("ide2", "none,media=cdrom"),
                ("net0", "virtio,bridge=vmbr0"),
                ("scsihw", "virtio-scsi-pci"),
            ]
            .into_iter(),
        );
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["ci", "fast", "slow"]);
    }
}
