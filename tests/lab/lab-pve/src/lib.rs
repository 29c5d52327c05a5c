//! Proxmox VE 9.x: the REST API over TLS, with storages, tasks and VMs.
//!
//! The state machine (`state` and the modules around it) does no I/O; `driver` gives it a clock and carries out what
//! it leaves to do, `server` speaks HTTP. Texts of refusals are those of the real request handlers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use lab_core::delays::Delays;
use lab_core::machine::Machines;

mod access;
mod access_routes;
mod address_formats;
mod agent;
mod allowed;
mod arrivals;
mod backup;
mod browse;
mod change;
mod clone;
mod cluster_routes;
mod config;
mod content;
mod create;
mod destroy;
mod directory;
mod disks;
mod dispatch;
mod download;
mod drive_keys;
mod driver;
mod faults;
mod firewall;
mod form;
mod guest;
mod ha;
mod ha_rules;
mod id_formats;
mod inject;
mod keys;
mod locks;
mod migrate;
mod move_disk;
mod observe;
mod option_formats;
mod options;
mod plug;
mod pools;
mod power;
mod privileges;
mod property;
mod quorum;
mod reads;
mod release;
mod reply;
mod resources;
mod rights;
mod routes;
mod schema;
mod server;
mod snapshots;
mod ssh_keys;
mod start;
mod state;
mod status;
mod storage;
mod storage_setup;
mod task;
mod task_kind;
mod task_run;
mod terminal;
mod terminal_io;
#[cfg(test)]
mod tests;
mod ticket;
mod ties;
mod tls;
mod upload;
mod users;
mod vm_routes;

pub use access::{ROLE, role};
use driver::Driver;
pub use lab_core::fault::Fault;
pub use locks::Lock;
pub use observe::Observer;
pub use release::Release;
use state::{State, Vm};
pub use storage::{Storage, StorageKind};

/// What the cluster is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of the server.
    pub address: IpAddr,
    /// Port of the server; 0 takes a free one.
    pub port: u16,
    /// Name of the cluster, which only a cluster of several hosts has.
    pub cluster: String,
    /// Names of the hosts; all are reached through the one server.
    pub nodes: Vec<String>,
    /// Cores of each host.
    pub cores: u32,
    /// Bytes of memory of each host.
    pub memory: u64,
    /// Storages, which every host has.
    pub storages: Vec<Storage>,
    /// Bridges of every host.
    pub bridges: Vec<String>,
    /// `user@realm!id` of the API token.
    pub token: String,
    /// Secret of the API token.
    pub secret: String,
    /// The release that is played.
    pub release: Release,
    /// How long name and status in the cluster's resources lag behind.
    pub resources_lag: Duration,
    /// How long things take.
    pub delays: Delays,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            cluster: "lab".to_owned(),
            nodes: vec!["pve1".to_owned()],
            cores: 128,
            memory: 1 << 40,
            storages: vec![Storage::local(), Storage::local_lvm()],
            bridges: vec!["vmbr0".to_owned()],
            token: "ichor@pve!lab".to_owned(),
            secret: "00000000-1111-4222-8333-444444444444".to_owned(),
            release: Release::V9_2,
            resources_lag: Duration::ZERO,
            delays: Delays::ZERO,
        }
    }
}

/// A running server; dropping it stops it.
pub struct Pve {
    driver: Arc<Driver>,
    address: SocketAddr,
    ca_pem: String,
    fingerprint: String,
    token: String,
}

impl Drop for Pve {
    fn drop(&mut self) {
        self.driver.stopped.cancel();
    }
}

/// A VM as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmView {
    /// Its ID.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The host that it is on.
    pub node: String,
    /// SMBIOS UUID, lower case.
    pub uuid: String,
    /// Whether it runs.
    pub running: bool,
    /// Its options, without pending changes.
    pub config: BTreeMap<String, String>,
    /// Why Talos does not boot on it, if it cannot.
    pub obstacle: Option<&'static str>,
}

/// A disk on a storage, as tests see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskView {
    /// `storage:name`.
    pub volume: String,
    /// Which allocation made it: another disk of the same name has another number.
    pub serial: u64,
    /// The VM that its name is of.
    pub vmid: u32,
}

