//! Asking the control planes about etcd.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use record::status::{Applied, Vm};
use record::{Code, Exit, Failure, Node, chain};
use step::Hold;
use talos_access::{Answer, ask};
use talos_client::{Address, Error, EtcdService, Identity};

use crate::plan::{Etcd, Observation};

/// A control plane that must be asked.
#[derive(Debug, Clone)]
pub(crate) struct ControlPlane {
    pub(crate) name: String,
    /// Its address; `None` if it can't be asked any more.
    pub(crate) address: Option<Address>,
    /// Why it can't be asked, unless an error in the stream explains that.
    pub(crate) unexplained: Option<Failure>,
    /// Whether its config was only planned, so that it can't be asked yet.
    pub(crate) planned: bool,
}

impl ControlPlane {
    /// The control plane of this record. One with an error, or without an applied config, can't be asked; in a plan,
    /// one whose config is only planned is asked what it runs now, unless its VM doesn't exist yet.
    pub(crate) fn of(node: &Node) -> Self {
        let vm = if node.is_planned::<Vm>() { node.get::<Vm>().ok().flatten() } else { None };
        let exists = vm.is_none_or(|vm| vm.id.is_some());
        let can_be_asked = !node.has_error() && node.has::<Applied>() && exists;
        let address = node.address().filter(|_| can_be_asked).and_then(|address| address.parse().ok());
        let planned = !node.has_error() && node.is_planned::<Applied>();
        Self { name: node.name().to_owned(), address, unexplained: None, planned }
    }

    /// A control plane that `--only` excludes, so that no step of this run has applied its config: it is asked all the
    /// same, since `--only` limits what is changed and not what is looked at.
    pub(crate) fn unselected(node: &Node) -> Self {
        let (name, address) = (node.name(), node.address().and_then(|address| address.parse().ok()));
        let message = format!("--only excludes {name}, and its record has no address: it may have etcd data");
        let failure = Failure::new(Exit::Unusable, Code::NoAddress, message)
            .hint(format!("run without --only, or give {name} a static `address`"));
        Self { name: name.to_owned(), unexplained: address.is_none().then_some(failure), planned: false, address }
    }

    /// A control plane that is listed but missing from the input. `explained` if an error in the stream is about that.
    pub(crate) fn absent(name: &str, explained: bool) -> Self {
        let message = format!("{name} is listed but missing from the input: it may have etcd data");
        let failure = Failure::new(Exit::Guard, Code::NoAnswer, message)
            .hint(format!("if this control plane is gone for good, --without {name} continues without it"));
        Self { name: name.to_owned(), address: None, unexplained: (!explained).then_some(failure), planned: false }
    }

    /// Whether an error that is already in the stream is why it can't be asked.
    pub(crate) fn failed(&self) -> bool {
        self.address.is_none() && self.unexplained.is_none() && !self.planned
    }
}

/// The control planes at these addresses besides those of the call. They are only looked at.
pub(crate) fn elsewhere(addresses: Vec<Address>, asked: &[ControlPlane]) -> Vec<ControlPlane> {
    let others = addresses.into_iter().collect::<BTreeSet<_>>().into_iter();
    let others =
        others.filter(|endpoint| asked.iter().all(|control_plane| control_plane.address.as_ref() != Some(endpoint)));
    let looked_at = |address: Address| ControlPlane {
        name: address.to_string(),
        address: Some(address),
        unexplained: None,
        planned: false,
    };
    others.map(looked_at).collect()
}

/// The first of these on which etcd is on its way or has data, and what it says: a second one must not be started beside it.
pub(crate) fn begun(seen: Vec<Observation>) -> Option<String> {
    seen.into_iter().find_map(|Observation { name, etcd, .. }| match etcd {
        Etcd::Members(_) => Some(format!("etcd runs on {name}, and this node has not joined it yet")),
        Etcd::OnItsWay(what) | Etcd::Silent(what) => Some(format!("etcd is on its way on {name}: {what}")),
        Etcd::Stuck => Some(format!("etcd was stopped for good on {name}")),
        Etcd::Empty | Etcd::Ended(_) | Etcd::Unknown(_) | Etcd::Refused(_) | Etcd::Never => None,
    })
}

