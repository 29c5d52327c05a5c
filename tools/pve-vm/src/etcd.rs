//! The guard of etcd: control planes are taken down only while etcd can do without them.
//!
//! Proxmox VE knows nothing of etcd, so its members are asked, through Talos, right before each act ([`rolling`]). What
//! this run has done before doesn't count: another one may have done something, too.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use patience::{Backoff, Deadline};
use record::{Change, Failure, Impact, LockedEtcd};
use rolling::{Look, Target, judge, look, quorum::Away};
use step::{Run, Stop};
use talos_access::{AtHand, Credentials};
use talos_client::{Address, Member};
use tokio::{
    sync::{MutexGuard, OnceCell},
    time::{Instant, sleep},
};

use crate::{
    difference::Difference, fleet::Fleet, inventory::Namesakes, orphans, reconcile::Reconcile, remembered::strangers,
};

/// How long etcd gets to agree with itself when a member has just gone: it elects a leader within a few seconds.
const ELECTION: Duration = Duration::from_secs(10);

/// The guard of etcd.
#[derive(Debug, Default)]
pub(crate) struct EtcdGate {
    /// `--ignore-etcd`
    ignored: bool,
    /// Whether the nodes of the file are left alone, so that it can't be the whole cluster that is destroyed.
    partial: bool,
    /// Held from the question until the act is done: two at the same time would both be allowed.
    turn: tokio::sync::Mutex<()>,
    /// Whether the whole cluster is to be destroyed, so that its etcd is, too.
    whole: OnceCell<bool>,
    /// The nodes without a VM, destroyed or never there.
    gone: Mutex<BTreeSet<String>>,
}

/// The right to take one control plane down.
#[derive(Debug, Default)]
pub(crate) struct Permit<'a> {
    _turn: Option<MutexGuard<'a, ()>>,
    /// Whether there is an etcd whose other members can be asked again.
    has_members: bool,
    left: Vec<Left>,
}

/// A member that stays in etcd's list when its node is destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Left {
    /// Unknown if nobody could be asked.
    id: Option<u64>,
    /// What removes it, in words for people.
    removal: String,
}

/// What is known about etcd before an act.
struct Asked {
    locked: LockedEtcd,
    look: Look,
    /// The flags of talosctl that lead to another control plane.
    flags: String,
}

impl EtcdGate {
    pub(crate) fn new(ignored: bool, partial: bool) -> Self {
        Self { ignored, partial, ..Self::default() }
    }

