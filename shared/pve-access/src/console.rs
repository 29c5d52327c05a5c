//! The serial console: the last source of a VM's addresses, and the only one that tells who answers there.
//!
//! Talos prints how it is reached, and the certificate that it shows until it has its config, once each and again only
//! when they change; nobody keeps that for later readers. So the console is opened before the VM is switched on. It takes
//! the privilege VM.Console; without that, nobody is asked and nothing is said.

mod lines;
mod transcript;
mod watch;

use std::collections::BTreeMap;

use pve_client::{
    Client, Endpoint, Fingerprint, Rights,
    answer::{ClusterPart, Host},
    request, rights,
};
use record::{Classify, Exit};
use tokio::sync::{Mutex, OnceCell};

pub(crate) use self::transcript::SILENCE;
pub use self::watch::Watch;
use crate::{finder::Finder, gates::Gates};

/// The privilege that it takes.
pub const PRIVILEGE: &str = "VM.Console";
/// The release from which on API tokens can open a console.
pub const SINCE: (u32, u32) = (9, 1);
/// The port of a VM that Talos prints to, and its value.
pub const PORT: (&str, &str) = ("serial0", "socket");
/// Maximum number of consoles read at once on one host: each is a process there, and takes one of 100 ports.
const CONSOLES: usize = 32;

/// Why a console isn't read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Obstacle {
    #[error("API tokens can open consoles from Proxmox VE 9.1 on, {host} has {version}")]
    Release { host: String, version: String },
    #[error("the token {token} lacks {PRIVILEGE}, so its console is not read")]
    Right { token: String, path: String, rights: Rights },
    #[error("it has no `serial0: socket`, so it has no console to read")]
    NoPort,
    #[error("{host} itself is not reached, and a console belongs to its host: {why}")]
    NoHost { host: String, why: String },
    #[error("its console can't be read: {why}")]
    Refused { why: String, is_final: bool },
    #[error("its console was closed")]
    Closed,
    #[error("its console says more than any machine does, and is not read any more")]
    Flood,
}

impl Obstacle {
    fn of(error: &pve_client::Error) -> Self {
        // A ticket that isn't taken may only have been too old; a right that is missing stays so.
        let is_final = error.facts().exit == Exit::NotAllowed;
        Self::Refused { why: record::chain(error), is_final }
    }

    /// What to do about it.
    pub(crate) fn advice(&self, release: (u32, u32)) -> Option<String> {
        match self {
            Self::Right { .. } if release < SINCE => None,
            Self::Right { token, path, rights } => {
                let mut role = rights::role(release);
                role.push(PRIVILEGE);
                Some(format!("or let the serial console be read: {}", rights.commands(token, &[path], &role)))
            }
            Self::NoPort => Some("or set `serial0: socket` for it, so that its console can be read".to_owned()),
            Self::NoHost { host, .. } => {
                Some(format!("or make {host} resolvable and reachable from here, so that its console can be read"))
            }
            Self::Release { .. } | Self::Refused { .. } | Self::Closed | Self::Flood => None,
        }
    }
}

/// What the searches of a run share: the hosts whose consoles are read, and places at them.
#[derive(Debug, Default)]
pub struct Sources {
    members: OnceCell<Members>,
    /// A client of each host, or why there is none.
    hosts: Mutex<BTreeMap<String, Result<Client, Obstacle>>>,
    /// Whether it was said that this release doesn't let tokens read.
    pub(crate) told: OnceCell<()>,
    pub(crate) gates: Gates,
}

/// The hosts of the cluster.
#[derive(Debug)]
struct Members {
    hosts: Vec<Host>,
    /// As far as the token may know them.
    parts: Vec<ClusterPart>,
}

impl Members {
    async fn read(pve: &Client) -> Result<Self, pve_client::Error> {
        let hosts = pve.ask(&request::nodes()).await?;
        let parts = pve.ask(&request::cluster_status()).await.unwrap_or_default();
        Ok(Self { hosts, parts })
    }

    /// Where to look for a host, and the certificate that it shows.
    fn places(&self, endpoint: &Endpoint, host: &str) -> (Vec<Endpoint>, Option<Fingerprint>) {
        let part = self.parts.iter().find(|part| part.kind == "node" && part.name == host);
        let address = part.and_then(|part| part.ip.as_deref());
        let row = self.hosts.iter().find(|row| row.node == host);
        let shown = row.and_then(|row| Fingerprint::parse(row.ssl_fingerprint.as_deref()?).ok());
        (endpoint.of_host(host, address, self.hosts.len() == 1), shown)
    }
}

