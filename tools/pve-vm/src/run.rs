//! The step.

use std::{io::IsTerminal, sync::OnceLock};

use pve_client::Client;
use record::{
    Code, Failure, Node,
    spec::ClusterSpec,
    status,
    table::{self, Row},
};
use step::{Flags, Job, Run, Source, Step, Stop, Written};
use tokio::sync::OnceCell;

use crate::{
    adopt::{Adopting, Adoption},
    args::{Args, Chosen, Pair, Verb},
    checks::tell_warnings,
    doctor,
    error::Error,
    etcd::EtcdGate,
    fleet::Fleet,
    inventory::{Inventory, Known, Namesakes},
    leftovers,
    machine::{Machine, Site, layers},
    orphans::{self, Search},
    reconcile::{Allowed, Reconcile},
    seeds,
};

mod sight;

/// What the nodes share.
pub(crate) struct Shared {
    /// `None` if the token may not see the VMs, which `doctor` only reports.
    fleet: Option<Fleet>,
    /// What `doctor` found to be missing.
    unfit: Option<Failure>,
    _silent: Option<pve_access::Silent>,
}

/// Creates and updates VMs.
pub(crate) struct PveVm {
    verb: Verb,
    token: pve_access::TokenFlag,
    allowed: Allowed,
    ignore_etcd: bool,
    /// Which VMs that the file doesn't list this call is about.
    pub(crate) chosen: Chosen,
    /// The VMs that nodes are to have.
    vms: Vec<Pair>,
    pub(crate) yes: bool,
    pub(crate) confirmed: OnceCell<Result<(), Failure>>,
    /// Which node is about to get which VM.
    adopting: Adopting,
    /// The nodes that the file doesn't list and that this call is about, once they are known.
    orphans: OnceLock<Vec<String>>,
    /// The inventory in which they were found: enough for a call that changes nothing.
    seen: OnceLock<Inventory>,
}

impl Step for PveVm {
    type Args = Args;
    type Shared = Shared;

