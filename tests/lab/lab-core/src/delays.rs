//! How long things take.

use std::time::Duration;

/// Delays of everything that takes time in the real world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// Downloading an image to a Proxmox VE storage.
    pub download: Duration,
    /// Building an image at the factory.
    pub build: Duration,
    /// Creating a VM, including the import of its disk.
    pub create: Duration,
    /// Allocating one volume, during which the lock of its storage is held.
    pub allocate: Duration,
    /// Any other task of Proxmox VE (start, stop, resize, destroy, configuration).
    pub task: Duration,
    /// How long who needs a lock waits for it at most (ten seconds in reality; a few locks are waited for longer or
    /// less long, in proportion).
    pub lock: Duration,
    /// How long a silent host is waited for before its VMs are marked to be fenced, and again until it is switched off
    /// (a minute each in reality).
    pub fence: Duration,
    /// From a request to high availability until its manager acts on it (three to ten seconds in reality); with none,
    /// the manager lets a few looks at the VM pass.
    pub manage: Duration,
    /// How long each 401 is held back (three seconds in reality).
    pub tarpit: Duration,
    /// From power-on until the Talos API listens.
    pub boot: Duration,
    /// From an accepted configuration until the API listens again with mutual TLS.
    pub swap: Duration,
    /// From the bootstrap (or a joinable etcd) until etcd is healthy.
    pub etcd: Duration,
    /// From etcd being healthy until the Kubernetes API answers.
    pub apiserver: Duration,
    /// From the Kubernetes API answering until a node is Ready.
    pub ready: Duration,
}

impl Delays {
    /// No delays at all: for tests and benchmarks.
    pub const ZERO: Self = Self {
        download: Duration::ZERO,
        build: Duration::ZERO,
        create: Duration::ZERO,
        allocate: Duration::ZERO,
        task: Duration::ZERO,
        lock: Duration::ZERO,
        fence: Duration::ZERO,
        manage: Duration::ZERO,
        tarpit: Duration::ZERO,
        boot: Duration::ZERO,
        swap: Duration::ZERO,
        etcd: Duration::ZERO,
        apiserver: Duration::ZERO,
        ready: Duration::ZERO,
    };

    /// The proportions of a small real cluster, at about a tenth of its time.
    pub const REALISTIC: Self = Self {
        download: Duration::from_millis(1500),
        build: Duration::from_millis(1000),
        create: Duration::from_millis(1500),
        allocate: Duration::from_millis(100),
        task: Duration::from_millis(300),
        lock: Duration::from_secs(10),
        fence: Duration::from_secs(6),
        manage: Duration::from_millis(500),
        tarpit: Duration::from_secs(3),
        boot: Duration::from_millis(2500),
        swap: Duration::from_millis(1000),
        etcd: Duration::from_millis(2000),
        apiserver: Duration::from_millis(2000),
        ready: Duration::from_millis(2000),
    };
}
