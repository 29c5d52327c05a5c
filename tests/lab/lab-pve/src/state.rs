//! Everything that the simulated Proxmox VE knows, and how its parts find each other. No I/O happens here: what has to
//! happen outside is left in [`State::effects`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::access::{Access, Token};
use super::faults::Faults;
use super::ha::Ha;
use super::locks::Locks;
use super::pools::Pool;
use super::reply::Refusal;
use super::snapshots::Snapshot;
use super::storage::{Storage, Volumes};
use super::task::Tasks;
use super::task_run::TaskRun;
use super::terminal::Terminals;
use super::ties::Ties;
use lab_core::machine::{Machine, Machines};

/// Options of a VM, as the configuration file has them.
pub(crate) type Config = BTreeMap<String, String>;

/// A VM.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vm {
    /// The host that it is on.
    pub(crate) node: String,
    /// Its options.
    pub(crate) config: Config,
    /// Changes that wait for the next start; `None` deletes.
    pub(crate) pending: BTreeMap<String, Option<String>>,
    /// Its snapshots by name.
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// Since when it runs, and with what options; `None` while it is off.
    pub(crate) running: Option<Running>,
    /// The name that it will have once it is made.
    pub(crate) claimed: Option<String>,
    /// The pool that it is in.
    pub(crate) pool: Option<String>,
    /// What the cluster's resources say while they lag.
    pub(crate) published: Option<Published>,
    /// When its name or status last changed, in seconds since 1970.
    pub(crate) changed: u64,
}

/// A VM that is switched on.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// Seconds since 1970.
    pub(crate) since: u64,
    /// Process of the emulator.
    pub(crate) pid: u32,
    /// The options that it was started with.
    pub(crate) config: Config,
    /// Whether it was stopped where it is.
    pub(crate) paused: bool,
    /// How often its reset button was pressed. Whoever reads its console reads on.
    pub(crate) resets: u32,
}

/// What `/cluster/resources` shows of a VM.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// Its name.
    pub(crate) name: String,
    /// Whether it runs.
    pub(crate) running: bool,
}

impl Vm {
    /// The options with pending changes merged in.
    pub(crate) fn wanted(&self) -> Config {
        let mut config = self.config.clone();
        for (key, value) in &self.pending {
            match value {
                Some(value) => config.insert(key.clone(), value.clone()),
                None => config.remove(key),
            };
        }
        config
    }

    /// Its name, or what Proxmox VE calls a VM without one.
    pub(crate) fn name(&self, vmid: u32) -> String {
        self.config.get("name").cloned().unwrap_or_else(|| format!("VM {vmid}"))
    }

    /// The refusal of a VM that is locked.
    pub(crate) fn unlocked(&self) -> Result<(), String> {
        match self.config.get("lock") {
            Some(lock) => Err(format!("VM is locked ({lock})")),
            None => Ok(()),
        }
    }

    /// Whether a boolean option is on.
    pub(crate) fn is_set(&self, option: &str) -> bool {
        self.config.get(option).is_some_and(|value| value == "1")
    }

    /// SMBIOS UUID, lower case.
    pub(crate) fn uuid(&self) -> Option<String> {
        let smbios = self.config.get("smbios1")?;
        smbios.split(',').find_map(|part| part.strip_prefix("uuid=")).map(str::to_lowercase)
    }
}

/// Something to be done outside.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A VM was switched on.
    On(Box<Machine>),
    /// A VM was switched off.
    Off(String),
    /// A disk is gone.
    DiskRemoved(String),
    /// A task goes on after a while.
    Run {
        /// The task.
        upid: String,
        /// How long it takes.
        delay: Duration,
    },
    /// A task waits for a lock so long and no longer.
    GiveUp {
        /// The task.
        upid: String,
        /// Which of its waits this is.
        wait: u32,
        /// How long it waits.
        delay: Duration,
    },
    /// A host that is still silent after a while is given up.
    Fence {
        /// The host.
        node: String,
        /// How long the others wait for it.
        delay: Duration,
    },
    /// The HA manager acts on what is wanted of a VM after a while.
    Manage {
        /// The VM.
        vmid: u32,
        /// How long it takes to see it.
        delay: Duration,
    },
    /// A task needs a file from the network.
    Fetch {
        /// The task.
        upid: String,
        /// Where the file is.
        url: String,
    },
}

/// A call after its route was found and its parameters were checked.
pub(crate) struct Call<'a> {
    /// Who asks.
    pub(crate) token: &'a Token,
    /// Parts of the path by their names in the route.
    pub(crate) path: BTreeMap<&'static str, String>,
    /// Parameters.
    pub(crate) params: Config,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

impl Call<'_> {
    /// The host in the path.
    pub(crate) fn node(&self) -> &str {
        self.path.get("node").map_or("", String::as_str)
    }

    /// The VM in the path.
    pub(crate) fn vmid(&self) -> u32 {
        self.path.get("vmid").and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// The storage in the path.
    pub(crate) fn storage(&self) -> &str {
        self.path.get("storage").map_or("", String::as_str)
    }

    /// A parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }
}

