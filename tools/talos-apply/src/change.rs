//! Changing the config of a running node.

use record::{Change, Effect, Impact};
use rolling::{Permit, Queue, can_be_spared, is_member};
use step::{Hold, Stop, Written};
use talos_access::ask;
use talos_client::{Class, Delivery as Asked, Mode, Node, Ours};

use crate::{
    delivery::{Delivery, Observed},
    error::Error,
    first::refused,
    plan::Difference,
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
    /// The ID of its boot, if the change reboots it.
    boot: Option<String>,
    /// Whether it was a member of etcd.
    member: bool,
}

impl Delivery<'_> {
    /// Changes a running node, control planes one after the other, and waits until it is healthy again.
    pub(crate) async fn change(
        &self,
        found: Box<Ours>,
        differences: Vec<Difference>,
        allowed: Allowed,
        queue: &Queue,
    ) -> Result<Written, Stop> {
        if self.run.is_dry_run() || !self.node.is_control_plane() {
            return self.change_now(&found.node, &differences, allowed, None).await;
        }
        drop(found);
        let mut permit = queue.wait(self.run).await?;
        // It may have been a long wait: look again.
        let Observed::Differs(found, differences) = self.until_seen().await? else { return Ok(self.unchanged()) };
        let member = self.until_etcd_is_healthy(&found.node).await?;
        let permit = if member { Some(&mut permit) } else { None };
        self.change_now(&found.node, &differences, allowed, permit).await
    }

    /// The record of a node that already runs its config.
    pub(crate) fn unchanged(&self) -> Written {
        Written::field(&self.applied("unchanged", true), Effect::Unchanged)
    }

    /// From the moment at which the config is sent until the node is healthy again, it counts as unhealthy, however
    /// that ends: only what the node itself refused, or was never sent, leaves it as it was.
    async fn change_now(
        &self,
        node: &Node,
        differences: &[Difference],
        allowed: Allowed,
        mut permit: Option<&mut Permit<'_>>,
    ) -> Result<Written, Stop> {
        self.show(differences);
        let trial = self.ask(node, Asked { mode: allowed.mode, dry_run: true }).await?;
        let reboots = trial.as_ref().is_some_and(|trial| trial.reboots);
        let outcome = outcome(allowed.mode, reboots);
        let changes = changes(differences, reboots);
        let held = (reboots && !allowed.reboot).then(|| Error::NeedsReboot(places(differences)));
        if self.run.is_dry_run() {
            // In a plan, what a flag allows is a change that names the flag.
            held.iter().for_each(|held| self.run.say(self.node, &format!("needs --reboot: {held}")));
            return Ok(Written::field(&self.applied(outcome, false), Effect::Pending).changes(changes));
        }
        if let Some(held) = held {
            return Err(held.into());
        }
        let before = self.before(node, reboots).await?;
        self.send_change(node, allowed.mode).await?;
        if allowed.mode != Mode::Staged {
            permit.iter_mut().for_each(|permit| permit.begin(self.node.name()));
            self.until_changed(&before).await?;
            permit.iter_mut().for_each(|permit| permit.recovered());
        }
        self.run.say(self.node, outcome);
        let verified = allowed.mode != Mode::Staged;
        Ok(Written::field(&self.applied(outcome, verified), Effect::Changed).changes(changes))
    }

    fn show(&self, differences: &[Difference]) {
        for difference in differences.iter().take(SHOWN) {
            self.run.say(self.node, &format!("differs: {difference}"));
        }
        if differences.len() > SHOWN {
            self.run.say(self.node, &format!("differs: {} more places", differences.len() - SHOWN));
        }
    }

    /// Sends the config, or with `dry_run` asks what it would do. `None` if the reply was lost.
    async fn ask(&self, node: &Node, asked: Asked) -> Result<Option<talos_client::Applied>, Stop> {
        match node.apply_configuration(self.wanted.text.as_bytes(), asked).await {
            Ok(applied) => Ok(Some(applied)),
            Err(error) if error.class() == Class::Retry && !asked.dry_run => Ok(None),
            Err(error) => Err(refused(error).into()),
        }
    }

    async fn send_change(&self, node: &Node, mode: Mode) -> Result<(), Stop> {
        let _slot = self.run.slot(self.node).await?;
        self.run.say(self.node, "applying the changed config");
        let applied = self.ask(node, Asked { mode, dry_run: false }).await?;
        for warning in applied.iter().flat_map(|applied| &applied.warnings) {
            self.run.warn(&format!("node {}: {warning}", self.node.name()));
        }
        Ok(())
    }

    async fn before(&self, node: &Node, reboots: bool) -> Result<Before, Stop> {
        let boot = if reboots { Some(node.boot_id().await?) } else { None };
        let member = self.node.is_control_plane() && node.etcd_member_id().await?.is_some();
        Ok(Before { boot, member })
    }

    /// Waits until etcd is healthy on a control plane that has etcd data; returns whether it has any.
    async fn until_etcd_is_healthy(&self, node: &Node) -> Result<bool, Stop> {
        let has_data = node.has_etcd_data().await?;
        if has_data {
            self.run.wait(self.node).until(|| is_member(node)).await?;
            self.run.wait(self.node).until(|| can_be_spared(node, self.identity.as_deref())).await?;
        }
        Ok(has_data)
    }

    /// Waits until the node runs the config (after a reboot, if the change needs one) and is a member of etcd again.
    async fn until_changed(&self, before: &Before) -> Result<(), Stop> {
        self.run.wait(self.node).until(|| self.is_changed(before)).await
    }

    async fn is_changed(&self, before: &Before) -> Result<(), Hold> {
        let node = ask(&self.address, self.identity.as_deref()).await?.configured()?.node;
        if let Some(boot) = &before.boot
            && node.boot_id().await? == *boot
        {
            return Err(Hold::not_yet("it has not rebooted yet"));
        }
        if !node.machine_config().await?.is_some_and(|running| self.wanted.is_run_by(&running)) {
            return Err(Hold::not_yet("it doesn't run the new config yet"));
        }
        if before.member { is_member(&node).await } else { Ok(()) }
    }
}

