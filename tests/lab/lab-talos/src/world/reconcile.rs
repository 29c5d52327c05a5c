//! What becomes possible by what has happened.

use std::collections::HashSet;

use super::{Due, Id, World};
use crate::events::Content;
use crate::node::{Api, EtcdService, Node, Progress, Stage};

/// What is there for others to use.
#[derive(Default)]
struct Offers {
    /// Clusters in which a control plane signs certificates for workers.
    trust: HashSet<u64>,
    /// Clusters whose Kubernetes API answers.
    kubernetes: HashSet<u64>,
}

/// Whether a node has come as far as it gets: nothing that others do changes it any more.
fn is_settled(node: &Node) -> bool {
    let control_plane = node.is_control_plane();
    let serves = !control_plane || (node.etcd == EtcdService::Running && node.apiserver != Progress::Off);
    node.stage == Stage::Running && node.api == Api::Secured && node.kubelet != Progress::Off && serves
}

impl World {
    /// Lets everything happen that can happen without time passing.
    pub(super) fn reconcile(&mut self) {
        loop {
            let offers = self.offers();
            let mut changed = self.elect_shared();
            for id in 0..self.nodes.len() {
                let node = &self.nodes[id];
                if node.on && node.api_due && !is_settled(node) {
                    changed |= self.reconcile_node(id, &offers);
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn offers(&self) -> Offers {
        let mut offers = Offers::default();
        for (id, node) in self.nodes.iter().enumerate() {
            let Some(config) = node.config.as_ref().filter(|_| node.on && node.is_control_plane()) else { continue };
            if node.api == Api::Secured && node.time_synced {
                offers.trust.insert(config.trust_key());
            }
            if self.serves_kubernetes(id) {
                offers.kubernetes.insert(config.kubernetes_key());
            }
        }
        offers
    }

    /// Whether the Kubernetes API on a node answers.
    pub(crate) fn serves_kubernetes(&self, id: Id) -> bool {
        self.nodes[id].apiserver == Progress::Up && self.etcd_healthy(id)
    }

    fn reconcile_node(&mut self, id: Id, offers: &Offers) -> bool {
        let Some(config) = self.nodes[id].config.clone() else { return false };
        let node = &self.nodes[id];
        let etcd = node.etcd;
        let trusted = node.is_control_plane() || offers.trust.contains(&config.trust_key());
        if node.api == Api::Closed && trusted {
            self.open_api(id);
            return true;
        }
        if node.stage == Stage::Installing || node.installing {
            return false;
        }
        match etcd {
            EtcdService::Preparing if self.disk(id).is_some_and(|disk| disk.etcd.is_some()) => {
                self.start_etcd(id);
                return true;
            }
            EtcdService::Preparing if self.try_join(id) => return true,
            EtcdService::Running if self.nodes[id].apiserver == Progress::Off => {
                self.nodes[id].apiserver = Progress::Starting;
                self.plan(id, self.delays.apiserver, Due::ApiServerUp);
                return true;
            }
            _ => {}
        }
        self.reconcile_kubelet(id, offers.kubernetes.contains(&config.kubernetes_key())) | self.reconcile_stage(id)
    }

    fn open_api(&mut self, id: Id) {
        self.nodes[id].api = Api::Secured;
        self.nodes[id].generation += 1;
        self.tell(id, &Content::service("apid", 3, "Health check successful"), "");
        self.print(id, "service[apid](Running): Health check successful");
        self.touch(id);
    }

    fn reconcile_kubelet(&mut self, id: Id, reachable: bool) -> bool {
        let is_held = self.nodes[id].faults.hold_kubelet_pull.is_some();
        if self.nodes[id].kubelet != Progress::Off || !reachable || self.nodes[id].api != Api::Secured || is_held {
            return false;
        }
        self.nodes[id].kubelet = Progress::Starting;
        self.register_kubernetes_node(id);
        self.plan(id, self.delays.ready, Due::NodeReady);
        self.touch(id);
        true
    }

    /// The boot sequence is over once every service is up.
    fn reconcile_stage(&mut self, id: Id) -> bool {
        let node = &self.nodes[id];
        let up = node.api == Api::Secured && (!node.is_control_plane() || node.etcd == EtcdService::Running);
        if node.stage != Stage::Booting || !up || node.faults.hold_kubelet_pull.is_some() {
            return false;
        }
        self.tell(id, &Content::task("startAllServices", 1), "");
        self.tell(id, &Content::sequence("boot", 2), "");
        self.stage(id, Stage::Running);
        self.print(id, "boot sequence: done");
        true
    }

    pub(super) fn apiserver_up(&mut self, id: Id) {
        self.nodes[id].apiserver = Progress::Up;
        if let Some(etcd) = self.etcd_of(id) {
            let report = self.report(id);
            self.etcds[etcd].store.begin(&report);
        }
        self.report_components(id);
        self.status_event(id);
    }

    pub(super) fn node_ready(&mut self, id: Id) {
        if self.nodes[id].faults.hold_cni {
            return;
        }
        self.nodes[id].kubelet = Progress::Up;
        let at = self.clock();
        let name = self.nodename(id);
        if let Some(etcd) = self.kubernetes_of(id) {
            self.etcds[etcd].store.set_ready(&name, true, &at);
        }
        self.print(id, &format!("node \"{name}\" is ready"));
        self.status_event(id);
    }

    /// The cluster whose Kubernetes API a node's kubelet talks to, by place.
    pub(crate) fn kubernetes_of(&self, id: Id) -> Option<usize> {
        let key = self.nodes[id].config.as_ref()?.kubernetes_key();
        let own = self.etcd_of(id).filter(|etcd| self.etcds[*etcd].kubernetes_key == key);
        own.or_else(|| self.etcds.iter().position(|etcd| etcd.kubernetes_key == key))
    }

    fn register_kubernetes_node(&mut self, id: Id) {
        let Some(etcd) = self.kubernetes_of(id) else { return };
        let report = self.report(id);
        self.etcds[etcd].store.register(&report);
    }

    /// Tells Kubernetes of a config that changed under a node that it knows.
    pub(super) fn refresh_kubernetes_node(&mut self, id: Id) {
        if self.nodes[id].kubelet == Progress::Off {
            return;
        }
        if let Some(etcd) = self.kubernetes_of(id).filter(|_| !self.nodes[id].kubelet_away) {
            let report = self.report(id);
            self.etcds[etcd].store.refresh(&report);
        }
        if self.nodes[id].apiserver == Progress::Up {
            self.report_components(id);
        }
    }

    pub(super) fn lose_kubernetes_node(&mut self, id: Id) {
        if self.nodes[id].config.is_none() || self.nodes[id].kubelet == Progress::Off {
            return;
        }
        let at = self.clock();
        let name = self.nodename(id);
        if let Some(etcd) = self.kubernetes_of(id) {
            self.etcds[etcd].store.set_ready(&name, false, &at);
        }
    }
}
