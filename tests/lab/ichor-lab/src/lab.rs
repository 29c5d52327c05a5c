//! Everything together: a lab with its network, its servers and its folder.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tempfile::TempDir;

use crate::cluster_file::ClusterFile;
use crate::provision;
use crate::trouble::Troubles;
use crate::web::Web;
use lab_core::delays::Delays;
use lab_core::scenario::{Chooser, Scenario};
use lab_core::subnet::Subnet;
use lab_factory::{self as factory, Factory};
use lab_pve::{self as pve, Pve, Release, Storage};
use lab_talos::{self as talos, Talos};

/// Numbers of hosts in the lab's network: the gateway, Proxmox VE, the factory, the shared address.
const GATEWAY: u32 = 1;
const PROXMOX: u32 = 2;
const FACTORY: u32 = 3;
const VIP: u32 = 10;
/// The first node; DHCP begins at 100, so the nodes that don't fit below it come after the space left to DHCP.
const FIRST_NODE: u32 = 11;
const DHCP: u32 = 100;
/// What `root@pam` logs in with.
const PASSWORD: &str = "lab-password";

/// What a lab is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the cluster.
    pub name: String,
    /// Control planes in the cluster file.
    pub control_planes: usize,
    /// Workers in the cluster file.
    pub workers: usize,
    /// Version of Talos in the cluster file.
    pub talos: String,
    /// Whether the control planes share an address.
    pub vip: bool,
    /// Whether the workers ask DHCP for their addresses.
    pub dhcp: bool,
    /// Names of the hosts of Proxmox VE.
    pub hosts: Vec<String>,
    /// Storages of Proxmox VE.
    pub storages: Vec<Storage>,
    /// How long things take.
    pub delays: Delays,
    /// The release of Proxmox VE that is played.
    pub proxmox: Release,
    /// How the Image Factory is set up.
    pub factory: factory::Mode,
    /// What goes wrong.
    pub scenario: Option<Scenario>,
    /// Where every call with its fate is written, as JSON lines.
    pub record: Option<PathBuf>,
    /// A recording whose fates come again.
    pub replay: Option<PathBuf>,
    /// Where the cluster file goes; defaults to a folder that is removed with the lab.
    pub dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "lab".to_owned(),
            control_planes: 1,
            workers: 1,
            talos: "v1.13.9".to_owned(),
            vip: false,
            dhcp: false,
            hosts: vec!["pve1".to_owned()],
            storages: vec![Storage::local(), Storage::local_lvm()],
            delays: Delays::ZERO,
            proxmox: Release::V9_2,
            factory: factory::Mode::default(),
            scenario: None,
            record: None,
            replay: None,
            dir: None,
        }
    }
}

/// A running lab; dropping it stops everything and removes a folder of its own making.
pub struct Lab {
    name: String,
    pve: Arc<Pve>,
    factory: Factory,
    talos: Arc<Talos>,
    web: Web,
    troubles: Troubles,
    dir: PathBuf,
    _own_dir: Option<TempDir>,
    subnet: Subnet,
    options: Options,
    /// Whether a cluster was brought up, so that there are files for talosctl and kubectl.
    ready: std::sync::atomic::AtomicBool,
}

