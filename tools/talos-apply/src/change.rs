//! Changing the config of a node that runs.

use futures_util::future::join_all;
use patience::{Attempt, Deadline};
use record::{Change, Failure};
use step::{Stop, Written};
use talos_access::{Met, attempt, meet};
use talos_client::{Class, Delivery as Asked, Mode, Node, Ours};

use crate::{
    delivery::{Delivery, Sight},
    error::Error,
    first::refused,
    turns::{Turn, Turns},
};

/// How many differences are shown.
const SHOWN: usize = 40;

/// What the user allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) mode: Mode,
    pub(crate) reboot: bool,
}

/// What the node was before it was changed.
struct Before {
    /// Which boot it was, if the change reboots it.
    boot: Option<String>,
    /// Whether it was a member of etcd.
    member: bool,
}

impl Delivery<'_> {
    /// Changes a running node, control planes one after the other, and waits until it is well again.
    pub(crate) async fn change(
        &self,
        found: Box<Ours>,
        lines: Vec<String>,
        allowed: Allowed,
        turns: &Turns,
    ) -> Result<Written, Stop> {
        if self.run.is_dry_run() || !self.node.is_control_plane() {
            return self.change_now(&found.node, &lines, allowed, None).await;
        }
        drop(found);
        let mut turn = turns.wait(self.run).await?;
        // It may have been a long wait: look again.
        let Sight::Differs(found, lines) = self.until_seen().await? else { return Ok(self.unchanged()) };
        let member = self.until_etcd_is_well(&found.node).await?;
        let turn = if member { Some(&mut turn) } else { None };
        self.change_now(&found.node, &lines, allowed, turn).await
    }

    /// The record of a node that runs its config already.
    pub(crate) fn unchanged(&self) -> Written {
        Written::field("applied", &self.applied("unchanged", true), Change::Unchanged)
    }

    /// From the moment at which the config is sent until the node is well again, it counts as unwell, however that ends:
    /// only what the node itself refused, or was never sent, leaves it as it was.
    async fn change_now(
        &self,
        node: &Node,
        lines: &[String],
        allowed: Allowed,
        mut turn: Option<&mut Turn<'_>>,
    ) -> Result<Written, Stop> {
        self.show(lines);
        let trial = self.ask(node, Asked { mode: allowed.mode, dry_run: true }).await?;
        let reboots = trial.as_ref().is_some_and(|trial| trial.reboots);
        if reboots && !allowed.reboot {
            let why = trial.map(|trial| reason(&trial.details)).unwrap_or_default();
            return Err(Failure::from(Error::NeedsReboot(why)).into());
        }
        let outcome = outcome(allowed.mode, reboots);
        if self.run.is_dry_run() {
            return Ok(Written::field("applied", &self.applied(outcome, false), Change::Pending));
        }
        let before = self.before(node, reboots).await?;
        self.send_change(node, allowed.mode).await?;
        if allowed.mode != Mode::Staged {
            turn.iter_mut().for_each(|turn| turn.begins(self.node.name()));
            self.until_changed(&before).await?;
            turn.iter_mut().for_each(|turn| turn.ends_well());
        }
        self.run.say(self.node, outcome);
        let verified = allowed.mode != Mode::Staged;
        Ok(Written::field("applied", &self.applied(outcome, verified), Change::Changed))
    }

    fn show(&self, lines: &[String]) {
        for line in lines.iter().take(SHOWN) {
            self.run.say(self.node, &format!("differs: {line}"));
        }
        if lines.len() > SHOWN {
            self.run.say(self.node, &format!("differs: and in {} more places", lines.len() - SHOWN));
        }
    }

    /// Asks the node to take the config, or what it would do with it. `None` if the reply was lost.
    async fn ask(&self, node: &Node, asked: Asked) -> Result<Option<talos_client::Applied>, Stop> {
        match node.apply_configuration(self.wanted.text.as_bytes(), asked).await {
            Ok(applied) => Ok(Some(applied)),
            Err(error) if error.class() == Class::Retry && !asked.dry_run => Ok(None),
            Err(error) => Err(refused(&error).into()),
        }
    }

    async fn send_change(&self, node: &Node, mode: Mode) -> Result<(), Stop> {
        let _slot = self.run.slot(self.node).await?;
        self.run.say(self.node, "applying its changed config");
        let applied = self.ask(node, Asked { mode, dry_run: false }).await?;
        for warning in applied.iter().flat_map(|applied| &applied.warnings) {
            self.run.warn(&format!("node {}: {warning}", self.node.name()));
        }
        Ok(())
    }

    async fn before(&self, node: &Node, reboots: bool) -> Result<Before, Stop> {
        let failed = |error| Stop::from(talos_access::failure(&error));
        let boot = if reboots { Some(node.boot_id().await.map_err(failed)?) } else { None };
        let member = self.node.is_control_plane() && node.etcd_member_id().await.map_err(failed)?.is_some();
        Ok(Before { boot, member })
    }

    /// Waits until etcd on a control plane that has data of it is well; whether it has any.
    async fn until_etcd_is_well(&self, node: &Node) -> Result<bool, Stop> {
        let has_data = node.has_etcd_data().await.map_err(|error| Stop::from(talos_access::failure(&error)))?;
        if has_data {
            talos_access::until(self.run, self.node, || is_member(node)).await?;
            talos_access::until(self.run, self.node, || self.can_be_spared(node)).await?;
        }
        Ok(has_data)
    }

    /// Whether etcd goes on without this member: all others are healthy, or enough of them to decide.
    async fn can_be_spared(&self, node: &Node) -> Attempt<(), Failure> {
        let Attempt::Ready(own) = attempt(node.etcd_member_id().await) else {
            return Attempt::NotYet("it is not a healthy member of etcd".to_owned());
        };
        let members = match node.etcd_members().await {
            Ok(members) => members.into_iter().filter(|member| !member.learner).collect::<Vec<_>>(),
            Err(error) => return Attempt::NotYet(error.chain()),
        };
        let others: Vec<_> = members.iter().filter(|member| Some(member.id) != own).collect();
        let well = join_all(others.iter().map(|member| self.is_well(member))).await;
        let unwell: Vec<_> =
            others.iter().zip(&well).filter(|(_, well)| !**well).map(|(it, _)| &*it.hostname).collect();
        if unwell.is_empty() || others.len() - unwell.len() > members.len() / 2 {
            return Attempt::Ready(());
        }
        Attempt::NotYet(format!("etcd could not do without this node: {} not healthy there", unwell.join(", ")))
    }

    async fn is_well(&self, member: &talos_client::Member) -> bool {
        let Some(address) = member.address() else { return false };
        match meet(&address, self.identity.as_deref()).await {
            Attempt::Ready(Met::Ours(found)) => matches!(is_member(&found.node).await, Attempt::Ready(())),
            _ => false,
        }
    }

    /// Waits until the node runs the config, on a new boot if it was to reboot, and is a member of etcd again.
    async fn until_changed(&self, before: &Before) -> Result<(), Stop> {
        let deadline = Deadline::within(self.run.wait_timeout());
        talos_access::until_for(self.run, Some(self.node), deadline, || self.is_changed(before)).await
    }

    async fn is_changed(&self, before: &Before) -> Attempt<(), Failure> {
        let node = match meet(&self.address, self.identity.as_deref()).await {
            Attempt::Ready(Met::Ours(found)) => found.node,
            Attempt::Ready(Met::Maintenance(_)) => return Attempt::NotYet("it is in maintenance".to_owned()),
            Attempt::NotYet(status) => return Attempt::NotYet(status),
            Attempt::Failed(failure) => return Attempt::Failed(failure),
        };
        match attempt(self.stands(&node, before).await) {
            Attempt::Ready(None) if before.member => is_member(&node).await,
            Attempt::Ready(None) => Attempt::Ready(()),
            Attempt::Ready(Some(missing)) => Attempt::NotYet(missing.to_owned()),
            Attempt::NotYet(status) => Attempt::NotYet(status),
            Attempt::Failed(failure) => Attempt::Failed(failure),
        }
    }

    /// What is still missing for the change to have been made.
    async fn stands(&self, node: &Node, before: &Before) -> Result<Option<&'static str>, talos_client::Error> {
        if let Some(boot) = &before.boot
            && node.boot_id().await? == *boot
        {
            return Ok(Some("it has not rebooted yet"));
        }
        let running = node.machine_config().await?;
        let is_new = running.is_some_and(|running| self.wanted.is_run_by(&running));
        Ok((!is_new).then_some("it doesn't run the new config yet"))
    }
}

