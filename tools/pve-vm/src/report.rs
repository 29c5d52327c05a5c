//! What the records say of a node's VM.

use record::{
    Change, Effect, Impact,
    status::{self, AddressSource, Addresses, Destroyed, Power},
};
use step::Written;

use crate::{location::Location, reconcile::Reconcile};

impl Reconcile<'_> {
    /// The record of a VM that stays off. High availability would switch it on, so it isn't told of it yet.
    pub(crate) fn left_off(&self, location: &Location, changes: Vec<Change>) -> Written {
        self.run.say(self.node, &format!("{location} is off, and stays off (--stopped)"));
        let effect = if changes.is_empty() { Effect::Unchanged } else { Effect::Changed };
        self.of_stopped(Some(location), effect).changes(changes)
    }

    /// The record of a VM that is off. Where it will answer is only known if the file says it.
    pub(crate) fn of_stopped(&self, location: Option<&Location>, effect: Effect) -> Written {
        let vm = status::Vm { power: Some(Power::Stopped), ..self.vm(location) };
        self.with_address(Written::field(&vm, effect))
    }

    /// The record of an existing VM, for `list`.
    pub(crate) fn listed(&self) -> Written {
        match self.location() {
            Some(location) => {
                let power = self.found.map(|known| if known.running { Power::Running } else { Power::Stopped });
                let vm = status::Vm { power, ..self.vm(Some(&location)) };
                self.with_address(Written::field(&vm, Effect::Unchanged))
            }
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
    pub(crate) fn known(&self, location: Option<&Location>, effect: Effect) -> Written {
        self.with_address(Written::field(&self.vm(location), effect))
    }

    /// The static address, if the node has one.
    fn with_address(&self, written: Written) -> Written {
        match self.spec.static_address() {
            Some(address) => written.and(&Addresses(vec![address.to_string()])),
            None => written,
        }
    }

    pub(crate) fn vm(&self, location: Option<&Location>) -> status::Vm {
        status::Vm {
            id: location.map(|location| location.vmid),
            node: location.map(|location| location.host.clone()).unwrap_or_default(),
            uuid: self.machine.uuid.clone(),
            macs: self.machine.macs.clone(),
            address_source: self.spec.static_address().map(|_| AddressSource::Static),
            fingerprints: Vec::new(),
            zone: location.map(|location| location.host.clone()),
            region: location.map(|location| self.fleet.region(&location.host)),
            power: None,
            orphan: false,
        }
    }
}
