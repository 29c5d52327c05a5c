//! `pve-vm doctor`: checks that Proxmox VE has everything that is needed; changes nothing.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use pve_client::{Client, Rights, answer::Resource, request, rights};
use record::{
    Classify, Effect, Exit, Failure, Node,
    spec::{ClusterSpec, NodeSpec},
    status::{Doctor, Finding, FindingState, Image},
};
use step::{Run, Stop, Written};

use crate::{
    difference::{Difference, Sight},
    error::Error,
    fleet::Fleet,
    inventory::{Inventory, Known, Namesakes},
    leftovers,
    location::Location,
    machine::Machine,
    orphans,
    preflight::{Found, Intent, failure},
    reconcile::Reconcile,
    seeds,
};

mod findings;

/// The release for which [`privileges`] lists them.
const PROXMOX_VE_9: (u32, u32) = (9, 0);

/// The privileges that an API token needs on Proxmox VE 9.
pub fn privileges() -> Vec<&'static str> {
    rights::role(PROXMOX_VE_9)
}

/// What can be checked without knowing the cluster's VMs.
pub(crate) struct Checks<'a> {
    pub(crate) run: &'a Run,
    pub(crate) pve: &'a Client,
    pub(crate) spec: &'a ClusterSpec,
}

impl Checks<'_> {
    /// Checks the server, the token, and each host.
    pub(crate) async fn all(&self) -> Result<Vec<Finding>, Failure> {
        let spec = self.spec.proxmox.clone().unwrap_or_default();
        let release = self.pve.ask(&request::version()).await?;
        let insecure = step::variable("PROXMOX_VE_INSECURE").is_some();
        let mut found = vec![
            findings::tls(&self.pve.endpoint().to_string(), &spec, insecure),
            findings::version(&spec, None, &release.version, release.minor()),
        ];
        let rights = Rights::from(self.pve.ask(&request::permissions()).await?);
        found.extend(findings::privileges(&rights, self.pve.token(), &spec, release.minor()));
        found.extend(findings::console(&rights, self.pve.token(), self.spec, release.minor()));
        let parts = match rights.holds("/", rights::USEFUL) {
            true => Some(self.pve.ask(&request::cluster_status()).await?),
            false => None,
        };
        found.push(findings::quorum(parts.as_deref()));
        let rows = self.pve.ask(&request::resources()).await?;
        let mut seen = BTreeSet::new();
        for row in rows.iter().filter(|row| row.kind == "node") {
            found.push(findings::host(row));
            if row.status != "offline" {
                match self.host(row, &rights, &mut seen).await {
                    Ok(of_host) => found.extend(of_host),
                    Err(error) => found.push(unanswered(&row.node, &error)),
                }
            }
        }
        Ok(found)
    }

    /// Checks a host; `seen` are the shared storages whose volumes were looked at already.
    async fn host(
        &self,
        row: &Resource,
        rights: &Rights,
        seen: &mut BTreeSet<String>,
    ) -> Result<Vec<Finding>, pve_client::Error> {
        let (host, spec) = (row.node.as_str(), self.spec.proxmox.clone().unwrap_or_default());
        let release = self.pve.ask(&request::node_version(host)).await?;
        let mut found = vec![findings::version(&spec, Some(host), &release.version, release.minor())];
        let storages = self.pve.ask(&request::storages(host)).await?;
        found.extend(findings::storages(&spec, host, &storages, rights));
        let bridges = self.pve.ask(&request::bridges(host)).await?;
        let sees_all = rights.holds_below("/sdn/zones/localnetwork", "SDN.Use");
        found.extend(findings::bridge(&spec, host, &bridges, sees_all));
        let usable = |name: &str| storages.iter().any(|storage| storage.storage == name && storage.active);
        if let Some(images) = spec.images.as_ref().filter(|images| usable(&images.storage)) {
            let contents = self.pve.ask(&request::contents(host, &images.storage, images.via.content())).await?;
            let image: Option<Image> = self.run.cluster().get().ok().flatten();
            let volume = image.as_ref().and_then(|image| image.volumes.get(host)).map(String::as_str);
            let lock = self.run.dir().and_then(|dir| dir.lock()).ok().flatten();
            let mark = |volume: &str| lock.as_ref()?.copy(&format!("{host}/{volume}")).map(str::to_owned);
            found.push(findings::image(host, &self.spec.talos.version, volume, &contents, mark));
        }
        let disks = spec.storage.as_ref().and_then(|storage| storage.on(host));
        if let Some(disks) = disks.filter(|name| usable(name)) {
            let is_shared = storages.iter().any(|storage| storage.storage == disks && storage.shared);
            if !is_shared || seen.insert(disks.to_owned()) {
                found.extend(self.leftovers(host, disks).await?);
            }
        }
        if rights.holds(&format!("/nodes/{host}"), rights::USEFUL) {
            let theirs = self.pve.ask(&request::clock(host)).await?.time;
            let ours = SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs()).unwrap_or_default();
            found.push(findings::clock(host, theirs, ours));
        }
        Ok(found)
    }

    /// Disks that no VM has. The server knows also of guests that the token may not see.
    async fn leftovers(&self, host: &str, storage: &str) -> Result<Vec<Finding>, pve_client::Error> {
        let volumes = self.pve.ask(&request::disks(host, storage)).await?;
        let mut taken = BTreeSet::new();
        for vmid in volumes.iter().filter_map(|volume| volume.vmid).collect::<BTreeSet<u32>>() {
            if self.pve.ask(&request::is_free(vmid)).await.is_err() {
                taken.insert(vmid);
            }
        }
        let lock = self.run.dir().and_then(|dir| dir.lock()).ok().flatten();
        let is_remembered =
            |volume: &str| lock.as_deref().into_iter().flat_map(record::Lock::leftovers).any(|it| it == (host, volume));
        let volumes: Vec<_> = volumes.into_iter().filter(|volume| !is_remembered(&volume.volid)).collect();
        Ok(findings::leftovers(host, &volumes, &taken))
    }
}