/// Asks all of them at once.
pub(crate) async fn observe(control_planes: &[ControlPlane], identity: &Arc<Identity>) -> Vec<Observation> {
    let asked = control_planes.iter().map(|control_plane| async {
        let etcd = match &control_plane.address {
            Some(address) => etcd(address, identity).await.unwrap_or_else(|failure| Etcd::Refused(failure.into())),
            None => control_plane.unexplained.clone().map_or(Etcd::Never, |failure| Etcd::Refused(failure.into())),
        };
        Observation { name: control_plane.name.clone(), address: control_plane.address.clone(), etcd }
    });
    join_all(asked).await
}

async fn etcd(address: &Address, identity: &Identity) -> Result<Etcd, Failure> {
    let looked = async {
        let Answer::Ours(found) = ask(address, Some(identity)).await? else {
            return Err(Hold::not_yet("it is in maintenance"));
        };
        let node = &found.node;
        let service = EtcdService::of(&node.services().await?);
        let etcd = state(service.as_ref(), node.has_etcd_data().await?);
        let etcd = match (etcd, service) {
            // A node whose etcd doesn't run never answers this.
            (Etcd::Silent(_), Some(EtcdService::Running)) => Ok::<_, Hold>(members(node.local_etcd_members().await)),
            // It may have begun to bootstrap between the two looks.
            (Etcd::Stuck, Some(service)) if !node.is_etcd_stuck().await? => Ok(Etcd::OnItsWay(says(Some(&service)))),
            (etcd, _) => Ok(etcd),
        }?;
        // What can be waited for says what the node says of it.
        Ok(match etcd {
            Etcd::OnItsWay(what) => Etcd::OnItsWay(node.because(&what).await),
            Etcd::Silent(what) => Etcd::Silent(node.because(&what).await),
            etcd => etcd,
        })
    };
    match looked.await {
        Ok(etcd) => Ok(etcd),
        Err(Hold::NotYet(reason)) => Ok(Etcd::Unknown(reason)),
        Err(Hold::Failed(failure)) => Err(failure),
    }
}

/// What etcd is by its service and whether it has data. Whoever runs is asked for its members.
fn state(service: Option<&EtcdService>, has_data: bool) -> Etcd {
    match (service, has_data) {
        (Some(EtcdService::StoppedToBootstrap), true) => Etcd::Stuck,
        (_, true) => Etcd::Silent(says(service)),
        (Some(EtcdService::Running | EtcdService::OnItsWay(_)), false) => Etcd::OnItsWay(says(service)),
        (Some(EtcdService::Ended(_) | EtcdService::StoppedToBootstrap), false) => Etcd::Ended(says(service)),
        (None | Some(EtcdService::Joining), false) => Etcd::Empty,
    }
}

fn says(service: Option<&EtcdService>) -> String {
    match service {
        None => "its service has not been started yet".to_owned(),
        Some(EtcdService::Joining) => "it is starting".to_owned(),
        Some(EtcdService::Running) => "it runs".to_owned(),
        Some(EtcdService::StoppedToBootstrap) => "it was stopped to bootstrap".to_owned(),
        Some(EtcdService::OnItsWay(message) | EtcdService::Ended(message)) => message.clone(),
    }
}

