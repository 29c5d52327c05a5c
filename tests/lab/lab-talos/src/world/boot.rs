//! From power-on to a system that runs its config, or waits for one.

use std::sync::Arc;

use super::{Due, Id, World};
use crate::config::{self, Config};
use crate::events::Content;
use crate::node::{Api, EtcdService, Progress, Stage};

impl World {
    /// The kernel is up: finds the system, the network and the config.
    pub(super) fn boot(&mut self, id: Id) {
        if self.nodes[id].faults.hold_boot {
            self.nodes[id].faults.boot_held = true;
            return;
        }
        let machine = &self.nodes[id].machine;
        let disk = self.disks.get(&machine.disk);
        let installed = disk.and_then(|disk| disk.installed.clone());
        let on_disk = machine.image.clone().filter(|_| !disk.is_some_and(|disk| disk.wiped));
        let image = installed.or(on_disk).or_else(|| machine.iso.clone());
        let Some(image) = image else {
            self.nodes[id].console.push("No bootable device.".to_owned());
            return;
        };
        self.nodes[id].counts.boots += 1;
        self.nodes[id].image = Some(image);
        self.print(id, "[initramfs] booting Talos");
        self.assign_addresses(id);
        self.print_addresses(id);
        self.tell(id, &Content::sequence("boot", 1), "");
        match self.stored_config(id) {
            Some(config) => self.configured_boot(id, config, "state"),
            None => self.seeded_boot(id),
        }
    }

    /// Prints each address that a link gets, as Talos does whatever state it is in.
    fn print_addresses(&mut self, id: Id) {
        let by = "\"component\": \"controller-runtime\", \"controller\": \"network.AddressSpecController\"";
        for address in self.nodes[id].addresses.clone() {
            self.print(id, &format!("assigned address {{{by}, \"address\": \"{address}\", \"link\": \"eth0\"}}"));
        }
    }

    /// A node without a config of its own looks for a disc with one. One that it can't use it tries again and again, and
    /// never comes to maintenance mode.
    fn seeded_boot(&mut self, id: Id) {
        let Some(text) = self.nodes[id].machine.user_data.clone() else { return self.enter_maintenance(id) };
        match config::load(&text, self.nodes[id].version()) {
            Ok(loaded) if loaded.config.is_some() => {
                self.disk_mut(id).config = Some(text);
                if let Some(config) = loaded.config {
                    self.configured_boot(id, Arc::new(config), "platform");
                }
            }
            _ => self.print(id, "failed to load config via platform nocloud"),
        }
    }

    fn stored_config(&self, id: Id) -> Option<Arc<Config>> {
        let text = self.disk(id)?.config.as_ref()?;
        let loaded = config::load(text, self.nodes[id].version()).ok()?;
        loaded.config.map(Arc::new)
    }

    fn configured_boot(&mut self, id: Id, config: Arc<Config>, source: &str) {
        self.nodes[id].stage = Stage::Booting;
        let by = "\"component\": \"controller-runtime\", \"controller\": \"config.AcquireController\"";
        self.print(id, &format!("machine config loaded successfully {{{by}, \"sources\": [\"{source}\"]}}"));
        self.activate(id, config);
        self.swap(id);
    }

    /// Offers the API of maintenance mode, and prints that on the console.
    fn enter_maintenance(&mut self, id: Id) {
        self.nodes[id].api = Api::Maintenance;
        self.nodes[id].generation += 1;
        self.stage(id, Stage::Maintenance);
        self.announce(id);
    }

    /// Prints how the node is reached, as the controller of its release does: each line ends with who says it.
    fn announce(&mut self, id: Id) {
        let Ok(identity) = self.nodes[id].maintenance_identity() else { return };
        let fingerprint = identity.fingerprint.clone();
        let by = |name: &str, more: &str| {
            format!("{{\"component\": \"controller-runtime\", \"controller\": \"{name}\"{more}}}")
        };
        let is_unified = self.nodes[id].version().unified_maintenance();
        let informer = if is_unified { "MaintenanceServiceInformController" } else { "MaintenanceServiceController" };
        let informer = format!("runtime.{informer}");
        let addresses: Vec<String> = self.nodes[id].addresses.iter().map(|net| net.addr().to_string()).collect();
        self.print(id, &format!("entering maintenance service {}", by("config.AcquireController", "")));
        let mut inform = |text: &str, more: &str| self.print(id, &format!("{text} {}", by(&informer, more)));
        inform("this machine is reachable at:", "");
        addresses.iter().for_each(|address| inform(&format!("\t{address}"), ""));
        inform("server certificate issued", &format!(", \"fingerprint\": \"{fingerprint}\""));
        inform("upload configuration using talosctl:", "");
        let command = format!("\ttalosctl apply-config --insecure --nodes {}", addresses.first().map_or("", |it| it));
        inform(&format!("{command} --file <config.yaml>"), "");
        inform("optionally with node fingerprint check:", "");
        inform(&format!("{command} --cert-fingerprint '{fingerprint}' --file <config.yaml>"), "");
    }

