//! The services of a node, and what it still waits for.

use super::{Id, World};
use crate::node::{Api, EtcdService, Progress, Stage};

/// A service as `ServiceList` and the resource `Service` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) id: String,
    /// `Running`, `Preparing`, ...
    pub(crate) state: &'static str,
    pub(crate) healthy: bool,
    /// Whether nothing checks its health.
    pub(crate) unknown: bool,
    pub(crate) message: String,
}

impl Service {
    fn running(id: &str) -> Self {
        let message = "Health check successful".to_owned();
        Self { id: id.to_owned(), state: "Running", healthy: true, unknown: false, message }
    }

    /// One whose health nobody checks.
    fn unchecked(id: &str) -> Self {
        Self { id: id.to_owned(), state: "Running", healthy: false, unknown: true, message: String::new() }
    }

    fn waiting(id: &str, state: &'static str, message: &str) -> Self {
        Self { id: id.to_owned(), state, healthy: false, unknown: true, message: message.to_owned() }
    }

    fn up(&self) -> bool {
        self.state == "Running" && (self.healthy || self.unknown)
    }
}

impl World {
    /// Services in the order of their names.
    pub(crate) fn services(&self, id: Id) -> Vec<Service> {
        let node = &self.nodes[id];
        let mut services = vec![Service::running("containerd"), Service::running("machined")];
        services.extend([Service::unchecked("dashboard"), Service::running("udevd"), Service::running("syslogd")]);
        services.push(Service::running("auditd"));
        if node.api != Api::Closed {
            services.push(Service::running("apid"));
        }
        let extensions = node.image.iter().flat_map(|image| image.extensions.iter());
        for name in extensions.filter_map(|name| name.strip_prefix("siderolabs/")) {
            services.push(Service::unchecked(&format!("ext-{name}")));
        }
        if node.config.is_some() && node.api_due && node.stage != Stage::Installing {
            services.push(Service::running("cri"));
            services.extend((!node.kubelet_away).then(|| match node.faults.hold_kubelet_pull {
                Some(_) => Service::waiting("kubelet", "Preparing", "Running pre state"),
                None => Service::running("kubelet"),
            }));
        }
        if node.is_control_plane() {
            services.extend(self.trustd(id));
            services.extend(self.etcd_service(id));
        }
        for service in services.iter_mut().filter(|service| node.stopped.contains(&service.id)) {
            *service = Service::waiting(&service.id.clone(), "Finished", "Service finished successfully");
        }
        services.sort_by(|a, b| a.id.cmp(&b.id));
        services
    }

    fn trustd(&self, id: Id) -> Option<Service> {
        let node = &self.nodes[id];
        if !node.api_due {
            return None;
        }
        Some(match node.time_synced {
            true => Service::running("trustd"),
            false => Service::waiting("trustd", "Waiting", "Waiting for time sync"),
        })
    }

    fn etcd_service(&self, id: Id) -> Option<Service> {
        Some(match self.nodes[id].etcd {
            EtcdService::Absent => return None,
            EtcdService::Preparing | EtcdService::Pulling => Service::waiting("etcd", "Preparing", "Running pre state"),
            EtcdService::Stuck => {
                Service { unknown: false, ..Service::waiting("etcd", "Finished", "Bootstrap requested") }
            }
            EtcdService::Failed => Service::waiting("etcd", "Failed", "Failed to run pre stage"),
            EtcdService::Starting => Service::waiting("etcd", "Preparing", "Creating service runner"),
            EtcdService::Running => match self.etcd_healthy(id) {
                true => Service::running("etcd"),
                false => Service {
                    healthy: false,
                    message: "context deadline exceeded".to_owned(),
                    ..Service::running("etcd")
                },
            },
        })
    }

    /// Conditions that keep a node from being ready: name and reason.
    pub(crate) fn unmet(&self, id: Id) -> Vec<(String, String)> {
        let node = &self.nodes[id];
        if !matches!(node.stage, Stage::Booting | Stage::Running) || node.config.is_none() {
            return Vec::new();
        }
        let mut unmet = Vec::new();
        let mut add = |name: &str, reason: String| unmet.push((name.to_owned(), reason));
        if !node.time_synced {
            add("time", "time is not synced".to_owned());
        }
        let services = self.unready_services(id);
        if !services.is_empty() {
            add("services", services.join(", "));
        }
        if node.is_control_plane() && node.etcd == EtcdService::Running && node.apiserver != Progress::Up {
            add("staticPods", format!("kube-system/kube-apiserver-{} not ready", self.nodename(id)));
        }
        let name = self.nodename(id);
        match node.kubelet {
            Progress::Off => add("nodeReady", format!("node \"{name}\" status is not available yet")),
            Progress::Starting => add("nodeReady", format!("node \"{name}\" is not ready")),
            Progress::Up => {}
        }
        unmet
    }

    fn unready_services(&self, id: Id) -> Vec<String> {
        let services = self.services(id);
        let required: &[&str] = match self.nodes[id].is_control_plane() {
            true => &["apid", "machined", "kubelet", "etcd", "trustd"],
            false => &["apid", "machined", "kubelet"],
        };
        let runs = |name: &str| services.iter().any(|service| service.id == name && service.state == "Running");
        // First those that run, by name; then those that are required, in Talos's own order (seen on 1.13.9).
        let unhealthy = services.iter().filter(|service| service.state == "Running" && !service.up());
        let unhealthy = unhealthy.map(|service| format!("{} not healthy", service.id));
        let absent = required.iter().filter(|name| !runs(name)).map(|name| format!("{name} not running"));
        unhealthy.chain(absent).collect()
    }
}