impl Lab {
    /// Starts a lab on the current runtime.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let subnet = Subnet::claim(options.control_planes + options.workers)?;
        let settings = talos::Settings { subnet: subnet.net, delays: options.delays };
        let talos = Talos::new(settings, Arc::new(lab_kube::Kube));
        let pve = Arc::new(Pve::start(hypervisor(&options, &subnet), Arc::clone(&talos) as _)?);
        pve.add_user("root@pam", PASSWORD, &[]);
        let address = IpAddr::V4(subnet.host(FACTORY));
        let factory = Factory::start(factory::Settings { address, port: 8080, delays: options.delays })?;
        let chooser = Arc::new(chooser(&options)?);
        pve.set_chooser(&chooser);
        factory.set_chooser(&chooser);
        factory.set_mode(options.factory);
        talos.set_chooser(&chooser);
        let (dir, own_dir) = folder(options.dir.as_deref())?;
        write(&dir.join("pve-root-ca.pem"), pve.ca_pem())?;
        write(&dir.join("cluster.yaml"), &cluster_file(&options, &subnet, &pve.endpoint()))?;
        let name = options.name.clone();
        let web = Web::start(subnet.host(GATEWAY).into(), &name, pve.observer(), &talos)?;
        let troubles = options.scenario.as_ref().map(|scenario| scenario.troubles.clone()).unwrap_or_default();
        let troubles = Troubles::start(troubles, &pve, &talos)?;
        Ok(Self {
            name,
            web,
            troubles,
            pve,
            factory,
            talos,
            dir,
            _own_dir: own_dir,
            subnet,
            options,
            ready: Default::default(),
        })
    }

    /// Brings up the cluster of the cluster file undisturbed, and writes `talosconfig`, `kubeconfig` and `secrets.yaml`
    /// beside it.
    pub async fn bring_up(&self) -> anyhow::Result<()> {
        let nodes: Vec<_> = nodes(&self.options, &self.subnet);
        let first = nodes.iter().find_map(|(_, control_plane, address)| address.filter(|_| *control_plane));
        let vip = self.options.vip.then(|| self.subnet.host(VIP));
        let endpoint = vip.or(first).context("a cluster needs a control plane")?;
        let plan = provision::Plan {
            name: &self.name,
            talos: &self.options.talos,
            endpoint: format!("https://{endpoint}:6443"),
            nodes,
            gateway: self.subnet.host(GATEWAY),
            prefix: self.subnet.net.prefix_len(),
            vip,
        };
        self.troubles.stop();
        let access = provision::bring_up(&plan, &self.pve, &self.talos).await?;
        write_secret(&self.dir.join("talosconfig"), &access.talosconfig)?;
        write_secret(&self.dir.join("kubeconfig"), &access.kubeconfig)?;
        write_secret(&self.dir.join("secrets.yaml"), &access.secrets)?;
        self.ready.store(true, std::sync::atomic::Ordering::Relaxed);
        self.troubles.restart();
        Ok(())
    }

    /// Name of the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hypervisor.
    pub fn pve(&self) -> &Pve {
        &self.pve
    }

    /// The Image Factory.
    pub fn factory(&self) -> &Factory {
        &self.factory
    }

    /// The nodes.
    pub fn talos(&self) -> &Arc<Talos> {
        &self.talos
    }

    /// URL of the page that shows the lab live.
    pub fn web(&self) -> String {
        self.web.endpoint()
    }

    /// The folder with the cluster file.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The cluster file.
    pub fn cluster_file(&self) -> PathBuf {
        self.dir.join("cluster.yaml")
    }

    /// What a command needs in its environment to work on this lab.
    pub fn env(&self) -> Vec<(String, String)> {
        let loopback = "127.0.0.0/8,localhost";
        let pairs = [
            ("ICHOR_CLUSTER", self.cluster_file().display().to_string()),
            ("PROXMOX_VE_ENDPOINT", self.pve.endpoint()),
            ("PROXMOX_VE_API_TOKEN", self.pve.token().to_owned()),
            ("ICHOR_LAB_PASSWORD", PASSWORD.to_owned()),
            ("ICHOR_FACTORY", self.factory.endpoint()),
            ("ICHOR_LAB", self.web.endpoint()),
            ("NO_PROXY", loopback.to_owned()),
            ("no_proxy", loopback.to_owned()),
        ];
        let mut pairs = pairs.map(|(name, value)| (name.to_owned(), value)).to_vec();
        if self.ready.load(std::sync::atomic::Ordering::Relaxed) {
            for (name, file) in [("TALOSCONFIG", "talosconfig"), ("KUBECONFIG", "kubeconfig")] {
                pairs.push((name.to_owned(), self.dir.join(file).display().to_string()));
            }
        }
        pairs
    }
}

/// What decides what goes wrong.
fn chooser(options: &Options) -> anyhow::Result<Chooser> {
    let chooser = Chooser::new(options.scenario.clone());
    if let Some(path) = &options.replay {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        chooser.replay(&text).with_context(|| format!("{} is not a recording", path.display()))?;
    }
    if let Some(path) = &options.record {
        let file = fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        chooser.record(Box::new(file));
    }
    Ok(chooser)
}

/// Hosts that are large enough for what the cluster file asks.
fn hypervisor(options: &Options, subnet: &Subnet) -> pve::Settings {
    let nodes = (options.control_planes + options.workers) as u64;
    pve::Settings {
        address: IpAddr::V4(subnet.host(PROXMOX)),
        port: 8006,
        nodes: options.hosts.clone(),
        memory: (1 << 40) + nodes * (16 << 30),
        storages: options.storages.clone(),
        delays: options.delays,
        release: options.proxmox,
        ..pve::Settings::default()
    }
}