impl VmView {
    fn of(id: u32, vm: &Vm) -> Self {
        Self {
            id,
            name: vm.claimed.clone().filter(|_| !vm.config.contains_key("name")).unwrap_or_else(|| vm.name(id)),
            node: vm.node.clone(),
            uuid: vm.uuid().unwrap_or_default(),
            running: vm.running.is_some(),
            config: vm.config.clone(),
            obstacle: guest::obstacle(&vm.config),
        }
    }
}

/// A task as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Its identifier.
    pub upid: String,
    /// `qmcreate`, `download` …
    pub kind: String,
    /// What it worked on.
    pub id: String,
    /// `OK` or an error; `None` while it runs.
    pub exit: Option<String>,
    /// Its log.
    pub log: Vec<String>,
}

impl TaskView {
    fn of(task: &task::Task) -> Self {
        Self {
            upid: task.upid.clone(),
            kind: task.kind.to_owned(),
            id: task.id.clone(),
            exit: task.exit().map(str::to_owned),
            log: task.log().to_vec(),
        }
    }
}

impl Pve {
    /// Starts a server on the current runtime; the machines run what it switches on.
    pub fn start(settings: Settings, machines: Arc<dyn Machines>) -> anyhow::Result<Self> {
        let identity = tls::identity(settings.address, &settings.nodes)?;
        let wanted = SocketAddr::new(settings.address, settings.port);
        let listener = std::net::TcpListener::bind(wanted).with_context(|| format!("cannot listen on {wanted}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let token = format!("{}={}", settings.token, settings.secret);
        let driver = Driver::new(State::new(settings, identity.fingerprint.clone(), machines));
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
        tokio::spawn(server::serve(Arc::clone(&driver), TcpListener::from_std(listener)?, acceptor));
        Ok(Self { driver, address, ca_pem: identity.ca_pem, fingerprint: identity.fingerprint, token })
    }

    /// `https://address:port`.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The API token: `user@realm!id=secret`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// PEM of the cluster's authority.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// SHA-256 of the server's certificate, upper-case pairs with colons.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Lets a scenario decide what goes wrong from now on.
    pub fn set_chooser(&self, chooser: &Arc<lab_core::scenario::Chooser>) {
        self.driver.chooser.get_or_init(|| Arc::clone(chooser));
    }

    /// The VM with this ID.
    pub fn vm(&self, id: u32) -> Option<VmView> {
        self.driver.with(|state| state.vms.get(&id).map(|vm| VmView::of(id, vm)))
    }

    /// The VM with this name; of several, the one with the lowest ID.
    pub fn vm_by_name(&self, name: &str) -> Option<VmView> {
        self.vms().into_iter().find(|vm| vm.name == name)
    }

    /// All VMs by ID.
    pub fn vms(&self) -> Vec<VmView> {
        self.driver.with(|state| state.vms.iter().map(|(id, vm)| VmView::of(*id, vm)).collect())
    }

    /// All tasks, the oldest first.
    pub fn tasks(&self) -> Vec<TaskView> {
        let mut tasks: Vec<TaskView> = self.driver.with(|state| state.tasks.newest_first().map(TaskView::of).collect());
        tasks.reverse();
        tasks
    }

    /// Volume IDs on a storage of a host.
    pub fn volumes(&self, node: &str, storage: &str) -> Vec<String> {
        self.driver.with(|state| {
            let Ok(storage) = state.storage(storage) else { return Vec::new() };
            let rows = state.volumes.rows(&storage, node, None, None);
            rows.iter().filter_map(|row| row["volid"].as_str().map(str::to_owned)).collect()
        })
    }

    /// The machine config on a disc of NoCloud that is on a storage of a host.
    pub fn user_data(&self, node: &str, volume: &str) -> Option<String> {
        self.driver.with(|state| {
            let storage = state.storage(volume.split(':').next().unwrap_or_default()).ok()?;
            state.volumes.get(&storage, node, volume)?.seed.as_ref()?.user_data.clone()
        })
    }

    /// Every disk of a VM on every storage, also one that no VM refers to any more.
    pub fn disks(&self) -> Vec<DiskView> {
        self.driver.with(|state| state.volumes.disks())
    }

    /// Every request so far: method and path.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.driver.requests()
    }

    /// How many requests wanted to change something.
    pub fn writes(&self) -> u64 {
        self.requests().iter().map(|(method, _)| u64::from(method != "GET")).sum()
    }

    /// Waits until the condition holds; the caller bounds the time.
    pub async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let mut changes = self.driver.changes();
        while !holds(self) {
            // The sender lives as long as the driver, which this handle keeps.
            let _changed = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
        }
    }
}
