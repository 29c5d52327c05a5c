//! What of Kubernetes a control plane runs by itself, and the kubelet of every node.

use std::time::Duration;

use super::{Due, Id, World};
use crate::config::Config;
use crate::node::Progress;
use crate::resources;
use lab_core::kubernetes::Component;

/// How long a kubelet that is restarted is gone: who watches it must be able to see that, whatever else takes no time.
const GONE: Duration = Duration::from_millis(300);

/// The components of a control plane, and the types of resources with their configs.
const COMPONENTS: [(&str, &str); 3] = [
    ("kube-apiserver", "APIServerConfigs.kubernetes.talos.dev"),
    ("kube-controller-manager", "ControllerManagerConfigs.kubernetes.talos.dev"),
    ("kube-scheduler", "SchedulerConfigs.kubernetes.talos.dev"),
];

impl World {
    /// The image of a component: the one that the config names, else that of the API server's release.
    pub(crate) fn component_image(&self, id: Id, component: &str) -> String {
        let image = |config: &Config| match component {
            "kube-apiserver" => config.server_image.clone(),
            "kube-controller-manager" => config.manager_image.clone(),
            "kube-scheduler" => config.scheduler_image.clone(),
            _ => config.proxy_image.clone(),
        };
        let named = self.nodes[id].config.as_deref().map(image).filter(|image| !image.is_empty());
        named.unwrap_or_else(|| format!("registry.k8s.io/{component}:{}", self.server_version(id)))
    }

    /// What a control plane runs as static pods, each with the version of the resource that it was made from.
    fn components(&self, id: Id) -> Vec<Component> {
        let component = |(name, kind): (&'static str, &str)| Component {
            name,
            image: self.component_image(id, name),
            version: resources::version(self, id, kind).unwrap_or_default(),
        };
        COMPONENTS.map(component).into()
    }

    /// Lets the pull of the kubelet's image fail, or succeed.
    pub(crate) fn hold_kubelet_pull(&mut self, id: Id, error: Option<&str>) {
        self.nodes[id].faults.hold_kubelet_pull = error.map(str::to_owned);
        if let Some(error) = error {
            let image = self.nodes[id].config.as_ref().map(|config| config.kubelet_image.clone()).unwrap_or_default();
            let image = if image.is_empty() { "ghcr.io/siderolabs/kubelet:v1".to_owned() } else { image };
            self.print(id, &format!("retrying error: failed to pull image \"{image}\": {error}"));
        }
        self.touch(id);
    }

    /// Keeps the container network from coming up, or lets it.
    pub(crate) fn hold_cni(&mut self, id: Id, hold: bool) {
        self.nodes[id].faults.hold_cni = hold;
        if !hold && self.nodes[id].kubelet == Progress::Starting {
            self.plan(id, Duration::ZERO, Due::NodeReady);
        }
        self.touch(id);
    }

    /// Tells Kubernetes of the static pods of a control plane.
    pub(super) fn report_components(&mut self, id: Id) {
        if let Some(etcd) = self.etcd_of(id).filter(|_| self.nodes[id].is_control_plane()) {
            let (report, components) = (self.report(id), self.components(id));
            self.etcds[etcd].store.control_plane_up(&report, &components);
        }
    }

    /// A config with another image lets the kubelet go down and come up again.
    pub(super) fn restart_kubelet(&mut self, id: Id) {
        self.nodes[id].kubelet_away = true;
        self.plan(id, GONE, Due::KubeletBack);
        self.touch(id);
    }

    pub(super) fn kubelet_back(&mut self, id: Id) {
        self.nodes[id].kubelet_away = false;
        self.refresh_kubernetes_node(id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{Secrets, machine};
    use crate::world::{Apply, Mode};
    use lab_core::delays::Delays;

    /// A control plane that runs, and its config.
    fn running() -> (World, String) {
        let mut world = World::new(
            Delays::ZERO,
            "127.80.3.0/24".parse().unwrap(),
            7,
            time::OffsetDateTime::UNIX_EPOCH,
            std::sync::Arc::new(lab_kube::Kube),
        );
        world.power_on(machine("cp-1", "127.80.3.11", "v1.13.9"));
        world.advance(Duration::from_secs(1));
        let text = Secrets::new().control_plane("cp-1", "https://127.80.3.11:6443");
        apply(&mut world, &text);
        world.bootstrap(0).unwrap();
        world.advance(Duration::from_secs(3));
        (world, text)
    }

    fn apply(world: &mut World, text: &str) {
        let data = text.as_bytes().to_vec();
        let apply = Apply { data, mode: Mode::Auto, dry_run: false, try_timeout: None, admin: true };
        world.apply(0, &apply).unwrap();
        world.advance(world.now);
    }

    /// Image and version of the static pod of a component.
    fn pod(world: &World, component: &str) -> (String, String) {
        let store = &world.etcds[world.kubernetes_of(0).unwrap()].store;
        let pods = store.list("pods", Some("kube-system"));
        let found = pods.into_iter().find(|pod| pod["metadata"]["name"] == format!("{component}-cp-1")).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let version = &found["metadata"]["annotations"]["talos.dev/config-version"];
        (text(&found["spec"]["containers"][0]["image"]), text(version))
    }

    #[test]
    fn a_static_pod_tells_the_version_of_the_config_that_it_runs() {
        let (mut world, text) = running();
        let version = |world: &World, kind| resources::version(world, 0, kind).unwrap();
        let before = pod(&world, "kube-scheduler");
        assert_eq!(before, ("registry.k8s.io/kube-scheduler:v1.36.3".into(), version(&world, COMPONENTS[2].1)));

        apply(
            &mut world,
            &text.replace("    etcd: ", "    scheduler: {image: 'example.org/scheduler:v2'}\n    etcd: "),
        );

        let after = pod(&world, "kube-scheduler");
        assert_eq!(after, ("example.org/scheduler:v2".into(), version(&world, COMPONENTS[2].1)));
        assert_ne!(before.1, after.1);
        assert_eq!(pod(&world, "kube-apiserver").1, version(&world, COMPONENTS[0].1));
    }

    #[test]
    fn another_image_takes_the_kubelet_down_and_up_again() {
        let (mut world, text) = running();
        let serves = |world: &World| world.services(0).iter().any(|service| service.id == "kubelet");
        apply(&mut world, &text.replace("features:", "nodeLabels: {a: b}\n    features:"));
        assert!(serves(&world), "other changes leave it alone");

        apply(&mut world, &text.replace("kubelet:v1.36.3", "kubelet:v1.36.4"));

        assert!(!serves(&world));
        world.advance(world.now + Duration::from_secs(1));
        assert!(serves(&world));
        let store = &world.etcds[world.kubernetes_of(0).unwrap()].store;
        assert_eq!(store.node("cp-1").unwrap()["status"]["nodeInfo"]["kubeletVersion"], "v1.36.4");
    }

    #[test]
    fn a_kubelet_whose_node_is_cut_off_on_its_way_is_there_after_the_next_boot() {
        let (mut world, text) = running();
        apply(&mut world, &text.replace("kubelet:v1.36.3", "kubelet:v1.36.4"));
        assert!(world.nodes[0].kubelet_away);
        let uuid = world.nodes[0].machine.uuid.clone();
        world.power_off(&uuid);
        world.power_on(machine("cp-1", "127.80.3.11", "v1.13.9"));
        world.advance(world.now + Duration::from_secs(10));

        assert!(world.services(0).iter().any(|service| service.id == "kubelet"));
    }
}
