//! The step in the pipe.

use std::collections::HashSet;
use std::sync::{Mutex, Once, PoisonError};

use cluster_pki::Bundle;
use record::table::{self, Row};
use record::{Change, Effect, Failure, Node, status};
use step::{ClusterDir, Flags, Job, Made, Run, Source, Step, Stop, Written, sha256};

use crate::access::{self, Access, SECRETS, TALOSCONFIG};
use crate::alone;
use crate::args::Args;
use crate::error::Error;
use crate::files;
use crate::machine::{self, Found};
use crate::patches;
use crate::plan::{self, Plan};

/// The step.
pub(crate) struct Gen {
    /// Warns once that MAC addresses are missing.
    warned: Once,
    /// What was told of one node, and is the same for the others.
    told: Mutex<HashSet<String>>,
}

/// What every node's config is made from.
pub(crate) struct Prepared {
    plan: Plan,
    /// `None` in a dry run that would make it.
    bundle: Option<Bundle>,
    dir: ClusterDir,
    /// The talosconfig, until its endpoints are settled.
    access: Mutex<Option<Access>>,
}

impl Step for Gen {
    type Args = Args;
    type Shared = Prepared;

    const ROWS: &'static [&'static Row] = &[&table::TALOS_GEN];

    fn flags(args: &Args) -> Flags {
        Flags::from(args.stream.clone()).inline(args.inline)
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        match args.command {
            None => Ok(Job::Stream(Self { warned: Once::new(), told: Mutex::default() }, Source::Input)),
            Some(command) => Ok(Job::command(|console| async move {
                let work = tokio::task::spawn_blocking(move || alone::run(command, &console));
                work.await.unwrap_or_else(|error| Err(alone::broken(&error)))
            })),
        }
    }

    async fn cluster(&self, run: Run) -> Result<Prepared, Stop> {
        if run.cluster().error().is_some() {
            return Err(Stop::Explained);
        }
        shared_patches(run.cluster().spec())?;
        // One that can't be kept is told before any secrets are made, and by a plan, too.
        access::kept(&run.dir()?, run.cluster().name())?;
        let (mut prepared, made) = prepare(&run).await?;
        let access = early_access(&run, &prepared, made)?;
        prepared.access = Mutex::new(access);
        Ok(prepared)
    }

    /// Once every control plane has come, the talosconfig's endpoints become their addresses.
    async fn settle(&self, run: Run, prepared: &Prepared) -> Result<(), Stop> {
        let access = prepared.access.lock().unwrap_or_else(PoisonError::into_inner).take();
        settle_endpoints(&run, prepared, access).await
    }

    async fn node(&self, run: Run, prepared: &Prepared, node: &Node) -> Result<Written, Stop> {
        let _slot = run.slot(node).await?;
        let vm: Option<status::Vm> = run.want(node)?;
        if vm.is_none() && prepared.plan.spec.proxmox.is_some() {
            self.warned.call_once(|| {
                run.warn(
                    "no pve-vm in this pipe: configs can't select NICs by MAC and will differ from the full pipe's",
                );
            });
        }
        let Some(bundle) = &prepared.bundle else { return Ok(planned(node)) };
        let image: Option<status::Image> = run.cluster().get()?;
        let installer = image.map(|image| image.installer).filter(|installer| !installer.is_empty());
        let found = Found {
            macs: vm.as_ref().map_or(&[], |vm| &vm.macs),
            zone: vm.as_ref().and_then(|vm| vm.zone.as_deref()),
            region: vm.as_ref().and_then(|vm| vm.region.as_deref()),
            installer: installer.as_deref(),
        };
        let made =
            machine::config(&prepared.plan, bundle, node.name(), &node.typed_spec()?, found, &files::patch_file)?;
        for patch in made.idle {
            run.warn(&format!("node {}: patch {patch} changes nothing", node.name()));
        }
        for lost in made.lost {
            if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(lost.clone()) {
                run.warn(&format!("node {}: {lost}", node.name()));
            }
        }
        for warning in made.warnings {
            run.warn(&format!("node {}: {warning}", node.name()));
        }
        deliver(&run, node, &prepared.dir, made.config.text(prepared.plan.contract.dialect()))
    }
}

