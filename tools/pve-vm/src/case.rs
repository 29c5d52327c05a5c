//! One node and its VM: what there is, what is to be, what that takes.

use pve_client::request;
use record::{Change, Failure, Node, spec::NodeSpec, status};
use step::{Run, Stop, Written};

use crate::{
    addresses,
    changes::Work,
    creation::{Spot, create},
    difference::Difference,
    fleet::Fleet,
    inventory::Known,
    machine::Machine,
};

/// Everything about one node.
pub(crate) struct Case<'a> {
    pub(crate) run: &'a Run,
    pub(crate) fleet: &'a Fleet,
    pub(crate) node: &'a Node,
    pub(crate) machine: &'a Machine,
    pub(crate) spec: &'a NodeSpec,
    /// Its VM, if there is one.
    pub(crate) found: Option<&'a Known>,
}

/// What the user allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) reboot: bool,
    pub(crate) recreate: bool,
}

impl<'a> Case<'a> {
    /// Where its VM is.
    pub(crate) fn spot(&self) -> Option<Spot> {
        self.found.map(|known| Spot { vmid: known.vmid, host: known.host.clone() })
    }

    /// The VM at work.
    pub(crate) fn work(&self, spot: Spot) -> Work<'a> {
        Work { fleet: self.fleet, run: self.run, node: self.node, machine: self.machine, spot }
    }

    /// Makes the VM be as the spec says, and run.
    pub(crate) async fn ensure(&self, allowed: Allowed) -> Result<Written, Stop> {
        let (spot, mut changed) = match self.spot() {
            Some(spot) => (spot, false),
            None => (self.create().await?, true),
        };
        let mut work = self.work(spot);
        let mut config = work.config().await?;
        let mut difference = Difference::between(self.machine, &config);
        if allowed.recreate && !difference.recreate.is_empty() {
            work = self.recreate(work, &difference).await?;
            config = work.config().await?;
            difference = Difference::between(self.machine, &config);
            changed = true;
        }
        let running = !changed && self.runs(&work.spot).await?;
        work.guard(&difference, running, allowed.reboot)?;
        if running && !difference.reboot.is_empty() {
            self.fleet.disrupt(self.machine).map_err(Failure::from)?;
        }
        changed |= !difference.is_none();
        work.apply(config, difference, running).await?;
        changed |= work.start().await?;
        let addresses = match self.spec.static_address() {
            Some(address) => vec![address.to_string()],
            None => work.addresses().await?,
        };
        let change = if changed { Change::Changed } else { Change::Unchanged };
        Ok(Written::field("vm", &self.vm(Some(&work.spot)), change).and("addresses", &addresses))
    }

    async fn create(&self) -> Result<Spot, Stop> {
        self.free_address()?;
        create(self.fleet, self.run, self.node, self.machine).await
    }

    async fn recreate(&self, work: Work<'a>, difference: &Difference) -> Result<Work<'a>, Stop> {
        self.fleet.disrupt(self.machine).map_err(Failure::from)?;
        self.run.say(self.node, &format!("making VM {} anew: {}", work.spot.vmid, difference.recreate.join(", ")));
        work.destroy().await?;
        Ok(self.work(self.create().await?))
    }

    fn free_address(&self) -> Result<(), Failure> {
        let roster = self.run.cluster().roster().cloned().unwrap_or_default();
        self.fleet.free_address(&roster, self.spec.address.as_deref()).map_err(Failure::from)
    }

    async fn runs(&self, spot: &Spot) -> Result<bool, Failure> {
        let power = self.fleet.pve.ask(&request::power(&spot.host, spot.vmid)).await;
        power.map(|power| power.is_running()).map_err(|error| pve_access::failure(&error))
    }

    /// Says what `ensure` would do.
    pub(crate) async fn plan(&self, allowed: Allowed) -> Result<Written, Stop> {
        let Some(known) = self.found else {
            self.free_address()?;
            let host = self.fleet.place(self.machine).map_err(Failure::from)?;
            self.run.say(self.node, &format!("would create a VM on {host}"));
            return Ok(self.known(None, Change::Pending));
        };
        let work = self.work(Spot { vmid: known.vmid, host: known.host.clone() });
        let difference = Difference::between(self.machine, &known.config.clone()?);
        let running = self.runs(&work.spot).await?;
        if allowed.recreate && !difference.recreate.is_empty() {
            self.run.say(self.node, &format!("would make VM {} anew: {}", known.vmid, difference.recreate.join(", ")));
        } else {
            work.guard(&difference, running, allowed.reboot)?;
        }
        if !difference.told.is_empty() {
            self.run.say(self.node, &format!("would change VM {}: {}", known.vmid, difference.told.join(", ")));
        }
        let change = if difference.is_none() && running { Change::Unchanged } else { Change::Pending };
        let written = self.known(Some(&work.spot), change);
        if self.spec.address.is_some() || !running {
            return Ok(written);
        }
        let nics = self.fleet.pve.ask(&request::nics(&known.host, known.vmid)).await.unwrap_or_default();
        let addresses = addresses::of(&nics, &self.machine.macs);
        Ok(if addresses.is_empty() { written } else { written.and("addresses", &addresses) })
    }

    /// The record of a VM that is only looked at.
    pub(crate) fn listed(&self) -> Written {
        match self.spot() {
            Some(spot) => self.known(Some(&spot), Change::Unchanged),
            None => Written::nothing(),
        }
    }

    /// Says what `destroy` would do.
    pub(crate) fn would_destroy(&self, spot: &Spot) -> Written {
        self.run.say(self.node, &format!("would destroy VM {} on {}", spot.vmid, spot.host));
        Written::field("vm", &self.vm(Some(spot)), Change::Pending)
    }

    /// The node's fields as far as they are known without waiting.
    fn known(&self, spot: Option<&Spot>, change: Change) -> Written {
        let written = Written::field("vm", &self.vm(spot), change);
        match self.spec.static_address() {
            Some(address) => written.and("addresses", &[address.to_string()]),
            None => written,
        }
    }

    fn vm(&self, spot: Option<&Spot>) -> status::Vm {
        status::Vm {
            id: spot.map(|spot| spot.vmid),
            node: spot.map(|spot| spot.host.clone()).unwrap_or_default(),
            uuid: self.machine.uuid.clone(),
            macs: self.machine.macs.clone(),
            fingerprints: Vec::new(),
            zone: spot.map(|spot| spot.host.clone()),
            region: spot.map(|spot| self.fleet.region(&spot.host)),
        }
    }
}