/// A host that didn't answer a question.
fn unanswered(host: &str, error: &pve_client::Error) -> Finding {
    let why = record::chain(error);
    match error.facts().exit {
        Exit::NotAllowed => findings::fail("privileges", Some(host), why, error.hint().unwrap_or_default()),
        _ => findings::fail("host", Some(host), why, format!("see whether {host} is overloaded, and run again")),
    }
}

/// What the cluster's VMs show, and how much room the hosts have.
pub(crate) async fn of_vms(fleet: &Fleet, run: &Run) -> Vec<Finding> {
    let mut found = Vec::new();
    let rights = &fleet.inventory.rights;
    let sees_all = rights.holds_below("/vms", "VM.Audit") && rights.unseen_vms().is_empty();
    for host in fleet.inventory.hosts.iter().filter(|host| host.obstacle.is_none()) {
        let wanted = fleet.spec.proxmox.as_ref().and_then(|proxmox| proxmox.storage.as_ref()?.on(&host.name));
        // A host that can't be asked is a finding already.
        let rows = fleet.storages(&host.name).await.unwrap_or_default();
        let storage = rows.iter().find(|row| Some(row.storage.as_str()) == wanted);
        found.push(findings::room(host, storage, sees_all));
    }
    if let Some(pool) = fleet.pool() {
        // A server that can't be asked is a finding already.
        found.push(findings::pool(pool, fleet.has_pool(pool).await.unwrap_or_default()));
    }
    let roster = run.cluster().roster().cloned().unwrap_or_default();
    for known in fleet.inventory.unlisted(&fleet.identity, &roster) {
        let node = known.config.as_ref().ok().and_then(|config| fleet.identity.node(config));
        found.push(findings::unlisted(known, node.map(|node| (node, orphans::removal(run, node)))));
    }
    // A server that can't be asked is a finding already.
    for (host, volume, why) in leftovers::seen(run, fleet).await.unwrap_or_default() {
        found.push(findings::remembered(&host, &volume, why));
    }
    found.extend(seeds::strays(run, fleet).await.unwrap_or_default().iter().map(findings::stray));
    found.extend(fleet.inventory.trials(&fleet.identity).map(findings::trial));
    for known in &fleet.inventory.known {
        if let Some(config) = known.config.as_ref().ok().filter(|config| fleet.identity.marks(config)) {
            found.extend(findings::unused(known.vmid, &known.host, config));
            found.extend(findings::medium(known.vmid, &known.host, config));
        }
    }
    found
}

