//! The step in the pipe.

use std::sync::{Arc, Once};

use cluster_pki::Bundle;
use record::table::{self, Row};
use record::{Change, Failure, Node, status};
use step::{Flags, Job, Made, Products, Run, Source, Step, Stop, Written, sha256};
use tokio::sync::watch;

use crate::access::{self, Access, SECRETS, TALOSCONFIG};
use crate::alone;
use crate::args::Args;
use crate::error::Error;
use crate::files;
use crate::machine::{self, Found};
use crate::plan::{self, Plan};

/// The step.
pub(crate) struct Gen {
    ready: watch::Sender<Ready>,
    /// Whether it was said that hardware addresses are missing.
    told: Once,
}

/// Where the work on the whole cluster stands, on which each node's work waits.
enum Ready {
    NotYet,
    Yes(Arc<Ground>),
    Never,
}

/// What every node's config is made from.
struct Ground {
    plan: Plan,
    /// `None` in a dry run that would make it.
    bundle: Option<Bundle>,
    products: Products,
}

impl Step for Gen {
    type Args = Args;

    fn row() -> &'static Row {
        table::row("talos-gen").expect("the table has a row for every step")
    }

    fn flags(args: &Args) -> &Flags {
        &args.flags
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        match args.command {
            None => {
                Ok(Job::Stream(Self { ready: watch::Sender::new(Ready::NotYet), told: Once::new() }, Source::Input))
            }
            Some(command) => Ok(Job::own(|console| async move {
                let work = tokio::task::spawn_blocking(move || alone::run(command, &console));
                work.await.unwrap_or_else(|error| Err(alone::broken(&error)))
            })),
        }
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        if run.cluster().error().is_some() {
            self.ready.send_replace(Ready::Never);
            return Err(Stop::Explained);
        }
        let prepared = prepare(&run).await;
        let (ground, made) = prepared.inspect_err(|_| drop(self.ready.send_replace(Ready::Never)))?;
        let early = early_access(&run, &ground, made);
        let state = if early.is_ok() { Ready::Yes(Arc::clone(&ground)) } else { Ready::Never };
        self.ready.send_replace(state);
        settle_endpoints(&run, &ground, early?).await
    }

    async fn node(&self, run: Run, node: &Node) -> Result<Written, Stop> {
        let ground = self.ground(&run).await?;
        let _slot = run.slot(node).await?;
        let vm: Option<status::Vm> = run.want(node, "vm")?;
        if vm.is_none() && ground.plan.spec.proxmox.is_some() {
            self.told.call_once(|| {
                run.warn(
                    "nodes come without `status.vm` (pve-vm is not in the pipe): their configs name no hardware \
                     addresses, and are others than those of the whole pipe",
                );
            });
        }
        let Some(bundle) = &ground.bundle else { return Ok(planned(node)) };
        let image: Option<status::Image> = run.cluster().typed_status("image")?;
        let installer = image.map(|image| image.installer).filter(|installer| !installer.is_empty());
        let found = Found {
            macs: vm.as_ref().map_or(&[], |vm| &vm.macs),
            zone: vm.as_ref().and_then(|vm| vm.zone.as_deref()),
            region: vm.as_ref().and_then(|vm| vm.region.as_deref()),
            installer: installer.as_deref(),
        };
        let made = machine::config(&ground.plan, bundle, node.name(), &node.typed_spec()?, found, &files::patch_file)?;
        for patch in made.idle {
            run.warn(&format!("node {}: patch {patch} changes nothing", node.name()));
        }
        for warning in made.warnings {
            run.warn(&format!("node {}: {warning}", node.name()));
        }
        deliver(&run, node, &ground.products, made.config.text(ground.plan.contract.dialect()))
    }

    fn product(&self, _run: &Run, _cluster: &record::Cluster) -> Result<String, Failure> {
        Err(Error::Usage("--raw: talos-gen makes one file for each node".to_owned()).into())
    }
}

impl Gen {
    /// Waits until the secrets are there.
    async fn ground(&self, run: &Run) -> Result<Arc<Ground>, Stop> {
        let mut ready = self.ready.subscribe();
        let stopping = run.stopping();
        let state = tokio::select! {
            biased;
            state = ready.wait_for(|state| !matches!(state, Ready::NotYet)) => state,
            () = stopping.cancelled() => return Err(Failure::interrupted().into()),
        };
        match state.as_deref() {
            Ok(Ready::Yes(ground)) => Ok(Arc::clone(ground)),
            _ => Err(Stop::Explained),
        }
    }
}

/// Plans, and makes the secrets where there are none; says whether it did or would.
async fn prepare(run: &Run) -> Result<(Arc<Ground>, Change), Stop> {
    let cluster = run.cluster();
    let products = run.products()?;
    let lock = products.lock()?;
    let locked = lock.as_ref().and_then(record::Lock::contract);
    let factory = step::variable(schematic::FACTORY_VARIABLE);
    let plan = plan::plan(cluster.name(), cluster.typed_spec()?, locked, factory.as_deref())?;
    if plan.spec.kubernetes.version.is_none() {
        run.announce(&format!("Kubernetes is v{}, the default of Talos {}", plan.kubernetes, plan.talos));
    }
    let (bundle, change) = match access::existing(&products)? {
        Some(bundle) => (Some(bundle), Change::Unchanged),
        None if run.is_dry_run() => (None, Change::Pending),
        None => {
            let (bundle, made) = new_bundle(run, &products, &plan).await?;
            (Some(bundle), if made == Made::Now { Change::Changed } else { Change::Unchanged })
        }
    };
    if let Some(bundle) = &bundle {
        decide(run, &products, lock.as_ref(), &plan, bundle)?;
    }
    Ok((Arc::new(Ground { plan, bundle, products }), change))
}

