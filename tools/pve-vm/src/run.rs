//! The step.

use std::{io::IsTerminal, path::PathBuf};

use pve_client::{Client, answer::AtWork, request};
use record::{
    Code, Effect, Failure, Node,
    spec::ClusterSpec,
    status,
    table::{self, Row},
};
use step::{Console, Flags, Hold, Job, Run, Source, Step, Stop, Written};
use tokio::sync::OnceCell;

use crate::{
    args::{Args, Verb},
    checks::tell_warnings,
    doctor,
    error::Error,
    etcd::EtcdGate,
    fleet::{Fleet, distinct},
    identity::Identity,
    inventory::{Inventory, Known, Namesakes, Wanted},
    machine::{Machine, Site},
    reconcile::{Allowed, Reconcile},
};

/// What the nodes share.
pub(crate) struct Shared {
    /// `None` if the token may not see the VMs, which `doctor` only reports.
    fleet: Option<Fleet>,
    /// What `doctor` found to be missing.
    unfit: Option<Failure>,
}

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
    type Shared = Shared;

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
            allowed: Allowed { reboot: args.reboot, recreate: args.recreate, disks: args.replace_disk },
            ignore_etcd: args.ignore_etcd,
            yes: args.yes,
            confirmed: OnceCell::new(),
        };
        Ok(Job::Stream(step, Source::Input))
    }

    /// Connects and reads the inventory; changes nothing.
    async fn cluster(&self, run: Run) -> Result<Shared, Stop> {
        let spec = run.cluster().typed_spec()?;
        let pve = pve_access::connect(&spec.proxmox.clone().unwrap_or_default(), self.token_file.clone())?;
        if self.verb == Verb::Doctor {
            return self.doctor(&run, pve, spec).await;
        }
        let makes = matches!(self.verb, Verb::Ensure | Verb::Plan);
        let image = if makes { self.image(&run).await? } else { status::Image::default() };
        let acts = matches!(self.verb, Verb::Ensure | Verb::Destroy) && !run.is_dry_run();
        let claim = if acts { Some(run.claim().await?) } else { None };
        let (identity, is_new) = self.identity(&run, &pve).await?;
        let inventory = match acts {
            true => self.settled_inventory(&run, &pve, &identity, is_new).await?,
            false => self.inventory(&run, &pve, &identity, is_new).await?,
        };
        let roster = run.cluster().roster().cloned().unwrap_or_default();
        for known in inventory.unlisted(&identity, &roster) {
            let (vmid, host, name) = (known.vmid, &known.host, &known.name);
            run.announce(&format!("VM {vmid} ({name}) on {host} belongs to this cluster but isn't in the file: kept"));
        }
        let mut fleet = Fleet::new(pve, identity, run.cluster().name(), spec, inventory, image, claim);
        fleet.etcd = EtcdGate::new(self.ignore_etcd);
        Ok(Shared { fleet: Some(fleet), unfit: None })
    }

    /// Ends `doctor` with what it found, beside the checks of nodes.
    async fn settle(&self, _: Run, shared: &Shared) -> Result<(), Stop> {
        shared.unfit.clone().map_or(Ok(()), |failure| Err(failure.into()))
    }

    async fn node(&self, run: Run, shared: &Shared, node: &Node) -> Result<Written, Stop> {
        let Some(fleet) = &shared.fleet else { return Ok(Written::nothing()) };
        let spec = node.typed_spec()?;
        let site = Site { cluster: &fleet.cluster, spec: &fleet.spec, identity: &fleet.identity };
        let machine = Machine::read(&site, node.name(), &spec)?;
        if self.verb == Verb::Doctor {
            return doctor::of_node(fleet, &run, node, &machine).await;
        }
        let namesakes = match self.verb {
            Verb::Destroy | Verb::List => Namesakes::Ignored,
            Verb::Ensure | Verb::Plan | Verb::Doctor => Namesakes::Refused,
        };
        let found = fleet.inventory.find(&fleet.identity, &fleet.cluster, node.name(), namesakes)?;
        match self.verb {
            Verb::Destroy if found.is_none() => run.say(node, "no VM was found: there is nothing to destroy"),
            Verb::List if found.is_none() => run.say(node, "no VM was found"),
            _ => {}
        }
        let reconcile = Reconcile { run: &run, fleet, node, machine: &machine, spec: &spec, found };
        let written = match self.verb {
            Verb::Destroy => self.destroy(&reconcile).await,
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
        let image: status::Image = run.cluster_need().await?.value();
        if image.volumes.is_empty() { Err(Error::NoImage.into()) } else { Ok(image) }
    }

    async fn inventory(
        &self,
        run: &Run,
        pve: &Client,
        identity: &Identity,
        is_new: bool,
    ) -> Result<Inventory, Failure> {
        let roster = run.cluster().roster().cloned().unwrap_or_default();
        distinct(identity, &roster)?;
        let spec = run.cluster().typed_spec()?;
        let wanted = Wanted {
            identity,
            roster: &roster,
            pool: spec.proxmox.as_ref().and_then(|proxmox| proxmox.pool.as_deref()),
            creates: !matches!(self.verb, Verb::List | Verb::Doctor),
            is_new,
        };
        Inventory::read(pve, wanted).await
    }

    /// The inventory, once no VM is being created that may be a node's: an earlier run may have been killed a moment ago,
    /// and until its creation has ended a VM doesn't show whose it is.
    async fn settled_inventory(
        &self,
        run: &Run,
        pve: &Client,
        identity: &Identity,
        is_new: bool,
    ) -> Result<Inventory, Stop> {
        let look = || async {
            let read = self.inventory(run, pve, identity, is_new).await;
            let Ok(inventory) = &read else { return Ok(read) };
            let roster = run.cluster().roster().cloned().unwrap_or_default();
            for Known { vmid, host, .. } in inventory.nascent(identity, &roster) {
                let tasks = pve.ask(&request::at_work(host, *vmid)).await?;
                if tasks.iter().any(AtWork::is_at_work) {
                    return Err(Hold::not_yet(format!("VM {vmid} on {host} is being created, and may be a node's")));
                }
            }
            Ok(read)
        };
        Ok(run.wait_for_cluster().until(look).await??)
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
        Ok(Shared { unfit: doctor::report(run, found), fleet })
    }

    /// The cluster's identity, and whether it is new. A dry run creates none: without one, no VM belongs to the cluster
    /// yet.
    async fn identity(&self, run: &Run, pve: &Client) -> Result<(Identity, bool), Failure> {
        let dir = run.dir()?;
        let known = dir.lock()?.and_then(|lock| lock.uid().map(str::to_owned));
        match known {
            Some(uid) => Ok((Identity::new(&uid), false)),
            None if run.is_dry_run() || !matches!(self.verb, Verb::Ensure) => Ok((Identity::new("(none)"), true)),
            None => {
                // If ichor.lock was lost, the cluster's VMs still exist: they must not get a new identity.
                let nobody = Identity::new("(none)");
                let roster = run.cluster().roster().cloned().unwrap_or_default();
                let inventory = self.inventory(run, pve, &nobody, true).await?;
                let find = |name: &str| inventory.find(&nobody, run.cluster().name(), name, Namesakes::Refused);
                let found = roster.iter().map(|entry| find(&entry.name));
                let lost = found.filter_map(Result::err).find(|failure| failure.is(Code::OtherLock));
                if let Some(failure) = lost {
                    return Err(failure);
                }
                Ok((Identity::new(&dir.uid()?), true))
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
