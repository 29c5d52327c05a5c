//! The system on a node's disk: installing another one, going back, and what depends on the services that run.

use super::{Down, Id, World, pid_of_service};
use crate::events::Content;
use lab_core::machine::Image;

impl World {
    /// Whether Talos lies on the node's disk.
    pub(crate) fn is_installed(&self, id: Id) -> bool {
        self.nodes[id].machine.image.is_some() || self.disk(id).is_some_and(|disk| disk.installed.is_some())
    }

    /// The system that an installer reference stands for: `HOST/nocloud-installer/SCHEMATIC:v1.13.9`.
    pub(crate) fn installer(reference: &str) -> Option<Image> {
        let (path, version) = reference.rsplit_once(':')?;
        let numbers = version.strip_prefix('v')?;
        if !numbers.starts_with(|letter: char| letter.is_ascii_digit()) {
            return None;
        }
        let mut parts = path.rsplit('/');
        let schematic = parts.next()?.to_owned();
        let kind = parts.next().unwrap_or_default();
        let platform = kind.strip_suffix("-installer").unwrap_or("metal").to_owned();
        Some(Image { schematic, version: version.to_owned(), platform, extensions: Vec::new() })
    }

    /// Writes another system to the disk; the next boot takes it.
    pub(crate) fn change_system(&mut self, id: Id, reference: &str) {
        let Some(mut image) = Self::installer(reference) else { return };
        let running = self.nodes[id].image.clone();
        if let Some(running) = running.as_ref().filter(|running| running.schematic == image.schematic) {
            image.extensions.clone_from(&running.extensions);
            image.platform.clone_from(&running.platform);
        }
        let disk = self.disk_mut(id);
        disk.previous = running;
        disk.installed = Some(image);
        self.print(id, &format!("installed {reference}"));
        self.touch(id);
    }

    /// Boots what was there before the last upgrade, if anything was.
    pub(crate) fn roll_back(&mut self, id: Id) -> bool {
        let Some(previous) = self.disk_mut(id).previous.take() else { return false };
        let current = self.disk_mut(id).installed.replace(previous);
        self.disk_mut(id).previous = current;
        self.take_down(id, Down::Reboot);
        true
    }

    /// Whether etcd can do without a node for a while; returns why not.
    pub(crate) fn may_lose_member(&self, id: Id) -> Result<(), String> {
        let Some(etcd) = self.etcd_of(id).filter(|_| self.nodes[id].has_etcd()) else { return Ok(()) };
        match self.etcds[etcd].members.len() {
            2 => Err("etcd member count(2) is insufficient to maintain quorum if upgrade commences".to_owned()),
            _ => Ok(()),
        }
    }

    /// Starts, stops or restarts a service as its user asked.
    pub(crate) fn operate(&mut self, id: Id, service: &str, operation: &str) {
        if operation != "start" {
            let pid = pid_of_service(service).unwrap_or_default();
            let text = format!("Sending SIGTERM to task {service} (PID {pid}, container {service})");
            self.tell(id, &Content::service(service, 4, &text), "");
        }
        match operation {
            "stop" => {
                self.nodes[id].stopped.insert(service.to_owned());
                self.tell(id, &Content::service(service, 5, "Service finished successfully"), "");
            }
            _ => {
                self.nodes[id].stopped.remove(service);
                self.tell(id, &Content::service(service, 8, "Starting service"), "");
                let pid = pid_of_service(service).unwrap_or_default();
                let text = format!("Started task {service} (PID {pid}) for container {service}");
                self.tell(id, &Content::service(service, 3, &text), "");
                if service == "kubelet" {
                    self.tell(id, &Content::service(service, 3, "Health check successful"), "");
                }
            }
        }
        self.touch(id);
    }

    /// What the kernel of a node was started with.
    pub(crate) fn kernel_command_line(&self, id: Id) -> String {
        let platform = self.nodes[id].image.as_ref().map_or("metal", |image| image.platform.as_str());
        format!(
            "talos.platform={platform} console=tty1 console=ttyS0 init_on_alloc=1 slab_nomerge pti=on \
             consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1"
        )
    }

    /// When a node booted.
    pub(crate) fn booted_at(&self, id: Id) -> prost_types::Timestamp {
        let seconds = i64::try_from(self.boot_time(id)).unwrap_or_default();
        prost_types::Timestamp { seconds, nanos: 0 }
    }

    /// When a node booted, in seconds since 1970.
    pub(crate) fn boot_time(&self, id: Id) -> u64 {
        let booted = self.nodes[id].booted_at.as_secs();
        u64::try_from(self.timestamp().seconds).unwrap_or_default() - (self.now.as_secs() - booted)
    }
}
