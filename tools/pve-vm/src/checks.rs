//! Asking everything that the preflight judges by.

use pve_client::{
    answer::{Config, Power},
    request,
};
use record::{Failure, Node};
use step::{Run, Stop};

use crate::{
    changes::VmOperation,
    creation::storages,
    difference::Difference,
    error::Error,
    fleet::Fleet,
    ha::Managed,
    location::until_unlocked,
    machine::Machine,
    medium,
    preflight::{Found, Intent, Refusal, Situation, bridges, failure, is_cd, missing_rights, refusals},
};

impl Intent {
    /// What it takes to make this machine and to start it, and what the file says of it besides.
    pub(crate) fn creation(machine: &Machine, host: &str) -> Self {
        let mut parameters = machine.creation(host, "-");
        if machine.managed != Managed::Unset {
            parameters.push(("ha".to_owned(), String::new()));
        }
        let pairs = || parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self {
            creates: true,
            starts: true,
            cores: machine.cores,
            memory: machine.memory,
            bridges: bridges(pairs()),
            storages: storages(pairs()).into_iter().collect(),
            parameters,
            ..Self::default()
        }
    }

    /// What it takes to destroy a VM.
    pub(crate) fn destruction() -> Self {
        Self { destroys: true, stops: true, ..Self::default() }
    }

    /// What a host must have for a VM that comes from another one.
    pub(crate) fn arrival(machine: &Machine, target: &str) -> Self {
        Self {
            arrives: true,
            cores: machine.cores,
            memory: machine.memory,
            bridges: bridges(machine.pairs()),
            storages: machine.storage(target).map(str::to_owned).into_iter().collect(),
            ..Self::default()
        }
    }

    /// What it takes to make these changes, and to start the VM if it is off then.
    pub(crate) fn change(machine: &Machine, difference: &Difference, running: bool) -> Self {
        let stops = running && difference.needs_power_cycle();
        let parameters = difference.sent();
        let made = difference.made();
        Self {
            stops,
            starts: stops || !running,
            grows: difference.grown().next().is_some() || difference.moved_to().next().is_some(),
            grown: difference.grown().map(str::to_owned).collect(),
            storages: storages(made.iter().map(|(name, value)| (name.as_str(), value.as_str())))
                .into_iter()
                .chain(difference.moved_to())
                .collect(),
            parameters,
            cores: machine.cores,
            memory: machine.memory,
            bridges: bridges(machine.pairs()),
            ..Self::default()
        }
    }

    /// Whether NICs are among what changes, or the VM is switched on, so that the host's bridges count.
    fn needs_bridges(&self) -> bool {
        self.creates || self.starts || self.arrives || self.parameters.iter().any(|(name, _)| name.starts_with("net"))
    }
}

impl Fleet {
    /// The pool of the nodes, as the file names it.
    pub(crate) fn pool(&self) -> Option<&str> {
        self.spec.proxmox.as_ref().and_then(|proxmox| proxmox.pool.as_deref())
    }

    /// Why this would be refused on a host.
    pub(crate) async fn refusals(
        &self,
        host: &str,
        intent: &Intent,
        vm: Option<Found<'_>>,
    ) -> Result<Vec<Refusal>, Failure> {
        let mut found = self.host(host);
        if intent.needs_bridges() {
            found.bridges = self.bridges(host).await?;
        }
        if intent.machine().is_some() {
            found.machines = self.machines(host).await?;
        }
        if intent.cpu().is_some() {
            found.cpu_types = self.cpu_types(host).await?;
        }
        let storages = if intent.storages.is_empty() { None } else { Some(self.storages(host).await?) };
        let situation = Situation {
            token: self.pve.token(),
            rights: &self.inventory.rights,
            quorate: self.inventory.quorate,
            host: &found,
            storages: storages.as_ref().map(|rows| rows.as_slice()),
            pool: self.pool(),
            vm,
        };
        Ok(refusals(intent, situation))
    }

