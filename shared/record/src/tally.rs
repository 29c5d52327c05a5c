//! The exit status of a step.

use crate::{Cluster, Effect, Exit, Node};

/// Counts of what a step has seen, passed on and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Nodes that it changed.
    pub changed: u64,
    /// Nodes that were already as they should be.
    pub unchanged: u64,
    /// Nodes that it would change.
    pub pending: u64,
    /// Nodes that failed here.
    pub failed: u64,
    /// Nodes that it passed on untouched because they had failed before.
    pub skipped: u64,
    good: u64,
    worst: Option<Exit>,
    retryable: bool,
    left_to_do: bool,
    cluster_failed: bool,
    cluster: Option<Effect>,
}

impl Tally {
    /// Counts what was done to a node in this step.
    pub fn did(&mut self, effect: Effect) {
        match effect {
            Effect::Changed => self.changed += 1,
            Effect::Unchanged => self.unchanged += 1,
            Effect::Pending => self.pending += 1,
        }
    }

    /// Notes what was done to the Cluster. It is not a node, so it is named and not counted.
    pub fn did_to_cluster(&mut self, effect: Effect) {
        let rank = |effect| match effect {
            Effect::Unchanged => 0,
            Effect::Pending => 1,
            Effect::Changed => 2,
        };
        if self.cluster.is_none_or(|before| rank(effect) > rank(before)) {
            self.cluster = Some(effect);
        }
    }

    /// Counts a node that leaves the step.
    pub fn see_node(&mut self, node: &Node) {
        match node.error() {
            Some(failure) => self.see_error(failure.exit),
            None => self.good += 1,
        }
        self.left_to_do |= node.is_pending();
    }

    /// Counts what the Cluster record carries when it leaves the step.
    pub fn see_cluster(&mut self, cluster: &Cluster) {
        if let Some(failure) = cluster.error() {
            self.cluster_failed = true;
            self.see_error(failure.exit);
        }
        self.left_to_do |= cluster.is_pending();
    }

    /// Counts a failure of the whole step, which the Cluster record need not carry.
    pub fn see_failure(&mut self, exit: Exit) {
        self.cluster_failed = true;
        self.see_error(exit);
    }

    fn see_error(&mut self, exit: Exit) {
        if exit.is_retryable() {
            self.retryable = true;
            return;
        }
        let exit = if matches!(exit, Exit::Done | Exit::Pending) { Exit::Failed } else { exit };
        if self.worst.is_none_or(|worst| exit.severity() > worst.severity()) {
            self.worst = Some(exit);
        }
    }

