//! One node: what it is doing and what it holds.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;

use super::config::{Config, Hostname, Role};
use super::events::Event;
use super::faults::Faults;
use super::pki::{self, Identity, Names};
use super::version::Version;
use super::world::Down;
use lab_core::machine::{Image, Machine};

/// What a machine is busy with; the numbers are those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Switched off, or without a system to boot.
    Unknown = 0,
    /// On its way to the next stage, or waiting for etcd.
    Booting = 1,
    /// Writing Talos to its disk.
    Installing = 2,
    /// Waiting for a machine config.
    Maintenance = 3,
    /// Its boot sequence is over.
    Running = 4,
    /// Going down to come up again.
    Rebooting = 5,
    /// Going down.
    ShuttingDown = 6,
    /// Wiping its disk.
    Resetting = 7,
    /// Changing to another release.
    Upgrading = 8,
}

impl Stage {
    /// The name in YAML: `maintenance`, `shutting down`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Booting => "booting",
            Self::Installing => "installing",
            Self::Maintenance => "maintenance",
            Self::Running => "running",
            Self::Rebooting => "rebooting",
            Self::ShuttingDown => "shutting down",
            Self::Resetting => "resetting",
            Self::Upgrading => "upgrading",
        }
    }
}

/// What answers on port 50000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Closed,
    /// TLS with a certificate that nobody vouches for, and no client certificate.
    Maintenance,
    /// Mutual TLS.
    Secured,
}

/// The etcd service of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EtcdService {
    Absent,
    /// Looking for a cluster to join.
    Preparing,
    /// Pulling its image, after a Bootstrap; it has no data yet.
    Pulling,
    Starting,
    Running,
    /// A second Bootstrap has stopped it while it was starting: nothing but a reboot starts it again.
    Stuck,
    /// Its recovery failed.
    Failed,
}

/// Something that takes a while to come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Off,
    Starting,
    Up,
}

/// How often a test's subject has acted on a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Configurations that were accepted, without dry runs.
    pub applied: u32,
    /// Accepted configurations that differed from the one before.
    pub changed: u32,
    /// Bootstraps that were accepted.
    pub bootstrapped: u32,
    /// Boots since the node was made.
    pub boots: u32,
    /// Calls that reached the API.
    pub calls: u32,
}

/// What is written on a boot disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    /// Whether the guest wiped it whole, so that nothing boots from it.
    pub(crate) wiped: bool,
    /// The system that the guest itself installed or upgraded to.
    pub(crate) installed: Option<Image>,
    pub(crate) config: Option<String>,
    /// The system before the last upgrade, which a rollback boots again.
    pub(crate) previous: Option<Image>,
    /// The META partition: values by key.
    pub(crate) meta: std::collections::BTreeMap<u8, String>,
    /// A snapshot of etcd that was uploaded to recover from.
    pub(crate) snapshot: Option<Vec<u8>>,
    /// `(etcd cluster, member)` whose data directory lies here.
    pub(crate) etcd: Option<(u64, u64)>,
}

/// A node and its state.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) on: bool,
    /// Grows whenever what was planned before no longer counts.
    pub(crate) epoch: u64,
    pub(crate) stage: Stage,
    pub(crate) api: Api,
    /// Whether a configured node has come far enough to open its API.
    pub(crate) api_due: bool,
    /// Grows whenever connections of before must end.
    pub(crate) generation: u64,
    /// Grows whenever the certificate must be reissued.
    pub(crate) names: u64,
    pub(crate) image: Option<Image>,
    pub(crate) boot_id: String,
    pub(crate) booted_at: Duration,
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) addresses: Vec<IpNet>,
    /// Shared addresses that the node holds at the moment.
    pub(crate) shared: Vec<IpAddr>,
    pub(crate) maintenance: Arc<OnceLock<Identity>>,
    pub(crate) time_synced: bool,
    /// Whether a controller installs Talos while the boot continues.
    pub(crate) installing: bool,
    pub(crate) etcd: EtcdService,
    /// When it was last asked to bootstrap in this boot, and took it.
    pub(crate) etcd_asked: Option<Duration>,
    pub(crate) apiserver: Progress,
    pub(crate) kubelet: Progress,
    /// Whether the kubelet is on its way down and up again.
    pub(crate) kubelet_away: bool,
    pub(crate) console: Vec<String>,
    /// Problems that the node shows as resources: name and message.
    pub(crate) diagnostics: std::collections::BTreeMap<String, String>,
    /// Images that were pulled through the API.
    pub(crate) pulled: std::collections::BTreeSet<String>,
    /// Services that were stopped through the API.
    pub(crate) stopped: std::collections::BTreeSet<String>,
    pub(crate) events: VecDeque<Event>,
    /// How the node goes down, and who asked, until its services stop.
    pub(crate) going_down: Option<(Down, String)>,
    /// The events of the boot before, for those who still listen.
    pub(crate) farewell: VecDeque<Event>,
    pub(crate) counts: Counts,
    pub(crate) faults: Faults,
    pub(crate) revision: u64,
}

