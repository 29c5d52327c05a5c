//! The files of a node that a caller can see.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::cgroups;
use crate::node::Node;
use crate::resources::pci_file;
use crate::version::kernel;
use crate::world::{Id, World};

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Folder,
    File(String),
    /// A symbolic link.
    Link(String),
}

impl Entry {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Folder => 4096,
            Self::File(content) => content.len() as u64,
            Self::Link(target) => target.len() as u64,
        }
    }
}

/// Everything by path, without a slash at its end.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// Puts something there, and the folders that it is in.
    pub(super) fn put(&mut self, path: &str, entry: Entry) {
        let mut parent = path;
        while let Some((rest, _)) = parent.rsplit_once('/') {
            parent = rest;
            self.0.entry(if rest.is_empty() { "/".to_owned() } else { rest.to_owned() }).or_insert(Entry::Folder);
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// What lies at a path, its own links followed.
    pub(super) fn follow(&self, path: &str) -> Option<(String, &Entry)> {
        let mut path = path.to_owned();
        for _ in 0..8 {
            match self.0.get(&path)? {
                Entry::Link(target) => path = target.clone(),
                entry => return Some((path, entry)),
            }
        }
        None
    }

    /// A path and all below it, folders before what is in them and names in order.
    pub(super) fn below(&self, root: &str) -> Vec<(&str, &Entry)> {
        let prefix = format!("{}/", root.trim_end_matches('/'));
        let inside = self.0.iter().filter(|(path, _)| *path == root || path.starts_with(&prefix));
        let mut found: Vec<(&str, &Entry)> = inside.map(|(path, entry)| (path.as_str(), entry)).collect();
        found.sort_by_key(|(path, _)| path.replace('/', "\0"));
        found
    }
}

const FOLDERS: &[&str] = &[
    "/dev",
    "/etc/cri/conf.d",
    "/etc/ssl/certs",
    "/lib",
    "/opt",
    "/run",
    "/system/run",
    "/tmp",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
];

/// The files of a node as they are now.
pub(super) fn tree(world: &World, id: Id) -> Tree {
    let node = &world.nodes[id];
    let mut tree = Tree::default();
    for folder in FOLDERS {
        tree.put(folder, Entry::Folder);
    }
    let mut file = |path: &str, content: String| tree.put(path, Entry::File(content));
    for (path, content) in etc(world, id).into_iter().chain(proc(world, id)).chain(var(world, id)) {
        file(path, content);
    }
    for (path, target) in [
        ("/bin", "/usr/bin"),
        ("/sbin", "/usr/bin"),
        ("/proc/self", "/proc/1"),
        ("/sys/dev/block/8:0", "../../devices/pci0000:00/0000:00:05.0/block/sda"),
        ("/etc/mtab", "/proc/mounts"),
    ] {
        tree.put(path, Entry::Link(target.to_owned()));
    }
    if node.config.is_some() {
        for folder in
            ["/var/lib/containerd", "/var/lib/kubelet", "/var/log/audit", "/var/log/containers", "/var/log/pods"]
        {
            tree.put(folder, Entry::Folder);
        }
    }
    if node.is_control_plane() {
        // From its config on, before any bootstrap (seen on 1.13.9).
        tree.put("/var/lib/etcd", Entry::Folder);
    }
    for process in world.processes(id) {
        tree.put(&format!("/proc/{}/cmdline", process.pid), Entry::File(process.arguments.replace(' ', "\0")));
        tree.put(&format!("/proc/{}/comm", process.pid), Entry::File(format!("{}\n", process.command)));
    }
    if world.disk(id).and_then(|disk| disk.etcd).is_some() {
        tree.put("/var/lib/etcd/member/snap", Entry::Folder);
        tree.put("/var/lib/etcd/member/wal", Entry::Folder);
    }
    cgroups::add(&mut tree, world, id);
    tree
}

fn etc(world: &World, id: Id) -> Vec<(&'static str, String)> {
    let node = &world.nodes[id];
    let (host, full, tag) = (node.hostname().0, node.full_name(), node.tag());
    let mut hosts = "127.0.0.1       localhost\n".to_owned();
    for address in &node.addresses {
        let _ = writeln!(
            hosts,
            "{:<15} {full}{}",
            address.addr(),
            if full == host { String::new() } else { format!(" {host}") }
        );
    }
    hosts += "::1             localhost ip6-localhost ip6-loopback\nff02::1         ip6-allnodes\nff02::2         ip6-allrouters\n";
    let servers = node.config.as_ref().map(|config| config.network.nameservers.clone()).unwrap_or_default();
    let own = node.machine.nameservers.iter().map(ToString::to_string);
    let servers: Vec<String> = if servers.is_empty() { own.collect() } else { servers };
    let resolv: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    let release = format!(
        "NAME=\"Talos\"\nID=talos\nVERSION_ID={tag}\nPRETTY_NAME=\"Talos ({tag})\"\nHOME_URL=\"https://www.talos.dev/\"\n\
         BUG_REPORT_URL=\"https://github.com/siderolabs/talos/issues\"\nVENDOR_NAME=\"Sidero Labs\"\n\
         VENDOR_URL=\"https://www.siderolabs.com/\"\n"
    );
    vec![
        ("/etc/hosts", hosts),
        ("/etc/machine-id", format!("{}\n", node.machine.uuid.replace('-', "").to_lowercase())),
        ("/etc/os-release", release),
        ("/etc/resolv.conf", resolv),
    ]
}

fn proc(world: &World, id: Id) -> Vec<(&'static str, String)> {
    let node = &world.nodes[id];
    let up = world.now.saturating_sub(node.booted_at).as_secs_f64();
    let total = node.machine.memory * 1024;
    let memory = format!(
        "MemTotal:       {total:>8} kB\nMemFree:        {:>8} kB\nMemAvailable:   {:>8} kB\nBuffers:        {:>8} kB\n\
         Cached:         {:>8} kB\nSwapTotal:      {:>8} kB\nSwapFree:       {:>8} kB\n",
        total / 2,
        total / 4 * 3,
        4096,
        total / 5,
        0,
        0
    );
    let links: String = std::iter::once("lo".to_owned())
        .chain((0..node.machine.macs.len()).map(|index| format!("eth{index}")))
        .map(|link| format!("{link:>6}: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"))
        .collect();
    vec![
        ("/proc/bus/pci/devices", pci_file()),
        ("/proc/cmdline", format!("{}\n", world.kernel_command_line(id))),
        ("/proc/cpuinfo", processors(node)),
        ("/proc/loadavg", "0.25 0.50 0.25 1/412 4711\n".to_owned()),
        ("/proc/meminfo", memory),
        ("/proc/mounts", mounts(node)),
        ("/proc/net/dev", format!("Inter-|   Receive | Transmit\n face |bytes packets\n{links}")),
        ("/proc/sys/kernel/hostname", format!("{}\n", node.hostname().0)),
        ("/proc/sys/kernel/osrelease", format!("{}\n", kernel(&node.tag()))),
        ("/proc/sys/kernel/random/boot_id", format!("{}\n", node.boot_id)),
        ("/proc/uptime", format!("{up:.2} {up:.2}\n")),
        (
            "/proc/version",
            format!("Linux version {} (@buildkitsandbox) (clang version 21.1.8) #1 SMP\n", kernel(&node.tag())),
        ),
    ]
}

fn processors(node: &Node) -> String {
    let one = |index: u32| {
        format!(
            "processor\t: {index}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n\
             model name\t: Intel(R) Xeon(R) Processor\nstepping\t: 8\ncpu MHz\t\t: 2300.000\ncache size\t: 16384 KB\n\
             physical id\t: 0\ncore id\t\t: {index}\n\n"
        )
    };
    (0..node.machine.cores.max(1)).map(one).collect()
}

fn mounts(node: &Node) -> String {
    let mut mounts =
        "/dev/loop0 / squashfs ro,seclabel,relatime 0 0\nproc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n\
                      sysfs /sys sysfs rw,seclabel,nosuid,nodev,noexec,relatime 0 0\n\
                      tmpfs /run tmpfs rw,seclabel,nosuid,nodev,noexec,relatime 0 0\n\
                      cgroup /sys/fs/cgroup cgroup2 rw,seclabel,nosuid,nodev,noexec,relatime 0 0\n"
            .to_owned();
    if node.config.is_some() {
        mounts += "/dev/sda5 /system/state xfs rw,seclabel,nosuid,nodev,noexec,relatime 0 0\n\
                   /dev/sda6 /var xfs rw,seclabel,nosuid,nodev,relatime 0 0\n";
    }
    mounts
}

/// What lies on the disk.
fn var(world: &World, id: Id) -> Vec<(&'static str, String)> {
    let disk = world.disk(id);
    let mut files = vec![("/var/run/.keep", String::new())];
    files.extend(disk.and_then(|disk| disk.config.clone()).map(|config| ("/system/state/config.yaml", config)));
    if world.nodes[id].config.is_some() {
        let identity = format!("nodeId: {}\n", world.nodes[id].machine.uuid.replace('-', "").to_lowercase());
        files.push(("/system/state/node-identity.yaml", identity));
    }
    files
}