/// Plans, and generates the secrets if there are none; returns whether it did or would.
async fn prepare(run: &Run) -> Result<(Prepared, Effect), Stop> {
    let cluster = run.cluster();
    let dir = run.dir()?;
    let lock = dir.lock()?;
    let locked = lock.as_deref().and_then(record::Lock::contract);
    let factory = step::variable(schematic::FACTORY_VARIABLE);
    let plan = plan::plan(cluster.name(), cluster.typed_spec()?, locked, factory.as_deref())?;
    if plan.spec.kubernetes.version.is_none() {
        run.announce(&format!("Kubernetes is v{}, the default of Talos {}", plan.kubernetes, plan.talos));
    }
    let (bundle, effect) = match access::existing(&dir)? {
        Some(bundle) => (Some(bundle), Effect::Unchanged),
        None if run.is_dry_run() => (None, Effect::Pending),
        None => {
            let (bundle, made) = new_bundle(run, &dir, &plan).await?;
            (Some(bundle), if made == Made::Now { Effect::Changed } else { Effect::Unchanged })
        }
    };
    if let Some(bundle) = &bundle {
        decide(run, &dir, lock.as_deref(), &plan, bundle)?;
    }
    Ok((Prepared { plan, bundle, dir, access: Mutex::new(None) }, effect))
}

