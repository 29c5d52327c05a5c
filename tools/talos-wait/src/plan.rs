//! Whether a condition holds, from the state of a node. Pure.

/// What to wait for. Each one includes those before it, except maintenance mode, which ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Condition {
    /// The Talos API responds.
    Reachable,
    /// The node waits for its configuration.
    Maintenance,
    /// The node runs a configuration of this cluster.
    Configured,
    /// etcd on the node is a member of its cluster (workers have no etcd).
    Etcd,
    /// The node is registered with Kubernetes.
    Kubernetes,
    /// Talos has finished booting, and Kubernetes reports the node Ready.
    Ready,
}

impl Condition {
    /// Its name in records and flags.
    pub(crate) fn word(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Its position: each one includes those before it. Maintenance ends before the others begin.
    fn rank(self) -> u8 {
        match self {
            Self::Reachable => 0,
            Self::Maintenance => 1,
            Self::Configured => 2,
            Self::Etcd => 3,
            Self::Kubernetes => 4,
            Self::Ready => 5,
        }
    }

    /// Whether it only holds if `other` holds, too.
    pub(crate) fn includes(self, other: Self) -> bool {
        self.rank() >= other.rank()
    }

    /// Whether it can only hold after etcd was started.
    pub(crate) fn needs_etcd(self) -> bool {
        self.includes(Self::Etcd)
    }

    /// Whether asking the node needs credentials.
    pub(crate) fn needs_credentials(self) -> bool {
        self.includes(Self::Configured)
    }
}

/// The state of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeState {
    /// It waits for a configuration.
    Maintenance,
    /// It is configured.
    Configured {
        /// Whether its etcd reports members; `None` on a worker.
        etcd: Option<bool>,
        /// Whether Kubernetes reports it Ready; `None` if it is not registered.
        registered: Option<bool>,
        /// Whether Talos has finished booting; if not, what is missing.
        booted: Result<(), String>,
    },
}

/// Whether the condition holds; if not, what is missing.
pub(crate) fn holds(condition: Condition, state: &NodeState) -> Result<(), String> {
    let (etcd, registered, booted) = match (state, condition) {
        (_, Condition::Reachable) | (NodeState::Maintenance, Condition::Maintenance) => return Ok(()),
        (NodeState::Configured { .. }, Condition::Maintenance) => return Err("it is already configured".to_owned()),
        (NodeState::Maintenance, _) => return Err("it is in maintenance".to_owned()),
        (NodeState::Configured { etcd, registered, booted }, _) => (etcd, registered, booted),
    };
    if condition.includes(Condition::Etcd) && *etcd == Some(false) {
        return Err("etcd on it is not a member yet".to_owned());
    }
    if condition.includes(Condition::Kubernetes) && registered.is_none() {
        return Err("it is not registered with Kubernetes".to_owned());
    }
    if condition == Condition::Ready {
        booted.clone()?;
        if *registered != Some(true) {
            return Err("Kubernetes does not report it Ready".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: NodeState = NodeState::Configured { etcd: Some(true), registered: Some(true), booted: Ok(()) };

    #[test]
    fn a_ready_control_plane_meets_every_condition_but_maintenance() {
        use Condition::{Configured, Etcd, Kubernetes, Maintenance, Reachable, Ready};
        for condition in [Reachable, Configured, Etcd, Kubernetes, Ready] {
            assert_eq!(holds(condition, &READY), Ok(()), "{condition:?}");
        }
        assert!(holds(Maintenance, &READY).is_err());
    }

    #[test]
    fn maintenance_is_reachable_and_nothing_more() {
        assert_eq!(holds(Condition::Reachable, &NodeState::Maintenance), Ok(()));
        assert_eq!(holds(Condition::Maintenance, &NodeState::Maintenance), Ok(()));
        assert!(holds(Condition::Configured, &NodeState::Maintenance).is_err());
    }

    #[test]
    fn a_worker_has_no_etcd_to_wait_for() {
        let worker = NodeState::Configured { etcd: None, registered: None, booted: Err("x".into()) };
        assert_eq!(holds(Condition::Etcd, &worker), Ok(()));
        assert!(holds(Condition::Kubernetes, &worker).is_err());
    }

    #[test]
    fn ready_takes_both_talos_and_kubernetes() {
        let state =
            |registered, booted: Result<(), String>| NodeState::Configured { etcd: Some(true), registered, booted };
        assert!(holds(Condition::Ready, &state(Some(false), Ok(()))).unwrap_err().contains("Ready"));
        assert_eq!(
            holds(Condition::Ready, &state(Some(true), Err("time is not synced".into()))).unwrap_err(),
            "time is not synced"
        );
    }
}
