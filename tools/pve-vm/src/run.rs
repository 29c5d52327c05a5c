//! The step.

use std::{io::IsTerminal, path::PathBuf};

use pve_client::Client;
use record::{
    Code, Effect, Failure, Node, status,
    table::{self, Row},
};
use step::{Console, Flags, Job, Run, Source, Step, Stop, Written};
use tokio::sync::OnceCell;

use crate::{
    args::{Args, Verb},
    doctor,
    error::Error,
    etcd::EtcdGate,
    fleet::{Fleet, distinct},
    identity::Identity,
    inventory::Inventory,
    machine::{Machine, Site},
    reconcile::{Allowed, Reconcile},
};

/// Creates and updates VMs.
pub(crate) struct PveVm {
    verb: Verb,
    token_file: Option<PathBuf>,
    allowed: Allowed,
    ignore_etcd: bool,
    yes: bool,
    confirmed: OnceCell<Result<(), Failure>>,
}

impl Step for PveVm {
    type Args = Args;
    /// `None` if the verb acts on no node.
    type Shared = Option<Fleet>;

    const ROWS: &'static [&'static Row] =
        &[&table::PVE_VM, &table::PVE_VM_LIST, &table::PVE_VM_DESTROY, &table::PVE_VM_DOCTOR];

    fn row(&self) -> &'static Row {
        match self.verb {
            Verb::Ensure | Verb::Plan => &table::PVE_VM,
            Verb::List => &table::PVE_VM_LIST,
            Verb::Destroy => &table::PVE_VM_DESTROY,
            Verb::Doctor => &table::PVE_VM_DOCTOR,
        }
    }

    fn detail(node: &Node) -> String {
        match node.get::<status::Vm>() {
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
        let asks = args.verb == Verb::Destroy && !args.yes && !args.stream.dry_run;
        if asks && !std::io::stdin().is_terminal() {
            return Err(Error::Unconfirmed.into());
        }
        let step = Self {
            verb: args.verb,
            token_file: args.token_file,
            allowed: Allowed { reboot: args.reboot, recreate: args.recreate },
            ignore_etcd: args.ignore_etcd,
            yes: args.yes,
            confirmed: OnceCell::new(),
        };
        Ok(Job::Stream(step, Source::Input))
    }

    /// Connects and reads the inventory; changes nothing.
    async fn cluster(&self, run: Run) -> Result<Option<Fleet>, Stop> {
        let cluster = run.cluster();
        let spec = cluster.typed_spec()?;
        let pve = pve_access::connect(&spec.proxmox.clone().unwrap_or_default(), self.token_file.clone())?;
        if self.verb == Verb::Doctor {
            doctor::check(&run, &pve, &spec.proxmox.unwrap_or_default()).await?;
            return Ok(None);
        }
        let makes = matches!(self.verb, Verb::Ensure | Verb::Plan);
        let image = if makes { self.image(&run).await? } else { status::Image::default() };
        let acts = matches!(self.verb, Verb::Ensure | Verb::Destroy) && !run.is_dry_run();
        let claim = if acts { Some(run.claim().await?) } else { None };
        let identity = self.identity(&run, &pve).await?;
        let roster = run.cluster().roster().cloned().unwrap_or_default();
        distinct(&identity, &roster)?;
        let inventory = Inventory::read(&pve, &identity, &roster).await?;
        for known in inventory.unlisted(&identity, &roster) {
            let (vmid, host, name) = (known.vmid, &known.host, &known.name);
            run.announce(&format!("VM {vmid} ({name}) on {host} belongs to this cluster but isn't in the file: kept"));
        }
        let mut fleet = Fleet::new(pve, identity, cluster.name(), spec, inventory, image, claim);
        fleet.etcd = EtcdGate::new(self.ignore_etcd);
        if makes {
            fleet.survey().await?;
        }
        Ok(Some(fleet))
    }

    fn acts_on(&self, _: &Node) -> bool {
        self.verb != Verb::Doctor
    }

    async fn node(&self, run: Run, fleet: &Self::Shared, node: &Node) -> Result<Written, Stop> {
        let Some(fleet) = fleet else { return Ok(Written::nothing()) };
        let spec = node.typed_spec()?;
        let site = Site { cluster: &fleet.cluster, spec: &fleet.spec, identity: &fleet.identity };
        let machine = Machine::read(&site, node.name(), &spec)?;
        let found = fleet.inventory.find(&fleet.identity, &fleet.cluster, node.name())?;
        let reconcile = Reconcile { run: &run, fleet, node, machine: &machine, spec: &spec, found };
        match self.verb {
            Verb::Destroy => self.destroy(&reconcile).await,
            Verb::List => Ok(reconcile.listed()),
            _ if run.is_dry_run() => reconcile.plan(self.allowed).await,
            _ => reconcile.ensure(self.allowed).await,
        }
    }
}

