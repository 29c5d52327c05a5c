//! The services of a node.

use talos_proto::machine::ServiceInfo;

use crate::{Error, Node};

/// A service of Talos, as `etcd` or `kubelet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub id: String,
    /// `Running`, `Preparing`, `Failed`, …
    pub state: String,
    /// Its health, if it has been checked.
    pub healthy: Option<bool>,
    /// The last thing it said.
    pub message: String,
}

impl Service {
    /// Whether it runs and isn't known to be unhealthy.
    pub fn is_well(&self) -> bool {
        self.state == "Running" && self.healthy.unwrap_or(true)
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
        let reply = self.reply(call, self.machine().service_list(())).await?;
        let message = self.only(call, reply.messages)?;
        Ok(message.services.into_iter().map(of_info).collect())
    }

    /// One service by its name, if the node has it.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn service(&self, id: &str) -> Result<Option<Service>, Error> {
        Ok(self.services().await?.into_iter().find(|service| service.id == id))
    }
}

fn of_info(info: ServiceInfo) -> Service {
    let last = info.events.and_then(|events| events.events.into_iter().next_back());
    let health = info.health.unwrap_or_default();
    Service {
        id: info.id,
        state: info.state,
        healthy: (!health.unknown).then_some(health.healthy),
        message: last.map(|event| event.msg).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use talos_proto::machine::{ServiceEvent, ServiceEvents, ServiceHealth};

    use super::*;

    #[test]
    fn a_service_without_a_health_check_is_well_when_it_runs() {
        let health = ServiceHealth { unknown: true, ..Default::default() };
        let info =
            ServiceInfo { id: "udevd".to_owned(), state: "Running".to_owned(), health: Some(health), events: None };

        assert!(of_info(info).is_well());
    }

    #[test]
    fn the_newest_event_tells_what_a_service_does() {
        let event = |msg: &str| ServiceEvent { msg: msg.to_owned(), ..Default::default() };
        let events = ServiceEvents { events: vec![event("Starting"), event("Running pre state")] };
        let health = ServiceHealth { healthy: false, ..Default::default() };
        let info = ServiceInfo {
            id: "etcd".to_owned(),
            state: "Preparing".to_owned(),
            events: Some(events),
            health: Some(health),
        };

        let service = of_info(info);

        assert_eq!(service.message, "Running pre state");
        assert_eq!(service.healthy, Some(false));
        assert!(!service.is_well());
    }
}
