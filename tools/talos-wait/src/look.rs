//! Asking a node for what a condition is about.

use record::{Code, Exit, Failure};
use rolling::OneEtcd;
use step::Hold;
use talos_access::{Answer, ask};
use talos_client::{Address, EtcdService, Generation, Identity, MachineStatus, MemberHealth, Node, Ours};

use crate::condition::Condition;
use crate::plan::{Configured, NodeState, holds};

/// Who is asked for what.
#[derive(Debug)]
pub(crate) struct Looker<'a> {
    pub(crate) condition: &'a Condition,
    /// The node, and what the others have reported of etcd.
    pub(crate) name: &'a str,
    pub(crate) one: &'a OneEtcd,
    pub(crate) address: &'a Address,
    pub(crate) identity: Option<&'a Identity>,
    /// Whether the record calls it a control plane; `None` if the node itself must say so.
    pub(crate) control_plane: Option<bool>,
    /// Whether a step of this pipe has bootstrapped etcd.
    pub(crate) bootstrapped: bool,
    /// Asks Kubernetes why it doesn't report the node Ready, if there are credentials for that.
    pub(crate) kubernetes: Option<kube_client::Client>,
}

impl Looker<'_> {
    /// Looks once: whether the condition holds. If not, the node's own resources say why.
    pub(crate) async fn look(&self) -> Result<(), Hold> {
        let (state, node) = match ask(self.address, self.identity).await {
            Ok(Answer::Maintenance(found)) => {
                let version = match &found.generation {
                    Generation::Unified(version) => Some(version.tag.clone()),
                    Generation::Limited => None,
                };
                (NodeState { stage: found.status.stage, version, configured: None }, None)
            }
            Ok(Answer::Ours(ours)) => (self.state(&ours).await?, Some(ours.node)),
            Err(Hold::Failed(failure)) if self.is_answer_enough(&failure) => return Ok(()),
            Err(hold) => return Err(hold),
        };
        let Err(missing) = holds(self.condition, &state) else { return Ok(()) };
        if *self.condition == Condition::Maintenance {
            let hint = "use `talos-wait --for configured` for a node that is already configured";
            return Err(Hold::Failed(Failure::new(Exit::Failed, Code::Configured, missing).hint(hint)));
        }
        Err(Hold::NotYet(match node {
            Some(node) => self.with_reasons(missing, &node, &state).await,
            None => missing,
        }))
    }

    /// Whether a node that refuses us already meets the condition.
    fn is_answer_enough(&self, failure: &Failure) -> bool {
        *self.condition == Condition::Reachable && matches!(failure.exit, Exit::NotAllowed | Exit::Guard)
    }

    /// Asks a configured node no more than the condition needs.
    async fn state(&self, ours: &Ours) -> Result<NodeState, Hold> {
        let (node, condition) = (&ours.node, self.condition);
        let is_control_plane = condition.needs_etcd() && self.is_control_plane(node).await?;
        if (is_control_plane || *condition == Condition::Service("etcd".to_owned())) && node.is_etcd_stuck().await? {
            return Err(Hold::Failed(stuck(self.address)));
        }
        let etcd = match condition.asks_etcd() && is_control_plane {
            true => Some(self.etcd(node).await?),
            false => None,
        };
        let api_server = match *condition == Condition::KubernetesApi && is_control_plane {
            true => Some(node.static_pod("kube-apiserver").await?),
            false => None,
        };
        let registered = match condition.asks_registration() {
            true => node.node_status().await?.map(|status| status.ready),
            false => None,
        };
        let service = match condition {
            Condition::Service(name) if is_of_control_planes(name) && !self.is_control_plane(node).await? => Ok(()),
            Condition::Service(name) => service(node, name).await?,
            _ => Ok(()),
        };
        let booted = if ours.status.is_running_and_ready() { Ok(()) } else { Err(unmet(&ours.status)) };
        let version = ours.version.as_ref().map(|version| version.tag.clone());
        let configured = Some(Configured { etcd, api_server, registered, booted, service });
        Ok(NodeState { stage: ours.status.stage, version, configured })
    }

    async fn is_control_plane(&self, node: &Node) -> Result<bool, Hold> {
        match self.control_plane {
            Some(known) => Ok(known),
            None => {
                let said = node.is_control_plane().await?;
                said.ok_or_else(|| Hold::not_yet("it hasn't reported its role yet"))
            }
        }
    }

    /// Whether the node's etcd is a member; for its health, also whether it votes and sees a leader.
    async fn etcd(&self, node: &Node) -> Result<Result<(), String>, Hold> {
        let service = EtcdService::of(&node.services().await?);
        let helped = |missing: String| match service {
            Some(EtcdService::Joining) if self.bootstrapped => missing,
            Some(EtcdService::Joining) if missing.contains(EtcdService::WAITS) => format!("{missing}; {UNASKED}"),
            Some(EtcdService::Joining) => format!("{missing}; {}; {UNASKED}", EtcdService::WAITS),
            _ => missing,
        };
        if *self.condition == Condition::EtcdHealthy {
            return Ok(match node.etcd_health().await? {
                MemberHealth::Healthy { members, .. } => {
                    self.one.check(self.name, &members)?;
                    Ok(())
                }
                MemberHealth::Unhealthy(why) => Err(helped(format!("etcd on it is not healthy: {why}"))),
            });
        }
        let no = "etcd on it is not a member yet";
        // A node whose etcd doesn't run never answers a question about members.
        if service != Some(EtcdService::Running) {
            return Ok(Err(helped(no.to_owned())));
        }
        match node.local_etcd_members().await {
            Ok(members) if !members.is_empty() => {
                self.one.check(self.name, &members)?;
                Ok(Ok(()))
            }
            Ok(_) => Ok(Err(no.to_owned())),
            // While etcd starts, or has no leader, the call fails with unspecific codes.
            Err(error) => match Hold::from(error) {
                Hold::Failed(failure) if failure.exit == Exit::NotAllowed => Err(Hold::Failed(failure)),
                Hold::Failed(failure) => Ok(Err(format!("{no}: {}", failure.message))),
                Hold::NotYet(why) => Ok(Err(format!("{no}: {why}"))),
            },
        }
    }

    /// What is missing, with the reasons that the node's own resources give, and Kubernetes gives for a node that isn't Ready.
    async fn with_reasons(&self, missing: String, node: &Node, state: &NodeState) -> String {
        let mut reasons = vec![missing];
        let registered = state.configured.as_ref().and_then(|configured| configured.registered);
        if registered == Some(false)
            && let (Some(client), Ok(Some(status))) = (&self.kubernetes, node.node_status().await)
            && let Ok(Some(why)) = client.why_not_ready(&status.name).await
        {
            reasons.push(why);
        }
        node.because(&reasons.join("; ")).await
    }
}