impl PveVm {
    async fn image(&self, run: &Run) -> Result<status::Image, Stop> {
        let image: status::Image = run.cluster_need().await?.value();
        if image.volumes.is_empty() { Err(Error::NoImage.into()) } else { Ok(image) }
    }

    /// The cluster's identity. A dry run creates none: without one, no VM belongs to the cluster yet.
    async fn identity(&self, run: &Run, pve: &Client) -> Result<Identity, Failure> {
        let dir = run.dir()?;
        let known = dir.lock()?.and_then(|lock| lock.uid().map(str::to_owned));
        match known {
            Some(uid) => Ok(Identity::new(&uid)),
            None if run.is_dry_run() || !matches!(self.verb, Verb::Ensure) => Ok(Identity::new("(none)")),
            None => {
                // If ichor.lock was lost, the cluster's VMs still exist: they must not get a new identity.
                let nobody = Identity::new("(none)");
                let roster = run.cluster().roster().cloned().unwrap_or_default();
                let inventory = Inventory::read(pve, &nobody, &roster).await?;
                let found = roster.iter().map(|entry| inventory.find(&nobody, run.cluster().name(), &entry.name));
                let lost = found.filter_map(Result::err).find(|failure| failure.is(Code::OtherLock));
                if let Some(failure) = lost {
                    return Err(failure);
                }
                Ok(Identity::new(&dir.uid()?))
            }
        }
    }

    async fn destroy(&self, reconcile: &Reconcile<'_>) -> Result<Written, Stop> {
        let (fleet, written) = (reconcile.fleet, self.destroy_vm(reconcile).await?);
        if fleet.etcd.completes(reconcile)? {
            self.confirmed(reconcile).await?;
            EtcdGate::forget(reconcile.run)?;
        }
        Ok(written)
    }

    async fn destroy_vm(&self, reconcile: &Reconcile<'_>) -> Result<Written, Stop> {
        let Some(location) = reconcile.location() else { return Ok(Written::nothing()) };
        if reconcile.run.is_dry_run() {
            reconcile.run.say(reconcile.node, &format!("would destroy {location}"));
            let left = reconcile.fleet.etcd.foresee_destroy(reconcile).await?;
            return Ok(reconcile.destroyed(&location, Effect::Pending, left));
        }
        self.confirmed(reconcile).await?;
        let permit = reconcile.fleet.etcd.pass_destroy(reconcile).await?;
        reconcile.operation(location.clone()).destroy().await?;
        Ok(reconcile.destroyed(&location, Effect::Changed, permit.destroyed(reconcile, false)))
    }

    async fn confirmed(&self, reconcile: &Reconcile<'_>) -> Result<(), Stop> {
        let stopping = reconcile.run.stopping();
        tokio::select! {
            confirmed = self.confirmed.get_or_init(|| self.confirm(reconcile.fleet)) => Ok(confirmed.clone()?),
            () = stopping.cancelled() => Err(Failure::interrupted().into()),
        }
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
