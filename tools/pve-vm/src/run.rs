//! The step.

use std::{io::IsTerminal, path::PathBuf, sync::Arc};

use pve_client::{Client, request};
use record::{Change, Failure, Node, spec::NodeSpec, status, table::Row};
use step::{Console, Job, Run, Source, Step, Stop, Written};
use tokio::sync::{OnceCell, watch};

use crate::{
    args::{Args, Verb},
    changes::Work,
    creation::{Spot, create},
    difference::Difference,
    doctor,
    error::{self, Error},
    fleet::{Fleet, distinct},
    identity::Identity,
    inventory::{Inventory, Known},
    machine::{Machine, Site},
};

/// Makes VMs be as the spec says.
pub(crate) struct PveVm {
    verb: Verb,
    token_file: Option<PathBuf>,
    reboot: bool,
    recreate: bool,
    yes: bool,
    /// What the nodes share, once it is known; an inner `None` says that it can't be had.
    fleet: watch::Sender<Option<Option<Arc<Fleet>>>>,
    confirmed: OnceCell<Result<(), Failure>>,
}

impl Step for PveVm {
    type Args = Args;

    fn row() -> &'static Row {
        record::table::row("pve-vm").expect("the table has every step")
    }

    fn detail(node: &Node) -> String {
        match node.typed_status::<status::Vm>("vm") {
            Ok(Some(status::Vm { id: Some(id), node, .. })) => format!("VM {id} on {node}"),
            _ => String::new(),
        }
    }

    fn flags(args: &Args) -> &step::Flags {
        &args.0.flags
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        let args = args.0;
        let asks = args.verb == Verb::Destroy && !args.yes && !args.flags.dry_run;
        if asks && !std::io::stdin().is_terminal() {
            return Err(Error::Unconfirmed.into());
        }
        let step = Self {
            verb: args.verb,
            token_file: args.token_file,
            reboot: args.reboot,
            recreate: args.recreate,
            yes: args.yes,
            fleet: watch::Sender::new(None),
            confirmed: OnceCell::new(),
        };
        Ok(Job::Stream(step, Source::Input))
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        let loaded = self.load(&run).await;
        let fleet = loaded.as_ref().ok().and_then(Clone::clone);
        self.fleet.send_replace(Some(fleet));
        loaded.map(drop)
    }

    fn acts_on(&self, _: &Node) -> bool {
        self.verb != Verb::Doctor
    }

    async fn node(&self, run: Run, node: &Node) -> Result<Written, Stop> {
        let Some(fleet) = self.fleet(&run).await? else { return Err(Stop::Explained) };
        let spec = node.typed_spec()?;
        let site = Site { cluster: &fleet.cluster, spec: &fleet.spec, identity: &fleet.identity };
        let machine = Machine::read(&site, node.name(), &spec).map_err(Failure::from)?;
        let found = fleet.inventory.find(&fleet.identity, &fleet.cluster, node.name())?;
        match self.verb {
            Verb::Destroy => self.destroy(&run, &fleet, node, &machine, found).await,
            Verb::List => Ok(list(&fleet, &machine, &spec, found)),
            _ => self.ensure(&run, &fleet, node, &machine, &spec, found).await,
        }
    }
}

impl PveVm {
    /// Connects and looks around; nothing is changed.
    async fn load(&self, run: &Run) -> Result<Option<Arc<Fleet>>, Stop> {
        let cluster = run.cluster();
        let spec = cluster.typed_spec()?;
        let pve = pve_access::connect(&spec.proxmox.clone().unwrap_or_default(), self.token_file.clone())?;
        if self.verb == Verb::Doctor {
            doctor::check(run, &pve, &spec.proxmox.unwrap_or_default()).await?;
            return Ok(None);
        }
        let makes = matches!(self.verb, Verb::Ensure | Verb::Plan);
        let image = if makes { self.image(run).await? } else { status::Image::default() };
        let acts = matches!(self.verb, Verb::Ensure | Verb::Destroy) && !run.is_dry_run();
        let claim = if acts { Some(run.claim().await?) } else { None };
        let identity = self.identity(run, &pve).await?;
        let roster = run.cluster().roster().cloned().unwrap_or_default();
        distinct(&identity, &roster).map_err(Failure::from)?;
        let inventory = Inventory::read(&pve, &identity, &roster).await.map_err(|error| pve_access::failure(&error))?;
        for known in inventory.unlisted(&identity, &roster) {
            let (vmid, host, name) = (known.vmid, &known.host, &known.name);
            run.announce(&format!(
                "VM {vmid} on {host} ({name}) is this cluster's but not in the file; it is left alone"
            ));
        }
        let fleet = Fleet::new(pve, identity, cluster.name(), spec, inventory, image, claim);
        if makes {
            fleet.survey().await?;
        }
        Ok(Some(Arc::new(fleet)))
    }

