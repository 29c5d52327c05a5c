//! The step.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use record::{
    Change, Code, Effect, Exit, Failure, LockedEtcd, Node, Role, status,
    table::{self, Row},
};
use step::{Claim, ClusterDir, Expired, Flags, Hold, Job, Run, Source, Step, Stop, Written};
use talos_access::{Credentials, ask};
use talos_client::{Address, Class, Identity};
use tokio::time::Instant;

use crate::{
    args::Args,
    error::Error,
    observe::{ControlPlane, begun, observe},
    plan::{Before, Decision, Etcd, Observation, decide, ended, shown},
    progress::Progress,
    request::{Request, may_send},
};

/// Bootstraps etcd.
pub(crate) struct Bootstrap {
    credentials: Credentials,
    without: Vec<String>,
    fresh: bool,
    pub(crate) reboot_stuck: bool,
    /// Whether it works without a stream, and so without an `ichor.lock`.
    pub(crate) alone: bool,
}

/// The result.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) bootstrap: status::Bootstrap,
    pub(crate) effect: Effect,
    pub(crate) changes: Vec<Change>,
    /// The nodes that reported to be members.
    pub(crate) members: Vec<String>,
}

impl Step for Bootstrap {
    type Args = Args;
    type Shared = Outcome;

    const ROWS: &'static [&'static Row] = &[&table::TALOS_BOOTSTRAP];

    fn flags(args: &Args) -> Flags {
        Flags::from(args.stream.clone()).wait(args.wait)
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        args.talos.check(&args.stream)?;
        let is_alone = args.talos.is_alone();
        if is_alone && args.fresh {
            return Err(Error::FreshAlone.into());
        }
        let source = if is_alone { alone(&args)? } else { Source::Input };
        let credentials = args.talos.credentials(true)?;
        let Args { without, fresh, reboot_stuck, .. } = args;
        Ok(Job::Stream(Self { credentials, without, fresh, reboot_stuck, alone: is_alone }, source))
    }

    async fn cluster(&self, run: Run) -> Result<Outcome, Stop> {
        let outcome = self.ensure(&run).await?;
        run.write_cluster(&outcome.bootstrap, outcome.effect, outcome.changes.clone());
        Ok(outcome)
    }

    fn acts_on(&self, node: &Node) -> bool {
        node.is_control_plane()
    }

    async fn node(&self, run: Run, outcome: &Outcome, node: &Node) -> Result<Written, Stop> {
        run.need::<status::Applied>(node)?;
        let member = outcome.members.iter().any(|name| name == node.name());
        let is_first = outcome.bootstrap.node == node.name();
        let effect = if is_first { outcome.effect } else { Effect::Unchanged };
        let changes = if is_first { outcome.changes.clone() } else { Vec::new() };
        Ok(Written::field(&status::Etcd { member }, effect).changes(changes))
    }
}

fn alone(args: &Args) -> Result<Source, Failure> {
    let mut alone = talos_access::alone(&args.talos, Role::ControlPlane)?;
    for node in &mut alone.nodes {
        let address = node.address().unwrap_or_default().to_owned();
        let applied = status::Applied { address, ..status::Applied::default() };
        node.set(&applied);
    }
    Ok(Source::Records(Box::new(alone.cluster), alone.nodes))
}

impl Bootstrap {
    async fn ensure(&self, run: &Run) -> Result<Outcome, Stop> {
        let identity = self.credentials.get(run).await?;
        self.check_names(run)?;
        let control_planes = self.control_planes(run).await?;
        let before = Before { locked: self.locked(run)?, fresh: self.fresh };
        if run.is_dry_run() {
            return self.plan(run, &control_planes, identity.as_ref(), &before).await;
        }
        let Some(identity) = identity else { return Err(Stop::Explained) };
        let progress = Mutex::default();
        let step = || self.advance(run, &control_planes, &identity, &before, &progress);
        let expired = |expired: Expired| {
            let failure = Failure::new(Exit::Unreachable, Code::Timeout, expired.to_string());
            match control_planes.len() {
                1 => failure.hint("repair what it waits for, or set a longer timeout with --wait-timeout"),
                _ => failure.hint("if a control plane is gone for good, --without NODE continues without it"),
            }
        };
        run.wait_for_cluster().until_or(step, expired).await?.ok_or(Stop::Explained)
    }

    /// Refuses a name after `--without` that isn't a control plane's.
    fn check_names(&self, run: &Run) -> Result<(), Failure> {
        let listed = run.listed();
        let is_listed = |name: &String| listed.control_planes().any(|entry| *entry.name == **name);
        match self.without.iter().find(|name| !is_listed(name)) {
            Some(name) => Err(Error::Without(name.clone()).into()),
            None => Ok(()),
        }
    }