/// Holds on to what is decided once: the contract and whose secrets the cluster is made with.
fn decide(
    run: &Run,
    products: &Products,
    lock: Option<&record::Lock>,
    plan: &Plan,
    bundle: &Bundle,
) -> Result<(), Stop> {
    let ca256 = bundle.ca256().map_err(Error::Pki)?;
    let (contract, locked) = (lock.and_then(record::Lock::contract), lock.and_then(record::Lock::ca256));
    access::same_cluster(products, locked, &ca256)?;
    if run.is_dry_run() || (contract.is_some() && locked.is_some()) {
        return Ok(());
    }
    let contract = plan.contract.to_string();
    products.update_lock(|lock| {
        if lock.contract().is_none() {
            lock.set_contract(&contract);
        }
        if lock.ca256().is_none() {
            lock.set_ca256(&ca256);
        }
    })?;
    Ok(())
}

/// The search for the service account's key takes up to seconds, so it must not hold up the stream.
async fn new_bundle(run: &Run, products: &Products, plan: &Plan) -> Result<(Bundle, Made), Stop> {
    let (folder, contract) = (products.clone(), plan.contract);
    let work = tokio::task::spawn_blocking(move || access::make(&folder, contract));
    let (bundle, made) = work.await.unwrap_or_else(|error| Err(alone::broken(&error)))?;
    if made == Made::Now {
        let path = products.path(SECRETS);
        run.announce(&format!("made new secrets: {} (keep it: it is the cluster's identity)", path.display()));
        if !products.is_ignored(SECRETS) {
            run.warn(&format!("{} is not ignored by git: its folder has a .gitignore of its own", path.display()));
        }
    }
    Ok((bundle, made))
}

/// Writes `status.access` at once, with the endpoints that are known before any node has come.
fn early_access(run: &Run, ground: &Ground, made: Change) -> Result<Option<Access>, Stop> {
    let Some(bundle) = &ground.bundle else {
        run.write_cluster("access", &access_status(ground, String::new()), Change::Pending);
        return Ok(None);
    };
    let mut access = Access::read(&ground.products, &ground.plan.name, bundle)?;
    let ca256 = bundle.ca256().map_err(Error::Pki)?;
    let change = match access.endpoints() {
        Some(_) => made,
        None if run.is_dry_run() => Change::Pending,
        None => {
            let endpoints = [machine::host(&ground.plan.endpoint).to_owned()];
            access.write(&ground.products, bundle, &endpoints)?;
            Change::Changed
        }
    };
    run.write_cluster("access", &access_status(ground, ca256), change);
    Ok(Some(access))
}

fn access_status(ground: &Ground, ca256: String) -> status::Access {
    status::Access { talosconfig: TALOSCONFIG.to_owned(), ca256, contract: ground.plan.contract.to_string() }
}

/// Once every control plane has come, the talosconfig's endpoints become their addresses.
async fn settle_endpoints(run: &Run, ground: &Ground, access: Option<Access>) -> Result<(), Stop> {
    let (Some(mut access), Some(bundle)) = (access, &ground.bundle) else { return Ok(()) };
    let nodes = run.control_planes().await?;
    let endpoints: Vec<String> = nodes.iter().filter_map(|node| node.address()).map(str::to_owned).collect();
    // An input that was cut, or a node without an address yet, takes none away from those that are known.
    let is_complete = endpoints.len() == run.listed().control_planes().count();
    if !is_complete || endpoints.is_empty() || access.is_settled(&endpoints) {
        return Ok(());
    }
    let was_settled = access.endpoints().is_some_and(|known| known != [machine::host(&ground.plan.endpoint)]);
    if run.is_dry_run() {
        let ca256 = bundle.ca256().map_err(Error::Pki)?;
        run.write_cluster("access", &access_status(ground, ca256), Change::Pending);
        return Ok(());
    }
    access.write(&ground.products, bundle, &endpoints)?;
    run.announce(&format!("talosconfig: endpoints are {}", endpoints.join(", ")));
    if was_settled {
        let ca256 = bundle.ca256().map_err(Error::Pki)?;
        run.write_cluster("access", &access_status(ground, ca256), Change::Changed);
    }
    Ok(())
}

fn file_of(node: &Node) -> String {
    format!("nodes/{}.yaml", node.name())
}

/// A config whose secrets a dry run didn't make.
fn planned(node: &Node) -> Written {
    let config = status::Config { file: Some(file_of(node)), ..status::Config::default() };
    Written::field("config", &config, Change::Pending)
}

/// Puts a config where the next step finds it: into a file, or with `--inline` into the record.
fn deliver(run: &Run, node: &Node, products: &Products, text: String) -> Result<Written, Stop> {
    let digest = sha256(text.as_bytes());
    if run.flags().inline {
        let config = status::Config { file: None, sha256: digest, inline: Some(text) };
        return Ok(Written::field("config", &config, Change::Unchanged));
    }
    let file = file_of(node);
    let change = if run.is_dry_run() {
        let same = products.read(&file)?.as_deref() == Some(text.as_bytes());
        if same { Change::Unchanged } else { Change::Pending }
    } else if products.write(&file, text.as_bytes())? {
        run.say(node, &format!("wrote {file}"));
        Change::Changed
    } else {
        Change::Unchanged
    };
    let config = status::Config { file: Some(file), sha256: digest, inline: None };
    Ok(Written::field("config", &config, change))
}
