//! A trial before a VM is destroyed to be made again: Proxmox VE alone knows what it refuses, some of it only while it makes
//! the disks. So the new VM is made under another name first, and removed again; the old one goes after that.

use record::{Failure, spec::NodeSpec};
use step::Stop;

use crate::{
    changes::VmOperation,
    creation::create,
    disks::Source,
    location::Location,
    machine::{Machine, Site},
    reconcile::Reconcile,
};

/// What the name of a trial ends with.
const SUFFIX: &str = "-trial";

impl Reconcile<'_> {
    /// Refuses to go on if Proxmox VE doesn't make the wanted VM on this host. What is tried is a VM of the cluster, never
    /// switched on; one that a killed run left is known by its name, and tried again.
    pub(crate) async fn tried(&self, host: &str) -> Result<(), Stop> {
        let fleet = self.fleet;
        let site = Site { cluster: &fleet.cluster, spec: &fleet.spec, identity: &fleet.identity };
        let name = tried_name(&self.machine.name);
        let machine = Machine::read(&site, &name, &self.tried_spec())?;
        let operation =
            |location: Location| VmOperation { fleet, run: self.run, node: self.node, machine: &machine, location };
        if let Some(known) = fleet.inventory.known.iter().find(|known| known.has(&machine.uuid)) {
            operation(Location { vmid: known.vmid, host: known.host.clone() }).destroy(None).await?;
        }
        self.run.say(self.node, &format!("trying whether Proxmox VE makes the new VM, as {name}"));
        match create(fleet, self.run, self.node, &machine, host).await {
            Ok(location) => operation(location).destroy(None).await,
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
            "{}if there is room for one of them only: `pve-vm destroy --only {}`, then run again",
            failure.hint.map(|hint| format!("{hint}; ")).unwrap_or_default(),
            self.machine.name
        );
        Failure { message, hint: Some(hint), ..failure }
    }
}

/// The name of a trial; names have 63 characters at most.
fn tried_name(node: &str) -> String {
    const LONGEST: usize = 63;
    let most = node.len().min(LONGEST - SUFFIX.len());
    format!("{}{SUFFIX}", node[..most].trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_has_a_name_that_a_vm_can_have() {
        assert_eq!(tried_name("w-1"), "w-1-trial");
        let long = format!("{}-b", "a".repeat(56));
        assert_eq!(tried_name(&long), format!("{}-trial", "a".repeat(56)));
        assert!(tried_name(&"a".repeat(63)).len() == 63);
    }
}