    /// What `ichor.lock` says about the cluster's etcd. Without a stream, that is the one beside the talosconfig, if it is
    /// this cluster's.
    fn locked(&self, run: &Run) -> Result<LockedEtcd, Failure> {
        let beside = || {
            let access = run.cluster().get::<status::Access>().ok()??;
            let dir = Path::new(&access.talosconfig).parent()?;
            ClusterDir::new(dir.to_owned(), run.cluster().name()).lock().ok()?
        };
        let lock = if self.alone { beside() } else { run.dir()?.lock()? };
        Ok(lock.map_or(LockedEtcd::Unknown, |lock| lock.etcd()))
    }

    /// Remembers in `ichor.lock` that this etcd was seen running.
    fn remember(&self, run: &Run, before: &Before, ids: &BTreeSet<u64>) -> Result<(), Failure> {
        if self.alone || before.locked == (LockedEtcd::Bootstrapped { members: ids.clone() }) {
            return Ok(());
        }
        run.dir()?.update_lock(|lock| lock.set_etcd(ids))?;
        if before.fresh && before.locked.is_bootstrapped() {
            run.announce("ichor.lock remembers this etcd in the place of the old one (--fresh)");
        }
        Ok(())
    }

    /// Every listed control plane in file order, except those of `--without`.
    async fn control_planes(&self, run: &Run) -> Result<Vec<ControlPlane>, Stop> {
        let came = run.control_planes().await?;
        let listed = run.listed();
        let wanted = listed.control_planes().filter(|entry| !self.without.iter().any(|name| **name == *entry.name));
        wanted
            .map(|entry| match came.iter().find(|node| *node.name() == *entry.name) {
                Some(node) if node.has_error() => Ok(ControlPlane::of(node)),
                Some(node) if !run.is_selected(node.name()) => Ok(ControlPlane::unselected(node)),
                Some(node) => run.need::<status::Applied>(node).map(|_| ControlPlane::of(node)),
                None => Ok(ControlPlane::absent(&entry.name, run.cluster().error().is_some())),
            })
            .collect()
    }

    /// Looks at all control planes once, and does the next thing. `None` if nothing may be done.
    async fn advance(
        &self,
        run: &Run,
        control_planes: &[ControlPlane],
        identity: &Arc<Identity>,
        before: &Before,
        progress: &Mutex<Progress>,
    ) -> Result<Option<Outcome>, Hold> {
        let mut seen = observe(control_planes, identity).await;
        let acts = match decide(&seen, before) {
            Decision::Start(name) => run.is_selected(&name),
            Decision::Stuck(name) => self.reboot_stuck && run.is_selected(&name),
            _ => false,
        };
        // Of two runs one acts: what it does is decided by a look after the claim.
        if acts && self.claim(run, progress)? {
            seen = observe(control_planes, identity).await;
        }
        let address = |name: &str| {
            let found = control_planes.iter().find(|control_plane| control_plane.name == name);
            found.and_then(|control_plane| control_plane.address.as_ref())
        };
        match decide(&seen, before) {
            Decision::Runs { node, members, ids } => {
                let has_sent = progress.lock().unwrap_or_else(PoisonError::into_inner).has_sent();
                // A run that was cut off after its request left nothing in the lock.
                let is_new = has_sent || !(self.alone || before.locked.is_bootstrapped());
                self.is_the_only_one(run, (&node, &ids), (control_planes, &seen), identity, is_new).await?;
                self.remember(run, before, &ids)?;
                let changes = progress.lock().unwrap_or_else(PoisonError::into_inner).changes(&node);
                let effect = if changes.is_empty() { Effect::Unchanged } else { Effect::Changed };
                Ok(Some(Outcome { changes, ..outcome(&seen, node, members, effect) }))
            }
            Decision::Lost(name) => Err(lost(control_planes, &name).into()),
            Decision::Other { node, ids, remembered } => Err(other(node, &ids, &remembered).into()),
            Decision::Stuck(name) => self.revive(run, (&name, address(&name)), identity, progress).await,
            Decision::Start(name) if !run.is_selected(&name) => Err(Error::NotSelected(name).into()),
            Decision::Start(name) => {
                let Some(address) = address(&name) else { return Ok(None) };
                if let Some(why) = begun(self.elsewhere(run, control_planes, identity).await?) {
                    return Err(Hold::NotYet(why));
                }
                self.start(run, (&name, address), ended(&seen, &name), identity, (before, progress)).await
            }
            Decision::Wait(reason) => Err(Hold::NotYet(reason)),
            Decision::Explained => Ok(None),
            Decision::Split(one, other) => Err(Error::Split(one, other).into()),
            Decision::Refused(failure) => Err(Hold::Failed(failure)),
        }
    }

    /// Claims the cluster's folder, or without one the talosconfig, before anything is done: of two runs one acts. Whether it
    /// was claimed just now.
    fn claim(&self, run: &Run, progress: &Mutex<Progress>) -> Result<bool, Hold> {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.claim.is_some() {
            return Ok(false);
        }
        progress.claim = if self.alone {
            let Some(access) = run.cluster().get::<status::Access>()? else { return Ok(false) };
            Claim::of_file(Path::new(&access.talosconfig))?
        } else {
            run.dir()?.claim(table::TALOS_BOOTSTRAP.program())?
        };
        match progress.claim {
            Some(_) => Ok(true),
            None => Err(Hold::not_yet("another run of this step is at work on this cluster")),
        }
    }

