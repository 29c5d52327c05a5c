//! What is asked before a VM gets a disc.

use pve_access::{
    Location, answers,
    seed::{Kept, REMOVES, WRITES},
};
use pve_client::{request, rights};
use record::Failure;

use crate::{error::Error, seeding::Seeding};

/// What a token needs on the VM. Whoever takes out a drive of cloud-init needs the right to set one (9.2.11).
const ON_VM: [&str; 4] = ["VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Config.Options", "VM.PowerMgmt"];

impl Seeding<'_> {
    /// Whether a file of this name and size is on the storage, which must take it.
    pub(crate) async fn is_there(&self, wanted: &Kept, size: u64) -> Result<bool, Failure> {
        let (storage, host) = (self.shared.storage.clone(), self.location.host.clone());
        let rows = self.shared.pve.ask(&request::storages(&host)).await?;
        let Some(row) = rows.iter().find(|row| row.storage == storage) else {
            return Err(Error::NoSuchStorage { storage, host }.into());
        };
        if !row.active {
            return Err(Error::Inactive { storage, host }.into());
        }
        if !row.holds("iso") {
            return Err(Error::NoContent { storage, host, advice: row.advice("iso") }.into());
        }
        let contents = self.shared.pve.ask(&request::contents(&host, &storage, "iso")).await?;
        Ok(contents.iter().any(|found| found.volid == wanted.volume && found.size == Some(size)))
    }

    /// Asks for every right before anything is written.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        let (rights, location) = (&self.shared.rights, &self.location);
        let vm = format!("/vms/{}", location.vmid);
        let pool = self.pool().map(|pool| format!("/pool/{pool}"));
        let holds = |privilege: &str| {
            rights.holds(&vm, privilege) || pool.as_ref().is_some_and(|pool| rights.holds(pool, privilege))
        };
        let storage = format!("/storage/{}", self.shared.storage);
        let place = pool.clone().unwrap_or_else(|| "/vms".to_owned());
        let mut lacks: Vec<(&str, &str)> = ON_VM
            .into_iter()
            .filter(|privilege| !holds(privilege))
            .map(|privilege| (privilege, place.as_str()))
            .collect();
        if !rights.holds(&storage, WRITES) {
            lacks.push((WRITES, &storage));
        }
        if lacks.is_empty() {
            return Ok(());
        }
        let release = self.shared.pve.ask(&request::version()).await?.minor();
        let mut role = rights::role(release);
        role.extend(ON_VM.into_iter().filter(|privilege| !rights::NEEDED.contains(privilege)));
        let mut paths: Vec<&str> = lacks.iter().map(|(_, path)| *path).collect();
        paths.dedup();
        let token = self.shared.pve.token();
        let commands = rights.commands(token, &paths, &role);
        let lacks: Vec<String> = lacks.iter().map(|(privilege, path)| format!("{privilege} on {path}")).collect();
        Err(Error::MayNot { token: token.to_owned(), lacks: lacks.join(", "), commands }.into())
    }

    pub(crate) fn pool(&self) -> Option<&str> {
        self.spec.vm.get("pool").and_then(|pool| pool.as_str()).or(self.shared.pool.as_deref())
    }

    /// Refuses to start a VM whose static address somebody has already.
    pub(crate) async fn check_address(&self) -> Result<(), Failure> {
        let Some(address) = self.spec.static_address() else { return Ok(()) };
        if !answers(address).await {
            return Ok(());
        }
        let Location { vmid, host } = self.location.clone();
        Err(Error::AddressAnswers { address: address.to_string(), vmid, host }.into())
    }

    /// Says, once, who can read what is about to be written.
    pub(crate) fn warn(&self) {
        if self.shared.warned.set(()).is_err() {
            return;
        }
        let storage = &self.shared.storage;
        let path = format!("/storage/{storage}");
        let until = match self.shared.rights.holds(&path, REMOVES) {
            true => "removed".to_owned(),
            false => format!("overwritten ({REMOVES} on {path} would remove it)"),
        };
        self.run.warn(&format!(
            "whoever may read the storage {storage} can read the secrets of the configs there; each is {until} by the next run, \
             once its node has it"
        ));
    }
}