/// What helps an etcd that waits for a cluster, where no step of the pipe has bootstrapped one.
const UNASKED: &str = "unless another control plane was bootstrapped, run `talos-bootstrap`";

/// The failure of a node whose etcd no waiting brings back.
fn stuck(address: &Address) -> Failure {
    let message =
        format!("etcd on {} was stopped for good by a second bootstrap while it was starting", address.host());
    Failure::new(Exit::Guard, Code::EtcdStuck, message)
        .hint("only a reboot of the node starts it again: `talos-bootstrap --reboot-stuck` does that; no data is lost")
}

/// Whether only control planes have a service: as for `etcd` and `etcd-healthy`, workers aren't asked for it.
fn is_of_control_planes(service: &str) -> bool {
    ["etcd", "trustd"].contains(&service)
}

/// Whether a service runs and is healthy.
async fn service(node: &Node, name: &str) -> Result<Result<(), String>, Hold> {
    let services = node.services().await?;
    Ok(match services.iter().find(|service| service.id == name) {
        Some(service) if service.is_up() => Ok(()),
        Some(service) => match &service.unhealthy {
            Some(why) if service.state == "Running" => Err(format!("service {name} is not healthy: {why}")),
            _ => Err(format!("service {name} is {}: {}", service.state, service.last())),
        },
        None => Err(format!("it has no service {name} yet")),
    })
}

/// What keeps a node from being ready, as it says itself.
fn unmet(status: &MachineStatus) -> String {
    let unmet: Vec<_> = status.unmet.iter().map(|unmet| format!("{}: {}", unmet.name, unmet.reason)).collect();
    let unmet = if unmet.is_empty() { String::new() } else { format!(" ({})", unmet.join("; ")) };
    format!("{}{unmet}", status.stage)
}
