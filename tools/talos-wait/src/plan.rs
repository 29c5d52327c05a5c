//! Whether a condition holds, from the state of a node. Pure.

use talos_client::Stage;

use crate::condition::Condition;

/// The state of a node, as far as the condition is about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeState {
    /// What it is doing.
    pub(crate) stage: Stage,
    /// The release that it runs, if it says so.
    pub(crate) version: Option<String>,
    /// What it reports with a configuration; `None` while it waits for one.
    pub(crate) configured: Option<Configured>,
}

/// What a configured node reports; what the condition isn't about wasn't asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configured {
    /// Whether its etcd is what the condition wants; `None` on a worker.
    pub(crate) etcd: Option<Result<(), String>>,
    /// Whether its API server is ready; `None` on a worker.
    pub(crate) api_server: Option<Result<(), String>>,
    /// Whether Kubernetes reports it Ready; `None` if it is not registered.
    pub(crate) registered: Option<bool>,
    /// Whether Talos has finished booting; if not, what is missing.
    pub(crate) booted: Result<(), String>,
    /// Whether the service runs; if not, why.
    pub(crate) service: Result<(), String>,
}

/// Whether the condition holds; if not, what is missing.
pub(crate) fn holds(condition: &Condition, state: &NodeState) -> Result<(), String> {
    match condition {
        Condition::Reachable => return Ok(()),
        Condition::Maintenance if state.configured.is_some() => return Err("it is already configured".to_owned()),
        Condition::Maintenance => return Ok(()),
        Condition::Stage(wanted) if state.stage == *wanted => return Ok(()),
        Condition::Stage(_) => return Err(format!("its stage is {}", state.stage)),
        Condition::Version(wanted) => {
            return match &state.version {
                Some(version) if version == wanted => Ok(()),
                Some(version) => Err(format!("it runs Talos {version}")),
                None => Err("it doesn't report its version".to_owned()),
            };
        }
        _ => {}
    }
    let Some(configured) = &state.configured else { return Err("it is in maintenance".to_owned()) };
    let Configured { etcd, api_server, registered, booted, service } = configured;
    if condition.asks_etcd() {
        etcd.clone().unwrap_or(Ok(()))?;
    }
    if *condition == Condition::KubernetesApi {
        api_server.clone().unwrap_or(Ok(()))?;
    }
    if matches!(condition, Condition::Service(_)) {
        service.clone()?;
    }
    if condition.asks_registration() && registered.is_none() {
        return Err("it is not registered with Kubernetes".to_owned());
    }
    if *condition == Condition::Ready {
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

    fn ready() -> Configured {
        Configured {
            etcd: Some(Ok(())),
            api_server: Some(Ok(())),
            registered: Some(true),
            booted: Ok(()),
            service: Ok(()),
        }
    }

    fn state(configured: Configured) -> NodeState {
        NodeState { stage: Stage::Running, version: Some("v1.13.9".to_owned()), configured: Some(configured) }
    }

    fn maintenance() -> NodeState {
        NodeState { stage: Stage::Maintenance, version: None, configured: None }
    }

    fn check(condition: &str, state: &NodeState) -> Result<(), String> {
        holds(&condition.parse().expect(condition), state)
    }

    #[test]
    fn a_ready_control_plane_meets_every_condition_but_maintenance() {
        for (name, condition) in &crate::condition::PLAIN {
            assert_eq!(holds(condition, &state(ready())).is_ok(), *name != "maintenance", "{name}");
        }
        for text in ["version=v1.13.9", "stage=running", "service=kubelet"] {
            assert_eq!(check(text, &state(ready())), Ok(()), "{text}");
        }
    }

    #[test]
    fn maintenance_is_reachable_and_nothing_more() {
        for met in ["reachable", "maintenance", "stage=maintenance"] {
            assert_eq!(check(met, &maintenance()), Ok(()), "{met}");
        }
        for unmet in
            ["configured", "etcd", "etcd-healthy", "kubernetes-api", "ready", "service=apid", "version=v1.13.9"]
        {
            assert!(check(unmet, &maintenance()).is_err(), "{unmet}");
        }
    }

    #[test]
    fn a_worker_has_no_etcd_and_no_api_server_to_wait_for() {
        let worker = state(Configured { etcd: None, api_server: None, registered: None, ..ready() });
        for met in ["etcd", "etcd-healthy", "kubernetes-api"] {
            assert_eq!(check(met, &worker), Ok(()), "{met}");
        }
        assert!(check("kubernetes", &worker).is_err());
    }

    #[test]
    fn what_is_missing_is_told_in_the_nodes_words() {
        let no = |why: &str| Err(why.to_owned());
        for (condition, configured, why) in [
            ("etcd-healthy", Configured { etcd: Some(no("it sees no leader")), ..ready() }, "it sees no leader"),
            ("ready", Configured { etcd: Some(no("x")), ..ready() }, "x"),
            ("kubernetes-api", Configured { api_server: Some(no("not ready")), ..ready() }, "not ready"),
            (
                "service=etcd",
                Configured { service: no("service etcd is Preparing"), ..ready() },
                "service etcd is Preparing",
            ),
            ("ready", Configured { booted: no("time is not synced"), ..ready() }, "time is not synced"),
            ("ready", Configured { registered: Some(false), ..ready() }, "Kubernetes does not report it Ready"),
            ("version=v1.14.0", ready(), "it runs Talos v1.13.9"),
            ("stage=booting", ready(), "its stage is running"),
        ] {
            assert_eq!(check(condition, &state(configured)), no(why), "{condition}");
        }
    }
}