    async fn image(&self, run: &Run) -> Result<status::Image, Stop> {
        let image: status::Image = run.cluster_need("image").await?.value();
        if image.volumes.is_empty() { Err(Failure::from(Error::NoImage).into()) } else { Ok(image) }
    }

    /// The cluster's identity; a dry run makes none, and then no VM can be the cluster's yet.
    async fn identity(&self, run: &Run, pve: &Client) -> Result<Identity, Failure> {
        let products = run.products()?;
        let known = products.lock()?.and_then(|lock| lock.uid().map(str::to_owned));
        match known {
            Some(uid) => Ok(Identity::new(&uid)),
            None if run.is_dry_run() || !matches!(self.verb, Verb::Ensure) => Ok(Identity::new("(none)")),
            None => {
                // With a lock that got lost, the cluster's VMs are there: a new identity must not be written for them.
                let nobody = Identity::new("(none)");
                let roster = run.cluster().roster().cloned().unwrap_or_default();
                let read = Inventory::read(pve, &nobody, &roster).await;
                let inventory = read.map_err(|error| pve_access::failure(&error))?;
                let found = roster.iter().map(|entry| inventory.find(&nobody, run.cluster().name(), &entry.name));
                let lost = found.filter_map(Result::err).find(|failure| failure.code == error::OTHER_LOCK);
                if let Some(failure) = lost {
                    return Err(failure);
                }
                Ok(Identity::new(&products.uid()?))
            }
        }
    }

    /// What the nodes share, once it is known.
    async fn fleet(&self, run: &Run) -> Result<Option<Arc<Fleet>>, Stop> {
        let mut fleet = self.fleet.subscribe();
        let stopping = run.stopping();
        tokio::select! {
            found = fleet.wait_for(Option::is_some) => {
                Ok(found.expect("the sender is part of self").clone().flatten())
            }
            () = stopping.cancelled() => Err(Failure::interrupted().into()),
        }
    }

    async fn ensure(
        &self,
        run: &Run,
        fleet: &Fleet,
        node: &Node,
        machine: &Machine,
        spec: &NodeSpec,
        found: Option<&Known>,
    ) -> Result<Written, Stop> {
        if found.is_none() {
            let roster = run.cluster().roster().cloned().unwrap_or_default();
            fleet.free_address(&roster, spec.address.as_deref()).map_err(Failure::from)?;
        }
        if run.is_dry_run() {
            return self.plan(run, fleet, node, machine, spec, found).await;
        }
        let (spot, mut changed) = match found {
            Some(known) => (Spot { vmid: known.vmid, host: known.host.clone() }, false),
            None => (create(fleet, run, node, machine).await?, true),
        };
        let mut work = Work { fleet, run, node, machine, spot };
        let mut config = work.config().await?;
        let mut difference = Difference::between(machine, &config);
        if self.recreate && !difference.recreate.is_empty() {
            fleet.disrupt(machine).map_err(Failure::from)?;
            run.say(node, &format!("making VM {} anew: {}", work.spot.vmid, difference.recreate.join(", ")));
            work.destroy().await?;
            work.spot = create(fleet, run, node, machine).await?;
            config = work.config().await?;
            difference = Difference::between(machine, &config);
            changed = true;
        }
        let running = !changed && self.runs(&work).await?;
        work.guard(&difference, running, self.reboot)?;
        if running && !difference.reboot.is_empty() {
            fleet.disrupt(machine).map_err(Failure::from)?;
        }
        changed |= !difference.is_none();
        work.apply(config, difference, running).await?;
        changed |= work.start().await?;
        let addresses = match spec.static_address() {
            Some(address) => vec![address.to_string()],
            None => work.addresses().await?,
        };
        let change = if changed { Change::Changed } else { Change::Unchanged };
        Ok(Written::field("vm", &vm(fleet, machine, Some(&work.spot)), change).and("addresses", &addresses))
    }

    async fn runs(&self, work: &Work<'_>) -> Result<bool, Failure> {
        let power = work.fleet.pve.ask(&request::power(&work.spot.host, work.spot.vmid)).await;
        power.map(|power| power.is_running()).map_err(|error| pve_access::failure(&error))
    }

