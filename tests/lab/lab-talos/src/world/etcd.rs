//! etcd across the control planes of a cluster.

use tonic::Status;

use super::{Due, Id, World};
use crate::bolt;
use crate::events::Content;
use crate::node::{EtcdService, Stage};
use lab_core::kubernetes::Objects;

/// The answer to a Bootstrap of a node that has etcd data.
const HAS_DATA: &str = "etcd data directory is not empty";

/// One etcd cluster, with the Kubernetes objects that it stores.
pub(crate) struct Etcd {
    pub(crate) id: u64,
    /// What control planes must share to join it: the authority of etcd and the cluster's identity.
    pub(crate) key: u64,
    /// What kubelets must share with it: the authority of Kubernetes.
    pub(crate) kubernetes_key: u64,
    pub(crate) name: String,
    pub(crate) members: Vec<Member>,
    /// Member that leads.
    pub(crate) leader: u64,
    pub(crate) term: u64,
    /// Alarms: the member, and the API's number of the kind.
    pub(crate) alarms: Vec<(u64, i32)>,
    /// Whether its version is on the way down.
    pub(crate) downgrading: bool,
    pub(crate) store: Box<dyn Objects>,
}

/// A member of an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: u64,
    pub(crate) node: Id,
    pub(crate) hostname: String,
    pub(crate) address: String,
    pub(crate) learner: bool,
    /// Whether its etcd has run: until then it has no name for the others.
    pub(crate) started: bool,
}

impl World {
    /// The etcd that a node's data directory belongs to, by place.
    pub(crate) fn etcd_of(&self, id: Id) -> Option<usize> {
        let (cluster, _) = self.disk(id)?.etcd?;
        self.etcds.iter().position(|etcd| etcd.id == cluster)
    }

    /// Whether the etcd at a place has more than half of its members running.
    pub(crate) fn has_quorum(&self, etcd: usize) -> bool {
        let voters = self.etcds[etcd].members.iter().filter(|member| !member.learner);
        let (all, up) =
            voters.fold((0, 0), |(all, up), member| (all + 1, up + usize::from(self.nodes[member.node].has_etcd())));
        up * 2 > all
    }

    /// Whether etcd on a node runs and can serve.
    pub(crate) fn etcd_healthy(&self, id: Id) -> bool {
        self.nodes[id].has_etcd() && self.etcd_of(id).is_some_and(|etcd| self.has_quorum(etcd))
    }

    /// Starts a new etcd cluster on a control plane: what runs of etcd is stopped, and the image is pulled once more. An
    /// etcd that has begun to write is stopped, too, and stays so (internal/app/machined/pkg/system/services/etcd.go
    /// `BootstrapEtcd`).
    pub(crate) fn bootstrap(&mut self, id: Id) -> Result<(), Status> {
        self.may_bootstrap(id)?;
        self.print(id, "bootstrap request received");
        if self.nodes[id].etcd == EtcdService::Starting {
            self.nodes[id].etcd = EtcdService::Stuck;
            self.tell(id, &Content::service("etcd", 5, "Bootstrap requested"), "");
            self.print(id, "service[etcd](Finished): Bootstrap requested");
            self.touch(id);
            return Err(Status::unknown(HAS_DATA));
        }
        let held = self.nodes[id].faults.hold_etcd_pull.clone();
        if held.is_some() {
            // It ends the pull that began with the config, or with the Bootstrap before.
            self.print_pull_error(id, "context canceled");
        }
        self.nodes[id].counts.bootstrapped += 1;
        self.nodes[id].etcd_asked = Some(self.now);
        self.nodes[id].etcd = EtcdService::Pulling;
        self.touch(id);
        match held {
            Some(error) => {
                self.print_pull(id);
                self.print_pull_error(id, &error);
                Ok(())
            }
            None => self.pulled(id),
        }
    }

    /// That the pull of etcd's image begins: with the config, before anybody bootstraps it (seen on 1.13.9).
    pub(super) fn print_pull(&mut self, id: Id) {
        self.print(id, &format!("pulling image {}: starting...", self.etcd_image(id)));
    }

