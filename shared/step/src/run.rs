//! What a task sees of the run that it is part of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use patience::{Attempt, Deadline, Ended, Patience};
use record::table::{self, Scope};
use record::{Change, Cluster, Exit, Failure, Node, Roster};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::products::{Claim, Products};
use crate::signals::Stopping;
use crate::slots::{Slot, Slots};
use crate::{Flags, Stop, engine};

/// The run that a task is part of. Cheap to clone.
#[derive(Clone)]
pub struct Run {
    pub(crate) shared: Arc<Shared>,
}

/// What the engine and the tasks of a run share.
pub(crate) struct Shared {
    pub(crate) row: &'static table::Row,
    pub(crate) flags: Flags,
    pub(crate) console: Console,
    pub(crate) stopping: Stopping,
    pub(crate) slots: Arc<Slots>,
    pub(crate) world: watch::Sender<World>,
    /// Tells the engine that the Cluster's status has grown.
    pub(crate) grown: mpsc::UnboundedSender<Change>,
    /// Keeps the order of Cluster lines that of the changes.
    pub(crate) writing: Mutex<()>,
}

/// What is known so far.
pub(crate) struct World {
    pub(crate) cluster: Arc<Cluster>,
    /// The control planes that have come, in the order in which they came.
    pub(crate) control_planes: Vec<Arc<Node>>,
    /// Which nodes the input listed at first: `--allow-missing` takes those that don't come out of the Cluster's list.
    pub(crate) listed: Arc<Roster>,
    /// Whether this step has read the cluster file itself.
    pub(crate) is_first: bool,
    /// Whether the input has ended.
    pub(crate) ended: bool,
}

