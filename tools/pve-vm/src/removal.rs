//! `pve-vm destroy`: consent, the guard of etcd, and what is remembered afterwards.

use record::{Effect, Failure};
use step::{Console, Stop, Written};

use crate::{
    args::Chosen, error::Error, etcd::EtcdGate, fleet::Fleet, leftovers, orphans, preflight::Intent,
    reconcile::Reconcile, remembered, run::PveVm, ties::Id,
};

impl PveVm {
    pub(crate) async fn destroy(&self, reconcile: &Reconcile<'_>) -> Result<Written, Stop> {
        let (fleet, written) = (reconcile.fleet, self.destroy_vm(reconcile).await?);
        if !reconcile.run.is_dry_run() {
            reconcile.remove_trial(false).await?;
        }
        if fleet.etcd.completes(reconcile).await? {
            self.confirmed(reconcile).await?;
            EtcdGate::forget(reconcile.run)?;
        }
        Ok(written)
    }

    async fn destroy_vm(&self, reconcile: &Reconcile<'_>) -> Result<Written, Stop> {
        let Some(location) = reconcile.location() else { return Ok(Written::nothing()) };
        if reconcile.run.is_dry_run() {
            if let Some(known) = reconcile.found {
                let config = known.config.clone()?;
                reconcile.operation(location.clone()).checked_plan(&config, &Intent::destruction()).await?;
            }
            reconcile.run.say(reconcile.node, &format!("would destroy {location}"));
            let mut left = reconcile.fleet.etcd.foresee_destroy(reconcile).await?;
            left.extend(reconcile.operation(location.clone()).snapshots_lost().await?);
            return Ok(reconcile.destroyed(&location, Effect::Pending, left));
        }
        self.confirmed(reconcile).await?;
        let permit = reconcile.fleet.etcd.pass_destroy(reconcile).await?;
        // Before the act: whoever is killed in the middle of it must not forget that it was wanted.
        let lost = reconcile.operation(location.clone()).snapshots_lost().await?;
        remembered::destroyed(reconcile.run, reconcile.node)?;
        let operation = reconcile.operation(location.clone());
        let destroyed = operation.destroy_for_good(Some((reconcile, &permit)), false, Id::Free).await;
        if !leftovers::is_gone(&destroyed) {
            remembered::remember(reconcile.run, reconcile.node, location.vmid)?;
        }
        destroyed?;
        let left = [permit.destroyed(reconcile, false), lost].concat();
        Ok(reconcile.destroyed(&location, Effect::Changed, left))
    }

    async fn confirmed(&self, reconcile: &Reconcile<'_>) -> Result<(), Stop> {
        let stopping = reconcile.run.stopping();
        tokio::select! {
            confirmed = self.confirmed.get_or_init(|| self.confirm(reconcile)) => Ok(confirmed.clone()?),
            () = stopping.cancelled() => Err(Failure::interrupted().into()),
        }
    }

    /// The VMs that this call is about, each with what goes with it, in the file's order.
    async fn going(&self, reconcile: &Reconcile<'_>) -> Result<Vec<String>, Failure> {
        let (run, fleet) = (reconcile.run, reconcile.fleet);
        let orphans = orphans::listed(run);
        let is_meant = |name: &str| match self.chosen.is_alone() {
            true => orphans.iter().any(|orphan| orphan == name),
            false => run.is_selected(name),
        };
        let names: Vec<String> =
            run.listed().iter().map(|entry| entry.name.to_string()).filter(|name| is_meant(name)).collect();
        let mut lines = Vec::new();
        for name in names {
            lines.extend(fleet.told_to_go(&name).await?);
        }
        Ok(lines)
    }

    /// Asks once for all nodes.
    async fn confirm(&self, reconcile: &Reconcile<'_>) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let fleet: &Fleet = reconcile.fleet;
        let names = orphans::listed(reconcile.run).join(", ");
        let what = match &self.chosen {
            Chosen::All | Chosen::Named(_) => format!("the VMs of {names}, which aren't in the file"),
            _ if names.is_empty() => "the VMs of this cluster".to_owned(),
            _ => format!("the VMs of this cluster, also of {names}, which aren't in the file"),
        };
        for line in self.going(reconcile).await? {
            reconcile.run.announce(&format!("would destroy {line}"));
        }
        let question = format!("type {} to destroy {what}: ", fleet.cluster);
        let asking = tokio::task::spawn_blocking(move || Console::new("pve-vm").ask(&question));
        match asking.await.ok().flatten() {
            Some(answer) if answer == fleet.cluster => Ok(()),
            Some(_) => Err(Error::OtherName.into()),
            None => Err(Error::Unconfirmed.into()),
        }
    }
}