    fn print_pull_error(&mut self, id: Id, error: &str) {
        if !error.is_empty() {
            self.print(id, &format!("retrying error: failed to pull image \"{}\": {error}", self.etcd_image(id)));
        }
    }

    fn etcd_image(&self, id: Id) -> String {
        format!("registry.k8s.io/etcd:v{}", self.nodes[id].version().etcd())
    }

    /// Lets the pull of etcd's image wait or fail, or end.
    pub(crate) fn hold_etcd_pull(&mut self, id: Id, error: Option<&str>) {
        self.nodes[id].faults.hold_etcd_pull = error.map(str::to_owned);
        if self.nodes[id].is_control_plane() {
            self.print_pull_error(id, error.unwrap_or_default());
        }
        if error.is_none() && self.nodes[id].etcd == EtcdService::Pulling {
            // Whatever it lacks was there when it was asked.
            let _ = self.pulled(id);
        }
        self.touch(id);
    }

    /// Keeps etcd from coming up once it has begun to write, or lets it.
    pub(crate) fn hold_etcd_start(&mut self, id: Id, hold: bool) {
        self.nodes[id].faults.hold_etcd_start = hold;
        if !hold {
            self.etcd_up(id);
        }
    }

    /// The image is there: etcd begins to write.
    fn pulled(&mut self, id: Id) -> Result<(), Status> {
        let Some(config) = self.nodes[id].config.clone() else {
            return Err(Status::unimplemented("machine type is not set, cannot use bootstrap API"));
        };
        let (cluster, seed) = (self.random(), self.random());
        self.etcds.push(Etcd {
            id: cluster,
            key: config.etcd_key(),
            kubernetes_key: config.kubernetes_key(),
            name: config.cluster_name.clone(),
            members: Vec::new(),
            leader: 0,
            term: 1,
            alarms: Vec::new(),
            downgrading: false,
            store: self.kubernetes.objects(seed),
        });
        self.join(id, self.etcds.len() - 1, false);
        let place = self.etcds.len() - 1;
        self.etcds[place].leader = self.etcds[place].members[0].id;
        Ok(())
    }

    /// Starts a new etcd cluster from the snapshot that was uploaded; without one, or with a damaged one, the call is
    /// accepted and the service fails.
    pub(crate) fn recover(&mut self, id: Id, skip_checksum: bool) -> Result<(), Status> {
        self.may_bootstrap(id)?;
        let snapshot = self.disk_mut(id).snapshot.take();
        let value = snapshot.as_ref().and_then(|bytes| bolt::value(bytes, skip_checksum));
        let objects = value.and_then(|value| serde_json::from_slice(&value).ok());
        let Some(objects) = objects else {
            self.nodes[id].etcd = EtcdService::Failed;
            let text = match snapshot {
                None => "Failed to run pre stage: error recovering etcd from snapshot: no snapshot found",
                Some(_) => "Failed to run pre stage: error recovering etcd from snapshot: hash mismatch",
            };
            self.tell(id, &Content::service("etcd", 6, text), "");
            self.touch(id);
            return Ok(());
        };
        self.bootstrap(id)?;
        if let Some(etcd) = self.etcd_of(id) {
            self.etcds[etcd].store.restore(&objects);
        }
        Ok(())
    }

    fn may_bootstrap(&self, id: Id) -> Result<(), Status> {
        let node = &self.nodes[id];
        if node.config.is_none() {
            return Err(Status::unimplemented("machine type is not set, cannot use bootstrap API"));
        }
        if !node.is_control_plane() {
            return Err(match node.version().unified_maintenance() {
                true => Status::unimplemented("bootstrap is only available on control plane nodes"),
                false => Status::failed_precondition("bootstrap can only be performed on a control plane node"),
            });
        }
        if node.stage == Stage::Installing || node.installing || !node.api_due {
            return Err(Status::failed_precondition("bootstrap is not available yet"));
        }
        if node.config.as_ref().is_some_and(|config| config.etcd.certificate.is_empty()) {
            return Err(Status::invalid_argument("etcd is not configured, bootstrap is not possible"));
        }
        if !node.time_synced {
            return Err(Status::failed_precondition("time is not in sync yet"));
        }
        // A first one that is starting has created nothing yet when the call comes.
        let begins = node.etcd == EtcdService::Starting && node.etcd_asked.is_some();
        match self.disk(id).and_then(|disk| disk.etcd) {
            Some(_) if !begins => Err(Status::already_exists(HAS_DATA)),
            _ => Ok(()),
        }
    }

