//! Changing the config of a running node.

use std::time::Duration;

use record::{Change, Code, Effect, Exit, Failure, Impact};
use rolling::{Permit, Queue, can_be_spared, is_member};
use step::{Expired, Hold, Stop, Written};
use talos_access::{Credentials, ask};
use talos_client::{Address, Class, Delivery as Asked, Mode, Node, Ours};

use crate::{
    delivery::{Delivery, Observed},
    error::Error,
    first::refused,
    live,
    plan::Difference,
};

/// How many differences are shown.
const SHOWN: usize = 40;

/// What the user allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) mode: Mode,
    pub(crate) reboot: bool,
    /// Whether the config may name another machine.
    pub(crate) other_machine: bool,
}

/// What the node was before it was changed.
struct Before {
    /// The ID of its boot, if the change reboots it.
    boot: Option<String>,
    /// Whether it was a member of etcd.
    member: bool,
}

/// What a node that was asked said about its change.
enum Trial {
    /// There is nothing to change any more.
    Over(Written),
    /// It would make the change.
    Would { found: Box<Ours>, differences: Vec<Difference>, reboots: bool },
}

impl Delivery<'_> {
    /// Changes a running node, control planes one after the other, and waits until it is healthy again.
    pub(crate) async fn change(&self, queue: &Queue) -> Result<Written, Stop> {
        if !self.node.is_control_plane() {
            return self.change_now(None).await;
        }
        let mut permit = queue.wait(self.run).await?;
        // It may have been a long wait: look again.
        let (found, differences, reboots) = match self.until_tried().await? {
            Trial::Over(written) => return Ok(written),
            Trial::Would { found, differences, reboots } => (found, differences, reboots),
        };
        if let Some(held) = self.held(&differences, reboots) {
            self.show(&differences);
            return Err(self.fitting(held).into());
        }
        if !live::disturbs(&differences, reboots, self.allowed.mode) {
            return self.act((found, differences, reboots), None, false).await;
        }
        let member = self.until_etcd_is_healthy(&found.node).await?;
        self.change_now(member.then_some(&mut permit)).await
    }

    /// Reports what a change would do.
    pub(crate) async fn plan_change(&self, found: Box<Ours>, differences: Vec<Difference>) -> Result<Written, Hold> {
        let reboots = self.would_reboot(&found.node, &differences).await?;
        if self.node.is_control_plane() && live::disturbs(&differences, reboots, self.allowed.mode) {
            self.would_be_spared(&found.node).await?;
        }
        self.show(&differences);
        if let Some(held) = self.held(&differences, reboots) {
            // In a plan, what a flag allows is a change that names the flag.
            self.run.say(self.node, &format!("needs --reboot: {held}"));
        }
        let changes = self.needing(changes(&differences, reboots));
        let outcome = outcome(self.allowed.mode, reboots);
        Ok(Written::field(&self.applied(outcome, false), Effect::Pending).changes(changes))
    }

    /// Asks the node for its change until it is free to answer: another run may be applying a config, or it goes down for
    /// one. Each time it is looked at, for it may run the wanted config by then.
    async fn tried(&self) -> Result<Trial, Hold> {
        match self.look().await? {
            Observed::Same(_, has) => Ok(Trial::Over(self.unchanged(has))),
            Observed::Bare(_) => Err(Hold::not_yet("it is in maintenance mode again")),
            Observed::Differs(found, differences) => {
                let reboots = self.would_reboot(&found.node, &differences).await?;
                Ok(Trial::Would { found, differences, reboots })
            }
        }
    }

    async fn until_tried(&self) -> Result<Trial, Stop> {
        self.run.wait(self.node).until(|| self.tried()).await
    }

    async fn change_now(&self, permit: Option<&mut Permit<'_>>) -> Result<Written, Stop> {
        match self.until_tried().await? {
            Trial::Over(written) => Ok(written),
            Trial::Would { found, differences, reboots } => self.act((found, differences, reboots), permit, true).await,
        }
    }

    /// Makes a change that the node would make. From the moment at which the config is sent until the node is healthy
    /// again, it counts as unhealthy, however that ends: only what the node itself refused, or was never sent, leaves it as
    /// it was. Where the change can't disturb etcd, etcd is not waited for.
    async fn act(
        &self,
        (found, differences, reboots): (Box<Ours>, Vec<Difference>, bool),
        mut permit: Option<&mut Permit<'_>>,
        disturbs: bool,
    ) -> Result<Written, Stop> {
        self.show(&differences);
        if let Some(held) = self.held(&differences, reboots) {
            return Err(self.fitting(held).into());
        }
        let mode = self.allowed.mode;
        let before = self.before(&found.node, reboots, disturbs).await?;
        self.send_change(&found.node, &differences).await?;
        if mode != Mode::Staged {
            permit.iter_mut().for_each(|permit| permit.begin(self.node.name()));
        }
        self.until_changed(&before).await?;
        if mode != Mode::Staged {
            permit.iter_mut().for_each(|permit| permit.recovered());
        }
        let outcome = outcome(mode, reboots);
        self.run.say(self.node, &said(mode, outcome));
        let applied = self.applied(outcome, stays(mode));
        Ok(Written::field(&applied, Effect::Changed).changes(changes(&differences, reboots)))
    }

    /// Why the change may not be made, if it reboots the node and nobody allowed that.
    fn held(&self, differences: &[Difference], reboots: bool) -> Option<Error> {
        (reboots && !self.allowed.reboot).then(|| Error::NeedsReboot(live::why(differences, self.allowed.mode)))
    }

    fn show(&self, differences: &[Difference]) {
        for difference in differences.iter().take(SHOWN) {
            self.run.say(self.node, &format!("differs: {difference}"));
        }
        if differences.len() > SHOWN {
            self.run.say(self.node, &format!("differs: {} more places", differences.len() - SHOWN));
        }
    }

    /// Asks the node whether the change would reboot it. It is asked for a try whatever the mode: up to 1.13 even a dry run
    /// in another one ends a try, and what the node would go back to is somebody's way out.
    async fn would_reboot(&self, node: &Node, differences: &[Difference]) -> Result<bool, Hold> {
        let asked = Asked { mode: Mode::Try(Duration::from_secs(60)), dry_run: true };
        match (node.apply_configuration(self.wanted.text.as_bytes(), asked).await, self.allowed.mode) {
            (Ok(_), mode) => Ok(mode == Mode::Reboot),
            (Err(error), _) if error.class() == Class::Retry => Err(Hold::in_spite_of(&error)),
            (Err(error), Mode::Auto | Mode::Reboot) if needs_boot(&error) => Ok(true),
            (Err(error), Mode::Staged) if needs_boot(&error) => Ok(false),
            (Err(error), _) => {
                self.show(differences);
                Err(not_changed(error, differences).into())
            }
        }
    }

    /// Sends the config. A reply that is lost doesn't fail: the node shows what it runs.
    async fn send_change(&self, node: &Node, differences: &[Difference]) -> Result<(), Stop> {
        let _slot = self.run.slot(self.node).await?;
        self.run.say(self.node, "applying the changed config");
        let asked = Asked { mode: self.allowed.mode, dry_run: false };
        match node.apply_configuration(self.wanted.text.as_bytes(), asked).await {
            Ok(applied) => {
                for warning in &applied.warnings {
                    self.run.warn(&format!("node {}: {warning}", self.node.name()));
                }
                Ok(())
            }
            Err(error) if error.class() == Class::Retry => Ok(()),
            Err(error) => Err(not_changed(error, differences).into()),
        }
    }

    async fn before(&self, node: &Node, reboots: bool, disturbs: bool) -> Result<Before, Stop> {
        let boot = if reboots { Some(node.boot_id().await?) } else { None };
        let member = disturbs && self.node.is_control_plane() && node.etcd_member_id().await?.is_some();
        Ok(Before { boot, member })
    }

    /// Waits until etcd is healthy on a control plane that has etcd data; returns whether it has any.
    async fn until_etcd_is_healthy(&self, node: &Node) -> Result<bool, Stop> {
        let has_data = node.has_etcd_data().await?;
        if has_data {
            self.run.wait(self.node).until(|| is_member(node)).await?;
            self.run.wait(self.node).until_or(|| self.is_spared(node), |expired| not_spared(&expired)).await?;
        }
        Ok(has_data)
    }

    /// Whether etcd could do without the node now. Control planes that its own etcd doesn't know are asked, too: they may be
    /// members of another one.
    async fn is_spared(&self, node: &Node) -> Result<(), Hold> {
        let came = self.run.control_planes_so_far();
        let mut others: Vec<Address> =
            came.iter().filter_map(|node| node.address()).filter_map(|address| address.parse().ok()).collect();
        // Who answers there is asked if it can be; what isn't found out here is not needed for the quorum.
        if let Ok(Some(at_hand)) = Credentials::at_hand(self.run) {
            others.extend(at_hand.endpoints);
        }
        others.extend(node.discovered_control_planes().await.unwrap_or_default());
        others.retain(|address| *address != self.address);
        can_be_spared(node, self.identity.as_deref(), &others).await
    }

    /// Says in a plan what a run would wait for before it changes the node; refuses what it would refuse.
    async fn would_be_spared(&self, node: &Node) -> Result<(), Hold> {
        if !matches!(node.has_etcd_data().await, Ok(true)) {
            return Ok(());
        }
        match self.is_spared(node).await {
            Err(Hold::NotYet(why)) => self.run.say(self.node, &format!("would wait: {why}")),
            Err(failed @ Hold::Failed(_)) => return Err(failed),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Waits until the node has the config: runs it (after a reboot, if the change needs one, and as a member of etcd
    /// again), and keeps it, if the mode says so.
    async fn until_changed(&self, before: &Before) -> Result<(), Stop> {
        self.run.wait(self.node).until(|| self.is_changed(before)).await
    }

    async fn is_changed(&self, before: &Before) -> Result<(), Hold> {
        let mode = self.allowed.mode;
        let node = ask(&self.address, self.identity.as_deref()).await?.configured()?.node;
        if let Some(boot) = &before.boot
            && node.boot_id().await? == *boot
        {
            return Err(Hold::not_yet("it has not rebooted yet"));
        }
        if !is_tried(mode) && !self.is_kept(&node).await? {
            return Err(Hold::NotYet(node.because("it doesn't keep the new config yet").await));
        }
        if mode == Mode::Staged {
            return Ok(());
        }
        if !node.machine_config().await?.is_some_and(|running| self.wanted.is_run_by(&running)) {
            return Err(Hold::NotYet(node.because("it doesn't run the new config yet").await));
        }
        if before.member { is_member(&node).await } else { Ok(()) }
    }

    /// Whether the node boots with the wanted config; one that doesn't show what it keeps is believed.
    async fn is_kept(&self, node: &Node) -> Result<bool, talos_client::Error> {
        Ok(node.kept_machine_config().await?.is_none_or(|kept| self.wanted.is_run_by(&kept)))
    }
}

/// A control plane that etcd couldn't spare in time: waiting longer helps only if somebody repairs the others.
fn not_spared(expired: &Expired) -> Failure {
    Failure::new(Exit::Unreachable, Code::Timeout, expired.to_string()).hint(
        "repair the control planes that it names first (`talos-wait --for etcd-healthy` shows what they lack); --wait-timeout sets a longer timeout",
    )
}

/// Whether a node refuses a change because it can't make it while it runs.
fn needs_boot(error: &talos_client::Error) -> bool {
    error.message().is_some_and(|words| words.contains("can't be applied in immediate mode"))
}

/// A change that a node refuses. A real one shows a diff with secrets and names no place.
fn not_changed(error: talos_client::Error, differences: &[Difference]) -> Failure {
    let needs_boot = needs_boot(&error);
    let mut failure = refused(error);
    if let Some(held) = live::held(differences).filter(|_| needs_boot) {
        failure.message = format!("{}: {held}", failure.message);
    }
    failure
}

/// The differences as `changes`: where something is added, changed or removed, without values that may be secret.
fn changes(differences: &[Difference], reboots: bool) -> Vec<Change> {
    let impact = if reboots { Impact::Reboot } else { Impact::Live };
    let change = |difference: &Difference| {
        let change = Change::new(difference.place(), impact);
        let (was, becomes) = match difference {
            Difference::Moved { from, to, .. } => return needing(change.from(from.clone()).to(to.clone()), reboots),
            Difference::Added(_) => (false, true),
            Difference::Changed(_) | Difference::Reverted => (true, true),
            Difference::Removed(_) => (true, false),
        };
        needing(change.redacted(was, becomes), reboots)
    };
    differences.iter().map(change).collect()
}

fn needing(change: Change, reboots: bool) -> Change {
    if reboots { change.needs("--reboot") } else { change }
}

fn is_tried(mode: Mode) -> bool {
    matches!(mode, Mode::Try(_))
}

/// Whether a node that runs a config that was applied in this mode will go on running it.
fn stays(mode: Mode) -> bool {
    mode != Mode::Staged && !is_tried(mode)
}

fn outcome(mode: Mode, reboots: bool) -> &'static str {
    match mode {
        Mode::Staged => "staged",
        Mode::Try(_) => "tried",
        _ if reboots => "rebooted",
        _ => "applied",
    }
}

/// What is said of an outcome.
fn said(mode: Mode, outcome: &str) -> String {
    match mode {
        Mode::Staged => format!("{outcome}: it takes effect with the next boot"),
        Mode::Try(time) => {
            let time = humantime::format_duration(time);
            format!("{outcome}: the node reverts it after {time}, unless it is applied for good until then")
        }
        _ => outcome.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_stay_is_never_called_applied() {
        let tried = Mode::Try(Duration::from_secs(90));
        assert_eq!((outcome(Mode::Staged, false), stays(Mode::Staged)), ("staged", false));
        assert_eq!((outcome(tried, false), stays(tried)), ("tried", false));
        assert_eq!((outcome(Mode::Auto, true), stays(Mode::Auto)), ("rebooted", true));
        assert_eq!((outcome(Mode::NoReboot, false), stays(Mode::NoReboot)), ("applied", true));
        assert!(said(tried, "tried").contains("after 1m 30s"));
    }
}
