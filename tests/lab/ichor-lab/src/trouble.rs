//! The states of a scenario: each becomes wrong in its time, and right again.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::ensure;
use lab_core::fault::{NodeState, ProxmoxState, State};
use lab_core::scenario::Trouble;
use lab_pve::Pve;
use lab_talos::Talos;
use tokio::task::JoinSet;

/// How often a VM or node that is still to come is looked for.
const GLANCE: Duration = Duration::from_millis(20);

/// What the states are states of; not held, so that the lab ends when it is dropped.
#[derive(Clone)]
struct Systems {
    pve: Weak<Pve>,
    talos: Weak<Talos>,
}

/// The states of a lab's scenario.
pub(crate) struct Troubles {
    all: Vec<Trouble>,
    systems: Systems,
    running: Mutex<JoinSet<()>>,
}

impl Troubles {
    /// Begins to count; hosts and storages must be there.
    pub(crate) fn start(all: Vec<Trouble>, pve: &Arc<Pve>, talos: &Arc<Talos>) -> anyhow::Result<Self> {
        use ProxmoxState::{HostLate, HostOffline, HostRestarted, NoQuorum};
        let hosts = pve.hosts();
        for trouble in &all {
            let of_host = matches!(trouble.state, State::Proxmox(HostOffline | HostLate | HostRestarted | NoQuorum));
            let target = &trouble.target;
            ensure!(!of_host || hosts.contains(target), "scenario: no host {target}; hosts: {}", hosts.join(", "));
        }
        let systems = Systems { pve: Arc::downgrade(pve), talos: Arc::downgrade(talos) };
        let troubles = Self { all, systems, running: Mutex::default() };
        troubles.restart();
        Ok(troubles)
    }

    /// Stops to count, and makes right what is wrong.
    pub(crate) fn stop(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        for trouble in self.all.iter().filter(|trouble| !trouble.state.is_moment()) {
            self.systems.set(trouble, false);
        }
    }

    /// Begins to count from here.
    pub(crate) fn restart(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for trouble in &self.all {
            let boots = self.systems.boots(&trouble.target);
            running.spawn(bring(trouble.clone(), self.systems.clone(), boots));
        }
    }
}

async fn bring(trouble: Trouble, systems: Systems, mut before: u32) {
    if !trouble.after.is_zero() {
        tokio::time::sleep(trouble.after).await;
        before = systems.boots(&trouble.target);
    }
    if trouble.state == State::Node(NodeState::RebootAgain) {
        while systems.boots(&trouble.target) == before {
            tokio::time::sleep(GLANCE).await;
        }
    }
    while !systems.set(&trouble, true) {
        tokio::time::sleep(GLANCE).await;
    }
    if let Some(lasts) = trouble.lasts {
        tokio::time::sleep(lasts).await;
        systems.set(&trouble, false);
    }
}

impl Systems {
    /// Makes a state wrong, or right again; returns whether its host, VM or node exists.
    fn set(&self, trouble: &Trouble, wrong: bool) -> bool {
        let done = match trouble.state {
            State::Proxmox(state) => self.pve.upgrade().map(|pve| pve.set_state(state, &trouble.target, wrong)),
            State::Node(state) => self
                .talos
                .upgrade()
                .and_then(|talos| talos.node(&trouble.target))
                .map(|node| node.set_state(state, wrong)),
        };
        done.unwrap_or(false)
    }

    /// How often a node has booted.
    fn boots(&self, node: &str) -> u32 {
        let talos = self.talos.upgrade();
        talos.and_then(|talos| talos.node(node)).map_or(0, |node| node.counts().boots)
    }
}

#[cfg(test)]
mod tests {
    use lab_core::scenario::Scenario;

    use crate::{Lab, Options};

    const BOUND: std::time::Duration = std::time::Duration::from_secs(20);

    fn options(faults: &str) -> Options {
        let text = format!("apiVersion: ichor-lab/v1\nkind: Scenario\nname: x\nfaults: [{faults}]\n");
        let hosts = vec!["pve1".to_owned(), "pve2".to_owned()];
        Options { scenario: Some(Scenario::parse(&text).unwrap()), hosts, ..Options::default() }
    }

    async fn until(condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                tokio::time::sleep(super::GLANCE / 4).await;
            }
        };
        tokio::time::timeout(BOUND, wait).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_host_of_a_scenario_goes_offline_and_comes_back() {
        let lab = Lab::start(options("{state: host-offline, host: pve2, after: 50ms, for: 200ms}")).await.unwrap();
        let observer = lab.pve().observer();
        let online = || observer.hosts().iter().all(|(_, online)| *online);
        assert!(online());
        until(|| !online()).await;
        until(online).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_host_that_is_not_there_is_refused_by_name() {
        let error = Lab::start(options("{state: host-late, host: pve7}")).await.err().unwrap();
        assert_eq!(error.to_string(), "scenario: no host pve7; hosts: pve1, pve2");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn states_wait_for_a_cluster_that_is_brought_up_and_a_node_reboots_twice() {
        let lab =
            Lab::start(options("{state: clock-wrong, node: cp-1}, {state: reboot-again, node: w-1}")).await.unwrap();
        lab.bring_up().await.unwrap();
        let worker = lab.talos().node("w-1").unwrap();
        let boots = worker.counts().boots;
        // The states count from here; until then the clock was right, or etcd would not have started.
        let leader = lab.talos().node("cp-1").unwrap();
        assert!(leader.until(BOUND, |node| node.unmet().iter().any(|(name, _)| name == "time")).await);
        worker.reboot();
        assert!(worker.until(BOUND, |node| node.counts().boots == boots + 2).await);
    }
}
