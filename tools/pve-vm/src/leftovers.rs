//! Volumes that a destruction left: removed where they are provably ours, else named until they are gone.
//!
//! They are ours because a run of ours destroyed their VM and wrote that down, and only as long as no guest has its ID: a
//! new one may have a volume of the same name.

use std::{collections::BTreeSet, time::Duration};

use pve_client::{Client, Kind, request};
use record::{Code, Exit, Failure, Node};
use step::{Run, Stop};

use crate::{difference::moved::owner, error::Error, fleet::Fleet, location::Location};

/// How often the removal of a volume is tried.
const REMOVALS: usize = 3;

/// A volume that can't be removed.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub(crate) host: String,
    pub(crate) volume: String,
    pub(crate) why: String,
    pub(crate) exit: Exit,
}

/// Removes the volumes that the destruction of this VM has just left, and remembers those that it can't remove.
pub(crate) async fn after(run: &Run, fleet: &Fleet, node: &Node, location: &Location) -> Result<(), Failure> {
    let Location { vmid, host } = location;
    let mut left = Vec::new();
    for line in fleet.pve.warnings(*vmid).into_iter().flat_map(|warning| warning.lines) {
        let Some(volume) = left_volume(&line, *vmid) else {
            run.warn(&format!("VM {vmid} on {host}: {line}"));
            continue;
        };
        match remove(&fleet.pve, host, volume, run.wait_timeout()).await {
            Ok(()) => run.say(node, &format!("removed {volume}, which the destruction left")),
            Err(volume) => left.push(volume),
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    run.dir()?.update_lock(|lock| left.iter().for_each(|it| lock.remember_leftover(&it.host, &it.volume)))?;
    Err(Error::Leftover { vmid: Some(*vmid), left }.into())
}

/// What earlier destructions left, for those who remove nothing: the host, the volume, and why a run wouldn't remove it.
pub(crate) async fn seen(run: &Run, fleet: &Fleet) -> Result<Vec<(String, String, Option<&'static str>)>, Failure> {
    let (lock, mut seen) = (run.dir()?.lock()?, Vec::new());
    for (host, volume) in lock.as_deref().into_iter().flat_map(record::Lock::leftovers) {
        let Some(vmid) = owner(volume) else { continue };
        let why = match fate(fleet, host, volume, vmid).await? {
            Fate::Over => continue,
            Fate::Ours => None,
            Fate::Open(why) => Some(why),
        };
        seen.push((host.to_owned(), volume.to_owned(), why));
    }
    Ok(seen)
}

/// Says for a plan what earlier destructions left.
pub(crate) async fn foreseen(run: &Run, fleet: &Fleet) -> Result<(), Failure> {
    for (host, volume, why) in seen(run, fleet).await? {
        let left = format!("{volume} on {host} was left by a VM that was destroyed");
        match why {
            None => run.announce(&format!("{left}: a run would remove it where the token may")),
            Some(why) => run.warn(&format!("{left}, and its ID is in use again: {why}")),
        }
    }
    Ok(())
}

/// Removes what earlier destructions left; what stays, and why.
pub(crate) async fn of_before(run: &Run, fleet: &Fleet) -> Result<Option<Error>, Failure> {
    let dir = run.dir()?;
    let Some(lock) = dir.lock()? else { return Ok(None) };
    let mut left = Vec::new();
    for (host, volume) in lock.leftovers() {
        let Some(vmid) = owner(volume) else { continue };
        let is_over = match fate(fleet, host, volume, vmid).await? {
            Fate::Over => true,
            Fate::Open(why) => {
                run.warn(&format!(
                    "{volume} on {host} was left by a VM that was destroyed, and its ID is in use again: {why}"
                ));
                false
            }
            Fate::Ours => match remove(&fleet.pve, host, volume, run.wait_timeout()).await {
                Ok(()) => {
                    run.announce(&format!("removed {volume} on {host}, which the destruction of VM {vmid} had left"));
                    true
                }
                Err(volume) => {
                    left.push(volume);
                    false
                }
            },
        };
        if is_over {
            dir.update_lock(|lock| lock.forget_leftover(host, volume))?;
        }
    }
    Ok((!left.is_empty()).then_some(Error::Leftover { vmid: None, left }))
}

/// What became of a volume that a destruction had left.
enum Fate {
    /// It is gone, or the disk of a VM that was made since.
    Over,
    /// It is nobody's, and the lock says whose it was.
    Ours,
    /// Nobody but a person can tell whose it is.
    Open(&'static str),
}

async fn fate(fleet: &Fleet, host: &str, volume: &str, vmid: u32) -> Result<Fate, Failure> {
    let storage = volume.split(':').next().unwrap_or_default();
    let (storage_path, rights) = (format!("/storage/{storage}"), &fleet.inventory.rights);
    let is_listed = rights.holds(&storage_path, "Datastore.Allocate")
        || (rights.holds(&storage_path, "Datastore.Audit") && rights.holds(&format!("/vms/{vmid}"), "VM.Config.Disk"));
    // Where the token sees the disks of this ID, one that isn't listed is gone.
    if is_listed
        && let Ok(disks) = fleet.pve.ask(&request::disks(host, storage)).await
        && !disks.iter().any(|disk| disk.volid == volume)
    {
        return Ok(Fate::Over);
    }
    match fleet.pve.ask(&request::is_free(vmid)).await {
        Ok(_) => return Ok(Fate::Ours),
        Err(error) if error.refusal().is_none() || error.is_transient() => return Err(error.into()),
        Err(_) => {}
    }
    let known = fleet.inventory.known.iter().find(|known| known.vmid == vmid).map(|known| known.host.clone());
    let other = || fleet.inventory.others.iter().find(|row| row.vmid == vmid && row.kind == "qemu");
    let Some(user) = known.or_else(|| Some(other()?.node.clone())) else {
        return Ok(Fate::Open("the token doesn't see by what, so look there before you remove anything"));
    };
    match fleet.pve.ask(&request::pending(&user, vmid)).await {
        Ok(config) if config.values().any(|(_, value)| value.split(',').any(|part| part.ends_with(volume))) => {
            Ok(Fate::Over)
        }
        Ok(_) => Ok(Fate::Open("that VM doesn't use it, so it is nobody's to remove but yours")),
        Err(error) => Err(error.into()),
    }
}

/// Whether the VM is gone after its destruction ended so: one that left volumes is, too.
pub(crate) fn is_gone(destroyed: &Result<(), Stop>) -> bool {
    match destroyed {
        Ok(()) => true,
        Err(Stop::Failed(failure)) => failure.is(Code::Leftover),
        Err(Stop::Explained) => false,
    }
}

/// A destruction that only left volumes has done what was wanted, where another VM takes the place: that is told, and the lock
/// remembers them.
pub(crate) fn told_aloud(run: &Run, destroyed: Result<(), Stop>) -> Result<(), Stop> {
    match destroyed {
        Err(Stop::Failed(failure)) if failure.is(Code::Leftover) => {
            warn(run, &failure);
            Ok(())
        }
        destroyed => destroyed,
    }
}

/// Tells of a failure that ends nothing.
pub(crate) fn warn(run: &Run, failure: &Failure) {
    let hint = failure.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    run.warn(&format!("{failure}{hint}"));
}

/// The message about volumes that are left, by the destruction of this VM or by earlier ones.
pub(crate) fn told(vmid: Option<u32>, left: &[Left]) -> String {
    let volumes: Vec<String> = left.iter().map(|it| format!("{} on {}", it.volume, it.host)).collect();
    let volumes = volumes.join(", ");
    match vmid {
        Some(vmid) => format!("VM {vmid} is destroyed, but left {volumes}"),
        None => format!("VMs that were destroyed before left {volumes}"),
    }
}

/// What to do about them.
pub(crate) fn removal(left: &[Left]) -> String {
    let mut ways: Vec<String> =
        left.iter().map(|it| format!("`pvesm free {}` on {} ({})", it.volume, it.host, it.why)).collect();
    let storages: BTreeSet<&str> =
        left.iter().filter(|it| it.exit == Exit::NotAllowed).filter_map(|it| it.volume.split(':').next()).collect();
    ways.extend(
        storages.iter().map(|storage| format!("with Datastore.Allocate on /storage/{storage} the next run does it")),
    );
    ways.join("; ")
}

/// Removes a volume.
async fn remove(pve: &Client, host: &str, volume: &str, within: Duration) -> Result<(), Left> {
    let storage = volume.split(':').next().unwrap_or_default();
    let free = request::free(host, storage, volume);
    let mut left = Left { host: host.to_owned(), volume: volume.to_owned(), why: String::new(), exit: Exit::Partial };
    for _ in 0..REMOVALS {
        match pve.settle(&free, within).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == Some(Kind::NotFound) => return Ok(()),
            Err(error) => {
                left.why = error.refusal().map_or_else(|| error.to_string(), ToString::to_string);
                if error.kind() == Some(Kind::Forbidden) {
                    left.exit = Exit::NotAllowed;
                }
                if !error.is_transient() {
                    break;
                }
            }
        }
    }
    Err(left)
}

/// The volume that a warning of a destruction names, if its name carries the VM's ID.
fn left_volume(line: &str, vmid: u32) -> Option<&str> {
    if !line.contains("Could not remove disk") {
        return None;
    }
    line.split('\'').nth(1).filter(|name| name.contains(':') && owner(name) == Some(vmid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_was_left_is_ours_by_the_id_in_its_name() {
        let line = |volume: &str| {
            format!(
                "WARN: Could not remove disk '{volume}', check manually: can't lock file '/var/lock/x' - got timeout"
            )
        };
        for volume in ["local-lvm:vm-107-disk-1", "local:107/vm-107-cloudinit.qcow2"] {
            assert_eq!(left_volume(&line(volume), 107), Some(volume));
        }
        for other in ["local-lvm:vm-1071-disk-1", "vm-107-disk-1"] {
            assert_eq!(left_volume(&line(other), 107), None, "{other}");
        }
        assert_eq!(left_volume("WARN: something else 'local-lvm:vm-107-disk-1'", 107), None);
    }
}
