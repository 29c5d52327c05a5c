//! What names a VM by its ID: jobs that make backups or replicate, its firewall, rights that were given on it. A VM that takes
//! the place of another keeps the ID where it can, so that the jobs go on; what goes with the VM all the same is told before.

use pve_client::{Kind, request};
use record::{Change, Failure, Impact};

use crate::{changes::VmOperation, ha::Managed, reconcile::Reconcile};

/// What becomes of what names a VM that another one takes the place of.
pub(crate) struct Ties {
    /// Whether the other one has its ID, so that jobs that name it go on.
    pub(crate) keeps_id: bool,
    /// What is lost.
    pub(crate) lost: Vec<Change>,
}

/// What becomes of the ID of a VM that is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    /// It is free: jobs forget it.
    Free,
    /// Jobs that name it mean another VM: the one that takes its place, or an earlier one.
    Kept,
}

impl Ties {
    /// The same for the ID.
    pub(crate) fn id(&self) -> Id {
        if self.keeps_id { Id::Kept } else { Id::Free }
    }
}

impl Reconcile<'_> {
    /// What would be lost with this VM, said and as changes, and whether the next one has its ID.
    pub(crate) async fn ties(&self, operation: &VmOperation<'_>) -> Result<Ties, Failure> {
        let (replicated, keeps) = (operation.replications().await?, self.may_keep_id(operation).await?);
        // With these jobs, Proxmox VE destroys no VM without taking its ID out of all jobs.
        let keeps_id = keeps && replicated.is_empty();
        let mut lost = operation.of_vm().await?;
        if !keeps_id {
            lost.extend(list("replication", &replicated));
            lost.extend(operation.backups().await?);
        }
        let (vmid, verb) = (operation.location.vmid, if self.run.is_dry_run() { "would be lost" } else { "is lost" });
        for change in &lost {
            let what = change.from.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
            self.run.say(self.node, &format!("with VM {vmid} {verb}: {} ({what})", change.what));
        }
        Ok(Ties { keeps_id, lost })
    }

    /// Whether the new VM may have the old one's ID. The manager of high availability forgets a VM only together with its
    /// jobs, and may take a while.
    async fn may_keep_id(&self, operation: &VmOperation<'_>) -> Result<bool, Failure> {
        let (fleet, vmid) = (self.fleet, operation.location.vmid);
        let is_wanted = match self.machine.vmid {
            Some(wanted) => wanted == vmid,
            None => fleet.is_in_range(vmid)?,
        };
        if !is_wanted || self.machine.managed != Managed::Unset {
            return Ok(false);
        }
        Ok(!fleet.pve.ask(&request::power(&operation.location.host, vmid)).await?.ha.managed)
    }
}

impl VmOperation<'_> {
    /// What Proxmox VE removes with every VM: its firewall, and rights on it.
    async fn of_vm(&self) -> Result<Vec<Change>, Failure> {
        let (pve, host, vmid) = (&self.fleet.pve, &self.location.host, self.location.vmid);
        let rules = seen(pve.ask(&request::firewall_rules(host, vmid)).await)?.unwrap_or_default().len();
        let is_on = seen(pve.ask(&request::firewall_options(host, vmid)).await)?.is_some_and(|options| options.enable);
        let mut lost = Vec::new();
        if is_on || rules > 0 {
            let state = if is_on { "on" } else { "off" };
            lost.push(Change::new("firewall", Impact::DataLoss).from(format!("{state}, rules: {rules}")));
        }
        let path = format!("/vms/{vmid}");
        let rights = seen(pve.ask(&request::rights()).await)?.unwrap_or_default();
        let rights = rights.into_iter().filter(|right| right.path == path);
        let rights: Vec<String> = rights.map(|right| format!("{} of {}", right.roleid, right.ugid)).collect();
        lost.extend(list("rights", &rights));
        Ok(lost)
    }

    /// The jobs that replicate the VM.
    async fn replications(&self) -> Result<Vec<String>, Failure> {
        let jobs = seen(self.fleet.pve.ask(&request::replications()).await)?.unwrap_or_default();
        let jobs = jobs.into_iter().filter(|job| job.guest == Some(self.location.vmid.into()));
        Ok(jobs.map(|job| job.id).collect())
    }

    /// The jobs that make backups of the VM by its ID.
    async fn backups(&self) -> Result<Option<Change>, Failure> {
        const WHAT: &str = "backup jobs";
        let Some(jobs) = seen(self.fleet.pve.ask(&request::backup_jobs()).await)? else {
            return Ok(Some(Change::new(WHAT, Impact::DataLoss).from("unknown, to see them takes Sys.Audit on /")));
        };
        let jobs: Vec<String> =
            jobs.into_iter().filter(|job| job.names(self.location.vmid)).map(|job| job.id).collect();
        Ok(list(WHAT, &jobs))
    }
}

/// Things that are lost, if there are any.
fn list(what: &str, names: &[String]) -> Option<Change> {
    (!names.is_empty()).then(|| Change::new(what, Impact::DataLoss).from(names.join(", ")))
}

/// An answer, if the token may have it.
fn seen<T>(answer: Result<T, pve_client::Error>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == Some(Kind::Forbidden) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