    /// Makes a node a member and starts its etcd.
    fn join(&mut self, id: Id, etcd: usize, learner: bool) {
        let member = self.random();
        let address = self.nodes[id].address().map(|a| a.to_string()).unwrap_or_default();
        let hostname = self.nodes[id].hostname().0;
        self.disk_mut(id).etcd = Some((self.etcds[etcd].id, member));
        self.etcds[etcd].members.push(Member { id: member, node: id, hostname, address, learner, started: false });
        self.start_etcd(id);
    }

    pub(super) fn start_etcd(&mut self, id: Id) {
        self.nodes[id].etcd = EtcdService::Starting;
        self.tell(id, &Content::service("etcd", 8, "Starting service"), "");
        self.plan(id, self.delays.etcd, Due::EtcdUp);
        self.touch(id);
    }

    pub(super) fn etcd_up(&mut self, id: Id) {
        let node = &self.nodes[id];
        if node.etcd != EtcdService::Starting || node.faults.hold_etcd_start {
            return;
        }
        self.nodes[id].etcd = EtcdService::Running;
        self.tell(id, &Content::service("etcd", 3, "Health check successful"), "");
        let Some(etcd) = self.etcd_of(id) else { return };
        for member in self.etcds[etcd].members.iter_mut().filter(|member| member.node == id) {
            member.learner = false;
            member.started = true;
        }
        for other in self.etcds[etcd].members.iter().map(|m| m.node).collect::<Vec<_>>() {
            self.touch(other);
        }
        self.elect_leader(etcd);
    }

    /// Lets another member lead when the leader is gone.
    pub(super) fn elect_leader(&mut self, etcd: usize) {
        let leads = |member: &Member| self.nodes[member.node].has_etcd();
        let current = self.etcds[etcd].members.iter().find(|m| m.id == self.etcds[etcd].leader);
        if current.is_some_and(leads) {
            return;
        }
        let next = self.etcds[etcd].members.iter().find(|m| !m.learner && leads(m)).map(|m| m.id);
        if let Some(next) = next {
            self.etcds[etcd].leader = next;
            self.etcds[etcd].term += 1;
        }
    }

    /// A control plane without data joins the etcd of its cluster, one after the other. A member of its host name, dead or
    /// alive, is removed first.
    pub(super) fn try_join(&mut self, id: Id) -> bool {
        let Some(key) = self.nodes[id].config.as_ref().map(|config| config.etcd_key()) else { return false };
        let joinable = |etcd: &usize| {
            let members = &self.etcds[*etcd].members;
            let busy = members.iter().any(|m| self.nodes[m.node].etcd == EtcdService::Starting);
            self.etcds[*etcd].key == key && !busy && self.has_quorum(*etcd)
        };
        let Some(etcd) = (0..self.etcds.len()).find(joinable) else { return false };
        let hostname = self.nodes[id].hostname().0;
        let namesakes: Vec<u64> = self.etcds[etcd]
            .members
            .iter()
            .filter(|member| member.hostname == hostname)
            .map(|member| member.id)
            .collect();
        for member in namesakes {
            self.remove_member(etcd, member);
        }
        self.join(id, etcd, true);
        true
    }

    /// Takes a member out, as its node asks or as an administrator does.
    pub(crate) fn remove_member(&mut self, etcd: usize, member: u64) -> bool {
        let members = &mut self.etcds[etcd].members;
        let Some(place) = members.iter().position(|m| m.id == member) else { return false };
        let gone = members.remove(place);
        if self.disk(gone.node).and_then(|disk| disk.etcd).is_some_and(|(_, own)| own == member) {
            self.disk_mut(gone.node).etcd = None;
            self.nodes[gone.node].etcd = EtcdService::Absent;
        }
        self.touch(gone.node);
        self.elect_leader(etcd);
        true
    }

