//! What a task sees of its run.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use record::status::{ClusterField, NodeField};
use record::table::{self, Scope};
use record::{Change, Cluster, Code, Effect, Exit, Failure, Node, Roster};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::claim::Claim;
use crate::cluster_dir::ClusterDir;
use crate::console::Console;
use crate::signals::Stopping;
use crate::slots::{Slot, Slots};
use crate::wait::{Expired, Hold, Wait, Waits};
use crate::{Flags, Stop, secrets};

/// The run of a task. Cheap to clone.
#[derive(Clone)]
pub struct Run {
    pub(crate) context: Arc<Context>,
}

/// What the engine and the tasks of a run share.
pub(crate) struct Context {
    pub(crate) row: &'static table::Row,
    pub(crate) flags: Flags,
    pub(crate) console: Console,
    pub(crate) stopping: Stopping,
    pub(crate) slots: Arc<Slots>,
    pub(crate) waits: Waits,
    pub(crate) world: watch::Sender<World>,
    /// Reports to the engine that the Cluster's status has grown.
    pub(crate) grown: mpsc::UnboundedSender<Effect>,
    /// Keeps the order of Cluster lines that of the changes.
    pub(crate) writing: Mutex<()>,
    /// The cluster's folder, once it is known.
    pub(crate) dir: OnceLock<ClusterDir>,
}

/// What is known so far.
pub(crate) struct World {
    pub(crate) cluster: Arc<Cluster>,
    /// The control planes that have arrived, in the order in which they arrived.
    pub(crate) control_planes: Vec<Arc<Node>>,
    /// Which nodes the input listed at first: `--allow-missing` drops missing ones from the Cluster's list.
    pub(crate) listed: Arc<Roster>,
    /// Whether this step has read the cluster file itself.
    pub(crate) is_first: bool,
    /// Whether the input has ended.
    pub(crate) ended: bool,
}

/// A field that a step needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need<T> {
    /// It is set.
    Here(T),
    /// A dry run planned it: its values may be incomplete. Only in a dry run.
    Planned(T),
}

impl<T> Need<T> {
    /// The value, planned or not.
    pub fn value(self) -> T {
        match self {
            Self::Here(value) | Self::Planned(value) => value,
        }
    }
}

impl Run {
    /// The stream's own flags.
    #[must_use]
    pub fn flags(&self) -> &Flags {
        &self.context.flags
    }

    /// How long one wait for one node may take.
    #[must_use]
    pub fn wait_timeout(&self) -> Duration {
        self.context.flags.wait_timeout
    }