/// Shows the findings as a table, and writes them.
pub(crate) fn report(run: &Run, found: Vec<Finding>) -> Option<Failure> {
    for it in &found {
        let state = match it.state {
            FindingState::Ok => "ok",
            FindingState::Warn => "warn",
            FindingState::Fail => "FAIL",
            FindingState::Unknown => "?",
        };
        let host = it.host.as_deref().unwrap_or("-");
        let fix = it.fix.as_ref().map(|fix| format!("; {fix}")).unwrap_or_default();
        run.announce(&format!("{state:<4}  {:<10}  {host:<8}  {}{fix}", it.check, it.reason));
    }
    let count = |state| found.iter().filter(|it| it.state == state).count();
    let (failed, warned) = (count(FindingState::Fail), count(FindingState::Warn) + count(FindingState::Unknown));
    run.announce(&format!("{} checks: {failed} failed, {warned} to look at; each node's own follow", found.len()));
    let verdict = findings::verdict(&found);
    run.write_cluster(&Doctor { findings: found }, Effect::Unchanged, Vec::new());
    verdict.map(|(exit, reasons, fixes)| Error::Unfit { exit, reasons, fixes }.into())
}

/// Asks for a node what `ensure` and `destroy` would be refused.
pub(crate) async fn of_node(
    fleet: &Fleet,
    run: &Run,
    node: &Node,
    machine: &Machine,
    spec: &NodeSpec,
) -> Result<Written, Stop> {
    let checked = check_node(fleet, run, node, machine, spec).await;
    checked.map_err(|mut failure| {
        if failure.exit != Exit::NotAllowed {
            failure.exit = Exit::Failed;
        }
        failure
    })?;
    Ok(Written::nothing())
}

async fn check_node(fleet: &Fleet, run: &Run, node: &Node, machine: &Machine, spec: &NodeSpec) -> Result<(), Failure> {
    let found = fleet.inventory.find(&fleet.identity, &fleet.cluster, node.name(), Namesakes::Refused)?;
    let refused = match found {
        None => check_new(fleet, machine).await,
        Some(known) => check_known(fleet, run, node, machine, known).await,
    };
    // A right that is missing may be why the rest can't be seen; else what isn't there is why nothing can be done.
    if let Err(failure) = &refused
        && failure.exit == Exit::NotAllowed
    {
        return refused;
    }
    Reconcile { run, fleet, node, machine, spec, found }.check_all_references().await?;
    refused
}

/// Asks what the next run, and `destroy`, would be refused.
async fn check_known(fleet: &Fleet, run: &Run, node: &Node, machine: &Machine, known: &Known) -> Result<(), Failure> {
    let config = known.config.as_ref().map_err(Clone::clone)?;
    let power = fleet.pve.ask(&request::power(&known.host, known.vmid)).await?;
    let found = Found { vmid: known.vmid, config, power: Some(&power) };
    let vm = Some(found);
    let location = Location { vmid: known.vmid, host: known.host.clone() };
    let (pool, sent) = (fleet.inventory.pool(known.vmid), BTreeSet::new());
    let sight =
        Sight { location: &location, config, is_running: power.is_running(), pool, migrates: false, sent: &sent };
    let change = Intent::change(machine, &Difference::between(machine, sight), power.is_running());
    let mut refused = fleet.refusals(&known.host, &change, vm).await?;
    // What the VM has already may be set again by a change of the file, or after somebody's.
    refused.extend(fleet.lacking(machine, &known.host, found));
    if let Some(failure) = failure(refused) {
        return Err(failure);
    }
    for refusal in fleet.refusals(&known.host, &Intent::destruction(), vm).await? {
        run.say(node, &format!("destroying would be refused: {}", refusal.message));
    }
    Ok(())
}

/// A node without a VM needs one host that can take it.
async fn check_new(fleet: &Fleet, machine: &Machine) -> Result<(), Failure> {
    let is_wanted = |name: &str| machine.host.as_ref().is_none_or(|wanted| wanted == name);
    let hosts = fleet.inventory.hosts.iter().filter(|host| host.obstacle.is_none() && is_wanted(&host.name));
    let mut last = None;
    for host in hosts {
        let intent = Intent::creation(machine, &host.name);
        match failure(fleet.refusals(&host.name, &intent, None).await?) {
            None => return Ok(()),
            refused => last = refused,
        }
    }
    let node = machine.name.clone();
    let nowhere = || Error::NoRoom { node, reasons: std::collections::BTreeMap::new(), right: None };
    Err(last.unwrap_or_else(|| nowhere().into()))
}

/// The inventory for the checks of nodes, if it can be had.
pub(crate) fn usable(read: Result<Inventory, Failure>) -> Result<Option<Inventory>, Failure> {
    match read {
        Ok(inventory) => Ok(Some(inventory)),
        // The token's rights are a finding already.
        Err(failure) if failure.exit == Exit::NotAllowed => Ok(None),
        Err(failure) => Err(failure),
    }
}
