//! One node and its VM: the current state, the wanted state, and the steps between them.

use pve_client::request;
use record::{
    Change, Effect, Failure, Impact, Node,
    spec::NodeSpec,
    status::{self, Addresses, Destroyed},
};
use rolling::quorum::Away;
use step::{Run, Stop, Written};

use crate::{
    addresses, changes::VmOperation, creation::create, difference::Difference, etcd, fleet::Fleet, inventory::Known,
    location::Location, machine::Machine,
};

/// Everything about one node.
pub(crate) struct Reconcile<'a> {
    pub(crate) run: &'a Run,
    pub(crate) fleet: &'a Fleet,
    pub(crate) node: &'a Node,
    pub(crate) machine: &'a Machine,
    pub(crate) spec: &'a NodeSpec,
    /// Its VM, if it exists.
    pub(crate) found: Option<&'a Known>,
}

/// What the user allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) reboot: bool,
    pub(crate) recreate: bool,
}

impl<'a> Reconcile<'a> {
    /// Where its VM is.
    pub(crate) fn location(&self) -> Option<Location> {
        self.found.map(|known| Location { vmid: known.vmid, host: known.host.clone() })
    }

    /// Operations on the VM at this location.
    pub(crate) fn operation(&self, location: Location) -> VmOperation<'a> {
        VmOperation { fleet: self.fleet, run: self.run, node: self.node, machine: self.machine, location }
    }

    /// Creates the VM or changes it to match the spec, and starts it.
    pub(crate) async fn ensure(&self, allowed: Allowed) -> Result<Written, Stop> {
        let mut changes = Vec::new();
        let location = match self.location() {
            Some(location) => location,
            None => {
                let location = self.create().await?;
                changes.push(created(&location));
                location
            }
        };
        let mut operation = self.operation(location);
        let mut config = operation.config().await?;
        let mut difference = Difference::between(self.machine, &config);
        if allowed.recreate && !difference.recreate.is_empty() {
            changes.extend(difference.costs(true));
            let left;
            (operation, left) = self.recreate(operation, &difference).await?;
            changes.push(created(&operation.location));
            changes.extend(left);
            config = operation.config().await?;
            difference = Difference::between(self.machine, &config);
        }
        let running = changes.is_empty() && self.runs(&operation.location).await?;
        operation.guard(&difference, running, allowed.reboot)?;
        let permit = match etcd::away(&difference, running) {
            Some(away) => Some(self.fleet.etcd.pass(self, away).await?),
            None => None,
        };
        changes.extend(difference.costs(running));
        let is_changed = !changes.is_empty();
        operation.apply(config, difference, running).await?;
        let started = operation.start().await?;
        drop(permit);
        let addresses = match self.spec.static_address() {
            Some(address) => vec![address.to_string()],
            None => operation.addresses().await?,
        };
        if started {
            changes.push(switched_on());
        }
        let effect = if is_changed || started { Effect::Changed } else { Effect::Unchanged };
        let written = Written::field(&self.vm(Some(&operation.location)), effect).changes(changes);
        Ok(written.and(&Addresses(addresses)))
    }

    async fn create(&self) -> Result<Location, Stop> {
        self.free_address()?;
        create(self.fleet, self.run, self.node, self.machine).await
    }

    /// Destroys the VM and creates it again; also gives what it left behind in etcd.
    async fn recreate(
        &self,
        operation: VmOperation<'a>,
        difference: &Difference,
    ) -> Result<(VmOperation<'a>, Vec<Change>), Stop> {
        let permit = self.fleet.etcd.pass(self, Away::ForGood).await?;
        self.run
            .say(self.node, &format!("recreating VM {}: {}", operation.location.vmid, difference.recreate.join(", ")));
        operation.destroy().await?;
        let left = permit.destroyed(self, true);
        Ok((self.operation(self.create().await?), left))
    }

    fn free_address(&self) -> Result<(), Failure> {
        let roster = self.run.cluster().roster().cloned().unwrap_or_default();
        Ok(self.fleet.free_address(&roster, self.spec.address.as_deref())?)
    }

    async fn runs(&self, location: &Location) -> Result<bool, Failure> {
        let power = self.fleet.pve.ask(&request::power(&location.host, location.vmid)).await;
        Ok(power?.is_running())
    }

    /// Reports what `ensure` would do. A change that needs a flag doesn't fail; it names the flag.
    pub(crate) async fn plan(&self, allowed: Allowed) -> Result<Written, Stop> {
        let Some(known) = self.found else {
            self.free_address()?;
            let host = self.fleet.place(self.machine)?;
            self.run.say(self.node, &format!("would create a VM on {host}"));
            let changes = vec![Change::live("VM").to(format!("on {host}")), switched_on()];
            return Ok(self.known(None, Effect::Pending).changes(changes));
        };
        let operation = self.operation(Location { vmid: known.vmid, host: known.host.clone() });
        let difference = Difference::between(self.machine, &known.config.clone()?);
        let running = self.runs(&operation.location).await?;
        operation.warn_of_storage(&difference);
        let mut changes = difference.costs(running);
        if !running {
            changes.push(switched_on());
        }
        changes.extend(self.fleet.etcd.foresee(self, etcd::away(&difference, running)).await?);
        self.say_plan(known.vmid, &difference, running, allowed);
        let effect = if changes.is_empty() { Effect::Unchanged } else { Effect::Pending };
        let written = self.known(Some(&operation.location), effect).changes(changes);
        if self.spec.address.is_some() || !running {
            return Ok(written);
        }
        let nics = self.fleet.pve.ask(&request::nics(&known.host, known.vmid)).await.unwrap_or_default();
        let addresses = addresses::of(&nics, &self.machine.macs);
        Ok(if addresses.is_empty() { written } else { written.and(&Addresses(addresses)) })
    }

    fn say_plan(&self, vmid: u32, difference: &Difference, running: bool, allowed: Allowed) {
        if !difference.recreate.is_empty() {
            let needs = if allowed.recreate { "" } else { " (needs --recreate)" };
            let why = difference.recreate.join(", ");
            self.run.say(self.node, &format!("would recreate VM {vmid}: {why}{needs}"));
        }
        let texts = difference.texts();
        if !texts.is_empty() {
            let is_allowed = !running || difference.reboot.is_empty() || allowed.reboot;
            let needs = if is_allowed { "" } else { " (needs --reboot)" };
            self.run.say(self.node, &format!("would change VM {vmid}: {}{needs}", texts.join(", ")));
        }
    }

    /// The record of an existing VM, for `list`.
    pub(crate) fn listed(&self) -> Written {
        match self.location() {
            Some(location) => self.known(Some(&location), Effect::Unchanged),
            None => Written::nothing(),
        }
    }

    /// The record of a VM that was destroyed, or would be, with what it leaves behind in etcd.
    pub(crate) fn destroyed(&self, location: &Location, effect: Effect, left: Vec<Change>) -> Written {
        let destroyed = Destroyed { id: location.vmid, node: location.host.clone() };
        let change = Change::new("VM", Impact::DataLoss).from(location.to_string());
        Written::field(&destroyed, effect).changes([vec![change], left].concat())
    }

    /// The node's fields as far as they are known without waiting.
    fn known(&self, location: Option<&Location>, effect: Effect) -> Written {
        let written = Written::field(&self.vm(location), effect);
        match self.spec.static_address() {
            Some(address) => written.and(&Addresses(vec![address.to_string()])),
            None => written,
        }
    }

    fn vm(&self, location: Option<&Location>) -> status::Vm {
        status::Vm {
            id: location.map(|location| location.vmid),
            node: location.map(|location| location.host.clone()).unwrap_or_default(),
            uuid: self.machine.uuid.clone(),
            macs: self.machine.macs.clone(),
            fingerprints: Vec::new(),
            zone: location.map(|location| location.host.clone()),
            region: location.map(|location| self.fleet.region(&location.host)),
        }
    }
}

fn created(location: &Location) -> Change {
    Change::live("VM").to(location.to_string())
}

fn switched_on() -> Change {
    Change::live("power").from("stopped").to("running")
}
