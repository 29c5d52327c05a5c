//! What the nodes report to Kubernetes about themselves.

use prost_types::Timestamp;
use time::OffsetDateTime;

use super::{Id, World};
use crate::version::kernel;
use lab_core::kubernetes::Report;

impl World {
    /// The time of day in the lab.
    pub(crate) fn time(&self) -> OffsetDateTime {
        self.begun + self.now
    }

    /// The time of day as Kubernetes writes it.
    pub(super) fn clock(&self) -> String {
        let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        self.time().format(&format).unwrap_or_default()
    }

    /// The time of day at a moment of the lab.
    pub(crate) fn timestamp_at(&self, moment: std::time::Duration) -> Timestamp {
        Timestamp { seconds: (self.begun + moment).unix_timestamp(), nanos: 0 }
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp { seconds: self.time().unix_timestamp(), nanos: 0 }
    }

    /// Version of the API server on a node, on a worker that of its cluster: `v1.36.3`.
    pub(crate) fn server_version(&self, id: Id) -> String {
        let config = |id: Id| self.nodes[id].config.as_ref();
        let key = config(id).map(|config| config.kubernetes_key());
        let same = |other: &Id| config(*other).is_some_and(|config| Some(config.kubernetes_key()) == key);
        let image = |id: Id| config(id).map(|config| config.server_image.clone()).filter(|image| !image.is_empty());
        let image = image(id).or_else(|| (0..self.nodes.len()).filter(same).find_map(image));
        self.image_version(id, &image.unwrap_or_default())
    }

    /// The tag of an image; the newest minor release that the node's Talos runs if there is none.
    fn image_version(&self, id: Id, image: &str) -> String {
        let tag = image.split('@').next().and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag);
        match tag {
            Some(tag) => tag.to_owned(),
            None => format!("v1.{}.0", self.nodes[id].version().kubernetes().1),
        }
    }

    /// What a node's kubelet reports about it.
    pub(super) fn report(&self, id: Id) -> Report {
        let node = &self.nodes[id];
        let config = node.config.as_ref();
        let labels = config.map(|config| config.labels.clone()).unwrap_or_default();
        Report {
            control_plane: node.is_control_plane(),
            name: self.nodename(id),
            hostname: node.hostname().0,
            address: node.address().map(|address| address.to_string()).unwrap_or_default(),
            kubelet: self.image_version(id, config.map_or("", |config| &config.kubelet_image)),
            server: self.server_version(id),
            talos: node.tag(),
            kernel: kernel(&node.tag()),
            labels,
            annotations: config.map(|config| config.annotations.clone()).unwrap_or_default(),
            taints: config.map(|config| config.taints.clone()).unwrap_or_default(),
            uuid: node.machine.uuid.to_lowercase(),
            boot_id: node.boot_id.clone(),
            cores: node.machine.cores,
            memory: node.machine.memory,
            extensions: node.image.as_ref().map(|image| image.extensions.clone()).unwrap_or_default(),
            place: id,
            at: self.clock(),
        }
    }
}