    /// Waits for its turn and asks whether the node may be taken down. Keep the permit until the act is done.
    pub(crate) async fn pass(&self, reconcile: &Reconcile<'_>, away: Away) -> Result<Permit<'_>, Stop> {
        if !reconcile.is_control_plane() {
            return Ok(Permit::default());
        }
        let stopping = reconcile.run.stopping();
        let turn = tokio::select! {
            biased;
            () = stopping.cancelled() => return Err(Failure::interrupted().into()),
            turn = self.turn.lock() => turn,
        };
        let asked = ask(reconcile).await?;
        match judge(&asked.locked, &asked.look, away) {
            Ok(()) => {
                if matches!(asked.look, Look::Unanswered(_)) {
                    let text = "etcd was not asked: ichor.lock says that this cluster was never bootstrapped";
                    reconcile.run.say(reconcile.node, text);
                }
            }
            Err(refused) if self.ignored => {
                let name = reconcile.node.name();
                reconcile.run.warn(&format!("node {name}: {refused}; continuing because of --ignore-etcd"));
            }
            Err(refused) => return Err(refused.into()),
        }
        let has_members = matches!(asked.look, Look::Members { .. });
        Ok(Permit { _turn: Some(turn), has_members, left: left(&asked, away) })
    }

    /// As [`Self::pass`], before a node is destroyed. With the whole cluster, etcd goes too, and nobody is asked.
    pub(crate) async fn pass_destroy(&self, reconcile: &Reconcile<'_>) -> Result<Permit<'_>, Stop> {
        match reconcile.is_control_plane() && self.is_whole(reconcile).await? {
            true => Ok(Permit::default()),
            false => self.pass(reconcile, Away::ForGood).await,
        }
    }

    /// Asks once more, now that the node is off and before its disks are destroyed: somebody else, from another folder, may
    /// have been allowed at the same moment to take another control plane down.
    /// A node without a member was asked itself, while it ran.
    pub(crate) async fn confirm(&self, reconcile: &Reconcile<'_>, permit: &Permit<'_>) -> Result<(), Stop> {
        if self.ignored || !permit.has_members {
            return Ok(());
        }
        // A leader may be elected first: one answer is none yet.
        let deadline = Deadline::within(ELECTION);
        let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(2)).seeded(reconcile.node.name());
        loop {
            let asked = ask(reconcile).await?;
            let Err(refused) = judge(&asked.locked, &asked.look, Away::ForGood) else { return Ok(()) };
            let now = Instant::now();
            if deadline.passed(now) {
                return Err(refused.into());
            }
            sleep(deadline.at_most(now, pauses.pause())).await;
        }
    }

    /// What [`Self::pass`] would say, and what it would leave behind, as changes of a plan.
    pub(crate) async fn foresee(&self, reconcile: &Reconcile<'_>, away: Option<Away>) -> Result<Vec<Change>, Stop> {
        let Some(away) = away.filter(|_| reconcile.is_control_plane()) else { return Ok(Vec::new()) };
        let asked = ask(reconcile).await?;
        let mut changes = Vec::new();
        if let Err(refused) = judge(&asked.locked, &asked.look, away) {
            reconcile.run.say(reconcile.node, &format!("{refused} (needs --ignore-etcd)"));
            let impact = if away == Away::ForGood { Impact::DataLoss } else { Impact::PowerCycle };
            changes.push(Change::new("etcd", impact).to(refused.to_string()).needs("--ignore-etcd"));
        }
        changes.extend(left(&asked, away).iter().map(Left::change));
        Ok(changes)
    }

    /// As [`Self::foresee`], for a node that would be destroyed.
    pub(crate) async fn foresee_destroy(&self, reconcile: &Reconcile<'_>) -> Result<Vec<Change>, Stop> {
        let away = if self.is_whole(reconcile).await? { None } else { Some(Away::ForGood) };
        self.foresee(reconcile, away).await
    }

    /// Whether every control plane of the cluster is to be destroyed; decided once, before the first is. VMs of the
    /// cluster that the file doesn't list stay: then it must be certain that none of them is a member.
    async fn is_whole(&self, reconcile: &Reconcile<'_>) -> Result<bool, Stop> {
        let decide = || async {
            let Reconcile { run, fleet, .. } = reconcile;
            let came = run.control_planes().await?;
            let all =
                !self.partial && run.cluster().only().is_empty() && came.len() == run.listed().control_planes().count();
            if !all {
                return Ok::<_, Stop>(false);
            }
            let stay = stay(run, fleet).await?;
            if !stay.is_empty() {
                run.announce(&format!(
                    "etcd is asked before each control plane goes, because not all can: {}",
                    stay.join("; ")
                ));
                return Ok(false);
            }
            if kept(run, fleet).is_empty() {
                return Ok(true);
            }
            let listed = |member: &Member| {
                came.iter().any(|node| {
                    let address = node.address().and_then(|address| address.parse().ok());
                    let spec = node.typed_spec().ok().and_then(|spec| spec.hostname);
                    [Some(node.name()), spec.as_deref()].into_iter().flatten().any(|name| is_called(member, name))
                        || (address.is_some() && member.address() == address)
                })
            };
            Ok(match ask(reconcile).await?.look {
                Look::Members { members, .. } => members.iter().all(listed),
                Look::Bare | Look::Unanswered(_) | Look::Split(..) => false,
            })
        };
        self.whole.get_or_try_init(decide).await.copied()
    }

    /// Notes that a node has no VM any more. Whether that completes the destruction of a cluster whose etcd the lock
    /// remembers.
    pub(crate) async fn completes(&self, reconcile: &Reconcile<'_>) -> Result<bool, Failure> {
        let Reconcile { run, fleet, node, .. } = reconcile;
        let complete = {
            let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = gone.insert(node.name().to_owned());
            is_new && run.listed().iter().all(|entry| gone.contains(&*entry.name))
        };
        if !complete || self.partial || run.is_dry_run() || !run.cluster().only().is_empty() {
            return Ok(false);
        }
        let Some(lock) = run.dir()?.lock()?.filter(|lock| lock.etcd() != LockedEtcd::Never) else { return Ok(false) };
        let mut kept = kept(run, fleet);
        // Not found isn't destroyed: it may be hidden, on another Proxmox VE, or somebody removed it who has a copy. What
        // pve-vm destroyed, in this run or an earlier one, the lock says.
        let control_planes: Vec<String> = run.listed().control_planes().map(|entry| entry.name.to_string()).collect();
        kept.extend(strangers(run, fleet).await?);
        kept.extend(control_planes.iter().filter(|node| !lock.was_destroyed(node)).map(|node| {
            let vmid = lock.vm(node).map_or_else(|| "the VM".to_owned(), |vmid| format!("VM {vmid}"));
            format!("{vmid} of {node} wasn't found, and pve-vm didn't destroy it")
        }));
        if !kept.is_empty() {
            run.announce(&format!(
                "ichor.lock still remembers the cluster's etcd: {}. If nothing of it is left, `talos-bootstrap --fresh` starts an empty one",
                kept.join("; ")
            ));
        }
        Ok(kept.is_empty())
    }

    /// Takes the etcd out of the lock.
    pub(crate) fn forget(run: &Run) -> Result<(), Failure> {
        run.dir()?.update_lock(|lock| {
            lock.forget_etcd();
            lock.forget_vms();
        })?;
        run.announce(
            "the whole cluster is destroyed: its etcd is taken out of ichor.lock, and the next one starts empty",
        );
        Ok(())
    }
}

impl Permit<'_> {
    /// Says which members the node leaves behind in etcd, now that its data is destroyed.
    pub(crate) fn destroyed(self, reconcile: &Reconcile<'_>, comes_again: bool) -> Vec<Change> {
        for left in &self.left {
            let until = if comes_again { " until the new VM joins under the same name" } else { "" };
            let Left { removal, .. } = left;
            reconcile.run.say(reconcile.node, &format!("its {} stays in etcd{until}: {removal}", left.name()));
        }
        self.left.iter().map(Left::change).collect()
    }
}