    /// Asks a node to bootstrap etcd, unless an earlier request may still be on its way. After it, the next look shows what
    /// became of it.
    async fn start(
        &self,
        run: &Run,
        (name, address): (&str, &Address),
        ended: Option<&str>,
        identity: &Identity,
        (before, progress): (&Before, &Mutex<Progress>),
    ) -> Result<Option<Outcome>, Hold> {
        let lock = || progress.lock().unwrap_or_else(PoisonError::into_inner);
        let node = configured(name, address, identity).await?;
        let boot = node.boot_id().await?;
        let waits = || Hold::not_yet(format!("etcd is starting on {name}"));
        let may = {
            let mut progress = lock();
            // For a moment, one that is about to bootstrap looks like one that has ended.
            let seen_twice = std::mem::replace(&mut progress.ended, ended.is_some());
            let last = progress.request.as_ref().map(|(request, at)| (request, at.elapsed()));
            may_send(last, name, &boot, ended.is_some()) && (ended.is_none() || seen_twice)
        };
        if !may {
            return Err(ended.map_or_else(waits, |why| Hold::not_yet(format!("etcd on {name} has ended ({why})"))));
        }
        if before.locked.is_bootstrapped() {
            run.warn(&format!("starting a new, empty etcd on {name}: the objects of the old one are lost"));
        }
        if let Some(why) = ended {
            run.warn(&format!("etcd on {name} has ended without data ({why}): bootstrapping it again"));
        }
        let sent = |accepted| {
            let request = Request { node: name.to_owned(), boot: boot.clone(), accepted };
            lock().request = Some((request, Instant::now()));
        };
        match node.bootstrap().await {
            Ok(talos_client::Bootstrap::Done) => {
                sent(true);
                run.announce(&format!("started etcd on {name}"));
                Err(waits())
            }
            Ok(talos_client::Bootstrap::Already) => Err(Hold::not_yet(format!("etcd on {name} has data"))),
            Ok(talos_client::Bootstrap::NotYet(reason)) => {
                Err(Hold::not_yet(format!("{name}: {}", node.because(&reason).await)))
            }
            Err(error) if error.class() == Class::Retry => {
                sent(false);
                Err(Hold::in_spite_of(&error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reboots a node whose etcd was stopped for good, once.
    async fn revive(
        &self,
        run: &Run,
        (name, address): (&str, Option<&Address>),
        identity: &Identity,
        progress: &Mutex<Progress>,
    ) -> Result<Option<Outcome>, Hold> {
        let Some(address) = address.filter(|_| self.reboot_stuck) else {
            return Err(Error::Stuck { node: name.to_owned() }.into());
        };
        if !run.is_selected(name) {
            return Err(Error::NotSelected(name.to_owned()).into());
        }
        let rebooting = || Hold::not_yet(format!("{name} is rebooting, because etcd was stopped for good on it"));
        if progress.lock().unwrap_or_else(PoisonError::into_inner).rebooted.as_deref() == Some(name) {
            return Err(rebooting());
        }
        let node = configured(name, address, identity).await?;
        run.announce(&format!("rebooting {name}: etcd was stopped for good on it (--reboot-stuck)"));
        match node.reboot().await {
            Err(error) if error.class() != Class::Retry => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        progress.lock().unwrap_or_else(PoisonError::into_inner).rebooted = Some(name.to_owned());
        Err(rebooting())
    }
}

/// A control plane that runs its config; the reason why it can't be asked names it.
pub(crate) async fn configured(name: &str, address: &Address, identity: &Identity) -> Result<talos_client::Node, Hold> {
    let named = |hold| match hold {
        Hold::NotYet(reason) => Hold::NotYet(format!("{name}: {reason}")),
        failed @ Hold::Failed(_) => failed,
    };
    Ok(ask(address, Some(identity)).await.and_then(talos_access::Answer::configured).map_err(named)?.node)
}

fn lost(control_planes: &[ControlPlane], name: &str) -> Error {
    let found = control_planes.iter().find(|control_plane| control_plane.name == name);
    let address = found.and_then(|control_plane| control_plane.address.as_ref());
    Error::Lost { address: address.map_or_else(|| name.to_owned(), |address| address.host().to_owned()) }
}

fn other(node: String, ids: &BTreeSet<u64>, remembered: &BTreeSet<u64>) -> Error {
    Error::Other { node, seen: shown(ids), remembered: shown(remembered) }
}

pub(crate) fn outcome(seen: &[Observation], node: String, members: Vec<String>, effect: Effect) -> Outcome {
    let reported = seen.iter().filter(|seen| matches!(seen.etcd, Etcd::Members(_)));
    Outcome {
        members: reported.map(|seen| seen.name.clone()).collect(),
        bootstrap: status::Bootstrap { node, members },
        effect,
        changes: Vec::new(),
    }
}
