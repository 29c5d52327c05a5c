//! The processes of a node: those of Talos, its services and its pods.

use sha2::{Digest, Sha256};

use super::{Id, World};
use lab_core::disk_image::hex;

/// Something that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) command: String,
    /// Empty for threads of the kernel.
    pub(crate) executable: String,
    pub(crate) arguments: String,
    /// Bytes in memory.
    pub(crate) memory: u64,
    /// Its control group, below `/sys/fs/cgroup`.
    pub(crate) cgroup: String,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodContainer {
    pub(crate) pod: String,
    pub(crate) name: String,
    pub(crate) image: String,
    /// Identities of the pod and of the container, and of the one that holds the pod's namespaces.
    pub(crate) uid: String,
    pub(crate) internal: String,
    pub(crate) sandbox: String,
    pub(crate) pid: i32,
}

/// A service: its executable, arguments, control group, and bytes in memory.
const SERVICES: &[(&str, &str, &str, &str, u64)] = &[
    ("apid", "/apid", "--use-kubernetes-endpoints=false", "system/apid", 28 << 20),
    (
        "containerd",
        "/usr/bin/containerd",
        "--address /system/run/containerd/containerd.sock --state /system/run/containerd --root /system/var/lib/containerd",
        "system/runtime",
        36 << 20,
    ),
    (
        "cri",
        "/usr/bin/containerd",
        "--address /run/containerd/containerd.sock --config /etc/cri/containerd.toml",
        "podruntime/runtime",
        58 << 20,
    ),
    ("dashboard", "/usr/bin/dashboard", "", "system/dashboard", 32 << 20),
    (
        "etcd",
        "/usr/local/bin/etcd",
        "--data-dir=/var/lib/etcd --listen-client-urls=https://[::]:2379 --listen-peer-urls=https://[::]:2380",
        "podruntime/etcd",
        96 << 20,
    ),
    (
        "kubelet",
        "/usr/local/bin/kubelet",
        "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubeconfig --config=/etc/kubernetes/kubelet.yaml",
        "podruntime/kubelet",
        74 << 20,
    ),
    ("trustd", "/trustd", "", "system/trustd", 14 << 20),
    ("udevd", "/usr/bin/systemd-udevd", "--resolve-names=never", "system/udevd", 8 << 20),
];

/// The process that is number `index` in a table, as if a few had ended before it began.
fn pid(index: usize) -> i32 {
    i32::try_from(1900 + index * 37).unwrap_or(i32::MAX)
}

/// The process that a service has whenever it runs; none for those that are part of init.
pub(crate) fn pid_of_service(service: &str) -> Option<i32> {
    let known = SERVICES.iter().position(|(name, ..)| *name == service);
    known.or_else(|| service.strip_prefix("ext-").map(|name| SERVICES.len() + name.len())).map(pid)
}

fn digest(parts: &[&str]) -> String {
    hex(&Sha256::digest(parts.join("/")))
}

/// A UUID made of a text.
fn uuid(text: &str) -> String {
    let digits = digest(&[text]);
    format!("{}-{}-4{}-8{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..32])
}

impl World {
    /// What runs on a node, by number.
    pub(crate) fn processes(&self, id: Id) -> Vec<Process> {
        let kernel = |pid, command: &str| Process {
            pid,
            parent: 0,
            command: command.to_owned(),
            executable: String::new(),
            arguments: String::new(),
            memory: 0,
            cgroup: String::new(),
        };
        let init = Process {
            executable: "/usr/bin/init".to_owned(),
            arguments: "/sbin/init".to_owned(),
            memory: 84 << 20,
            cgroup: "init".to_owned(),
            ..kernel(1, "init")
        };
        let mut processes = vec![init, kernel(2, "kthreadd"), kernel(3, "pool_workqueue_release")];
        processes.extend(self.services_running(id));
        let pod = |container: PodContainer| Process {
            pid: container.pid,
            parent: 1,
            command: container.name.clone(),
            executable: format!("/usr/local/bin/{}", container.name),
            arguments: container.name.clone(),
            memory: 64 << 20,
            cgroup: format!("kubepods/burstable/pod{}/{}", container.uid, container.internal),
        };
        processes.extend(self.pod_containers(id).into_iter().map(pod));
        processes
    }

    fn services_running(&self, id: Id) -> Vec<Process> {
        let running = self.services(id).into_iter().filter(|service| service.state == "Running");
        let process = |service: super::Service| {
            let found = SERVICES.iter().enumerate().find(|(_, (name, ..))| *name == service.id);
            let (index, executable, arguments, cgroup, memory) = match found {
                Some((index, (_, executable, arguments, cgroup, memory))) => {
                    (index, (*executable).to_owned(), *arguments, (*cgroup).to_owned(), *memory)
                }
                None => {
                    let name = service.id.strip_prefix("ext-")?;
                    let place = SERVICES.len() + name.len();
                    (place, format!("/usr/local/bin/{name}"), "", format!("system/extensions/{name}"), 12 << 20)
                }
            };
            Some(Process {
                pid: pid(index),
                parent: 1,
                command: executable.rsplit('/').next().unwrap_or_default().to_owned(),
                arguments: format!("{executable} {arguments}").trim_end().to_owned(),
                executable,
                memory,
                cgroup,
            })
        };
        running.filter_map(process).collect()
    }

    /// The process of a service; none for those that are part of init, or don't run.
    pub(crate) fn pid_of(&self, id: Id, service: &str) -> Option<i32> {
        let runs = self.services(id).iter().any(|other| other.id == service && other.state == "Running");
        pid_of_service(service).filter(|_| runs)
    }

    /// The containers of the pods on a node.
    pub(crate) fn pod_containers(&self, id: Id) -> Vec<PodContainer> {
        let name = self.nodename(id);
        let Some(etcd) = self.kubernetes_of(id) else { return Vec::new() };
        let pods = self.etcds[etcd].store.pods_on(&name).into_iter().enumerate();
        let container = |(index, (pod, name, image)): (usize, (String, String, String))| PodContainer {
            uid: uuid(&pod),
            internal: digest(&[&pod, &name, &image]),
            sandbox: digest(&[&pod]),
            pid: pid(SERVICES.len() + 40 + 2 * index),
            pod,
            name,
            image,
        };
        pods.map(container).collect()
    }
}
