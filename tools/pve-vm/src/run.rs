//! The step.

use std::{io::IsTerminal, path::PathBuf, sync::Arc};

use pve_client::Client;
use record::{Failure, Node, status, table::Row};
use step::{Console, Job, Run, Source, Step, Stop, Written};
use tokio::sync::{OnceCell, watch};

use crate::{
    args::{Args, Verb},
    case::{Allowed, Case},
    doctor,
    error::{self, Error},
    fleet::{Fleet, distinct},
    identity::Identity,
    inventory::Inventory,
    machine::{Machine, Site},
};

/// Makes VMs be as the spec says.
pub(crate) struct PveVm {
    verb: Verb,
    token_file: Option<PathBuf>,
    allowed: Allowed,
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
            allowed: Allowed { reboot: args.reboot, recreate: args.recreate },
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
        let case = Case { run: &run, fleet: &fleet, node, machine: &machine, spec: &spec, found };
        match self.verb {
            Verb::Destroy => self.destroy(&case).await,
            Verb::List => Ok(case.listed()),
            _ if run.is_dry_run() => case.plan(self.allowed).await,
            _ => case.ensure(self.allowed).await,
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

    async fn destroy(&self, case: &Case<'_>) -> Result<Written, Stop> {
        let Some(spot) = case.spot() else { return Ok(Written::nothing()) };
        if case.run.is_dry_run() {
            return Ok(case.would_destroy(&spot));
        }
        let stopping = case.run.stopping();
        tokio::select! {
            confirmed = self.confirmed.get_or_init(|| self.confirm(case.fleet)) => confirmed.clone()?,
            () = stopping.cancelled() => return Err(Failure::interrupted().into()),
        }
        case.work(spot).destroy().await?;
        Ok(Written::gone())
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
