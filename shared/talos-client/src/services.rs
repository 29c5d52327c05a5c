//! The services of a node, and what their history tells about etcd.

use std::time::Duration;

use talos_proto::machine;

use crate::{Error, Node};

/// A service of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name: `etcd`.
    pub id: String,
    /// Its state: `Preparing`, `Running`, `Finished`, …
    pub state: String,
    /// What happened to it, oldest first. The node forgets this when it bootstraps etcd: that is another service then.
    pub events: Vec<ServiceEvent>,
    /// What its health check says, if that fails.
    pub unhealthy: Option<String>,
}

/// Something that happened to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEvent {
    /// The state that began.
    pub state: String,
    /// The node's own message.
    pub message: String,
    /// When, since 1970, by the node's clock.
    pub at: Duration,
}

/// What a control plane's etcd service is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtcdService {
    /// Nobody has asked it to bootstrap since the boot: it looks for a cluster to join.
    Joining,
    /// It was asked to bootstrap, or found a cluster to join, and is on its way; the node's own message.
    OnItsWay(String),
    /// It runs.
    Running,
    /// It was stopped by a request to bootstrap. If there is data in spite of that, nothing but a reboot starts it again.
    StoppedToBootstrap,
    /// It has ended in any other way; the node's own message.
    Ended(String),
}

/// What a service reports when it stops so that it can bootstrap.
const REQUESTED: &str = "Bootstrap requested";
/// What a service reports when it has found what it needs and is about to run.
const RUNNER: &str = "Creating service runner";
/// What a service reports once it serves.
const HEALTHY: &str = "Health check successful";
/// How far apart two services may start that the boot starts together; `cri` is healthy a second after its start at the
/// earliest, and no Bootstrap is accepted before.
const TOGETHER: Duration = Duration::from_millis(700);
/// How far the clock must have been put back to be told from services that start together.
const PUT_BACK: Duration = Duration::from_secs(1);

impl Service {
    /// Whether it runs, and is healthy or not checked.
    pub fn is_up(&self) -> bool {
        self.state == "Running" && self.unhealthy.is_none()
    }

    /// The message of the last thing that happened to it; empty if nothing did.
    pub fn last(&self) -> &str {
        self.events.last().map_or("", |event| &event.message)
    }

    /// When it began, if the node still remembers that.
    fn began(&self) -> Option<Duration> {
        self.events.first().filter(|event| event.state == "Starting").map(|event| event.at)
    }
}

impl EtcdService {
    /// What is said of one that looks for a cluster to join.
    pub const WAITS: &'static str = "etcd was neither bootstrapped here nor has it found members to join";

    /// What the services of a control plane say about its etcd, which is absent before its config is active.
    pub fn of(services: &[Service]) -> Option<Self> {
        let find = |id: &str| services.iter().find(|service| service.id == id);
        let etcd = find("etcd")?;
        let message = || format!("{}: {}", etcd.state, etcd.last());
        Some(match etcd.state.as_str() {
            "Running" => Self::Running,
            "Finished" if etcd.last() == REQUESTED => Self::StoppedToBootstrap,
            "Finished" | "Failed" | "Skipped" => Self::Ended(message()),
            "Stopping" => Self::OnItsWay(message()),
            _ if etcd.last() == RUNNER || was_asked(etcd, find("cri")) => Self::OnItsWay(message()),
            _ => Self::Joining,
        })
    }
}

/// Whether etcd began later than the boot: only a Bootstrap starts it again. Its history begins anew then, so when it
/// began is compared with `cri`, which the boot starts at the same moment and without which no Bootstrap is accepted.
/// What can't be seen counts as asked.
fn was_asked(etcd: &Service, cri: Option<&Service>) -> bool {
    let Some(cri) = cri else { return false };
    let healthy = cri.events.iter().find(|event| event.message == HEALTHY);
    match (etcd.began(), cri.began(), healthy) {
        (_, _, None) => false,
        (Some(etcd), Some(cri), Some(healthy)) => {
            (etcd >= healthy.at && etcd.abs_diff(cri) >= TOGETHER) || etcd + PUT_BACK < cri
        }
        _ => true,
    }
}

impl Node {
    /// The services of the node.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn services(&self) -> Result<Vec<Service>, Error> {
        let call = "ServiceList";
        let reply = self.looked(call, || async { self.machine().service_list(()).await }).await?;
        Ok(self.only(call, reply.messages)?.services.into_iter().map(of_service).collect())
    }

    /// Whether etcd was stopped for good: by a Bootstrap that came while it was starting, so that it has data. Its service
    /// is looked at before and after the data: for a moment, one that is about to bootstrap looks the same.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn is_etcd_stuck(&self) -> Result<bool, Error> {
        let stopped = async || Ok(EtcdService::of(&self.services().await?) == Some(EtcdService::StoppedToBootstrap));
        Ok(stopped().await? && self.has_etcd_data().await? && stopped().await?)
    }

    /// Reboots the node.
    ///
    /// # Errors
    ///
    /// After [`Error::Lost`] it is unknown whether it reboots; else any [`Error`] of a call.
    pub async fn reboot(&self) -> Result<(), Error> {
        self.reply("Reboot", self.machine().reboot(machine::RebootRequest::default())).await.map(drop)
    }
}