    const ROWS: &'static [&'static Row] =
        &[&table::PVE_VM, &table::PVE_VM_LIST, &table::PVE_VM_DESTROY, &table::PVE_VM_ADOPT, &table::PVE_VM_DOCTOR];

    fn row(&self) -> &'static Row {
        match self.verb {
            Verb::Ensure | Verb::Plan => &table::PVE_VM,
            Verb::List => &table::PVE_VM_LIST,
            Verb::Destroy => &table::PVE_VM_DESTROY,
            Verb::Adopt => &table::PVE_VM_ADOPT,
            Verb::Doctor => &table::PVE_VM_DOCTOR,
        }
    }

    fn detail(node: &Node) -> String {
        match node.get::<status::Vm>() {
            Ok(Some(status::Vm { id: Some(id), node, orphan: true, .. })) => {
                format!("VM {id} on {node}, not in the file")
            }
            Ok(Some(status::Vm { id: Some(id), node, .. })) => format!("VM {id} on {node}"),
            _ => String::new(),
        }
    }

    fn flags(args: &Args) -> Flags {
        let flags = Flags::from(args.stream.clone()).parallel(args.parallel).wait(args.wait);
        Flags { dry_run: flags.dry_run || args.verb == Verb::Plan, all: args.all, ..flags }
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        args.check()?;
        let asks = !args.yes && !args.stream.dry_run && !std::io::stdin().is_terminal();
        match args.verb {
            Verb::Destroy if asks => return Err(Error::Unconfirmed.into()),
            Verb::Adopt if asks => return Err(Error::UnconfirmedAdoption.into()),
            _ => {}
        }
        let step = Self {
            verb: args.verb,
            chosen: args.chosen(),
            vms: args.vm,
            token: args.token,
            allowed: Allowed {
                reboot: args.reboot,
                recreate: args.recreate,
                migrate: args.migrate,
                stopped: args.stopped,
                disks: args.replace_disk,
            },
            ignore_etcd: args.ignore_etcd,
            yes: args.yes,
            confirmed: OnceCell::new(),
            adopting: Adopting::default(),
            orphans: OnceLock::new(),
            seen: OnceLock::new(),
        };
        Ok(Job::Stream(step, Source::Input))
    }

    fn acts_on(&self, node: &Node) -> bool {
        match self.verb {
            Verb::Adopt => self.vms.iter().any(|pair| pair.node == node.name()),
            _ if self.chosen.is_alone() => {
                self.orphans.get().is_some_and(|orphans| orphans.iter().any(|name| name == node.name()))
            }
            _ => true,
        }
    }

    fn adds(&self) -> bool {
        self.chosen != Chosen::None
    }

    /// The nodes of the cluster's VMs that the file doesn't list, if the call is about them.
    async fn additions(&self, run: Run) -> Result<Vec<Node>, Stop> {
        let nodes = self.orphan_nodes(&run).await?;
        let names = nodes.iter().map(|node| node.name().to_owned()).collect();
        self.orphans.get_or_init(|| names);
        Ok(nodes)
    }

    /// Connects and reads the inventory; changes nothing.
    async fn cluster(&self, run: Run) -> Result<Shared, Stop> {
        let spec = run.cluster().typed_spec()?;
        let acts = matches!(self.verb, Verb::Ensure | Verb::Destroy | Verb::Adopt) && !run.is_dry_run();
        let pve = self.token.connect(&run, &spec.proxmox.clone().unwrap_or_default(), acts).await?;
        let silent = Some(pve_access::Silent::told(&run, &pve));
        if self.verb == Verb::Doctor {
            return self.doctor(&run, pve, spec).await;
        }
        let makes = matches!(self.verb, Verb::Ensure | Verb::Plan);
        let image = if makes { self.image(&run).await? } else { status::Image::default() };
        self.check_vms(&run)?;
        let claim = if acts { Some(run.claim().await?) } else { None };
        let (identity, is_new) = self.identity(&run, &pve).await?;
        if makes {
            let cluster = run.cluster();
            layers::check(&Site { cluster: cluster.name(), spec: &spec, identity: &identity }, cluster.spec())?;
        }
        // What was read to make the identity was read under the claim, and no VM can have the new mark.
        let inventory = match self.seen.get().filter(|_| !acts || is_new) {
            Some(seen) => seen.clone(),
            None => self.settled_inventory(&run, &pve, &identity, is_new).await?,
        };
        let roster = run.cluster().roster().cloned().unwrap_or_default();
        for known in inventory.unlisted(&identity, &roster) {
            run.announce(&orphans::kept(&run, &identity, known));
        }
        for known in inventory.trials(&identity).filter(|_| !acts) {
            run.announce(&format!("{} is a trial that was cut off: the next run removes it", orphans::told(known)));
        }
        if self.chosen == Chosen::WithAll {
            orphans::announce(&run, &identity, &inventory);
        }
        let mut fleet = Fleet::new(pve, identity, run.cluster().name(), spec, inventory, image, claim);
        fleet.etcd = EtcdGate::new(self.ignore_etcd, self.chosen.is_alone());
        let left = match acts {
            true => leftovers::of_before(&run, &fleet).await?,
            false => leftovers::foreseen(&run, &fleet).await.map(|()| None)?,
        };
        seeds::clear_strays(&run, &fleet, acts).await?;
        let unfit = match left {
            Some(left) if self.verb == Verb::Destroy => Some(left.into()),
            Some(left) => {
                leftovers::warn(&run, &left.into());
                None
            }
            None => None,
        };
        Ok(Shared { fleet: Some(fleet), unfit, _silent: silent })
    }

    /// Ends `doctor` with what it found, beside the checks of nodes.
    async fn settle(&self, _: Run, shared: &Shared) -> Result<(), Stop> {
        shared.unfit.clone().map_or(Ok(()), |failure| Err(failure.into()))
    }

    async fn node(&self, run: Run, shared: &Shared, node: &Node) -> Result<Written, Stop> {
        let Some(fleet) = &shared.fleet else { return Ok(Written::nothing()) };
        let spec = node.typed_spec()?;
        if let Some(pair) = self.vms.iter().find(|pair| pair.node == node.name()) {
            let (wanted, adopting) = (pair.vm.as_str(), &self.adopting);
            return Adoption { run: &run, fleet, node, spec: &spec, wanted, yes: self.yes, adopting }.adopted().await;
        }
        let site = Site { cluster: &fleet.cluster, spec: &fleet.spec, identity: &fleet.identity };
        let machine = Machine::read(&site, node.name(), &spec)?;
        if self.verb == Verb::Doctor {
            return doctor::of_node(fleet, &run, node, &machine, &spec).await;
        }
        let namesakes = match self.verb {
            Verb::Destroy | Verb::List => Namesakes::Ignored,
            Verb::Ensure | Verb::Plan | Verb::Adopt | Verb::Doctor => Namesakes::Refused,
        };
        let found = fleet.inventory.find(&fleet.identity, &fleet.cluster, node.name(), namesakes)?;
        if found.is_none() {
            fleet.is_gone(&run, node).await?;
        }
        match self.verb {
            Verb::Destroy if found.is_none() => run.say(node, "no VM was found: there is nothing to destroy"),
            Verb::List if found.is_none() => run.say(node, "no VM was found"),
            _ => {}
        }
        let reconcile = Reconcile { run: &run, fleet, node, machine: &machine, spec: &spec, found };
        let written = match self.verb {
            Verb::Destroy => self.destroy(&reconcile).await,
            Verb::List if run.listed().is_orphan(node.name()) => orphans::list(fleet, &reconcile).await,
            Verb::List => reconcile.found.map_or(Ok(()), readable).map(|()| reconcile.listed()),
            _ if run.is_dry_run() => reconcile.plan(&self.allowed).await,
            _ => reconcile.ensure(&self.allowed).await,
        };
        let vms = fleet.made_for(node.name()).into_iter().chain(found.map(|known| known.vmid));
        vms.for_each(|vmid| tell_warnings(fleet, &run, node, vmid));
        written
    }
}