/// Writes to ichor.lock what is decided once: the contract and the digest of the Talos CA.
fn decide(run: &Run, dir: &ClusterDir, lock: Option<&record::Lock>, plan: &Plan, bundle: &Bundle) -> Result<(), Stop> {
    let ca256 = bundle.ca256().map_err(Error::Pki)?;
    let (contract, locked) = (lock.and_then(record::Lock::contract), lock.and_then(record::Lock::ca256));
    access::same_cluster(dir, locked, &ca256)?;
    if run.is_dry_run() || (contract.is_some() && locked.is_some()) {
        return Ok(());
    }
    let contract = plan.contract.to_string();
    dir.update_lock(|lock| {
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
async fn new_bundle(run: &Run, dir: &ClusterDir, plan: &Plan) -> Result<(Bundle, Made), Stop> {
    let (folder, contract) = (dir.clone(), plan.contract);
    let work = tokio::task::spawn_blocking(move || access::make(&folder, contract));
    let (bundle, made) = work.await.unwrap_or_else(|error| Err(alone::broken(&error)))?;
    if made == Made::Now {
        let path = dir.path(SECRETS);
        run.announce(&format!(
            "created new secrets: {} (keep this file: it is the cluster's identity)",
            path.display()
        ));
        if !dir.is_ignored(SECRETS) {
            run.warn(&format!("{} is not ignored by git: its folder has its own .gitignore", path.display()));
        }
    }
    Ok((bundle, made))
}

/// Writes `status.access` at once, with the endpoints that are known before any node has come.
fn early_access(run: &Run, prepared: &Prepared, made: Effect) -> Result<Option<Access>, Stop> {
    let Some(bundle) = &prepared.bundle else {
        let changes = vec![added(SECRETS), added(TALOSCONFIG)];
        run.write_cluster(&access_status(prepared, String::new()), Effect::Pending, changes);
        return Ok(None);
    };
    let mut changes = if made == Effect::Changed { vec![added(SECRETS)] } else { Vec::new() };
    let mut access = Access::read(&prepared.dir, &prepared.plan.name, bundle)?;
    let ca256 = bundle.ca256().map_err(Error::Pki)?;
    let effect = match access.endpoints() {
        Some(_) => made,
        None => {
            changes.push(added(TALOSCONFIG));
            if run.is_dry_run() {
                Effect::Pending
            } else {
                let endpoints = [machine::host(&prepared.plan.endpoint).to_owned()];
                write_access(run, prepared, &mut access, bundle, &endpoints)?;
                Effect::Changed
            }
        }
    };
    run.write_cluster(&access_status(prepared, ca256), effect, changes);
    Ok(Some(access))
}

/// Writes the talosconfig, and says where it is kept as it was.
fn write_access(
    run: &Run,
    prepared: &Prepared,
    access: &mut Access,
    bundle: &Bundle,
    endpoints: &[String],
) -> Result<(), Stop> {
    if let Some(copy) = access.write(&prepared.dir, bundle, endpoints)? {
        run.announce(&format!("talosconfig: not all of it could be kept; as it was, it is in {}", copy.display()));
    }
    Ok(())
}

/// A new file in the cluster's folder.
fn added(file: &str) -> Change {
    Change::live(file).to("a new one")
}

fn access_status(prepared: &Prepared, ca256: String) -> status::Access {
    status::Access { talosconfig: TALOSCONFIG.to_owned(), ca256, contract: prepared.plan.contract.to_string() }
}

/// Once every control plane has come, the talosconfig's endpoints become their addresses.
async fn settle_endpoints(run: &Run, prepared: &Prepared, access: Option<Access>) -> Result<(), Stop> {
    let (Some(mut access), Some(bundle)) = (access, &prepared.bundle) else { return Ok(()) };
    let nodes = run.control_planes().await?;
    let endpoints: Vec<String> = nodes.iter().filter_map(|node| node.address()).map(str::to_owned).collect();
    // A truncated input, or a node without an address yet, must not remove known endpoints.
    let is_complete = endpoints.len() == run.listed().control_planes().count();
    if !is_complete || endpoints.is_empty() || access.is_settled(&endpoints) {
        return Ok(());
    }
    let known: Vec<String> = access.endpoints().unwrap_or_default().to_vec();
    let changes = vec![Change::live("talosconfig: endpoints").from(known).to(endpoints.clone())];
    let was_settled = access.endpoints().is_some_and(|known| known != [machine::host(&prepared.plan.endpoint)]);
    if run.is_dry_run() {
        let ca256 = bundle.ca256().map_err(Error::Pki)?;
        run.write_cluster(&access_status(prepared, ca256), Effect::Pending, changes);
        return Ok(());
    }
    write_access(run, prepared, &mut access, bundle, &endpoints)?;
    run.announce(&format!("talosconfig: endpoints are {}", endpoints.join(", ")));
    if was_settled {
        let ca256 = bundle.ca256().map_err(Error::Pki)?;
        run.write_cluster(&access_status(prepared, ca256), Effect::Changed, changes);
    }
    Ok(())
}

fn file_of(node: &Node) -> String {
    format!("nodes/{}.yaml", node.name())
}

/// A config whose secrets a dry run didn't make.
fn planned(node: &Node) -> Written {
    let config = status::Config { file: Some(file_of(node)), ..status::Config::default() };
    Written::field(&config, Effect::Pending).changes(vec![Change::live(file_of(node)).to("a new one")])
}

/// Writes a config to a file, or with `--inline` into the record.
fn deliver(run: &Run, node: &Node, dir: &ClusterDir, text: String) -> Result<Written, Stop> {
    let digest = sha256(text.as_bytes());
    if run.flags().inline {
        let config = status::Config { file: None, sha256: digest, inline: Some(text) };
        return Ok(Written::field(&config, Effect::Unchanged));
    }
    let file = file_of(node);
    let before = dir.read(&file)?.map(|bytes| sha256(&bytes));
    let effect = if before.as_ref() == Some(&digest) {
        Effect::Unchanged
    } else if run.is_dry_run() {
        Effect::Pending
    } else {
        dir.write(&file, text.as_bytes())?;
        run.say(node, &format!("wrote {file}"));
        Effect::Changed
    };
    let mut change = Change::live(file.clone()).to(format!("sha256:{digest}"));
    change.from = before.map(|digest| format!("sha256:{digest}").into());
    let changes = if effect == Effect::Unchanged { Vec::new() } else { vec![change] };
    let config = status::Config { file: Some(file), sha256: digest, inline: None };
    Ok(Written::field(&config, effect).changes(changes))
}

/// Refuses a patch that can't be read, of those that many nodes share: one mistake is one message, and no secrets are made.
fn shared_patches(spec: &record::Map) -> Result<(), Failure> {
    let of_role = |role: &str| spec.get(role).and_then(|layer| layer.get("patches"));
    for (place, patches) in [
        ("spec.patches", spec.get("patches")),
        ("spec.controlplane.patches", of_role("controlplane")),
        ("spec.worker.patches", of_role("worker")),
    ] {
        let Some(patches) = patches.and_then(serde_json::Value::as_array) else { continue };
        if let Err(error) = patches::of_spec(patches, &files::patch_file) {
            let failure = Failure::from(error);
            return Err(Failure { message: format!("{place}: {}", failure.message), ..failure });
        }
    }
    Ok(())
}