    /// The Cluster as it is known now.
    #[must_use]
    pub fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.context.world.borrow().cluster)
    }

    /// Whether nothing may be changed.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.cluster().is_dry_run()
    }

    /// Which nodes the input listed at first, even those that `--allow-missing` drops.
    #[must_use]
    pub fn listed(&self) -> Arc<Roster> {
        Arc::clone(&self.context.world.borrow().listed)
    }

    /// Whether this step has read the cluster file itself, so that it is the first one. Then files in the cluster's
    /// folder may replace what an earlier step would have written.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.context.world.borrow().is_first
    }

    /// Cancelled once nothing new may be started: waits end, what has begun is brought to a safe point.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.context.stopping.token.clone()
    }

    /// Whether the step acts on the node of this name: `--only` of this step or of one before it.
    #[must_use]
    pub fn is_selected(&self, name: &str) -> bool {
        let only = self.cluster().only();
        only.is_empty() || only.iter().any(|selected| selected == name)
    }

    /// The cluster's folder.
    ///
    /// # Errors
    /// A stream without the folder.
    pub fn dir(&self) -> Result<ClusterDir, Failure> {
        let cluster = self.cluster();
        let dir = cluster.dir().ok_or_else(|| {
            let message = format!("cluster {}: status.dir is missing", cluster.name());
            Failure::new(Exit::Unusable, Code::MissingInput, message)
                .hint("--dir names the folder of the cluster's files")
        })?;
        Ok(self.context.dir.get_or_init(|| ClusterDir::new(dir, cluster.name())).clone())
    }

    /// Waits until no other run of this step works on the cluster's folder, and claims it. Two runs at the same time
    /// would both create what is missing.
    ///
    /// # Errors
    /// The other run is still at work after `--wait-timeout` (exit 5), the step was asked to stop, or the folder cannot
    /// be written.
    pub async fn claim(&self) -> Result<Claim, Stop> {
        const BUSY: &str = "another run of this step is at work on this cluster";
        let (dir, name) = (self.dir()?, self.context.row.program());
        if let Some(claim) = dir.claim(name)? {
            return Ok(claim);
        }
        self.announce(&format!("waiting: {BUSY}"));
        let ask = || {
            std::future::ready(
                dir.claim(name).map_err(Hold::from).and_then(|claim| claim.ok_or_else(|| Hold::not_yet(BUSY))),
            )
        };
        let expired = |expired: Expired| Failure::new(Exit::Unreachable, Code::Busy, expired.last);
        self.wait_for_cluster().until_or(ask, expired).await
    }

    /// A wait about a node, for at most `--wait-timeout` from now on.
    pub fn wait<'a>(&'a self, node: &'a Node) -> Wait<'a> {
        Wait::new(self, Some(node))
    }

    /// A wait about the cluster as a whole, for at most `--wait-timeout` from now on.
    pub fn wait_for_cluster(&self) -> Wait<'_> {
        Wait::new(self, None)
    }

    /// Prints on stderr what happened to a node.
    pub fn say(&self, node: &Node, what: &str) {
        self.context.console.say(Some(node.name()), what);
    }

    /// Prints on stderr what happened to the cluster.
    pub fn announce(&self, what: &str) {
        self.context.console.say(None, what);
    }

    /// Warns on stderr about something doubtful.
    pub fn warn(&self, what: &str) {
        self.context.console.warn(what);
    }

    /// Waits for a slot (`--parallel`); control planes are served first. Hold none while waiting.
    ///
    /// # Errors
    /// The step was asked to stop: the node was not touched.
    pub async fn slot(&self, node: &Node) -> Result<Slot, Stop> {
        let token = &self.context.stopping.token;
        if token.is_cancelled() {
            return Err(Failure::interrupted().into());
        }
        tokio::select! {
            biased;
            () = token.cancelled() => Err(Failure::interrupted().into()),
            slot = self.context.slots.take(node.is_control_plane()) => Ok(slot),
        }
    }

    /// A field of the node's `status` that the step needs.
    ///
    /// # Errors
    /// It is missing: [`Stop::Explained`] if the cluster carries an error, else a failure that names the field and the
    /// step that writes it. Or it was only planned, and this is not a dry run.
    pub fn need<F: NodeField>(&self, node: &Node) -> Result<Need<F>, Stop> {
        match node.get::<F>()? {
            Some(value) => self.planned(value, node.is_planned::<F>(), &format!("node {}", node.name())),
            None if self.cluster().error().is_some() => Err(Stop::Explained),
            None => Err(missing(Scope::Node, &format!("node {}", node.name()), F::NAME).into()),
        }
    }

    /// A field of the node's `status` that the step uses if it is set.
    ///
    /// # Errors
    /// [`Stop::Explained`] if the step that writes it failed as a whole, or one before it: then it is not known whether
    /// there is anything to do. It was only planned, and this is not a dry run; or its type differs from the
    /// contract.
    pub fn want<F: NodeField>(&self, node: &Node) -> Result<Option<F>, Stop> {
        let Some(value) = node.get::<F>()? else {
            let failed = self.cluster().error().is_some_and(|error| table::is_behind(&error.step, F::SCOPE, F::NAME));
            return if failed { Err(Stop::Explained) } else { Ok(None) };
        };
        Ok(Some(self.planned(value, node.is_planned::<F>(), &format!("node {}", node.name()))?.value()))
    }

    /// The address of the node ([`Node::address`]).
    ///
    /// # Errors
    /// There is none.
    pub fn address(&self, node: &Node) -> Result<String, Stop> {
        match node.address() {
            Some(address) => Ok(address.to_owned()),
            None if self.cluster().error().is_some() => Err(Stop::Explained),
            None => {
                let message = format!("node {}: no address is known", node.name());
                let hint = "pve-vm finds it (`status.addresses`), or give the node a static `address`";
                Err(Failure::new(Exit::Unusable, Code::NoAddress, message).hint(hint).into())
            }
        }
    }

    /// Waits for a field of the Cluster's `status` that the step needs.
    ///
    /// # Errors
    /// The input ends without it: [`Stop::Explained`] if the stream carries an error that explains it, else a failure
    /// that names the field and the step that writes it. Or the step was asked to stop.
    pub async fn cluster_need<F: ClusterField>(&self) -> Result<Need<F>, Stop> {
        self.until(|world| world.ended || world.cluster.has::<F>() || world.cluster.error().is_some()).await?;
        let (cluster, explained) = {
            let world = self.context.world.borrow();
            (Arc::clone(&world.cluster), world.explains_a_lack())
        };
        match cluster.get::<F>()? {
            Some(value) => self.planned(value, cluster.is_planned::<F>(), "the cluster"),
            None if explained => Err(Stop::Explained),
            None => Err(missing(Scope::Cluster, &format!("cluster {}", cluster.name()), F::NAME).into()),
        }
    }

    /// A field of the Cluster's `status` that the step uses if it is set. It waits until that is certain: for the
    /// field, or for the end of the input.
    ///
    /// # Errors
    /// The step was asked to stop, or the field was only planned and this is not a dry run.
    pub async fn cluster_want<F: ClusterField>(&self) -> Result<Option<F>, Stop> {
        self.until(|world| world.ended || world.cluster.has::<F>()).await?;
        let cluster = self.cluster();
        let Some(value) = cluster.get::<F>()? else { return Ok(None) };
        Ok(Some(self.planned(value, cluster.is_planned::<F>(), "the cluster")?.value()))
    }

    /// Waits until the stream says that something failed for the whole cluster, for good if nothing did.
    ///
    /// # Errors
    /// The step was asked to stop.
    pub async fn cluster_failed(&self) -> Result<(), Stop> {
        self.until(|world| world.cluster.error().is_some()).await
    }

    /// Waits until every listed control plane has arrived, or the input has ended; returns those that arrived, in file
    /// order.
    ///
    /// They are unchanged: some may carry an error, and if the input was cut some may be missing.
    ///
    /// # Errors
    /// The step was asked to stop.
    pub async fn control_planes(&self) -> Result<Vec<Arc<Node>>, Stop> {
        self.until(|world| world.ended || world.control_planes.len() >= world.expected_control_planes()).await?;
        Ok(self.control_planes_so_far())
    }

    /// Waits until at least one control plane satisfies `wanted`, or all have arrived, or the input has ended; returns
    /// those that arrived, in file order.
    ///
    /// # Errors
    /// The step was asked to stop.
    pub async fn some_control_plane(&self, wanted: impl Fn(&Node) -> bool) -> Result<Vec<Arc<Node>>, Stop> {
        let some = |world: &World| world.control_planes.iter().any(|node| wanted(node));
        self.until(|world| world.ended || some(world) || world.control_planes.len() >= world.expected_control_planes())
            .await?;
        Ok(self.control_planes_so_far())
    }

    /// The control planes that have arrived so far, in file order.
    #[must_use]
    pub fn control_planes_so_far(&self) -> Vec<Arc<Node>> {
        let world = self.context.world.borrow();
        let mut nodes = world.control_planes.clone();
        if let Some(roster) = world.cluster.roster() {
            nodes.sort_by_key(|node| roster.position(node.name()));
        }
        nodes
    }

    /// Sets a field of the Cluster's `status`, marked with what was done, and writes the Cluster line.
    pub fn write_cluster<F: ClusterField>(&self, field: &F, effect: Effect, changes: Vec<Change>) {
        let _in_order = self.context.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let value = secrets::without_known(serde_json::to_value(field).expect("a status is plain data"));
        let value = record::marked(value, effect, secrets::redacted_changes(changes));
        self.context.world.send_modify(|world| Arc::make_mut(&mut world.cluster).set_status(F::NAME, value));
        // The engine exists as long as tasks do.
        let _ = self.context.grown.send(effect);
    }

    /// Waits until a condition holds.
    async fn until(&self, mut so: impl FnMut(&World) -> bool) -> Result<(), Stop> {
        let mut world = self.context.world.subscribe();
        tokio::select! {
            biased;
            found = world.wait_for(|world| so(world)) => {
                found.expect("the sender is part of self");
                Ok(())
            }
            () = self.context.stopping.token.cancelled() => Err(Failure::interrupted().into()),
        }
    }

    fn planned<F: record::status::Field>(&self, value: F, is_planned: bool, who: &str) -> Result<Need<F>, Stop> {
        match is_planned {
            false => Ok(Need::Here(value)),
            true if self.is_dry_run() => Ok(Need::Planned(value)),
            true => {
                let message = format!("{who}: status.{} is only planned (a dry run wrote it)", F::NAME);
                let failure = Failure::new(Exit::Unusable, Code::PendingInput, message);
                Err(failure.hint("run the pipe from the cluster file without --dry-run").into())
            }
        }
    }
}

impl World {
    fn expected_control_planes(&self) -> usize {
        self.cluster.roster().map_or(0, |roster| roster.control_planes().count())
    }

    /// Whether the stream carries an error that may be the reason why something of the Cluster is missing.
    fn explains_a_lack(&self) -> bool {
        self.cluster.error().is_some()
            || self.control_planes.iter().any(|node| node.has_error())
            || self.control_planes.len() < self.expected_control_planes()
    }
}

/// A field that is missing, and who writes it.
fn missing(scope: Scope, who: &str, field: &str) -> Failure {
    let failure = |text: String| Failure::new(Exit::Unusable, Code::MissingInput, text);
    match table::writer(scope, field) {
        Some(row) => failure(format!("{who}: status.{field} is missing; {} writes it", row.name))
            .hint(format!("put {} into the pipe before this step, or go back to the cluster file", row.name)),
        None => failure(format!("{who}: status.{field} is missing")),
    }
}