/// A VM whose config can't be read is the node's error, not a VM that is as it was.
fn readable(known: &Known) -> Result<(), Stop> {
    known.config.as_ref().map(|_| ()).map_err(|failure| failure.clone().into())
}

impl PveVm {
    async fn image(&self, run: &Run) -> Result<status::Image, Stop> {
        let image: status::Image = match run.cluster_need().await {
            Ok(image) => image.value(),
            // A plan of the file alone says what it can.
            Err(Stop::Failed(failure)) if run.is_dry_run() && failure.is(Code::MissingInput) => {
                run.announce("the input has no image, so this plan doesn't look where it is: talos-image adds it");
                return Ok(status::Image::default());
            }
            Err(stop) => return Err(stop),
        };
        if image.volumes.is_empty() { Err(Error::NoImage.into()) } else { Ok(image) }
    }

    /// Refuses a VM, or a disk to give up, of a node that the cluster doesn't have.
    fn check_vms(&self, run: &Run) -> Result<(), Failure> {
        let roster = run.listed();
        if let Some(disk) = self.allowed.disks.iter().find(|disk| roster.position(&disk.node).is_none()) {
            let nodes: Vec<String> = roster.iter().map(|entry| entry.name.to_string()).collect();
            let cluster = run.cluster().name().to_owned();
            return Err(Error::NoSuchDiskNode(disk.node.clone(), cluster, nodes.join(", ")).into());
        }
        match self.vms.iter().find(|pair| roster.position(&pair.node).is_none()) {
            Some(pair) => Err(Error::NoSuchNode(pair.node.clone(), run.cluster().name().to_owned()).into()),
            None => Ok(()),
        }
    }

    /// The nodes of the orphans that the call is about. Only the cluster file says which nodes are in it: a stream may have
    /// been filtered.
    async fn orphan_nodes(&self, run: &Run) -> Result<Vec<Node>, Failure> {
        if !run.is_first() {
            return match self.chosen {
                Chosen::None | Chosen::WithAll => Ok(Vec::new()),
                Chosen::Listed | Chosen::All => Err(Error::NotTheFile("--orphans").into()),
                Chosen::Named(_) => Err(Error::NotTheFile("--orphan").into()),
            };
        }
        let spec = run.cluster().typed_spec()?;
        let pve = self.token.connect(run, &spec.proxmox.unwrap_or_default(), false).await?;
        let (identity, is_new) = self.identity(run, &pve).await?;
        // Without an identity the cluster has no VMs yet.
        let inventory = match is_new {
            true => Inventory::default(),
            false => self.inventory(run, &pve, &identity, is_new).await?,
        };
        let nodes = Search { run, pve: &pve, identity: &identity, inventory: &inventory }.nodes(&self.chosen).await?;
        if !is_new {
            self.seen.get_or_init(|| inventory);
        }
        Ok(nodes)
    }

    /// Checks everything, and reports it.
    async fn doctor(&self, run: &Run, pve: Client, spec: ClusterSpec) -> Result<Shared, Stop> {
        let mut found = doctor::Checks { run, pve: &pve, spec: &spec }.all().await?;
        let (identity, is_new) = self.identity(run, &pve).await?;
        let inventory = doctor::usable(self.inventory(run, &pve, &identity, is_new).await)?;
        let image = status::Image::default();
        let fleet =
            inventory.map(|inventory| Fleet::new(pve, identity, run.cluster().name(), spec, inventory, image, None));
        if let Some(fleet) = &fleet {
            found.extend(doctor::of_vms(fleet, run).await);
        }
        Ok(Shared { unfit: doctor::report(run, found), fleet, _silent: None })
    }
}