    /// What the token lacks of all that the file says of a machine that exists: to set it is asked for, and no creation.
    pub(crate) fn lacking(&self, machine: &Machine, host: &str, vm: Found<'_>) -> Option<Refusal> {
        let mut intent = Intent { creates: false, ..Intent::creation(machine, host) };
        // A CD that it has already stays; one that it lacks is among the differences.
        intent.parameters.retain(|(name, value)| !is_cd(name, value));
        let found = self.host(host);
        let situation = Situation {
            token: self.pve.token(),
            rights: &self.inventory.rights,
            quorate: self.inventory.quorate,
            host: &found,
            storages: None,
            pool: self.pool(),
            vm: Some(vm),
        };
        missing_rights(&intent, situation)
    }

    /// Refuses what a creation of this machine on this host would run into.
    pub(crate) async fn check_creation(&self, machine: &Machine, host: &str) -> Result<(), Failure> {
        if let Some(slot) = medium::endangered(&machine.drives, self.volume(host).unwrap_or_default()) {
            return Err(Error::Endangered { node: machine.name.clone(), slot }.into());
        }
        let found = self.refusals(host, &Intent::creation(machine, host), None).await?;
        failure(found).map_or(Ok(()), Err)
    }
}

impl Fleet {
    /// Refuses to go on without the image that a new VM is made from: asked before an old one is destroyed for it.
    pub(crate) async fn check_image(&self, host: &str) -> Result<(), Failure> {
        let volume = self.volume(host)?;
        let Some((storage, name)) = volume.split_once(':') else { return Ok(()) };
        let content = if name.starts_with("iso/") { "iso" } else { "import" };
        match self.pve.ask(&request::contents(host, storage, content)).await {
            Ok(contents) if contents.iter().any(|content| content.volid == volume) => Ok(()),
            Ok(_) => Err(Error::NoImageOn(host.into()).into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl VmOperation<'_> {
    /// Refuses an address that the VM would get and another machine has.
    pub(crate) async fn address_is_free(&self, difference: &Difference) -> Result<(), Failure> {
        match difference.changes_address() {
            true => self.fleet.unheld_address(self.run, self.node, Some(self.location.vmid)).await,
            false => Ok(()),
        }
    }

    /// Asks everything that can refuse this, before anything of it is done. A lock of another operation is waited for.
    pub(crate) async fn checked(&self, config: &Config, intent: &Intent) -> Result<(), Stop> {
        let found = self.refusals(config, intent).await?;
        let (locks, others): (Vec<_>, Vec<_>) = found.into_iter().partition(Refusal::is_lock);
        if let Some(failure) = failure(others) {
            return Err(failure.into());
        }
        if locks.is_empty() {
            return Ok(());
        }
        let config = until_unlocked(self.fleet, self.run, self.node, &self.location, |_| false).await?;
        let again = self.refusals(&config, intent).await?;
        failure(again).map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// The same for a plan, which waits for nothing: what a run would wait for is said.
    pub(crate) async fn checked_plan(&self, config: &Config, intent: &Intent) -> Result<(), Stop> {
        let found = self.refusals(config, intent).await?;
        let (locks, others): (Vec<_>, Vec<_>) = found.into_iter().partition(Refusal::is_lock);
        for lock in locks {
            self.run.say(self.node, &format!("{}: a run would wait for that", lock.message));
        }
        failure(others).map_or(Ok(()), |failure| Err(failure.into()))
    }

    async fn refusals(&self, config: &Config, intent: &Intent) -> Result<Vec<Refusal>, Failure> {
        if *intent
            == (Intent {
                cores: intent.cores,
                memory: intent.memory,
                bridges: intent.bridges.clone(),
                ..Intent::default()
            })
        {
            return Ok(Vec::new());
        }
        let power: Option<Power> = if intent.starts || intent.stops || intent.destroys {
            Some(self.fleet.pve.ask(&request::power(&self.location.host, self.location.vmid)).await?)
        } else {
            None
        };
        let vm = Found { vmid: self.location.vmid, config, power: power.as_ref() };
        self.fleet.refusals(&self.location.host, intent, Some(vm)).await
    }
}

/// Reports the warnings of the tasks that were done for a VM: none is lost because a task succeeded.
pub(crate) fn tell_warnings(fleet: &Fleet, run: &Run, node: &Node, vmid: u32) {
    for warning in fleet.pve.warnings(vmid) {
        for line in &warning.lines {
            run.warn(&format!("{}: VM {vmid}, task {}: {line}", node.name(), warning.upid.kind()));
        }
    }
}