impl Finder<'_> {
    /// Opens the console of a VM. What keeps it from being read is no error: the addresses may come from elsewhere.
    pub(crate) async fn open(&self) -> Result<Watch, Obstacle> {
        self.may_read()?;
        let host = self.location.host.as_str();
        let pve = self.host_client(host).await?;
        let place = self.place(format!("consoles of {host}"), CONSOLES).await;
        Ok(Watch::of_vm(pve, self.location, place))
    }

    /// Whether the VM has a console, and the token may read it.
    fn may_read(&self) -> Result<(), Obstacle> {
        if !self.has_port {
            return Err(Obstacle::NoPort);
        }
        let rights = self.rights;
        let vm = format!("/vms/{}", self.location.vmid);
        let by_pool = self.pool.map(|pool| format!("/pool/{pool}"));
        if rights.holds(&vm, PRIVILEGE) || by_pool.as_ref().is_some_and(|path| rights.holds(path, PRIVILEGE)) {
            return Ok(());
        }
        let path = by_pool.unwrap_or_else(|| "/vms".to_owned());
        Err(Obstacle::Right { token: self.pve.token().to_owned(), path, rights: rights.clone() })
    }

    /// What to do about an obstacle.
    pub(crate) async fn advice(&self, obstacle: &Obstacle) -> Option<String> {
        // The role's privileges depend on the release.
        let release = match obstacle {
            Obstacle::Right { .. } => self.pve.ask(&request::node_version(&self.location.host)).await.ok()?.minor(),
            _ => SINCE,
        };
        obstacle.advice(release)
    }

    /// Whether its console can be read, as far as the token and the VM's own settings go.
    pub fn can_be_read(&self) -> bool {
        self.may_read().is_ok()
    }

    /// A client that talks to this host and to no other.
    async fn host_client(&self, host: &str) -> Result<Client, Obstacle> {
        let mut hosts = self.sources.hosts.lock().await;
        if let Some(known) = hosts.get(host) {
            return known.clone();
        }
        let found = self.find_host(host).await;
        hosts.insert(host.to_owned(), found.clone());
        found
    }

    async fn find_host(&self, host: &str) -> Result<Client, Obstacle> {
        let release = self.pve.ask(&request::node_version(host)).await.map_err(|error| Obstacle::of(&error))?;
        if release.minor() < SINCE {
            return Err(Obstacle::Release { host: host.to_owned(), version: release.version });
        }
        let members = self.sources.members.get_or_try_init(|| Members::read(self.pve));
        let members = members.await.map_err(|error| Obstacle::of(&error))?;
        let (places, shown) = members.places(self.pve.endpoint(), host);
        let mut why = Vec::new();
        for place in places {
            if place == *self.pve.endpoint() {
                return Ok(self.pve.clone());
            }
            let asked = match self.pve.at(place, shown) {
                Ok(client) => {
                    client.ask(&request::version()).await.map(|_| client).map_err(|error| record::chain(&error))
                }
                Err(error) => Err(error.to_string()),
            };
            match asked {
                Ok(client) => return Ok(client),
                Err(error) => why.push(error),
            }
        }
        Err(Obstacle::NoHost { host: host.to_owned(), why: why.join("; ") })
    }
}

/// Whether the schematic of this cluster certainly brings no guest agent. One that is only known by its ID may have one.
pub fn has_no_agent(spec: &record::spec::ClusterSpec) -> bool {
    const AGENT: &str = "siderolabs/qemu-guest-agent";
    let Some(schematic) = &spec.talos.schematic else { return true };
    if schematic.get("id").is_some() {
        return false;
    }
    let extensions = schematic.pointer("/customization/systemExtensions/officialExtensions");
    !extensions.and_then(serde_json::Value::as_array).is_some_and(|list| list.iter().any(|name| name == AGENT))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_is_known_by_the_certificate_that_the_cluster_tells() {
        let digits = "AB".repeat(32);
        let hosts = serde_json::from_value(json!([
            {"node": "pve1", "ssl_fingerprint": "x"}, {"node": "pve2", "ssl_fingerprint": digits}]));
        let parts = serde_json::from_value(json!([
            {"type": "cluster", "name": "pve2"}, {"type": "node", "name": "pve2", "ip": "10.0.0.2"}]));
        let members = Members { hosts: hosts.unwrap(), parts: parts.unwrap() };
        let endpoint = Endpoint::parse("10.0.0.1").unwrap();

        let (places, shown) = members.places(&endpoint, "pve2");
        assert_eq!(places[0].to_string(), "10.0.0.2:8006");
        assert_eq!(shown, Fingerprint::parse(&digits).ok());
        let (places, shown) = members.places(&endpoint, "pve1");
        assert!(places.iter().all(|place| *place != endpoint), "it may be a balanced address");
        assert_eq!(shown, None);
    }

    #[test]
    fn what_keeps_a_console_from_being_read_is_told_with_what_helps() {
        let rights = Rights::default();
        let right = Obstacle::Right { token: "a@pve!cli".into(), path: "/vms".into(), rights };
        let advice = right.advice((9, 2)).unwrap();
        assert!(advice.contains("pveum acl modify /vms") && advice.contains("VM.GuestAgent.Audit"), "{advice}");
        assert!(advice.contains("VM.Console\"`"), "{advice}");
        assert_eq!(right.advice((8, 4)), None, "the right would not help");
        assert!(Obstacle::NoPort.advice((9, 2)).unwrap().contains("`serial0: socket`"));
        let unreached = Obstacle::NoHost { host: "pve2".into(), why: "x".into() };
        assert!(unreached.advice((9, 2)).unwrap().contains("pve2"));
    }

    #[test]
    fn a_schematic_without_the_extension_has_no_agent_and_one_by_its_id_may() {
        let spec = |schematic: serde_json::Value| -> record::spec::ClusterSpec {
            serde_json::from_value(json!({"talos": {"version": "v1.13.9", "schematic": schematic}})).unwrap()
        };
        let with = |names: &[&str]| json!({"customization": {"systemExtensions": {"officialExtensions": names}}});
        assert!(has_no_agent(&spec(json!(null))) && has_no_agent(&spec(json!({}))));
        assert!(has_no_agent(&spec(with(&["siderolabs/iscsi-tools"]))));
        assert!(!has_no_agent(&spec(with(&["siderolabs/qemu-guest-agent"]))));
        assert!(!has_no_agent(&spec(json!({"id": "ab".repeat(32)}))));
    }
}