/// A field that a step needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need<T> {
    /// It is there.
    Here(T),
    /// A dry run planned it: its values may be incomplete. Only seen in a dry run.
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
        &self.shared.flags
    }

    /// How long one wait for one node may take.
    #[must_use]
    pub fn wait_timeout(&self) -> Duration {
        self.shared.flags.wait_timeout
    }

    /// The Cluster as it is known now.
    #[must_use]
    pub fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.shared.world.borrow().cluster)
    }

    /// Whether nothing may be touched.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.cluster().is_dry_run()
    }

    /// Which nodes the input listed at first, also those that `--allow-missing` does without.
    #[must_use]
    pub fn listed(&self) -> Arc<Roster> {
        Arc::clone(&self.shared.world.borrow().listed)
    }

    /// Whether this step has read the cluster file itself, so that no step stands before it. Then what the cluster's
    /// folder holds may stand for what a step before would have written.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.shared.world.borrow().is_first
    }

    /// Cancelled once nothing new may be started: waits end, what has begun is brought to a safe point.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.shared.stopping.token.clone()
    }

    /// The cluster's folder.
    ///
    /// # Errors
    /// A stream that does not say where it is.
    pub fn products(&self) -> Result<Products, Failure> {
        let cluster = self.cluster();
        let dir = cluster.dir().ok_or_else(|| {
            Failure::new(Exit::Unusable, "missing-need", format!("cluster {}: status.dir is missing", cluster.name()))
                .hint("--dir says where the cluster's files are")
        })?;
        Ok(Products::new(dir, cluster.name()))
    }

    /// Waits until no other run of this step is at work on the cluster's folder, and claims it. Two runs at the same time
    /// would each make what is missing.
    ///
    /// # Errors
    /// The other run is still at work after `--wait-timeout` (exit 5), the step was asked to stop, or the folder cannot
    /// be written.
    pub async fn claim(&self) -> Result<Claim, Stop> {
        let products = self.products()?;
        let busy = "another run of this step is at work on this cluster";
        let mut told = false;
        let ask = || {
            let claimed = products.claim(self.shared.row.step);
            let waits = matches!(claimed, Ok(None)) && !std::mem::replace(&mut told, true);
            if waits {
                self.announce(&format!("waiting: {busy}"));
            }
            std::future::ready(match claimed {
                Ok(Some(claim)) => Attempt::Ready(claim),
                Ok(None) => Attempt::NotYet(busy.to_owned()),
                Err(failure) => Attempt::Failed(failure),
            })
        };
        let patience = Patience::new(Deadline::within(self.wait_timeout()));
        patience::until(patience, self.shared.stopping.token.cancelled(), ask).await.map_err(|ended| match ended {
            Ended::Failed(failure) => failure.into(),
            Ended::Interrupted { .. } => Failure::interrupted().into(),
            expired @ Ended::Expired { .. } => Failure::new(Exit::Unreachable, "busy", expired.to_string()).into(),
        })
    }

    /// Says on stderr what happened to a node.
    pub fn say(&self, node: &Node, what: &str) {
        self.shared.console.say(Some(node.name()), what);
    }

    /// Says on stderr what happened to the cluster.
    pub fn announce(&self, what: &str) {
        self.shared.console.say(None, what);
    }

    /// Warns on stderr of something doubtful.
    pub fn warn(&self, what: &str) {
        self.shared.console.warn(what);
    }

    /// Waits for a place to work at (`--parallel`); control planes are served first. Hold none while waiting.
    ///
    /// # Errors
    /// The step was asked to stop: the node was not touched.
    pub async fn slot(&self, node: &Node) -> Result<Slot, Stop> {
        let token = &self.shared.stopping.token;
        if token.is_cancelled() {
            return Err(Failure::interrupted().into());
        }
        tokio::select! {
            biased;
            () = token.cancelled() => Err(Failure::interrupted().into()),
            slot = self.shared.slots.take(node.is_control_plane()) => Ok(slot),
        }
    }

    /// A field of the node's `status` that the step cannot do without.
    ///
    /// # Errors
    /// It is missing: [`Stop::Explained`] if the cluster carries an error, else a failure that names the field and the
    /// step that writes it. Or it was only planned, and this is not a dry run.
    pub fn need<T: DeserializeOwned>(&self, node: &Node, field: &str) -> Result<Need<T>, Stop> {
        match node.typed_status(field)? {
            Some(value) => self.planned(value, node.status().get(field), &format!("node {}", node.name()), field),
            None if self.cluster().error().is_some() => Err(Stop::Explained),
            None => Err(missing(Scope::Node, &format!("node {}", node.name()), field).into()),
        }
    }

    /// A field of the node's `status` that the step uses if it is there.
    ///
    /// # Errors
    /// [`Stop::Explained`] if the step that writes it failed as a whole, or one before it: then it is not known whether
    /// there is anything to do. It was only planned, and this is not a dry run; or it is of another type than the
    /// contract says.
    pub fn want<T: DeserializeOwned>(&self, node: &Node, field: &str) -> Result<Option<T>, Stop> {
        let Some(value) = node.typed_status(field)? else {
            let failed = self.cluster().error().is_some_and(|error| table::is_behind(&error.step, Scope::Node, field));
            return if failed { Err(Stop::Explained) } else { Ok(None) };
        };
        let need = self.planned(value, node.status().get(field), &format!("node {}", node.name()), field)?;
        Ok(Some(need.value()))
    }

    /// The address to talk to the node at ([`Node::address`]).
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
                Err(Failure::new(Exit::Unusable, "missing-need", message).hint(hint).into())
            }
        }
    }

    /// Waits for a field of the Cluster's `status` that the step cannot do without.
    ///
    /// # Errors
    /// The input ends without it: [`Stop::Explained`] if the stream carries an error that explains it, else a failure
    /// that names the field and the step that writes it. Or the step was asked to stop.
    pub async fn cluster_need<T: DeserializeOwned>(&self, field: &str) -> Result<Need<T>, Stop> {
        let world = |world: &World| {
            let status = world.cluster.status();
            world.ended || status.contains_key(field) || status.contains_key("error")
        };
        self.until(world).await?;
        let (cluster, explained) = {
            let world = self.shared.world.borrow();
            (Arc::clone(&world.cluster), world.explains_a_lack())
        };
        match cluster.typed_status(field)? {
            Some(value) => self.planned(value, cluster.status().get(field), "the cluster", field),
            None if explained => Err(Stop::Explained),
            None => Err(missing(Scope::Cluster, &format!("cluster {}", cluster.name()), field).into()),
        }
    }

    /// A field of the Cluster's `status` that the step uses if it is there. It waits until that is certain: for the
    /// field, or for the end of the input.
    ///
    /// # Errors
    /// The step was asked to stop, or the field was only planned and this is not a dry run.
    pub async fn cluster_want<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, Stop> {
        self.until(|world| world.ended || world.cluster.status().contains_key(field)).await?;
        let cluster = self.cluster();
        let Some(value) = cluster.typed_status(field)? else { return Ok(None) };
        let need = self.planned(value, cluster.status().get(field), "the cluster", field)?;
        Ok(Some(need.value()))
    }

    /// Waits until every listed control plane has come, or the input has ended; gives those that came, in file order.
    ///
    /// They are as they came in: some may carry an error, and if the input was cut some may be absent.
    ///
    /// # Errors
    /// The step was asked to stop.
    pub async fn control_planes(&self) -> Result<Vec<Arc<Node>>, Stop> {
        self.until(|world| world.ended || world.control_planes.len() >= world.expected_control_planes()).await?;
        Ok(self.control_planes_so_far())
    }

    /// Waits until at least one control plane satisfies `wanted`, or all have come, or the input has ended; gives those
    /// that came, in file order.
    ///
    /// # Errors
    /// The step was asked to stop.
    pub async fn some_control_plane(&self, wanted: impl Fn(&Node) -> bool) -> Result<Vec<Arc<Node>>, Stop> {
        let some = |world: &World| world.control_planes.iter().any(|node| wanted(node));
        self.until(|world| world.ended || some(world) || world.control_planes.len() >= world.expected_control_planes())
            .await?;
        Ok(self.control_planes_so_far())
    }

    /// The control planes that have come so far, in file order.
    #[must_use]
    pub fn control_planes_so_far(&self) -> Vec<Arc<Node>> {
        let world = self.shared.world.borrow();
        let mut nodes = world.control_planes.clone();
        if let Some(roster) = world.cluster.roster() {
            nodes.sort_by_key(|node| roster.position(node.name()));
        }
        nodes
    }

    /// Sets a field of the Cluster's `status` and writes the Cluster line. The engine adds `changed`, or `pending`.
    pub fn write_cluster<T: Serialize>(&self, field: &'static str, value: &T, change: Change) {
        let value = serde_json::to_value(value).expect("a status is plain data");
        let value = engine::marked(value, change);
        let _in_order = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.world.send_modify(|world| Arc::make_mut(&mut world.cluster).set_status(field, value));
        // The engine is there as long as tasks are.
        let _ = self.shared.grown.send(change);
    }

    /// Waits until the world is so.
    async fn until(&self, mut so: impl FnMut(&World) -> bool) -> Result<(), Stop> {
        let mut world = self.shared.world.subscribe();
        tokio::select! {
            biased;
            found = world.wait_for(|world| so(world)) => {
                found.expect("the sender is part of self");
                Ok(())
            }
            () = self.shared.stopping.token.cancelled() => Err(Failure::interrupted().into()),
        }
    }

    fn planned<T>(&self, value: T, raw: Option<&serde_json::Value>, who: &str, field: &str) -> Result<Need<T>, Stop> {
        let is_planned = raw.and_then(|raw| raw.get("pending")) == Some(&true.into());
        match is_planned {
            false => Ok(Need::Here(value)),
            true if self.is_dry_run() => Ok(Need::Planned(value)),
            true => {
                let message = format!("{who}: status.{field} is only planned (a dry run wrote it)");
                let failure = Failure::new(Exit::Unusable, "pending-need", message);
                Err(failure.hint("run the pipe from the cluster file without --dry-run").into())
            }
        }
    }
}

impl World {
    fn expected_control_planes(&self) -> usize {
        self.cluster.roster().map_or(0, |roster| roster.control_planes().count())
    }

    /// Whether the stream carries an error that may be why something of the Cluster is missing.
    fn explains_a_lack(&self) -> bool {
        self.cluster.error().is_some()
            || self.control_planes.iter().any(|node| node.has_error())
            || self.control_planes.len() < self.expected_control_planes()
    }
}

/// A field that is missing, and who writes it.
fn missing(scope: Scope, who: &str, field: &str) -> Failure {
    let failure = |text: String| Failure::new(Exit::Unusable, "missing-need", text);
    match table::writer(scope, field) {
        Some(step) => failure(format!("{who}: status.{field} is missing; {step} writes it"))
            .hint(format!("put {step} into the pipe before this step, or go back to the cluster file")),
        None => failure(format!("{who}: status.{field} is missing")),
    }
}