impl Left {
    fn name(&self) -> String {
        self.id.map_or_else(|| "member (if it has one)".to_owned(), |id| format!("member {id:016x}"))
    }

    fn change(&self) -> Change {
        Change::new(format!("etcd {}", self.name()), Impact::Live).to(format!("stays: {}", self.removal))
    }
}

/// How long a control plane is away for its changes, if it is.
pub(crate) fn away(difference: &Difference, running: bool) -> Option<Away> {
    match () {
        () if !difference.recreate().is_empty() => Some(Away::ForGood),
        () if running && difference.needs_power_cycle() => Some(Away::ForAWhile),
        () => None,
    }
}

fn is_called(member: &Member, name: &str) -> bool {
    !member.hostname.is_empty() && member.hostname.split('.').next() == name.split('.').next()
}

/// Why it isn't the whole cluster that goes: control planes that can't be seen or destroyed, and VMs that only the lock knows.
async fn stay(run: &Run, fleet: &Fleet) -> Result<Vec<String>, Failure> {
    let lock = run.dir()?.lock()?;
    let why = |node: &str| {
        let found = fleet.inventory.find(&fleet.identity, &fleet.cluster, node, Namesakes::Ignored);
        match found {
            Ok(Some(known)) => match &known.config {
                Ok(config) => config.is_set("protection").then(|| "its VM is protected".to_owned()),
                Err(failure) => Some(failure.message.clone()),
            },
            Ok(None) => {
                let vmid = lock.as_ref().and_then(|lock| lock.vm(node));
                vmid.map(|vmid| format!("VM {vmid}, which it had last, isn't found"))
            }
            Err(failure) => Some(failure.message),
        }
    };
    let listed = run.listed();
    let mut stay: Vec<String> =
        listed.control_planes().filter_map(|entry| Some(format!("{}: {}", entry.name, why(&entry.name)?))).collect();
    stay.extend(strangers(run, fleet).await?);
    Ok(stay)
}

