//! A lab with a scratch folder, and assertions about it.

use std::time::Duration;

use lab::talos::NodeHandle;
use lab::{Lab, Options};
use record::table::Scope;

use super::{Outcome, Scratch};

/// Bounds a wait for the lab; it measures nothing.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The size and options of a lab.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) control_planes: usize,
    pub(crate) workers: usize,
    pub(crate) vip: bool,
    pub(crate) realistic: bool,
    pub(crate) dhcp: bool,
    /// Hosts of Proxmox VE.
    pub(crate) hosts: usize,
}

impl Shape {
    /// One control plane and two workers, no delays.
    pub(crate) const SMALL: Self =
        Self { control_planes: 1, workers: 2, vip: false, realistic: false, dhcp: false, hosts: 1 };
    /// Three control planes with a VIP, and two workers.
    pub(crate) const HA: Self =
        Self { control_planes: 3, workers: 2, vip: true, realistic: false, dhcp: false, hosts: 1 };
}

/// A lab of its own for a test. Commands find it through the environment, as users' commands do.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) scratch: Scratch,
    shape: Shape,
}

impl World {
    pub(crate) async fn start(shape: Shape) -> Self {
        Self::start_with(shape, |options| options).await
    }

    /// The same, with other options of the lab.
    pub(crate) async fn start_with(shape: Shape, with: impl FnOnce(Options) -> Options) -> Self {
        let mut scratch = Scratch::new();
        let delays = if shape.realistic { lab::delays::Delays::REALISTIC } else { lab::delays::Delays::ZERO };
        let options = Options {
            control_planes: shape.control_planes,
            workers: shape.workers,
            vip: shape.vip,
            dhcp: shape.dhcp,
            hosts: (1..=shape.hosts).map(|number| format!("pve{number}")).collect(),
            delays,
            dir: Some(scratch.work()),
            ..Options::default()
        };
        let lab = Lab::start(with(options)).await.unwrap();
        for (name, value) in lab.env() {
            scratch.set(&name, &value);
        }
        let world = Self { lab, scratch, shape };
        world.give_secrets();
        world
    }

    /// Puts a secrets bundle where the cluster's files will be: the search for RSA primes takes long, and one test lets
    /// talos-gen make a bundle of its own.
    fn give_secrets(&self) {
        let folder = self.scratch.path(self.lab.name());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("secrets.yaml"), secrets()).unwrap();
    }

    /// The secrets bundle of every lab of this process.
    pub(crate) fn secrets() -> &'static str {
        secrets()
    }

    /// The cluster file.
    pub(crate) fn file(&self) -> String {
        std::fs::read_to_string(self.lab.cluster_file()).unwrap()
    }

    /// Edits the cluster file; the text to replace must be there.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.file();
        assert!(text.contains(from), "{from:?} is not in the cluster file:\n{text}");
        std::fs::write(self.lab.cluster_file(), text.replacen(from, to, 1)).unwrap();
    }

    /// Runs a shell command in the lab's environment.
    pub(crate) async fn sh(&self, script: &str) -> Outcome {
        self.scratch.sh(script).await
    }

    /// The whole pipe, from the cluster file to Ready nodes.
    pub(crate) fn pipe() -> String {
        Self::pipe_with(" | ")
    }

    /// The whole pipe with something else between the steps.
    pub(crate) fn pipe_with(between: &str) -> String {
        [
            "talos-image",
            "pve-vm",
            "talos-gen",
            "talos-apply",
            "talos-bootstrap",
            "kubeconfig-export --to kubeconfig",
            "talos-wait --for ready",
        ]
        .join(between)
    }

    /// Runs the whole pipe.
    pub(crate) async fn up(&self) -> Outcome {
        self.sh(&Self::pipe()).await
    }

    /// Names of all nodes in file order.
    pub(crate) fn names(&self) -> Vec<String> {
        let control_planes = (1..=self.shape.control_planes).map(|n| format!("cp-{n}"));
        control_planes.chain((1..=self.shape.workers).map(|n| format!("w-{n}"))).collect()
    }

    /// A node that has been switched on.
    #[track_caller]
    pub(crate) fn node(&self, name: &str) -> NodeHandle {
        self.lab.talos().node(name).unwrap_or_else(|| panic!("node {name} was never switched on"))
    }

    /// Asserts the end state: these nodes are Ready, each has one VM, and there is one etcd.
    #[track_caller]
    pub(crate) fn assert_up(&self, names: &[String]) {
        for name in names {
            let node = self.node(name);
            assert!(node.is_ready(), "{name} is not Ready: {:?} {:?}", node.stage(), node.unmet());
        }
        self.assert_one_vm_each(names);
        assert_eq!(self.lab.talos().etcd_clusters(self.lab.name()), 1, "there must be one etcd");
    }

    /// Asserts that each of these nodes has exactly one VM, and that there are no other VMs.
    #[track_caller]
    pub(crate) fn assert_one_vm_each(&self, names: &[String]) {
        let mut expected: Vec<_> = names.iter().map(|name| self.vm_name(name)).collect();
        let mut found: Vec<_> = self.lab.pve().vms().iter().map(|vm| vm.name.clone()).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    /// The name of a node's VM.
    pub(crate) fn vm_name(&self, node: &str) -> String {
        node.to_owned()
    }

    /// The address that the control planes share, from the cluster file.
    pub(crate) fn vip(&self) -> std::net::IpAddr {
        let text = self.file();
        let after = text.split_once("vip: ").expect("the cluster file has a VIP").1;
        let address: String = after.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        address.parse().unwrap()
    }

    /// How often anything was changed anywhere: requests to Proxmox VE other than GET, configs applied, bootstraps.
    pub(crate) fn touches(&self) -> u64 {
        let nodes = self.lab.talos().nodes();
        let of_nodes: u64 =
            nodes.iter().map(NodeHandle::counts).map(|counts| u64::from(counts.applied + counts.bootstrapped)).sum();
        self.lab.pve().writes() + of_nodes
    }
}

/// A field of `status` that a step has marked as changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) field: String,
}

/// The changes that the records on stdout report.
pub(crate) fn changes(outcome: &Outcome) -> Vec<Changed> {
    let mut found = Vec::new();
    for record in outcome.records() {
        let scope = if record["kind"] == "Cluster" { Scope::Cluster } else { Scope::Node };
        let name = record["name"].as_str().unwrap();
        for (field, _) in record["status"].as_object().into_iter().flatten().filter(|(_, v)| v["changed"] == true) {
            found.push(Changed { name: name.to_owned(), scope, field: field.clone() });
        }
    }
    found
}

/// A secrets bundle, made once for all tests of this process.
fn secrets() -> &'static str {
    static SECRETS: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    SECRETS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.yaml");
        let program = assert_cmd::cargo::cargo_bin("ichor-under-test");
        let made =
            std::process::Command::new(program).args(["talos-gen", "secrets", "-o"]).arg(&file).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::read_to_string(file).unwrap()
    })
}