impl Node {
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            machine,
            on: false,
            epoch: 0,
            stage: Stage::Unknown,
            api: Api::Closed,
            api_due: false,
            generation: 0,
            names: 0,
            image: None,
            boot_id: String::new(),
            booted_at: Duration::ZERO,
            config: None,
            addresses: Vec::new(),
            shared: Vec::new(),
            maintenance: Arc::default(),
            time_synced: true,
            installing: false,
            etcd: EtcdService::Absent,
            etcd_asked: None,
            apiserver: Progress::Off,
            kubelet: Progress::Off,
            kubelet_away: false,
            console: Vec::new(),
            diagnostics: Default::default(),
            pulled: Default::default(),
            stopped: Default::default(),
            events: VecDeque::new(),
            going_down: None,
            farewell: VecDeque::new(),
            counts: Counts::default(),
            faults: Faults::default(),
            revision: 0,
        }
    }

    /// The running release; the newest that is known when none runs.
    pub(crate) fn version(&self) -> Version {
        let parsed = self.image.as_ref().and_then(|image| image.version.parse().ok());
        parsed.unwrap_or(Version { major: 1, minor: 13, patch: 0 })
    }

    /// The version as the image spells it.
    pub(crate) fn tag(&self) -> String {
        self.image.as_ref().map(|image| image.version.clone()).unwrap_or_default()
    }

    pub(crate) fn role(&self) -> Option<Role> {
        self.config.as_ref().map(|config| config.role)
    }

    pub(crate) fn is_control_plane(&self) -> bool {
        self.role() == Some(Role::ControlPlane)
    }

    /// The first address, which other nodes use.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.addresses.first().map(IpNet::addr)
    }

    /// Host name and domain.
    pub(crate) fn hostname(&self) -> (String, String) {
        let platform =
            (!self.machine.network.is_empty() && !self.machine.name.is_empty()).then(|| self.machine.name.clone());
        let config = self.config.as_ref().map(|config| &config.network.hostname);
        let full = match config {
            Some(Hostname::Static(name)) => name.clone(),
            Some(Hostname::Stable) => platform.unwrap_or_else(|| stable_name(&self.machine.uuid)),
            _ => platform.unwrap_or_else(|| self.address_name()),
        };
        match full.split_once('.') {
            Some((host, domain)) => (host.to_owned(), domain.to_owned()),
            None => (full, String::new()),
        }
    }

    fn address_name(&self) -> String {
        let address = self.address().map(|a| a.to_string()).unwrap_or_default();
        format!("talos-{}", address.replace(['.', ':'], "-"))
    }

    /// Host name with its domain, if it has one.
    pub(crate) fn full_name(&self) -> String {
        match self.hostname() {
            (host, domain) if domain.is_empty() => host,
            (host, domain) => format!("{host}.{domain}"),
        }
    }

    /// Names for a certificate of the node's API.
    pub(crate) fn certificate_names(&self) -> Names {
        let own = self.addresses.iter().map(IpNet::addr).chain(self.shared.iter().copied());
        let mut addresses: Vec<IpAddr> = own.collect();
        let local: IpAddr = [127, 0, 0, 1].into();
        if !addresses.contains(&local) {
            addresses.push(local);
        }
        let mut names = vec![self.hostname().0];
        let extra = self.config.iter().flat_map(|config| config.certificate_names.iter().cloned());
        for name in std::iter::once(self.full_name()).chain(extra) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Names { common: self.full_name(), addresses, names }
    }

    /// The maintenance certificate of this boot, made when somebody first asks.
    pub(crate) fn maintenance_identity(&self) -> Result<&Identity, pki::Error> {
        if let Some(identity) = self.maintenance.get() {
            return Ok(identity);
        }
        let common = "maintenance-service.talos.dev".to_owned();
        let mut names = self.certificate_names();
        names.addresses.push(std::net::Ipv6Addr::LOCALHOST.into());
        let identity = pki::maintenance(&Names { common, ..names })?;
        Ok(self.maintenance.get_or_init(|| identity))
    }

    /// Whether etcd runs here.
    pub(crate) fn has_etcd(&self) -> bool {
        self.on && self.etcd == EtcdService::Running
    }
}

/// The name that a machine keeps as long as its identity: `talos-` and twice three characters of its hash.
fn stable_name(uuid: &str) -> String {
    use sha2::{Digest, Sha256};
    const ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digest = Sha256::digest(uuid.as_bytes());
    let mut value = digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    let mut text = String::new();
    while value > 0 {
        text.insert(0, char::from(ALPHABET[(value % 36) as usize]));
        value /= 36;
    }
    let text = format!("{text:0>8}");
    format!("talos-{}-{}", &text[1..4], &text[4..7])
}
