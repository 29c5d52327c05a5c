//! Adopting a VM: it is looked at, the difference is shown, and with consent it is marked.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use patience::Backoff;
use pve_client::{Kind, answer::Config, request};
use record::{Effect, Failure, LockedMachine, Node, spec::NodeSpec, status::Adopted};
use step::{Console, Hold, Run, Stop, Written};
use tokio::sync::Mutex;

use super::{Candidate, Objection, Plan, as_it_is, losses, plan, search};
use crate::{
    changes::VmOperation,
    difference::{Difference, Sight},
    error::Error,
    fleet::Fleet,
    location::{Busy, Location},
    machine::{Machine, Site},
    orphans,
    parameters::find,
    preflight::Intent,
    remembered,
    values::{Extent, same},
};

/// The adoption of one VM.
pub(crate) struct Adoption<'a> {
    pub(crate) run: &'a Run,
    pub(crate) fleet: &'a Fleet,
    pub(crate) node: &'a Node,
    pub(crate) spec: &'a NodeSpec,
    /// The VM ID or the name.
    pub(crate) wanted: &'a str,
    /// Whether nobody is asked.
    pub(crate) yes: bool,
    /// What the adoptions of a call share.
    pub(crate) adopting: &'a Adopting,
}

/// What the adoptions of a call share.
#[derive(Debug, Default)]
pub(crate) struct Adopting {
    /// Held while somebody is asked: one question after the other, each below what it is about.
    asking: Mutex<()>,
    /// Which node gets which VM: one VM has several names, and a node at most one.
    taken: Mutex<BTreeMap<u32, String>>,
}

/// What was found out before anything is changed.
struct Judged {
    machine: Machine,
    known_by: LockedMachine,
    plan: Plan,
    running: bool,
}