/// The cluster's VMs that the file doesn't list: they stay.
fn kept(run: &Run, fleet: &Fleet) -> Vec<String> {
    let roster = run.cluster().roster().cloned().unwrap_or_default();
    let unlisted = fleet.inventory.unlisted(&fleet.identity, &roster);
    unlisted.map(|known| orphans::kept(run, &fleet.identity, known)).collect()
}

/// Asks all that may know, right now.
async fn ask(reconcile: &Reconcile<'_>) -> Result<Asked, Stop> {
    let Reconcile { run, node, machine, spec, .. } = reconcile;
    let locked = run.dir()?.lock()?.map_or(LockedEtcd::Unknown, |lock| lock.etcd());
    let (at_hand, mut why) = match Credentials::at_hand(run) {
        Ok(Some(at_hand)) => (Some(at_hand), None),
        Ok(None) => (None, Some("there is no talosconfig to ask with".to_owned())),
        Err(failure) => (None, Some(failure.message)),
    };
    let control_planes = run.control_planes().await?;
    let address = |text: &str| text.parse::<Address>().ok();
    let mut addresses: Vec<_> = control_planes.iter().filter_map(|node| node.address().and_then(address)).collect();
    addresses.extend(at_hand.iter().flat_map(|at_hand| at_hand.endpoints.iter().cloned()));
    let own: Vec<_> = node.address().and_then(address).into_iter().collect();
    let hostname = spec.hostname.as_deref();
    let names: Vec<&str> = [Some(node.name()), hostname].into_iter().flatten().collect();
    let target = Target { names: &names, addresses: &own, uuid: &machine.uuid };
    let seen = match &at_hand {
        Some(AtHand { identity, .. }) => look(target, &addresses, Some(identity)).await,
        // Without credentials only a node in maintenance can say something: that it has no etcd.
        None if locked != LockedEtcd::Never => look(target, &[], None).await,
        None => Look::Unanswered(Vec::new()),
    };
    let look = match seen {
        Look::Unanswered(reasons) => Look::Unanswered(why.take().map_or(reasons, |why| vec![why])),
        seen => seen,
    };
    let via = match &look {
        Look::Members { via, .. } => via.clone(),
        Look::Bare | Look::Unanswered(_) | Look::Split(..) => {
            addresses.into_iter().find(|address| !own.contains(address))
        }
    };
    Ok(Asked { locked, look, flags: flags(via.as_ref(), at_hand.as_ref()) })
}

fn flags(via: Option<&Address>, at_hand: Option<&AtHand>) -> String {
    let via = via.map_or("ADDRESS", Address::host);
    let file = at_hand.map(|at_hand| format!(" --talosconfig {}", at_hand.talosconfig.display())).unwrap_or_default();
    format!("-n {via} -e {via}{file}")
}

/// The members that stay behind when the node is away for good.
fn left(asked: &Asked, away: Away) -> Vec<Left> {
    let Asked { locked, look, flags } = asked;
    let known = |member: &Member| Left {
        id: Some(member.id),
        removal: format!("`talosctl etcd remove-member {:016x} {flags}` removes it", member.id),
    };
    let unknown = || Left {
        id: None,
        removal: format!(
            "`talosctl etcd members {flags}` lists all, `talosctl etcd remove-member ID {flags}` removes one"
        ),
    };
    match (away, look) {
        // Without another member there is no etcd left.
        (Away::ForAWhile, _) | (_, Look::Bare | Look::Members { via: None, .. }) => Vec::new(),
        (Away::ForGood, Look::Members { own, via: Some(_), .. }) => own.iter().map(known).collect(),
        (Away::ForGood, Look::Unanswered(_)) if *locked == LockedEtcd::Never => Vec::new(),
        (Away::ForGood, Look::Unanswered(_) | Look::Split(..)) => vec![unknown()],
    }
}
