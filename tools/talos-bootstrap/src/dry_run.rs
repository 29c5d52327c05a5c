//! What a run would do, from one look.

use std::sync::Arc;

use record::{Change, Effect, Impact};
use step::{Run, Stop};
use talos_client::Identity;

use crate::{
    error::Error,
    observe::{ControlPlane, begun, observe},
    plan::{Before, Decision, Observation, decide, doubt, shown, unsure_elsewhere},
    progress::{bootstrapped, revived},
    run::{Bootstrap, Outcome, outcome},
};

impl Bootstrap {
    /// Reports what would be done, from one look. What needs a flag is a change that says so.
    pub(crate) async fn plan(
        &self,
        run: &Run,
        control_planes: &[ControlPlane],
        identity: Option<&Arc<Identity>>,
        before: &Before,
    ) -> Result<Outcome, Stop> {
        let seen = match identity {
            Some(identity) => observe(control_planes, identity).await,
            None => Vec::new(),
        };
        let elsewhere = match identity {
            Some(identity) => self.elsewhere(run, control_planes, identity).await.unwrap_or_default(),
            None => Vec::new(),
        };
        match decide(&seen, before) {
            Decision::Runs { node, members, ids } => match unsure_elsewhere(&ids, &elsewhere) {
                Ok(_) => Ok(outcome(&seen, node, members, Effect::Unchanged)),
                Err(other) => Err(Error::Split(node, other).into()),
            },
            Decision::Other { node, ids, remembered } => {
                let change = Change::live("etcd").from(shown(&remembered)).to(shown(&ids)).needs("--fresh");
                Ok(Outcome { changes: vec![change], ..outcome(&seen, node, Vec::new(), Effect::Pending) })
            }
            Decision::Stuck(name) => {
                let change = revived(&name);
                let change = if self.reboot_stuck { change } else { change.needs("--reboot-stuck") };
                Ok(Outcome { changes: vec![change], ..outcome(&seen, name, Vec::new(), Effect::Pending) })
            }
            Decision::Split(one, other) => Err(Error::Split(one, other).into()),
            Decision::Refused(failure) => Err(failure.into()),
            Decision::Explained if identity.is_some() && control_planes.iter().any(ControlPlane::failed) => {
                Err(Stop::Explained)
            }
            Decision::Start(_) | Decision::Lost(_) | Decision::Wait(_) | Decision::Explained => {
                let first = control_planes.first().ok_or(Stop::Explained)?.name.clone();
                let changes = vec![match begun(elsewhere) {
                    Some(why) => Change::live("etcd").to(format!("not known yet: {why}")),
                    None => would_bootstrap(&first, &seen, before),
                }];
                Ok(Outcome { changes, ..outcome(&seen, first, Vec::new(), Effect::Pending) })
            }
        }
    }
}

/// What a run would do once it reaches all control planes and finds no etcd.
fn would_bootstrap(first: &str, seen: &[Observation], before: &Before) -> Change {
    match doubt(seen) {
        _ if !before.locked.is_bootstrapped() => bootstrapped(first),
        // It may well run: nothing is said that isn't known.
        Some(doubt) => Change::live("etcd").to(format!("not known yet: {doubt}")),
        None => Change { impact: Impact::DataLoss, ..bootstrapped(first) }.from("lost").needs("--fresh"),
    }
}