/// The differences as `changes`: where something is added, changed or removed, without values.
fn changes(differences: &[Difference], reboots: bool) -> Vec<Change> {
    let impact = if reboots { Impact::Reboot } else { Impact::Live };
    let change = |difference: &Difference| {
        let (was, becomes) = match difference {
            Difference::Added(_) => (false, true),
            Difference::Changed(_) => (true, true),
            Difference::Removed(_) => (true, false),
        };
        let change = Change::new(difference.place(), impact).redacted(was, becomes);
        if reboots { change.needs("--reboot") } else { change }
    };
    differences.iter().map(change).collect()
}

fn outcome(mode: Mode, reboots: bool) -> &'static str {
    match mode {
        Mode::Staged => "staged",
        _ if reboots => "rebooted",
        _ => "applied",
    }
}

/// How many places a refusal names.
const NAMED: usize = 8;

/// Where the configs differ: a node that would reboot doesn't say why.
fn places(differences: &[Difference]) -> String {
    let named: Vec<_> = differences.iter().take(NAMED).map(Difference::place).collect();
    match differences.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more places", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reboot_is_explained_by_the_places_that_differ() {
        let at = |n: usize| Difference::Changed(format!("machine.x{n}"));

        assert_eq!(places(&[Difference::Added("machine.env".to_owned()), at(1)]), "machine.env, machine.x1");
        assert!(places(&(0..10).map(at).collect::<Vec<_>>()).ends_with("machine.x7 and 2 more places"));
    }

    #[test]
    fn a_staged_config_is_never_called_applied() {
        assert_eq!(outcome(Mode::Staged, false), "staged");
        assert_eq!(outcome(Mode::Auto, true), "rebooted");
        assert_eq!(outcome(Mode::NoReboot, false), "applied");
    }
}