/// What the node's own member reports. While etcd starts, the call fails with unspecific codes.
fn members(reported: Result<Vec<talos_client::Member>, Error>) -> Etcd {
    match reported {
        Ok(members) if members.is_empty() => Etcd::Silent("it reports no members".to_owned()),
        Ok(members) => Etcd::Members(members),
        Err(error) => Etcd::Silent(chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use record::{Map, status::Addresses};

    use super::*;

    fn node(address: Option<&str>) -> Node {
        let mut node = Node::new("cp-1", "lab", Map::from_iter([("role".to_owned(), "controlplane".into())]));
        address.iter().for_each(|address| node.set(&Addresses(vec![(*address).to_owned()])));
        node
    }

    #[test]
    fn the_service_and_the_data_together_say_what_etcd_is() {
        let way = || EtcdService::OnItsWay("Preparing: x".to_owned());
        let ended = || EtcdService::Ended("Failed: x".to_owned());
        let text = |text: &str| text.to_owned();
        for (service, has_data, etcd) in [
            (None, false, Etcd::Empty),
            (None, true, Etcd::Silent(text("its service has not been started yet"))),
            (Some(EtcdService::Joining), false, Etcd::Empty),
            (Some(EtcdService::Joining), true, Etcd::Silent(text("it is starting"))),
            (Some(way()), false, Etcd::OnItsWay(text("Preparing: x"))),
            (Some(way()), true, Etcd::Silent(text("Preparing: x"))),
            (Some(EtcdService::Running), false, Etcd::OnItsWay(text("it runs"))),
            (Some(EtcdService::Running), true, Etcd::Silent(text("it runs"))),
            (Some(EtcdService::StoppedToBootstrap), false, Etcd::Ended(text("it was stopped to bootstrap"))),
            (Some(EtcdService::StoppedToBootstrap), true, Etcd::Stuck),
            (Some(ended()), false, Etcd::Ended(text("Failed: x"))),
            (Some(ended()), true, Etcd::Silent(text("Failed: x"))),
        ] {
            assert_eq!(state(service.as_ref(), has_data), etcd, "{service:?} {has_data}");
        }
    }

    #[test]
    fn an_etcd_that_has_begun_elsewhere_is_seen_and_what_the_call_names_is_not_asked_twice() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        let mut asked = node(Some("10.0.0.12"));
        asked.set(&Applied::default());
        let others = elsewhere(vec![address("10.0.0.11"), address("10.0.0.12")], &[ControlPlane::of(&asked)]);
        assert_eq!(others.iter().map(|other| other.name.as_str()).collect::<Vec<_>>(), ["10.0.0.11"]);
        let of = |etcd| begun(vec![Observation { name: "a".to_owned(), address: None, etcd }]);
        for etcd in [Etcd::Members(Vec::new()), Etcd::OnItsWay(String::new()), Etcd::Silent(String::new()), Etcd::Stuck]
        {
            assert!(of(etcd.clone()).is_some(), "{etcd:?}");
        }
        for etcd in [Etcd::Empty, Etcd::Unknown(String::new()), Etcd::Never] {
            assert_eq!(of(etcd), None);
        }
    }

    #[test]
    fn a_control_plane_that_only_excludes_is_asked_where_its_record_says_that_it_is() {
        let seen = ControlPlane::unselected(&node(Some("10.0.0.11")));
        assert_eq!((seen.address, seen.unexplained), ("10.0.0.11".parse().ok(), None));

        let unknown = ControlPlane::unselected(&node(None));
        assert_eq!(unknown.address, None);
        assert_eq!(unknown.unexplained.map(|failure| failure.exit), Some(Exit::Unusable), "it may have etcd data");
    }

    #[test]
    fn one_without_an_applied_config_is_not_asked_and_one_with_a_planned_one_is() {
        let mut node = node(Some("10.0.0.11"));
        assert_eq!(ControlPlane::of(&node).address, None);
        node.set(&Applied::default());
        assert!(ControlPlane::of(&node).address.is_some());
        let planned = |vm: Vm| {
            let mut node = node.clone();
            node.set_marked(&vm, record::Effect::Pending, Vec::new());
            ControlPlane::of(&node).address
        };
        assert!(planned(Vm { id: Some(100), ..Vm::default() }).is_some());
        assert_eq!(planned(Vm::default()), None, "there is no such VM yet");
    }
}