impl Adoption<'_> {
    /// Plans the adoption, and carries it out unless this is a dry run.
    pub(crate) async fn adopted(&self) -> Result<Written, Stop> {
        let picked = search::pick(&self.fleet.inventory, self.wanted, self.node.name())?;
        let config = self.fleet.pve.ask(&request::pending(&picked.location.host, picked.location.vmid)).await?;
        let candidate = Candidate { location: &picked.location, name: &picked.name, config: &config };
        self.take(&candidate).await?;
        let judged = self.judged(&candidate).await?;
        let written = |effect| self.written(&candidate, &judged, effect);
        let Judged { machine, plan, .. } = &judged;
        let location = picked.location.clone();
        let operation = VmOperation { fleet: self.fleet, run: self.run, node: self.node, machine, location };
        if plan.changes.is_empty() {
            self.run.say(self.node, &format!("{} is its VM already", candidate.told()));
            self.tell(&judged, &operation);
            return Ok(written(Effect::Unchanged));
        }
        let intent = Intent { parameters: plan.mark.clone(), ..Intent::default() };
        if self.run.is_dry_run() {
            operation.checked_plan(&config, &intent).await?;
            self.show("would adopt", &candidate, &judged, &operation);
            return Ok(written(Effect::Pending));
        }
        operation.checked(&config, &intent).await?;
        {
            let _turn = self.adopting.asking.lock().await;
            self.show("adopts", &candidate, &judged, &operation);
            self.confirm(&candidate).await?;
        }
        self.remember(plan)?;
        remembered::remember(self.run, self.node, candidate.location.vmid)?;
        self.mark(&operation, &judged).await?;
        self.run.say(self.node, &format!("adopted {}", candidate.told()));
        Ok(written(Effect::Changed))
    }

    /// Refuses the same VM for two nodes of a call.
    async fn take(&self, candidate: &Candidate<'_>) -> Result<(), Error> {
        let mut taken = self.adopting.taken.lock().await;
        match taken.insert(candidate.location.vmid, self.node.name().to_owned()) {
            Some(other) => Err(candidate.refused(self.node.name(), &[Objection::taken(&other)])),
            None => Ok(()),
        }
    }

    /// Refuses what can't be kept as it is.
    async fn judged(&self, candidate: &Candidate<'_>) -> Result<Judged, Stop> {
        let Self { fleet, node, run, .. } = self;
        let (identity, name, inventory) = (&fleet.identity, node.name(), &fleet.inventory);
        let refused = |objections: &[Objection]| candidate.refused(name, objections);
        let owned = candidate.owned(identity, name, &run.listed());
        if !owned.is_empty() {
            return Err(refused(&owned).into());
        }
        let neighbours = search::neighbours(&fleet.pve, inventory).await?;
        let other =
            neighbours.iter().find(|it| it.uuid == Some(identity.uuid(name)) && it.vmid != candidate.location.vmid);
        if let Some(other) = other {
            let vm = format!("VM {} ({})", other.vmid, other.name);
            return Err(Error::HasVm { node: name.to_owned(), vm }.into());
        }
        if !candidate.is_adopted(identity, name) {
            inventory.unseen(identity, name)?;
        }
        let hosts: BTreeSet<&str> = inventory.hidden.iter().map(|hidden| hidden.row.node.as_str()).collect();
        if !hosts.is_empty() {
            let hosts = hosts.into_iter().collect::<Vec<_>>().join(", ");
            run.warn(&format!("whether VMs on {hosts} have the same UUID or MAC addresses can't be checked"));
        }
        let known_by = candidate.machine(&neighbours).map_err(|objections| refused(&objections))?;
        let with = identity.with(name, known_by.clone());
        let site = Site { cluster: &fleet.cluster, spec: &fleet.spec, identity: &with };
        let machine = Machine::read(&site, name, self.spec)?;
        let power = fleet.pve.ask(&request::power(&candidate.location.host, candidate.location.vmid)).await?;
        let running = power.is_running();
        self.is_of_role(candidate, &known_by).await?;
        let difference = self.difference(candidate, &machine, running);
        if let Some(key) = difference.refused() {
            return Err(Error::RootOnly { node: name.to_owned(), key: key.to_owned() }.into());
        }
        let losses = losses(&difference, name);
        if !losses.is_empty() {
            return Err(refused(&losses).into());
        }
        Ok(Judged { plan: plan(identity, name, &known_by, difference), machine, known_by, running })
    }

    /// Refuses a VM on which Talos says that it has another role: it would pass by the guard of etcd as a worker.
    async fn is_of_role(&self, candidate: &Candidate<'_>, known_by: &LockedMachine) -> Result<(), Error> {
        let Location { vmid, host } = candidate.location;
        let machine = orphans::Machine { vmid: *vmid, host, config: candidate.config, uuid: &known_by.uuid };
        match machine.role(self.run, &self.fleet.pve, self.node.address()).await {
            Ok(role) if role == self.spec.role => Ok(()),
            Ok(role) => Err(candidate.refused(self.node.name(), &[Objection::of_role(role, self.spec.role)])),
            Err(why) => {
                let text =
                    format!("its role was not asked from Talos ({}): the file says {}", why.join("; "), self.spec.role);
                self.run.say(self.node, &text);
                Ok(())
            }
        }
    }

    fn difference(&self, candidate: &Candidate<'_>, machine: &Machine, is_running: bool) -> Difference {
        let pool = self.fleet.inventory.pool(candidate.location.vmid);
        let sent = BTreeSet::new();
        let Candidate { location, config, .. } = *candidate;
        Difference::between(machine, Sight { location, config, is_running, pool, sent: &sent, migrates: false })
    }

    /// Says what the adoption changes, and what it leaves as it is.
    fn show(&self, does: &str, candidate: &Candidate<'_>, judged: &Judged, operation: &VmOperation<'_>) {
        let whats: Vec<&str> = judged.plan.changes.iter().map(|change| change.what.as_str()).collect();
        let text = format!(
            "{does} {} with its disks, UUID and MAC addresses; changes: {}",
            candidate.told(),
            whats.join(", ")
        );
        self.run.say(self.node, &text);
        self.tell(judged, operation);
    }

    /// Says what differs from the file.
    fn tell(&self, judged: &Judged, operation: &VmOperation<'_>) {
        let differs = &judged.plan.differs;
        if differs.is_none() {
            self.run.say(self.node, "nothing else differs from the file");
        } else {
            let needs = if judged.running && differs.needs_power_cycle() { " (needs --reboot)" } else { "" };
            let texts = differs.texts().join(", ");
            self.run.say(self.node, &format!("differs from the file, and `pve-vm` would change it: {texts}{needs}"));
        }
        if let Some(keep) = as_it_is(differs) {
            self.run.say(self.node, &format!("to keep that as it is, write into the file: {keep}"));
        }
        operation.tell(differs);
    }

    async fn confirm(&self, candidate: &Candidate<'_>) -> Result<(), Stop> {
        if self.yes {
            return Ok(());
        }
        let name = self.node.name().to_owned();
        let question = format!("type {name} to adopt {}: ", candidate.told());
        let stopping = self.run.stopping();
        let asking = tokio::task::spawn_blocking(move || Console::new("pve-vm").ask(&question));
        let answer = tokio::select! {
            answer = asking => answer.ok().flatten(),
            () = stopping.cancelled() => return Err(Failure::interrupted().into()),
        };
        match answer {
            Some(answer) if answer == name => Ok(()),
            Some(_) => Err(Error::OtherNode.into()),
            None => Err(Error::UnconfirmedAdoption.into()),
        }
    }

    /// The lock is first: if the mark isn't written then, the VM is this node's without its mark, which is refused, and
    /// never another one's or nobody's.
    fn remember(&self, plan: &Plan) -> Result<(), Failure> {
        match &plan.remembered {
            Some(machine) => self.run.dir()?.update_lock(|lock| lock.adopt(self.node.name(), machine)),
            None => Ok(()),
        }
    }

    /// Writes the mark. A reply may be lost, so the VM is looked at before each try.
    async fn mark(&self, operation: &VmOperation<'_>, judged: &Judged) -> Result<(), Stop> {
        for (key, value) in &judged.plan.mark {
            let look = || self.write(operation, &judged.known_by.uuid, key, value);
            let pauses = Backoff::new(Duration::from_millis(100), Duration::from_secs(5)).seeded(self.node.name());
            let expired = |expired: step::Expired| operation.location.still_busy(expired.last).into();
            self.run.wait(self.node).paced(pauses).until_or(look, expired).await?;
        }
        Ok(())
    }

    async fn write(&self, operation: &VmOperation<'_>, uuid: &str, key: &str, value: &str) -> Result<(), Hold> {
        let (host, vmid, pve) = (&operation.location.host, operation.location.vmid, &self.fleet.pve);
        let config: Config = pve.ask(&request::pending(host, vmid)).await?;
        if config.uuid().as_deref() != Some(uuid) {
            return Err(Error::ChangedMeanwhile { vmid, host: host.clone() }.into());
        }
        if find(key).is_some_and(|parameter| same(parameter, Extent::Whole, value, config.get(key))) {
            return Ok(());
        }
        let parameters = vec![(key.to_owned(), value.to_owned())];
        match pve.settle(&request::set_config(host, vmid, config.digest(), parameters), self.run.wait_timeout()).await {
            // The mark in the description is enough; tags may be reserved for others.
            Err(error) if key == "tags" && error.kind() == Some(Kind::Forbidden) => {
                let why = error.refusal().map(ToString::to_string).unwrap_or_default();
                self.run.warn(&format!("VM {vmid}: its tags can't be set: {why}"));
                Ok(())
            }
            sent => Ok(sent?),
        }
    }

    fn written(&self, candidate: &Candidate<'_>, judged: &Judged, effect: Effect) -> Written {
        let adopted = Adopted {
            id: candidate.location.vmid,
            node: candidate.location.host.clone(),
            uuid: judged.known_by.uuid.clone(),
            differs: judged.plan.differs.costs(judged.running),
        };
        Written::field(&adopted, effect).changes(judged.plan.changes.clone())
    }
}