/// Whether the node is a voting member of an etcd cluster that has a leader.
async fn is_member(node: &Node) -> Attempt<(), Failure> {
    let asked = async {
        let Some(id) = node.etcd_member_id().await? else { return Ok(false) };
        let members = node.etcd_members().await?;
        Ok::<bool, talos_client::Error>(members.iter().any(|member| member.id == id && !member.learner))
    };
    match asked.await {
        Ok(true) => Attempt::Ready(()),
        Ok(false) => Attempt::NotYet("it is not a healthy member of etcd".to_owned()),
        Err(error) if matches!(error.class(), Class::Forbidden | Class::Stranger) => {
            Attempt::Failed(talos_access::failure(&error))
        }
        // etcd without a leader fails the call in ways that have no code of their own.
        Err(error) => Attempt::NotYet(error.chain()),
    }
}

fn outcome(mode: Mode, reboots: bool) -> &'static str {
    match mode {
        Mode::Staged => "staged",
        _ if reboots => "rebooted",
        _ => "applied",
    }
}

/// Why the node would reboot, in its own words: what stands behind "with a reboot:".
fn reason(details: &str) -> String {
    let why = details.lines().find_map(|line| line.split_once("with a reboot").map(|(_, why)| why));
    let why = why.unwrap_or(details).trim_start_matches(':').trim();
    why.trim_end_matches("(skipped in dry-run).").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_for_a_reboot_is_in_the_words_of_the_node() {
        let details = "Dry run summary:\nApplied configuration with a reboot: this config change can't be applied in \
                       immediate mode (skipped in dry-run).\nConfig diff:\n\nNo changes.";

        assert_eq!(reason(details), "this config change can't be applied in immediate mode");
    }

    #[test]
    fn a_staged_config_is_never_called_applied() {
        assert_eq!(outcome(Mode::Staged, false), "staged");
        assert_eq!(outcome(Mode::Auto, true), "rebooted");
        assert_eq!(outcome(Mode::NoReboot, false), "applied");
    }
}
