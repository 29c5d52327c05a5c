//! A trial before a VM is destroyed to be made again: Proxmox VE alone knows what it refuses, some of it only while it makes
//! the disks. So the new VM is made under another name first, and removed again; the old one goes after that.

use pve_client::{answer::Config, property::Property, request};
use record::{Failure, spec::NodeSpec};
use serde_json::Value;
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
    replacement::WRITES_CLOUD_INIT,
    ties::Id,
};

/// What begins the line of its notes that says of which node a VM is the trial.
const MARK: &str = "ichor-trial:";

impl Reconcile<'_> {
    /// Removes what a run that was cut off left of a trial. Only what bears the mark of one and is off is removed unasked;
    /// where its name `is_needed`, anything else of this name is refused.
    pub(crate) async fn remove_trial(&self, is_needed: bool) -> Result<(), Stop> {
        let (fleet, machine) = (self.fleet, self.tried_machine()?);
        match self.trial(&machine) {
            Some(location) => self.remove_what_was_tried(&machine, location, is_needed).await?,
            None if fleet.inventory.hides_any() => return Ok(()),
            None => {}
        }
        if fleet.inventory.tried.contains(&self.machine.name) {
            self.run.dir()?.update_lock(|lock| lock.forget_trial(&self.machine.name))?;
        }
        Ok(())
    }

    /// The VM with the UUID or the name of the node's trial.
    fn trial(&self, machine: &Machine) -> Option<Location> {
        let (fleet, vm_name) = (self.fleet, self.fleet.identity.vm_name(&machine.name));
        // One that was killed early has no tags yet, so it may be among the others.
        let known = fleet.inventory.known.iter().find(|known| known.has(&machine.uuid));
        let known = known.map(|known| Location { vmid: known.vmid, host: known.host.clone() });
        let other = || {
            let row = fleet.inventory.others.iter().find(|row| row.name.as_ref() == Some(&vm_name))?;
            Some(Location { vmid: row.vmid, host: row.node.clone() })
        };
        known.or_else(other)
    }

    async fn remove_what_was_tried(&self, machine: &Machine, location: Location, is_needed: bool) -> Result<(), Stop> {
        let (fleet, Location { vmid, host }) = (self.fleet, location.clone());
        let config = match fleet.pve.ask(&request::pending(&host, vmid)).await {
            Err(error) if error.is_no_vm() => return Ok(()),
            config => config?,
        };
        let is_trial = tried_node(&config) == Some(&self.machine.name) && fleet.identity.marks(&config);
        let is_on = fleet.pve.ask(&request::power(&host, vmid)).await?.is_running();
        if !is_trial || is_on || self.run.listed().position(&machine.name).is_some() {
            let name = machine.name.clone();
            return if is_needed { Err(Error::NoTrial { vmid, host, name }.into()) } else { Ok(()) };
        }
        fleet.release(&host, &config, machine);
        self.run.say(self.node, &format!("removing VM {vmid} on {host}, a trial that was cut off"));
        let trial = VmOperation { fleet, run: self.run, node: self.node, machine, location };
        leftovers::told_aloud(self.run, trial.destroy(None, Id::Kept).await)
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
        // A VM that is being made shows nothing by which the next run could know it.
        let dir = self.run.dir()?;
        dir.update_lock(|lock| lock.remember_trial(&self.machine.name))?;
        match create(fleet, self.run, self.node, &machine, host).await {
            Ok(location) => {
                let trial = VmOperation { fleet, run: self.run, node: self.node, machine: &machine, location };
                let starts = self.tried_start(&trial).await;
                match (machine.vmid, trial.destroy(None, Id::Kept).await) {
                    // What it left has the ID of the new VM, and would be in its way.
                    (Some(_), Err(Stop::Failed(failure))) => return Err(self.kept(failure).into()),
                    (_, destroyed) => leftovers::told_aloud(self.run, destroyed)?,
                }
                starts.map_err(|failure| self.kept(failure))?;
                Ok(dir.update_lock(|lock| lock.forget_trial(&self.machine.name))?)
            }
            Err(Stop::Failed(failure)) => Err(self.kept(failure).into()),
            Err(stop) => Err(stop),
        }
    }

    /// Refuses what would keep the new VM from being started, as far as that shows without starting the trial: files of
    /// cloud-init that aren't there.
    async fn tried_start(&self, trial: &VmOperation<'_>) -> Result<(), Failure> {
        let (fleet, Location { vmid, host }) = (self.fleet, &trial.location);
        if trial.machine.setting("cicustom").is_none() || !fleet.may(WRITES_CLOUD_INIT) {
            return Ok(());
        }
        let written = fleet.pve.ask(&request::write_cloud_init(host, *vmid)).await;
        written.map(drop).map_err(|error| {
            let failure = Failure::from(error);
            Failure { message: format!("its drive of cloud-init can't be written: {}", failure.message), ..failure }
        })
    }

    /// What the file says, without what only one VM can have: an ID, a name, a UUID, and volumes that exist. Those would be
    /// destroyed with the trial; [`Self::check_replacement`] looks at them.
    fn tried_spec(&self) -> NodeSpec {
        let mut spec = self.spec.clone();
        // An ID that the old VM doesn't have is tried, too: what is in its way may be hidden from the token.
        if self.found.is_none_or(|known| self.machine.vmid == Some(known.vmid)) {
            spec.vm.shift_remove("vmid");
        }
        spec.vm.shift_remove("name");
        if let Some(Value::String(smbios)) = spec.vm.shift_remove("smbios1") {
            let own = Property::parse(&smbios);
            let others = own.pairs().filter(|(key, _)| *key != Some("uuid"));
            let written = |(key, value): (Option<&str>, &str)| match key {
                Some(key) => format!("{key}={value}"),
                None => value.to_owned(),
            };
            let others: Vec<String> = others.map(written).collect();
            if !others.is_empty() {
                spec.vm.insert("smbios1".to_owned(), others.join(",").into());
            }
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
        Failure { message, ..failure }
    }
}

/// The name of a node's trial, which no node has: it ends with a part of the UUID. Names have 63 characters at most.
fn tried_name(node: &str, uuid: &str) -> String {
    const LONGEST: usize = 63;
    let suffix = format!("-trial-{}", uuid.split('-').next().unwrap_or_default().to_lowercase());
    let most = node.len().min(LONGEST - suffix.len());
    format!("{}{suffix}", node[..most].trim_end_matches(['-', '.']))
}

/// The node of which the VM with this config is the trial, by its notes.
pub(crate) fn tried_node(config: &Config) -> Option<&str> {
    config.get("description")?.lines().find_map(|line| line.trim().strip_prefix(MARK)).map(str::trim)
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
        let notes = |text: &str| -> Config { [("description", text)].into_iter().collect() };
        assert_eq!(tried_node(&notes("Worker of lab.\n\nichor-trial: w-1\n")), Some("w-1"));
        assert_eq!(tried_node(&notes("w-1-trial")), None);
    }
}