    pub(crate) fn leave_etcd(&mut self, id: Id) {
        let own = self.disk(id).and_then(|disk| disk.etcd);
        if let (Some(etcd), Some((_, member))) = (self.etcd_of(id), own) {
            self.remove_member(etcd, member);
        }
    }

    /// Forgets clusters of which no disk holds any data.
    pub(super) fn forget_lost_etcds(&mut self) {
        let kept: Vec<u64> = self.disks.values().filter_map(|disk| disk.etcd).map(|(id, _)| id).collect();
        self.etcds.retain(|etcd| kept.contains(&etcd.id));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{Secrets, machine};
    use crate::world::{Apply, Mode};
    use lab_core::delays::Delays;

    /// A control plane that runs its config, and whose etcd takes a while to come up.
    fn configured() -> World {
        let delays = Delays { etcd: Duration::from_secs(1), ..Delays::ZERO };
        let net = "127.80.4.0/24".parse().unwrap();
        let epoch = time::OffsetDateTime::UNIX_EPOCH;
        let mut world = World::new(delays, net, 7, epoch, std::sync::Arc::new(lab_kube::Kube));
        world.power_on(machine("cp-1", "127.80.4.11", "v1.13.9"));
        world.advance(Duration::from_secs(1));
        let data = Secrets::new().control_plane("cp-1", "https://127.80.4.11:6443").into_bytes();
        world.apply(0, &Apply { data, mode: Mode::Auto, dry_run: false, try_timeout: None, admin: true }).unwrap();
        world.advance(world.now);
        world
    }

    fn state(world: &World) -> (&'static str, String) {
        let service = world.services(0).into_iter().find(|service| service.id == "etcd").unwrap();
        (service.state, service.message)
    }

    /// vectors/talos-real/double-bootstrap-window.txt and console-double-bootstrap-brick.txt.
    #[test]
    fn a_second_bootstrap_while_etcd_is_starting_stops_it_until_the_node_reboots() {
        let mut world = configured();
        world.bootstrap(0).unwrap();

        let second = world.bootstrap(0).unwrap_err();

        assert_eq!((second.code(), second.message()), (tonic::Code::Unknown, HAS_DATA));
        world.advance(world.now + Duration::from_secs(60));
        assert_eq!(state(&world), ("Finished", "Bootstrap requested".to_owned()));
        assert_eq!(world.bootstrap(0).unwrap_err().code(), tonic::Code::AlreadyExists);
        world.go_down(0, crate::world::Down::Reboot);
        world.advance(world.now + Duration::from_secs(10));
        assert_eq!(state(&world).0, "Running");
    }

    /// vectors/talos-real/resend-sweep.txt.
    #[test]
    fn a_bootstrap_is_taken_again_and_again_while_the_image_is_pulled() {
        let mut world = configured();
        world.hold_etcd_pull(0, Some("connection refused"));
        for taken in 1..=3 {
            world.bootstrap(0).unwrap();
            assert_eq!(world.nodes[0].counts.bootstrapped, taken);
        }
        assert_eq!(state(&world), ("Preparing", "Running pre state".to_owned()));
        // The pull begins with the config, and each Bootstrap ends it (seen on 1.13.9, log `machined`).
        let said = world.nodes[0].console.iter().filter_map(|line| {
            let words = line.split_once("[talos] ")?.1.rsplit(": ").next()?.to_owned();
            (line.contains("etcd:v3") || line.contains("bootstrap request")).then_some(words)
        });
        let again = ["bootstrap request received", "context canceled", "starting...", "connection refused"];
        let said: Vec<String> = said.take(6).collect();
        assert_eq!(said, [&["starting...", "connection refused"][..], &again].concat());

        world.hold_etcd_pull(0, None);
        world.advance(world.now + Duration::from_secs(2));

        assert_eq!((state(&world).0, world.etcds.len()), ("Running", 1));
    }
}