    /// Says what `ensure` would do.
    async fn plan(
        &self,
        run: &Run,
        fleet: &Fleet,
        node: &Node,
        machine: &Machine,
        spec: &NodeSpec,
        found: Option<&Known>,
    ) -> Result<Written, Stop> {
        let Some(known) = found else {
            let host = fleet.place(machine).map_err(Failure::from)?;
            run.say(node, &format!("would create a VM on {host}"));
            return Ok(planned(fleet, machine, spec, None, Change::Pending));
        };
        let spot = Spot { vmid: known.vmid, host: known.host.clone() };
        let work = Work { fleet, run, node, machine, spot };
        let config = known.config.clone()?;
        let difference = Difference::between(machine, &config);
        let running = self.runs(&work).await?;
        if !difference.recreate.is_empty() && self.recreate {
            run.say(node, &format!("would make VM {} anew: {}", known.vmid, difference.recreate.join(", ")));
        } else {
            work.guard(&difference, running, self.reboot)?;
        }
        if !difference.told.is_empty() {
            run.say(node, &format!("would change VM {}: {}", known.vmid, difference.told.join(", ")));
        }
        let change = if difference.is_none() && running { Change::Unchanged } else { Change::Pending };
        let mut written = planned(fleet, machine, spec, Some(&work.spot), change);
        if spec.address.is_none() && running {
            let nics = fleet.pve.ask(&request::nics(&known.host, known.vmid)).await.unwrap_or_default();
            let addresses = crate::addresses::of(&nics, &machine.macs);
            written = if addresses.is_empty() { written } else { written.and("addresses", &addresses) };
        }
        Ok(written)
    }

    async fn destroy(
        &self,
        run: &Run,
        fleet: &Fleet,
        node: &Node,
        machine: &Machine,
        found: Option<&Known>,
    ) -> Result<Written, Stop> {
        let Some(known) = found else { return Ok(Written::nothing()) };
        let spot = Spot { vmid: known.vmid, host: known.host.clone() };
        if run.is_dry_run() {
            run.say(node, &format!("would destroy VM {} on {}", spot.vmid, spot.host));
            return Ok(Written::field("vm", &vm(fleet, machine, Some(&spot)), Change::Pending));
        }
        let stopping = run.stopping();
        tokio::select! {
            confirmed = self.confirmed.get_or_init(|| self.confirm(fleet)) => confirmed.clone()?,
            () = stopping.cancelled() => return Err(Failure::interrupted().into()),
        }
        Work { fleet, run, node, machine, spot }.destroy().await?;
        Ok(Written::nothing())
    }

    /// Asks once for all nodes.
    async fn confirm(&self, fleet: &Fleet) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let question = format!("type {} to destroy the VMs of this cluster: ", fleet.cluster);
        let asking = tokio::task::spawn_blocking(move || Console::new("pve-vm").ask(&question));
        match asking.await.ok().flatten() {
            Some(answer) if answer == fleet.cluster => Ok(()),
            Some(_) => Err(Error::OtherName.into()),
            None => Err(Error::Unconfirmed.into()),
        }
    }
}

fn list(fleet: &Fleet, machine: &Machine, spec: &NodeSpec, found: Option<&Known>) -> Written {
    match found {
        Some(known) => {
            let spot = Spot { vmid: known.vmid, host: known.host.clone() };
            planned(fleet, machine, spec, Some(&spot), Change::Unchanged)
        }
        None => Written::nothing(),
    }
}

/// The node's fields as far as they are known without waiting.
fn planned(fleet: &Fleet, machine: &Machine, spec: &NodeSpec, spot: Option<&Spot>, change: Change) -> Written {
    let written = Written::field("vm", &vm(fleet, machine, spot), change);
    match spec.static_address() {
        Some(address) => written.and("addresses", &[address.to_string()]),
        None => written,
    }
}

fn vm(fleet: &Fleet, machine: &Machine, spot: Option<&Spot>) -> status::Vm {
    status::Vm {
        id: spot.map(|spot| spot.vmid),
        node: spot.map(|spot| spot.host.clone()).unwrap_or_default(),
        uuid: machine.uuid.clone(),
        macs: machine.macs.clone(),
        fingerprints: Vec::new(),
        zone: spot.map(|spot| spot.host.clone()),
        region: spot.map(|spot| fleet.region(&spot.host)),
    }
}