fn of_service(service: machine::ServiceInfo) -> Service {
    let events = service.events.unwrap_or_default().events.into_iter().map(of_event).collect();
    let health = service.health.unwrap_or_default();
    let unhealthy = (!health.unknown && !health.healthy).then_some(health.last_message);
    Service { id: service.id, state: service.state, events, unhealthy }
}

fn of_event(event: machine::ServiceEvent) -> ServiceEvent {
    let at = event.ts.unwrap_or_default();
    let at = Duration::new(u64::try_from(at.seconds).unwrap_or(0), u32::try_from(at.nanos).unwrap_or(0));
    ServiceEvent { state: event.state, message: event.msg, at }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service whose events came so many milliseconds after the boot.
    fn service(id: &str, events: &[(u64, &str, &str)]) -> Service {
        let state = events.last().map_or("", |(_, state, _)| state).to_owned();
        let event = |(at, state, message): &(u64, &str, &str)| ServiceEvent {
            state: (*state).to_owned(),
            message: (*message).to_owned(),
            at: Duration::from_millis(1_796_000_000_000 + at),
        };
        Service { id: id.to_owned(), state, events: events.iter().map(event).collect(), unhealthy: None }
    }

    const STARTING: &str = "Starting service";
    const PRE: &str = "Running pre state";

    /// As recorded on Talos 1.13.9 (vectors/talos-real/configured-before-bootstrap/call-services.txt).
    fn cri() -> Service {
        service("cri", &[(87, "Starting", STARTING), (341, "Running", "Process started"), (1291, "Running", HEALTHY)])
    }

    fn etcd(events: &[(u64, &str, &str)]) -> Option<EtcdService> {
        EtcdService::of(&[cri(), service("etcd", events)])
    }

    fn on_its_way(state: &str, message: &str) -> Option<EtcdService> {
        Some(EtcdService::OnItsWay(format!("{state}: {message}")))
    }

    #[test]
    fn an_etcd_that_began_with_the_boot_was_not_asked_and_one_that_began_later_was() {
        let joining = [(121, "Starting", STARTING), (3124, "Waiting", "Waiting for cri"), (3291, "Preparing", PRE)];
        assert_eq!(etcd(&joining), Some(EtcdService::Joining));
        // vectors/talos-real/no-quorum: it was asked 9 ms after cri was healthy.
        let asked = [(1300, "Starting", STARTING), (1310, "Preparing", PRE)];
        assert_eq!(etcd(&asked), on_its_way("Preparing", PRE));
        let found = [(121, "Starting", STARTING), (3291, "Preparing", PRE), (9000, "Preparing", RUNNER)];
        assert_eq!(etcd(&found), on_its_way("Preparing", RUNNER));
    }

    #[test]
    fn a_busy_boot_or_a_clock_that_is_put_right_is_not_taken_for_a_bootstrap() {
        assert_eq!(etcd(&[(1100, "Starting", STARTING), (3291, "Preparing", PRE)]), Some(EtcdService::Joining));
        let put_back = service("cri", &[(3_600_087, "Starting", STARTING), (900, "Running", HEALTHY)]);
        let waits = |at| service("etcd", &[(at, "Starting", STARTING), (3000, "Preparing", PRE)]);
        assert_eq!(EtcdService::of(&[put_back.clone(), waits(3_600_121)]), Some(EtcdService::Joining));
        assert_eq!(EtcdService::of(&[put_back, waits(2000)]), on_its_way("Preparing", PRE));
    }

    #[test]
    fn what_the_node_no_longer_remembers_counts_as_asked() {
        assert_eq!(etcd(&[(3291, "Preparing", PRE)]), on_its_way("Preparing", PRE));
        let forgetful = service("cri", &[(900_000, "Running", HEALTHY)]);
        let etcd = service("etcd", &[(121, "Starting", STARTING), (3291, "Preparing", PRE)]);
        assert_eq!(EtcdService::of(&[forgetful, etcd.clone()]), on_its_way("Preparing", PRE));
        let young = service("cri", &[(87, "Starting", STARTING)]);
        assert_eq!(EtcdService::of(&[young, etcd]), Some(EtcdService::Joining), "nobody can have asked it");
    }

    #[test]
    fn one_that_was_stopped_to_bootstrap_is_told_from_one_that_ended() {
        // vectors/talos-real/console-double-bootstrap-brick.txt, lines 152 to 158.
        let stuck = [
            (1300, "Starting", STARTING),
            (1400, "Running", "Started task etcd (PID 209) for container etcd"),
            (1500, "Stopping", "Sending SIGTERM to task etcd (PID 209, container etcd)"),
            (12_000, "Finished", "Service finished successfully"),
            (12_000, "Finished", REQUESTED),
        ];
        assert_eq!(etcd(&stuck), Some(EtcdService::StoppedToBootstrap));
        assert_eq!(etcd(&stuck[..4]), Some(EtcdService::Ended("Finished: Service finished successfully".to_owned())));
        assert!(matches!(etcd(&stuck[..3]), Some(EtcdService::OnItsWay(_))));
        assert_eq!(etcd(&stuck[..2]), Some(EtcdService::Running));
        assert_eq!(EtcdService::of(&[cri()]), None);
    }
}
