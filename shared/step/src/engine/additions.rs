//! Nodes that a step adds to its stream, and what a later step makes of them.

use std::pin::pin;
use std::sync::Arc;

use record::stream::check_selection;
use record::{Cluster, Code, Entry, Exit, Failure, Node, Role};
use tokio::time::Instant;

use super::Engine;
use super::events::signalled;
use crate::wait::LOOK;
use crate::{Step, Stop};

impl<S: Step> Engine<S> {
    /// Asks the step for the nodes that it adds, and lists them. The first line isn't written yet: whoever reads it knows
    /// all nodes.
    pub(super) async fn add_nodes(&mut self) -> Vec<Node> {
        if !self.step.adds() || self.failure.is_some() {
            return Vec::new();
        }
        let found = match self.ask_for_nodes().await {
            Ok(nodes) => self.list(&nodes).map(|()| nodes),
            Err(Stop::Failed(failure)) => Err(failure),
            Err(Stop::Explained) => Ok(Vec::new()),
        };
        found.unwrap_or_else(|failure| {
            self.fail_whole(failure);
            Vec::new()
        })
    }

    async fn ask_for_nodes(&mut self) -> Result<Vec<Node>, Stop> {
        let (step, run) = (Arc::clone(&self.step), self.run.clone());
        let context = Arc::clone(&run.context);
        let _working = context.waits.work(None, Instant::now());
        let mut asking = pin!(step.additions(run.clone()));
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                () = signalled(&run) => return Err(Failure::interrupted().into()),
                found = &mut asking => return found,
                _ = look.tick() => self.beat(),
            }
        }
    }

    /// Appends these nodes to the list, and checks that `--only` names none that isn't in it.
    fn list(&mut self, nodes: &[Node]) -> Result<(), Failure> {
        let role = |node: &Node| if node.is_control_plane() { Role::ControlPlane } else { Role::Worker };
        self.added = nodes.iter().map(|node| Entry::orphan(node.name(), role(node))).collect();
        let cluster = self.run.cluster();
        let roster = Arc::new(self.run.listed().with(&self.added)?);
        check_selection(&self.run.flags().only, &roster, cluster.name())?;
        self.run.context.world.send_modify(|world| {
            Arc::make_mut(&mut world.cluster).set_roster(Arc::clone(&roster));
            world.listed = roster;
        });
        Ok(())
    }

    /// Why the step can't do anything about a node: it makes nodes what their specs say, and the cluster file has none for
    /// this one.
    pub(super) fn has_no_spec(&self, node: &Node) -> Option<Failure> {
        let (row, name) = (self.run.context.row, node.name());
        let is_orphan = || self.run.cluster().roster().is_some_and(|roster| roster.is_orphan(name));
        (row.makes_nodes() && is_orphan()).then(|| {
            let message = format!("node {name} isn't in the cluster file, which would say what it should be");
            Failure::new(Exit::Unusable, Code::MissingInput, message)
                .hint("use `pve-vm list` without --orphans before this step, or select other nodes with --only")
        })
    }
}

/// Keeps the nodes that were added in a list that came from the input.
pub(super) fn keep(cluster: &mut Cluster, added: &[Entry]) {
    if let Some(roster) = cluster.roster().filter(|_| !added.is_empty())
        && let Ok(roster) = roster.with(added)
    {
        cluster.set_roster(Arc::new(roster));
    }
}
