//! Finding the orphans of a call, and asking what they are.

use pve_client::{Client, answer::Config, request};
use record::{Effect, Failure, Node, Role, status::Addresses};
use step::{Hold, Run, Stop, Written};
use talos_access::{Answer, AtHand, Credentials};
use talos_client::Address;

use super::{Orphan, address, distinct, listed, macs, named};
use crate::{args::Chosen, error::Error, fleet::Fleet, identity::Identity, inventory::Inventory, reconcile::Reconcile};

/// Where orphans are looked for.
pub(crate) struct Search<'a> {
    pub(crate) run: &'a Run,
    pub(crate) pve: &'a Client,
    pub(crate) identity: &'a Identity,
    pub(crate) inventory: &'a Inventory,
}

impl Search<'_> {
    /// The nodes of the orphans that the call is about. Those of a call for some names need no look at what can't be seen,
    /// if all are found.
    pub(crate) async fn nodes(&self, chosen: &Chosen) -> Result<Vec<Node>, Failure> {
        let Self { run, identity, inventory, .. } = self;
        let roster = run.listed();
        let asked: &[String] = if let Chosen::Named(names) = chosen { names } else { &[] };
        let orphans = inventory.orphans(identity, &roster, asked);
        let all: Vec<String> = orphans.iter().map(|orphan| orphan.node.to_owned()).collect();
        let orphans = match chosen {
            Chosen::None => Vec::new(),
            Chosen::Listed | Chosen::All | Chosen::WithAll => {
                inventory.sees_orphans(identity, &roster)?;
                orphans
            }
            Chosen::Named(names) => {
                let found = named(orphans, names, &roster)?;
                for name in names.iter().filter(|name| !all.contains(name)) {
                    inventory.sees_orphans(identity, &roster)?;
                    run.announce(&format!(
                        "no VM of node {name} was found: there is nothing to destroy{}",
                        others(&all)
                    ));
                }
                found
            }
        };
        distinct(&orphans)?;
        let mut nodes = Vec::new();
        for orphan in orphans {
            let role = match orphan.role {
                Some(role) => role,
                None => match self.asked_role(orphan).await {
                    Ok(role) => role,
                    // What this call is not about keeps nobody from the rest.
                    Err(_) if !run.is_selected(orphan.node) => {
                        let told = orphan.told();
                        run.announce(&format!("{told} is not listed: nothing says its role, and --only names others"));
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
            };
            nodes.push(orphan.record(run.cluster().name(), role));
        }
        Ok(nodes)
    }

    /// The role of a node whose VM an earlier release made, as Talos there reports it.
    async fn asked_role(&self, orphan: Orphan<'_>) -> Result<Role, Error> {
        let (known, uuid) = (orphan.known, self.identity.uuid(orphan.node));
        let machine = Machine { vmid: known.vmid, host: &known.host, config: orphan.config, uuid: &uuid };
        let asked = machine.role(self.run, self.pve, None).await;
        asked.map_err(|why| Error::UnknownRole { vm: orphan.told(), node: orphan.node.to_owned(), why })
    }
}

/// A VM whose role Talos knows.
pub(crate) struct Machine<'a> {
    pub(crate) vmid: u32,
    pub(crate) host: &'a str,
    pub(crate) config: &'a Config,
    pub(crate) uuid: &'a str,
}

impl Machine<'_> {
    /// The role that Talos on the VM reports: at this address, or where the VM is by its config or its guest agent.
    ///
    /// # Errors
    /// Why nobody says it.
    pub(crate) async fn role(&self, run: &Run, pve: &Client, at: Option<&str>) -> Result<Role, Vec<String>> {
        let AtHand { identity, .. } = match Credentials::at_hand(run) {
            Ok(Some(at_hand)) => at_hand,
            Ok(None) => return Err(vec!["there is no talosconfig to ask with".to_owned()]),
            Err(failure) => return Err(vec![failure.message]),
        };
        let mut why = Vec::new();
        for address in self.addresses(pve, at).await {
            let answer = talos_access::ask(&address, Some(&identity)).await;
            match self.role_of(answer).await {
                Ok(role) => return Ok(role),
                Err(reason) => why.push(format!("{}: {reason}", address.host())),
            }
        }
        if why.is_empty() {
            why.push("no address of it is known".to_owned());
        }
        Err(why)
    }

    async fn role_of(&self, answer: Result<Answer, Hold>) -> Result<Role, String> {
        let found = match answer {
            Ok(Answer::Ours(found)) => found,
            Ok(Answer::Maintenance(_)) => return Err("it is in maintenance mode".to_owned()),
            Err(Hold::NotYet(why)) => return Err(why),
            Err(Hold::Failed(failure)) => return Err(failure.message),
        };
        if found.uuid.as_deref() != Some(self.uuid) {
            return Err("another machine responds there".to_owned());
        }
        match found.node.is_control_plane().await {
            Ok(Some(true)) => Ok(Role::ControlPlane),
            Ok(Some(false)) => Ok(Role::Worker),
            Ok(None) => Err("it doesn't report its role".to_owned()),
            Err(error) => Err(record::chain(&error)),
        }
    }

    async fn addresses(&self, pve: &Client, at: Option<&str>) -> Vec<Address> {
        let own = address(self.config).map(|address| address.split('/').next().unwrap_or_default().to_owned());
        let mut texts: Vec<String> = own.into_iter().chain(at.map(str::to_owned)).collect();
        if texts.is_empty() {
            texts = by_agent(pve, self.vmid, self.host, self.config).await;
        }
        texts.dedup();
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

/// The addresses that a VM's guest agent reports now; none if it doesn't.
async fn by_agent(pve: &Client, vmid: u32, host: &str, config: &Config) -> Vec<String> {
    let nics = pve.ask(&request::nics(host, vmid)).await.unwrap_or_default();
    let macs: Vec<String> = macs(config).into_values().collect();
    pve_access::agent_addresses(&nics, &macs)
}

fn others(all: &[String]) -> String {
    if all.is_empty() { String::new() } else { format!(" (nodes that left the file: {})", all.join(", ")) }
}

/// What `list` reports of an orphan: its VM as it is, and the address that it has now.
pub(crate) async fn list(fleet: &Fleet, reconcile: &Reconcile<'_>) -> Result<Written, Stop> {
    let Some(known) = reconcile.found else { return Ok(Written::nothing()) };
    let config = known.config.as_ref().map_err(Clone::clone)?;
    let mut vm = reconcile.vm(reconcile.location().as_ref());
    vm.macs = macs(config).into_values().collect();
    vm.orphan = true;
    let found = match reconcile.spec.static_address() {
        Some(address) => vec![address.to_string()],
        None if known.running => by_agent(&fleet.pve, known.vmid, &known.host, config).await,
        None => Vec::new(),
    };
    let written = Written::field(&vm, Effect::Unchanged);
    Ok(if found.is_empty() { written } else { written.and(&Addresses(found)) })
}

/// Says which orphans go with the whole cluster, before anybody consents to that.
pub(crate) fn announce(run: &Run, identity: &Identity, inventory: &Inventory) {
    let would = if run.is_dry_run() { "would also destroy" } else { "also destroys" };
    let names = listed(run);
    for known in &inventory.known {
        let node = known.config.as_ref().ok().and_then(|config| identity.node(config));
        if let Some(node) = node.filter(|node| names.iter().any(|name| name == node)) {
            let vm = super::told(known);
            run.announce(&format!("{would} {vm}: node {node} belongs to this cluster but isn't in the file"));
        }
    }
}