    /// The exit status: the worst error, else "run again", else "changes are pending", else done.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.worst {
            Some(exit) => exit,
            None if self.retryable && self.good > 0 && !self.cluster_failed => Exit::Partial,
            None if self.retryable => Exit::Unreachable,
            None if self.left_to_do => Exit::Pending,
            None => Exit::Done,
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [
            (self.changed, "changed"),
            (self.unchanged, "unchanged"),
            (self.pending, "pending"),
            (self.failed, "failed"),
            (self.skipped, "skipped"),
        ];
        let cluster = self.cluster.map(|effect| match effect {
            Effect::Changed => "cluster changed",
            Effect::Unchanged => "cluster unchanged",
            Effect::Pending => "cluster pending",
        });
        let nodes = counts.iter().filter(|c| c.0 > 0).map(|(n, what)| format!("{n} {what}"));
        let parts: Vec<_> = nodes.chain(cluster.map(str::to_owned)).collect();
        f.write_str(match (parts.is_empty(), self.cluster_failed) {
            (true, true) => "failed",
            (true, false) => "nothing to do",
            (false, _) => "",
        })?;
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Failure, Map, Roster, status};

    fn node(exit: Option<Exit>) -> Node {
        let mut spec = Map::new();
        spec.insert("role".into(), "worker".into());
        let mut node = Node::new("w-1", "lab", spec);
        if let Some(exit) = exit {
            node.set_error(&Failure::new(exit, Code::Failed, "m"));
        }
        node
    }

    fn exit(errors: &[Option<Exit>]) -> Exit {
        let mut tally = Tally::default();
        errors.iter().for_each(|e| tally.see_node(&node(*e)));
        tally.exit()
    }

    #[test]
    fn the_worst_error_decides_in_the_order_of_the_contract() {
        let all = [Exit::Failed, Exit::Usage, Exit::NotAllowed, Exit::Guard, Exit::Unusable].map(Some);
        for n in 1..=all.len() {
            assert_eq!(Some(exit(&all[..n])), all[n - 1]);
        }
        assert_eq!(exit(&[Some(Exit::Unreachable), Some(Exit::Failed), None]), Exit::Failed);
    }

    #[test]
    fn four_means_some_are_good_and_five_that_none_is() {
        assert_eq!(exit(&[Some(Exit::Unreachable), None]), Exit::Partial);
        assert_eq!(exit(&[Some(Exit::Unreachable)]), Exit::Unreachable);
        assert_eq!(exit(&[None]), Exit::Done);
    }

    #[test]
    fn no_node_is_good_when_the_whole_step_failed() {
        let mut tally = Tally::default();
        tally.see_node(&node(None));
        let mut cluster = Cluster::new("lab", Map::new(), Roster::default());
        cluster.set_error(&Failure::new(Exit::Unreachable, Code::Unreachable, "m"));
        tally.see_cluster(&cluster);
        assert_eq!(tally.exit(), Exit::Unreachable);
    }

    #[test]
    fn pending_counts_only_without_errors() {
        let mut pending = node(None);
        pending.set_marked(&status::Vm::default(), Effect::Pending, Vec::new());
        let mut tally = Tally::default();
        tally.see_node(&pending);
        assert_eq!(tally.exit(), Exit::Pending);
        tally.see_node(&node(Some(Exit::Unreachable)));
        assert_eq!(tally.exit(), Exit::Partial);
    }

    #[test]
    fn a_plan_in_which_nothing_is_good_asks_to_run_again_and_not_to_decide() {
        let mut tally = Tally::default();
        let mut cluster = Cluster::new("lab", Map::new(), Roster::default());
        cluster.set_marked(&status::Image::default(), Effect::Pending, Vec::new());
        tally.see_cluster(&cluster);
        assert_eq!(tally.exit(), Exit::Pending);
        tally.see_node(&node(Some(Exit::Unreachable)));
        assert_eq!(tally.exit(), Exit::Unreachable);
    }

    #[test]
    fn an_error_that_claims_to_be_none_is_a_failure() {
        for claimed in [Exit::Done, Exit::Pending] {
            assert_eq!(exit(&[Some(claimed), None]), Exit::Failed);
        }
    }

    #[test]
    fn a_field_of_the_cluster_that_is_pending_counts() {
        let mut cluster = Cluster::new("lab", Map::new(), Roster::default());
        cluster.set_marked(&status::Image::default(), Effect::Pending, Vec::new());
        let mut tally = Tally::default();
        tally.see_cluster(&cluster);
        assert_eq!(tally.exit(), Exit::Pending);
    }

    #[test]
    fn the_summary_leaves_out_what_is_none() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "nothing to do");
        tally.did(Effect::Changed);
        tally.skipped = 2;
        assert_eq!(tally.to_string(), "1 changed, 2 skipped");
        let mut failed = Tally::default();
        tally.did_to_cluster(Effect::Pending);
        tally.did_to_cluster(Effect::Unchanged);
        assert_eq!(
            tally.to_string(),
            "1 changed, 2 skipped, cluster pending",
            "nodes are counted, the Cluster is named"
        );
        failed.see_failure(Exit::Failed);
        assert_eq!(failed.to_string(), "failed");
    }
}