fn folder(wanted: Option<&Path>) -> anyhow::Result<(PathBuf, Option<TempDir>)> {
    match wanted {
        Some(dir) => {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            Ok((dir.canonicalize()?, None))
        }
        None => {
            let own = tempfile::Builder::new().prefix("ichor-lab-").tempdir()?;
            Ok((own.path().to_owned(), Some(own)))
        }
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file that only its owner reads.
fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let folder = path.parent().context("a file lies in a folder")?;
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).with_context(|| format!("cannot write {}", path.display()))
}

/// Nodes: name, whether it is a control plane, address unless DHCP gives it.
fn nodes(options: &Options, subnet: &Subnet) -> Vec<(String, bool, Option<Ipv4Addr>)> {
    let mut addresses = addresses(subnet);
    let mut next = || addresses.next().unwrap_or(Ipv4Addr::LOCALHOST);
    let control_planes = (1..=options.control_planes).map(|number| (format!("cp-{number}"), true));
    let workers = (1..=options.workers).map(|number| (format!("w-{number}"), false));
    let all = control_planes.chain(workers);
    all.map(|(name, control_plane)| (name, control_plane, (control_plane || !options.dhcp).then(&mut next))).collect()
}

fn cluster_file(options: &Options, subnet: &Subnet, proxmox: &str) -> String {
    let (control_planes, workers): (Vec<_>, Vec<_>) =
        nodes(options, subnet).into_iter().partition(|(_, control_plane, _)| *control_plane);
    let control_planes =
        control_planes.into_iter().map(|(name, _, address)| (name, address.unwrap_or(Ipv4Addr::LOCALHOST))).collect();
    let workers = workers.into_iter().map(|(name, _, address)| (name, address)).collect();
    ClusterFile {
        name: &options.name,
        talos: &options.talos,
        proxmox,
        net: subnet.net,
        gateway: subnet.host(GATEWAY),
        vip: options.vip.then(|| subnet.host(VIP)),
        control_planes,
        workers,
    }
    .text()
}

/// Static addresses: below those of DHCP, then from the top of the network downwards.
fn addresses(subnet: &Subnet) -> impl Iterator<Item = Ipv4Addr> + use<> {
    let (first, last) = (u32::from(subnet.net.network()), u32::from(subnet.net.broadcast()));
    let low = (FIRST_NODE..DHCP).map(move |number| Ipv4Addr::from(first + number));
    low.chain((first + 2 * DHCP..last).rev().map(Ipv4Addr::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn labs_run_side_by_side_each_with_a_cluster_file_of_its_own() {
        let (one, two) = tokio::join!(Lab::start(Options::default()), Lab::start(Options::default()));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_ne!(one.pve().endpoint(), two.pve().endpoint());
        let text = fs::read_to_string(one.cluster_file()).unwrap();
        assert!(text.contains(&one.pve().endpoint()), "{text}");
        let dir = one.dir().to_owned();
        drop(one);
        assert!(!dir.exists(), "the folder goes with the lab");
        assert!(two.cluster_file().exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scenario_decides_what_goes_wrong_and_a_recording_repeats_it() {
        let scenario = "apiVersion: ichor-lab/v1\nkind: Scenario\nname: x\nseed: 3\nfaults:\n\
                        - {on: factory, call: GET /versions, do: fail, status: 503, message: no, chance: 0.5}\n";
        let folder = tempfile::tempdir().unwrap();
        let recording = folder.path().join("run.jsonl");
        let first = Options {
            scenario: Some(Scenario::parse(scenario).unwrap()),
            record: Some(recording.clone()),
            ..Options::default()
        };
        let second = Options { replay: Some(recording), ..Options::default() };
        let (first, second) = (versions(first).await, versions(second).await);
        assert_eq!(first, second);
        assert!(first.contains(&503) && first.contains(&200), "{first:?}");
    }

    /// The statuses of ten questions for the factory's versions.
    async fn versions(options: Options) -> Vec<u16> {
        let lab = Lab::start(options).await.unwrap();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(
                rustls::ClientConfig::builder_with_provider(lab_core::tls::provider())
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_root_certificates(rustls::RootCertStore::empty())
                    .with_no_client_auth(),
            )
            .no_proxy()
            .build()
            .unwrap();
        let mut found = Vec::new();
        for _ in 0..10 {
            let reply = client.get(format!("{}/versions", lab.factory().endpoint())).send().await.unwrap();
            found.push(reply.status().as_u16());
        }
        found
    }

    #[test]
    fn three_hundred_nodes_have_addresses_of_their_own() {
        let subnet = Subnet::claim(300).unwrap();
        let found: std::collections::BTreeSet<Ipv4Addr> = addresses(&subnet).take(300).collect();
        assert_eq!(found.len(), 300);
        assert!(found.iter().all(|address| subnet.net.contains(address)));
    }
}