/// The state of the whole cluster.
pub(crate) struct State {
    /// What was asked for at the start.
    pub(crate) settings: Settings,
    /// Fingerprint of the server's certificate.
    pub(crate) fingerprint: String,
    /// What runs on the hosts.
    pub(crate) guests: Arc<dyn Machines>,
    /// Tokens and privileges.
    pub(crate) access: Access,
    /// VMs by ID.
    pub(crate) vms: BTreeMap<u32, Vm>,
    /// Volumes.
    pub(crate) volumes: Volumes,
    /// Tasks.
    pub(crate) tasks: Tasks,
    /// Tasks under way, by their identifiers.
    pub(crate) jobs: BTreeMap<String, TaskRun>,
    /// Pools.
    pub(crate) pools: BTreeMap<String, Pool>,
    /// Options of the cluster's firewall.
    pub(crate) firewall: Config,
    /// Options of the firewalls of VMs.
    pub(crate) firewalls: BTreeMap<u32, Config>,
    /// What names VMs by their IDs.
    pub(crate) ties: Ties,
    /// High availability.
    pub(crate) ha: Ha,
    /// Locks that are held.
    pub(crate) locks: Locks,
    /// Terminals on consoles.
    pub(crate) terminals: Terminals,
    /// What Proxmox VE's own DHCP hands out: address and hardware address.
    pub(crate) leases: Vec<(String, String)>,
    /// What goes wrong.
    pub(crate) faults: Faults,
    /// What is to be done outside, in order.
    pub(crate) effects: VecDeque<Effect>,
    /// The VM IDs of which the next free one is given out, and the one after the last of them.
    pub(crate) next_ids: (u32, u32),
    random: u64,
}

impl State {
    /// An empty cluster.
    pub(crate) fn new(settings: Settings, fingerprint: String, guests: Arc<dyn Machines>) -> Self {
        let mut access = Access::new(settings.release);
        access.add(&settings.token, &settings.secret, &[("/", &super::access::role(settings.release))]);
        Self {
            settings,
            fingerprint,
            guests,
            access,
            vms: BTreeMap::new(),
            volumes: Volumes::default(),
            tasks: Tasks::default(),
            jobs: BTreeMap::new(),
            pools: BTreeMap::new(),
            firewall: Config::new(),
            firewalls: BTreeMap::new(),
            ties: Ties::default(),
            ha: Ha::default(),
            locks: Locks::default(),
            terminals: Terminals::default(),
            leases: Vec::new(),
            faults: Faults::default(),
            effects: VecDeque::new(),
            next_ids: (100, 1_000_000),
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The VM of the call, if it is on the host of the call.
    pub(crate) fn vm(&self, call: &Call<'_>) -> Result<&Vm, Refusal> {
        self.vms.get(&call.vmid()).filter(|vm| vm.node == call.node()).ok_or_else(|| no_config(call))
    }

    /// The storage with this name.
    pub(crate) fn storage(&self, name: &str) -> Result<Storage, Refusal> {
        let found = self.settings.storages.iter().find(|storage| storage.name == name);
        found.cloned().ok_or_else(|| Refusal::failed(format!("storage '{name}' does not exist")))
    }

    /// Requires one of the privileges on a VM or on the pool that it is or will be in.
    pub(crate) fn may(&self, token: &Token, vmid: u32, pool: Option<&str>, any: &[&str]) -> Result<(), Refusal> {
        let pool = pool.or_else(|| self.vms.get(&vmid).and_then(|vm| vm.pool.as_deref()));
        let by_pool = pool.is_some_and(|pool| any.iter().any(|name| token.may(&format!("/pool/{pool}"), name)));
        match by_pool {
            true => Ok(()),
            false => token.require(&format!("/vms/{vmid}"), any).map_err(Refusal::forbidden),
        }
    }

    /// A number that differs from the last ones, the same in every run.
    pub(crate) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// A hardware address with the cluster's prefix.
    pub(crate) fn mac(&mut self) -> String {
        let [a, b, c, ..] = self.random().to_be_bytes();
        format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}")
    }

    /// A random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.random(), self.random());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 48) & 0x3fff,
            low & 0xffff_ffff_ffff
        )
    }

    /// Notes that a guest has switched itself off, if it has.
    pub(crate) fn look_at_guest(&mut self, vmid: u32, now: u64) {
        if let Some(vm) = self.vms.get_mut(&vmid).filter(|vm| vm.running.is_some()) {
            let uuid = vm.uuid().unwrap_or_default();
            if !self.guests.is_on(&uuid) {
                vm.running = None;
                vm.changed = now;
            }
        }
    }
}

fn no_config(call: &Call<'_>) -> Refusal {
    let (node, vmid) = (call.node(), call.vmid());
    Refusal::failed(format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist"))
}
