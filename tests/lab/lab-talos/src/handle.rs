//! A test's hold on a node: what it can see there, and what it can make go wrong.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lab_core::fault::{Fault, NodeState};
use tonic::Code;

use super::Talos;
use super::config::Role;
use super::faults::Faults;
use super::node::{Counts, Node, Stage};
use super::world::{Down, Id};

/// One node of a lab.
#[derive(Clone)]
pub struct NodeHandle {
    talos: Arc<Talos>,
    id: Id,
}

impl std::fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeHandle").field("name", &self.name()).field("stage", &self.stage()).finish()
    }
}

impl NodeHandle {
    pub(super) fn new(talos: Arc<Talos>, id: Id) -> Self {
        Self { talos, id }
    }

    fn see<R>(&self, look: impl FnOnce(&Node) -> R) -> R {
        self.talos.read(|world| look(&world.nodes[self.id]))
    }

    /// Name of the VM.
    pub fn name(&self) -> String {
        self.see(|node| node.machine.name.clone())
    }

    /// Host name with its domain.
    pub fn hostname(&self) -> String {
        self.see(Node::full_name)
    }

    /// The first address, if it has one.
    pub fn address(&self) -> Option<IpAddr> {
        self.see(Node::address)
    }

    /// Every address of its own, without shared ones.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.see(|node| node.addresses.iter().map(ipnet::IpNet::addr).collect())
    }

    /// What the machine is busy with.
    pub fn stage(&self) -> Stage {
        self.see(|node| node.stage)
    }

    /// Conditions that keep it from being ready: `(name, reason)`.
    pub fn unmet(&self) -> Vec<(String, String)> {
        self.talos.read(|world| world.unmet(self.id))
    }

    /// The machine config that it acts on, byte for byte.
    pub fn config(&self) -> Option<String> {
        self.see(|node| node.config.as_ref().map(|config| config.text.clone()))
    }

    /// `controlplane` or `worker`, once it is configured.
    pub fn role(&self) -> Option<&'static str> {
        self.see(Node::role).map(|role| match role {
            Role::ControlPlane => "controlplane",
            Role::Worker => "worker",
        })
    }

    /// The version of Talos that runs; empty before the first boot.
    pub fn version(&self) -> String {
        self.see(Node::tag)
    }

    /// Whether its etcd runs and belongs to a cluster that can serve.
    pub fn is_etcd_member(&self) -> bool {
        self.talos.read(|world| world.etcd_healthy(self.id))
    }

    /// Whether Kubernetes shows its node as Ready.
    pub fn is_ready(&self) -> bool {
        self.talos.read(|world| {
            let name = world.nodename(self.id);
            world.kubernetes_of(self.id).is_some_and(|etcd| world.etcds[etcd].store.is_ready(&name))
        })
    }

    /// A label of its Kubernetes node.
    pub fn label(&self, key: &str) -> Option<String> {
        self.talos.read(|world| {
            let name = world.nodename(self.id);
            let etcd = world.kubernetes_of(self.id)?;
            let value = world.etcds[etcd].store.node(&name)?["metadata"]["labels"].get(key)?;
            value.as_str().map(str::to_owned)
        })
    }

    /// How often it was acted on.
    pub fn counts(&self) -> Counts {
        self.see(|node| node.counts)
    }

    /// Identity of the running system; another after each boot.
    pub fn boot_id(&self) -> String {
        self.see(|node| node.boot_id.clone())
    }

    /// SHA-256 of its maintenance key, as printed on its console.
    pub fn fingerprint(&self) -> Option<String> {
        self.see(|node| node.maintenance.get().map(|identity| identity.fingerprint.clone()))
    }

    /// What its serial console has shown since it was switched on.
    pub fn console(&self) -> Vec<String> {
        self.see(|node| node.console.clone())
    }

    /// Makes a node in maintenance mode show another certificate from now on.
    pub fn reissue(&self) {
        self.talos.update(|world| world.reissue(self.id));
    }

    /// Waits until the node meets a condition; returns whether it did within the bound.
    pub async fn until(&self, bound: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        self.talos.until(bound, |_| condition(self)).await
    }

    fn disturb(&self, change: impl FnOnce(&mut Faults)) {
        self.talos.update(|world| {
            change(&mut world.nodes[self.id].faults);
            world.touch(self.id);
        });
    }

    /// Keeps the system from coming up at this boot and the next ones, until [`Self::release_boot`].
    pub fn hold_boot(&self) {
        self.disturb(|faults| faults.hold_boot = true);
    }

    /// Lets a boot that was held back continue.
    pub fn release_boot(&self) {
        self.talos.update(|world| world.release_boot(self.id));
    }

    /// Lets a bootstrap wait for the image of etcd, with this error (or none, if the pull only takes long), or lets the
    /// pull end.
    pub fn hold_etcd_pull(&self, error: Option<&str>) {
        self.talos.update(|world| world.hold_etcd_pull(self.id, error));
    }

    /// Keeps etcd at the point at which it has begun to write its data, or lets it come up.
    pub fn hold_etcd_start(&self, hold: bool) {
        self.talos.update(|world| world.hold_etcd_start(self.id, hold));
    }

    /// Keeps the image of the kubelet from being pulled, with this error, or lets it be pulled.
    pub fn hold_kubelet_pull(&self, error: Option<&str>) {
        self.talos.update(|world| world.hold_kubelet_pull(self.id, error));
    }

    /// Keeps the container network of the node from coming up, or lets it.
    pub fn hold_cni(&self, hold: bool) {
        self.talos.update(|world| world.hold_cni(self.id, hold));
    }

    /// Lets the containers of static pods wait, with this reason and message, or run.
    pub fn hold_static_pods(&self, why: Option<(&str, &str)>) {
        self.disturb(|faults| faults.pods_wait = why.map(|(reason, message)| (reason.to_owned(), message.to_owned())));
    }

    /// Shows a volume that can't be made, with this error, or takes it away.
    pub fn fail_volume(&self, failed: Option<(&str, &str)>) {
        self.disturb(|faults| faults.volume = failed.map(|(name, why)| (name.to_owned(), why.to_owned())));
    }

    /// Lets questions that go to other control planes by way of this node lead nowhere, or answers them again.
    pub fn cut_off_from_peers(&self, cut: bool) {
        self.disturb(|faults| faults.lonely = cut);
    }

    /// Closes port 50000, or opens it again.
    pub fn refuse(&self, refuse: bool) {
        self.disturb(|faults| faults.refuse = refuse);
    }

    /// Accepts connections and doesn't respond, or behaves again.
    pub fn hang(&self, hang: bool) {
        self.disturb(|faults| faults.hang = hang);
    }

    /// Makes each call take longer.
    pub fn delay(&self, delay: Duration) {
        self.disturb(|faults| faults.delay = delay);
    }

    /// Acts on the next call of a method (`Bootstrap`; any if `None`), but loses the reply with the connection.
    pub fn lose_reply(&self, method: Option<&str>) {
        self.next(method, Fault::LoseReply);
    }

    /// Never answers the next call of a method.
    pub fn hang_next(&self, method: &str) {
        self.next(Some(method), Fault::Hang);
    }

    /// Answers the next call of a method this much later: also to let it pass before a fault of the one after it.
    pub fn slow_next(&self, method: &str, by: Duration) {
        self.next(Some(method), Fault::Slow { by: Some(by) });
    }

    /// Fails the next call of a method (any if `None`) without acting on it.
    pub fn fail_next(&self, method: Option<&str>, code: Code, message: &str) {
        self.next(method, Fault::Fail { status: code as u16, message: message.to_owned() });
    }

    /// Makes the node say this in addition wherever it says anything: in warnings and details, and of its services.
    pub fn says(&self, text: Option<&str>) {
        self.disturb(|faults| faults.says = text.map(str::to_owned));
    }

    fn next(&self, method: Option<&str>, fault: Fault) {
        let method = method.map(str::to_owned);
        self.disturb(|faults| faults.next.push_back((method, fault)));
    }

    /// Sets the clock right or wrong.
    pub fn set_time_synced(&self, synced: bool) {
        self.talos.update(|world| {
            world.nodes[self.id].time_synced = synced;
            world.touch(self.id);
        });
    }

    /// Whether its API answers.
    pub fn listens(&self) -> bool {
        self.see(|node| node.api != super::node::Api::Closed && !node.faults.refuse)
    }

    /// Applies a machine config, as an administrator does.
    ///
    /// # Errors
    ///
    /// What the node would answer.
    pub fn apply(&self, text: &str) -> Result<(), tonic::Status> {
        let apply = super::world::Apply {
            data: text.as_bytes().to_vec(),
            mode: super::world::Mode::Auto,
            dry_run: false,
            try_timeout: None,
            admin: true,
        };
        self.talos.update(|world| world.apply(self.id, &apply)).map(|_| ())
    }

    /// Starts etcd on this node.
    ///
    /// # Errors
    ///
    /// What the node would answer.
    pub fn bootstrap(&self) -> Result<(), tonic::Status> {
        self.talos.update(|world| world.bootstrap(self.id))
    }

    /// The admin kubeconfig, with a certificate made for it; none before there is a config.
    pub fn kubeconfig(&self) -> Option<String> {
        let config = self.see(|node| node.config.clone())?;
        super::rpc::admin_kubeconfig(&config).ok()
    }

    /// Shows a problem of the node as a resource, or takes it back.
    pub fn set_diagnostic(&self, name: &str, message: Option<&str>) {
        self.talos.update(|world| {
            let diagnostics = &mut world.nodes[self.id].diagnostics;
            match message {
                Some(message) => diagnostics.insert(name.to_owned(), message.to_owned()),
                None => diagnostics.remove(name),
            };
            world.touch(self.id);
        });
    }

    /// Raises an alarm of the node's etcd member: the database is full, or corrupt.
    pub fn raise_etcd_alarm(&self, corrupt: bool) {
        self.talos.update(|world| {
            let own = world.disk(self.id).and_then(|disk| disk.etcd);
            if let (Some(etcd), Some((_, member))) = (world.etcd_of(self.id), own) {
                world.etcds[etcd].alarms.push((member, if corrupt { 2 } else { 1 }));
            }
        });
    }

    /// Makes the node reboot as by itself.
    pub fn reboot(&self) {
        self.talos.update(|world| {
            if world.nodes[self.id].on {
                world.go_down(self.id, Down::Reboot);
            }
        });
    }

    /// Makes a state of the node wrong, or right again; returns whether that could be done already.
    pub fn set_state(&self, state: NodeState, wrong: bool) -> bool {
        match state {
            NodeState::BootHeld if wrong => self.hold_boot(),
            NodeState::BootHeld => self.release_boot(),
            NodeState::PortClosed => self.refuse(wrong),
            NodeState::Silent => self.hang(wrong),
            NodeState::ClockWrong => self.set_time_synced(!wrong),
            NodeState::EtcdFull | NodeState::EtcdCorrupt if !self.is_etcd_member() => return false,
            NodeState::EtcdFull => self.raise_etcd_alarm(false),
            NodeState::EtcdCorrupt => self.raise_etcd_alarm(true),
            NodeState::Reboot | NodeState::RebootAgain if !self.see(|node| node.on) => return false,
            NodeState::Reboot | NodeState::RebootAgain => self.reboot(),
        }
        true
    }
}