    /// Issues another certificate of maintenance mode, as when the clock is set, and prints that.
    pub(crate) fn reissue(&mut self, id: Id) {
        self.nodes[id].maintenance = Arc::default();
        self.nodes[id].generation += 1;
        let Ok(identity) = self.nodes[id].maintenance_identity() else { return };
        let by =
            "\"component\": \"controller-runtime\", \"controller\": \"runtime.MaintenanceServiceInformController\"";
        let issued = format!("server certificate issued {{{by}, \"fingerprint\": \"{}\"}}", identity.fingerprint);
        self.print(id, &issued);
        self.touch(id);
    }

    /// Makes a config the one that the node acts on.
    pub(super) fn activate(&mut self, id: Id, config: Arc<Config>) {
        let before = self.nodes[id].config.replace(config);
        self.nodes[id].names += 1;
        self.assign_addresses(id);
        let image = |config: &Config| config.kubelet_image.clone();
        let changed = before.is_some_and(|before| Some(image(&before)) != self.nodes[id].config.as_deref().map(image));
        if changed && self.nodes[id].kubelet != Progress::Off {
            self.restart_kubelet(id);
        }
        self.refresh_kubernetes_node(id);
        self.touch(id);
    }

    /// Leaves maintenance with a config that was just accepted.
    pub(super) fn leave_maintenance(&mut self, id: Id, config: Arc<Config>) {
        let node = &mut self.nodes[id];
        node.api = Api::Closed;
        node.generation += 1;
        node.epoch += 1;
        self.activate(id, config);
        self.stage(id, Stage::Booting);
        self.plan(id, self.delays.swap, Due::Swap);
    }

    /// The configured system takes over: it installs itself if it runs from an ISO, else it starts its services.
    pub(super) fn swap(&mut self, id: Id) {
        if self.must_install(id) {
            match self.nodes[id].config.as_ref().is_some_and(|config| config.unattended_install) {
                false => return self.install(id),
                true => {
                    self.nodes[id].installing = true;
                    self.plan(id, self.delays.swap, Due::Installed);
                }
            }
        }
        let control_plane = self.nodes[id].is_control_plane();
        let name = self.nodes[id].full_name();
        let node = &mut self.nodes[id];
        node.api_due = true;
        node.etcd = if control_plane { EtcdService::Preparing } else { EtcdService::Absent };
        self.print(id, &format!("hostname set to {name}"));
        self.tell(id, &Content::phase("startEverything", 0), "");
        self.tell(id, &Content::task("startAllServices", 0), "");
        if control_plane {
            self.print_pull(id);
        }
    }

    fn must_install(&self, id: Id) -> bool {
        let wiped = self.disk(id).is_some_and(|disk| disk.wiped);
        let installed = self.disk(id).is_some_and(|disk| disk.installed.is_some());
        (wiped || self.nodes[id].machine.image.is_none()) && !installed
    }

    fn install(&mut self, id: Id) {
        self.tell(id, &Content::sequence("install", 1), "");
        self.tell(id, &Content::phase("install", 0), "");
        self.stage(id, Stage::Installing);
        // Up to 1.12 the API starts only after the installation.
        self.nodes[id].api_due = self.nodes[id].version().unified_maintenance();
        self.plan(id, self.delays.swap, Due::Installed);
    }

    /// The installer is done: the machine boots from its own disk.
    pub(super) fn installed(&mut self, id: Id) {
        let image = self.nodes[id].config.as_ref().and_then(|config| Self::installer(&config.install_image));
        let image = image.or_else(|| self.nodes[id].image.clone());
        let disk = self.disk_mut(id);
        disk.installed = image;
        disk.wiped = false;
        self.go_down(id, super::power::Down::Reboot);
    }

    /// The name of a node's Kubernetes object.
    pub(crate) fn nodename(&self, id: Id) -> String {
        self.nodes[id].hostname().0.to_lowercase()
    }

    /// Lifts a hold on booting; a boot that waited for it continues.
    pub(crate) fn release_boot(&mut self, id: Id) {
        self.nodes[id].faults.hold_boot = false;
        if std::mem::take(&mut self.nodes[id].faults.boot_held) {
            self.boot(id);
        }
        self.touch(id);
    }
}
