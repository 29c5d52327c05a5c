//! A trial before a VM is destroyed to be made again: Proxmox VE alone knows what it refuses, some of it only while it makes
//! the disks. So the new VM is made under another name first, and removed again; the old one goes after that.

use pve_client::request;
use record::{Failure, spec::NodeSpec};
use step::Stop;

use crate::{
    changes::VmOperation,
    creation::create,
    disks::Source,
    error::Error,
    leftovers,
    location::Location,
    machine::{Machine, Site},
    reconcile::Reconcile,
};

/// What begins the line of its notes that says of which node a VM is the trial.
const MARK: &str = "ichor-trial:";

impl Reconcile<'_> {
    /// Removes what a killed run left of a trial. Only what bears the mark of one and is off is removed unasked.
    pub(crate) async fn remove_trial(&self) -> Result<(), Stop> {
        let (fleet, machine) = (self.fleet, self.tried_machine()?);
        let vm_name = fleet.identity.vm_name(&machine.name);
        // One that was killed early has no tags yet, so it may be among the others.
        let known = fleet.inventory.known.iter().find(|known| known.has(&machine.uuid));
        let known = known.map(|known| Location { vmid: known.vmid, host: known.host.clone() });
        let other = || {
            let row = fleet.inventory.others.iter().find(|row| row.name.as_ref() == Some(&vm_name))?;
            Some(Location { vmid: row.vmid, host: row.node.clone() })
        };
        let Some(location) = known.or_else(other) else { return Ok(()) };
        let Location { vmid, host } = location.clone();
        let config = match fleet.pve.ask(&request::pending(&host, vmid)).await {
            Err(error) if error.is_no_vm() => return Ok(()),
            config => config?,
        };
        let is_trial = config.get("description").and_then(tried_node) == Some(&self.machine.name);
        let is_on = fleet.pve.ask(&request::power(&host, vmid)).await?.is_running();
        if !is_trial || is_on || self.run.listed().position(&machine.name).is_some() {
            return Err(Error::NoTrial { vmid, host, name: machine.name }.into());
        }
        fleet.release(&host, &config, &machine);
        let trial = VmOperation { fleet, run: self.run, node: self.node, machine: &machine, location };
        leftovers::told_aloud(self.run, trial.destroy(None).await)
    }

    /// The VM that is tried: it has its own name and UUID, and is never switched on, by the host neither.
    fn tried_machine(&self) -> Result<Machine, Error> {
        let fleet = self.fleet;
        let site = Site { cluster: &fleet.cluster, spec: &fleet.spec, identity: &fleet.identity };
        let name = tried_name(&self.machine.name, &self.machine.uuid);
        let mut machine = Machine::read(&site, &name, &self.tried_spec())?;
        machine.marked_as_trial(&format!("{MARK} {}", self.machine.name));
        Ok(machine)
    }

    /// Refuses to go on if Proxmox VE doesn't make the wanted VM on this host. What is tried is a VM of the cluster, never
    /// switched on; what a killed run left of one is known by its mark, and removed by the next.
    pub(crate) async fn tried(&self, host: &str) -> Result<(), Stop> {
        let (fleet, machine) = (self.fleet, self.tried_machine()?);
        let name = &machine.name;
        self.run.say(self.node, &format!("trying whether Proxmox VE makes the new VM, as {name}"));
        match create(fleet, self.run, self.node, &machine, host).await {
            Ok(location) => {
                let trial = VmOperation { fleet, run: self.run, node: self.node, machine: &machine, location };
                leftovers::told_aloud(self.run, trial.destroy(None).await)
            }
            Err(Stop::Failed(failure)) => Err(self.kept(failure).into()),
            Err(stop) => Err(stop),
        }
    }

    /// What the file says, without what only one VM can have: an ID, a name, a UUID, and volumes that exist. Those would be
    /// destroyed with the trial.
    fn tried_spec(&self) -> NodeSpec {
        let mut spec = self.spec.clone();
        for key in ["vmid", "name", "smbios1"] {
            spec.vm.shift_remove(key);
        }
        for drive in self.machine.drives.iter().filter(|drive| matches!(drive.source, Source::Volume(_))) {
            spec.vm.shift_remove(&drive.slot);
        }
        spec
    }

    /// The failure of a trial.
    fn kept(&self, failure: Failure) -> Failure {
        let Some(known) = self.found else { return failure };
        let message = format!("{}; so VM {} on {} is kept", failure.message, known.vmid, known.host);
        let hint = format!(
            "{}if there is room, or an ID, for one of them only: `pve-vm destroy --only {}`, then run again",
            failure.hint.map(|hint| format!("{hint}; ")).unwrap_or_default(),
            self.machine.name
        );
        Failure { message, hint: Some(hint), ..failure }
    }
}

/// The name of a node's trial, which no node has: it ends with a part of the UUID. Names have 63 characters at most.
fn tried_name(node: &str, uuid: &str) -> String {
    const LONGEST: usize = 63;
    let suffix = format!("-trial-{}", uuid.split('-').next().unwrap_or_default().to_lowercase());
    let most = node.len().min(LONGEST - suffix.len());
    format!("{}{suffix}", node[..most].trim_end_matches(['-', '.']))
}

/// The node of which a VM with these notes is the trial.
fn tried_node(notes: &str) -> Option<&str> {
    notes.lines().find_map(|line| line.trim().strip_prefix(MARK)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_has_a_name_that_a_vm_can_have_and_no_node_has() {
        let uuid = "1a2b3c4d-0000-5000-8000-000000000000";
        assert_eq!(tried_name("w-1", uuid), "w-1-trial-1a2b3c4d");
        let long = tried_name(&"a".repeat(63), uuid);
        assert!(long.len() == 63 && long.ends_with("a-trial-1a2b3c4d"), "{long}");
        assert_eq!(
            tried_name(&format!("{}-{}", "a".repeat(47), "b".repeat(15)), uuid),
            format!("{}-trial-1a2b3c4d", "a".repeat(47))
        );
    }

    #[test]
    fn a_trial_is_known_by_its_notes() {
        assert_eq!(tried_node("Worker of lab.\n\nichor-trial: w-1\n"), Some("w-1"));
        assert_eq!(tried_node("w-1-trial"), None);
    }
}
