//! What a node reports about itself.

use std::fmt;

use talos_proto::definitions as spec;

use crate::{Error, Node, cosi::Kind};

const MACHINE_STATUS: Kind =
    Kind { call: "MachineStatus", namespace: "runtime", name: "MachineStatuses.runtime.talos.dev" };
const SYSTEM_INFORMATION: Kind =
    Kind { call: "SystemInformation", namespace: "hardware", name: "SystemInformations.hardware.talos.dev" };
const LINK_STATUS: Kind = Kind { call: "LinkStatus", namespace: "network", name: "LinkStatuses.net.talos.dev" };
const MACHINE_TYPE: Kind = Kind { call: "MachineType", namespace: "config", name: "MachineTypes.config.talos.dev" };
const NODE_STATUS: Kind = Kind { call: "NodeStatus", namespace: "k8s", name: "NodeStatuses.kubernetes.talos.dev" };
const EXTENSION_STATUS: Kind =
    Kind { call: "ExtensionStatus", namespace: "runtime", name: "ExtensionStatuses.runtime.talos.dev" };
const NODE_NAME: Kind = Kind { call: "Nodename", namespace: "k8s", name: "Nodenames.kubernetes.talos.dev" };

/// What a machine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Not known (yet).
    Unknown,
    /// It boots, or waits for services such as etcd.
    Booting,
    /// It installs itself to disk.
    Installing,
    /// It waits for a configuration.
    Maintenance,
    /// It has booted and all services ran.
    Running,
    /// It goes down to come up again.
    Rebooting,
    /// It goes down.
    ShuttingDown,
    /// It wipes itself.
    Resetting,
    /// It installs another version.
    Upgrading,
}

impl Stage {
    fn of(number: i32) -> Self {
        use spec::MachineStage as Number;
        match Number::try_from(number).unwrap_or(Number::Unknown) {
            Number::Unknown => Self::Unknown,
            Number::Booting => Self::Booting,
            Number::Installing => Self::Installing,
            Number::Maintenance => Self::Maintenance,
            Number::Running => Self::Running,
            Number::Rebooting => Self::Rebooting,
            Number::ShuttingDown => Self::ShuttingDown,
            Number::Resetting => Self::Resetting,
            Number::Upgrading => Self::Upgrading,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Booting => "booting",
            Self::Installing => "installing",
            Self::Maintenance => "maintenance",
            Self::Running => "running",
            Self::Rebooting => "rebooting",
            Self::ShuttingDown => "shutting down",
            Self::Resetting => "resetting",
            Self::Upgrading => "upgrading",
        })
    }
}

/// A condition that keeps a machine from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// `time`, `network`, `services`, `staticPods` or `nodeReady`.
    pub name: String,
    /// The node's own message.
    pub reason: String,
}

/// The stage of a machine and what it lacks.
///
/// `ready` is only computed while booting and running; in every other stage a machine calls itself ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineStatus {
    /// What it is doing.
    pub stage: Stage,
    /// Whether nothing is missing.
    pub ready: bool,
    /// What is missing.
    pub unmet: Vec<Unmet>,
}

impl MachineStatus {
    /// The status of a machine that doesn't report one (yet).
    pub fn unknown() -> Self {
        Self { stage: Stage::Unknown, ready: false, unmet: Vec::new() }
    }

    /// Whether it runs and nothing is missing.
    pub fn is_running_and_ready(&self) -> bool {
        self.stage == Stage::Running && self.ready
    }
}

impl fmt::Display for MachineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stage)?;
        for (index, unmet) in self.unmet.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { ": " } else { "; " }, unmet.reason)?;
        }
        Ok(())
    }
}

/// Which Talos a node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// The release, as `v1.13.9`.
    pub tag: String,
    /// `amd64` or `arm64`.
    pub arch: String,
    /// `nocloud`, `metal`, … if the node reports it.
    pub platform: Option<String>,
}

/// The machine as its firmware describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemInformation {
    /// The SMBIOS UUID, in lower case; empty if the firmware has none.
    pub uuid: String,
    /// The serial number.
    pub serial: String,
    /// Who made it.
    pub manufacturer: String,
}

/// A network link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name on the node.
    pub name: String,
    /// Its permanent hardware address, else its present one, as `bc:24:11:00:00:01`; empty if it has none.
    pub mac: String,
    /// Whether it is a card rather than a bond, a VLAN, a bridge, …: those share the address of a card.
    pub physical: bool,
    /// Whether it has a carrier.
    pub up: bool,
}

/// A node as Kubernetes sees it, as reported by its kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name in Kubernetes.
    pub name: String,
    /// Whether it is Ready.
    pub ready: bool,
    /// Whether it is cordoned.
    pub unschedulable: bool,
}

impl Node {
    /// Which Talos the node runs. In maintenance mode up to 1.12 it doesn't report that ([`Error::NotOffered`]).
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn version(&self) -> Result<VersionInfo, Error> {
        let call = "Version";
        let reply = self.looked(call, || async { self.machine().version(()).await }).await?;
        let message = self.only(call, reply.messages)?;
        let version = message.version.ok_or_else(|| self.unreadable(call, "it holds no version".to_owned()))?;
        let platform = message.platform.map(|platform| platform.name).filter(|name| !name.is_empty());
        Ok(VersionInfo { tag: version.tag, arch: version.arch, platform })
    }

    /// What the machine is doing; unknown while it doesn't report it.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn machine_status(&self) -> Result<MachineStatus, Error> {
        let found: Option<spec::MachineStatusSpec> = self.resource(&MACHINE_STATUS, "machine").await?;
        Ok(found.map_or_else(MachineStatus::unknown, |found| {
            let status = found.status.unwrap_or_default();
            let unmet = status.unmet_conditions.into_iter();
            MachineStatus {
                stage: Stage::of(found.stage),
                ready: status.ready,
                unmet: unmet.map(|unmet| Unmet { name: unmet.name, reason: unmet.reason }).collect(),
            }
        }))
    }

    /// The machine as its firmware describes it, or `None` early in the boot.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn system_information(&self) -> Result<Option<SystemInformation>, Error> {
        let found: Option<spec::SystemInformationSpec> =
            self.resource(&SYSTEM_INFORMATION, "systeminformation").await?;
        Ok(found.map(|found| SystemInformation {
            uuid: found.uuid.to_ascii_lowercase(),
            serial: found.serial_number,
            manufacturer: found.manufacturer,
        }))
    }

    /// The schematic that the system was made from, if it reports one: the Image Factory adds an extension of this name,
    /// whose version is the ID.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn schematic(&self) -> Result<Option<String>, Error> {
        let found: Vec<(String, spec::ExtensionStatusSpec)> = self.resources(&EXTENSION_STATUS).await?;
        let mut extensions = found.into_iter().filter_map(|(_, extension)| extension.metadata);
        Ok(extensions.find(|metadata| metadata.name == "schematic").map(|metadata| metadata.version))
    }

    /// Whether the node is a control plane, or `None` while it has no configuration.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn is_control_plane(&self) -> Result<Option<bool>, Error> {
        use spec::MachineType as Number;
        let found: Option<spec::MachineTypeSpec> = self.resource(&MACHINE_TYPE, "machine-type").await?;
        Ok(match found.map(|found| found.machine_type()) {
            Some(Number::Init | Number::ControlPlane) => Some(true),
            Some(Number::Worker) => Some(false),
            Some(Number::Unknown) | None => None,
        })
    }

    /// The network links of the node.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn link_statuses(&self) -> Result<Vec<Link>, Error> {
        let found: Vec<(String, spec::LinkStatusSpec)> = self.resources(&LINK_STATUS).await?;
        Ok(found.into_iter().map(|(name, link)| of_link(name, &link)).collect())
    }

    /// The node as Kubernetes sees it, or `None` while its kubelet hasn't registered it.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn node_status(&self) -> Result<Option<NodeStatus>, Error> {
        let name: Option<spec::NodenameSpec> = self.resource(&NODE_NAME, "nodename").await?;
        let Some(name) = name else { return Ok(None) };
        let found: Option<spec::NodeStatusSpec> = self.resource(&NODE_STATUS, &name.nodename).await?;
        Ok(found.map(|found| NodeStatus {
            name: name.nodename,
            ready: found.node_ready,
            unschedulable: found.unschedulable,
        }))
    }
}

/// ARPHRD_ETHER of Linux.
const ETHERNET: i32 = 1;

fn of_link(name: String, link: &spec::LinkStatusSpec) -> Link {
    let address = if link.permanent_addr.is_empty() { &link.hardware_addr } else { &link.permanent_addr };
    let mac: Vec<String> = address.iter().map(|octet| format!("{octet:02x}")).collect();
    let physical = link.kind.is_empty() && link.r#type == ETHERNET;
    Link { name, mac: mac.join(":"), physical, up: link.link_state }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bond_shows_the_address_of_its_card_but_is_no_card() {
        let card = spec::LinkStatusSpec {
            r#type: ETHERNET,
            hardware_addr: vec![0xbc, 0x24, 0x11, 0, 0, 0xff],
            permanent_addr: vec![0xbc, 0x24, 0x11, 0, 0, 1],
            link_state: true,
            ..Default::default()
        };
        let bond = spec::LinkStatusSpec { kind: "bond".to_owned(), permanent_addr: Vec::new(), ..card.clone() };

        assert_eq!(
            of_link("eth0".to_owned(), &card),
            Link { name: "eth0".to_owned(), mac: "bc:24:11:00:00:01".to_owned(), physical: true, up: true }
        );
        assert!(!of_link("bond0".to_owned(), &bond).physical);
    }

    #[test]
    fn a_status_says_what_is_missing_in_one_line() {
        let unmet = |reason: &str| Unmet { name: "services".to_owned(), reason: reason.to_owned() };
        let status = MachineStatus {
            stage: Stage::Booting,
            ready: false,
            unmet: vec![unmet("etcd not running"), unmet("time is not synced")],
        };

        assert_eq!(status.to_string(), "booting: etcd not running; time is not synced");
    }

    #[test]
    fn a_machine_that_calls_itself_ready_in_maintenance_does_not_run() {
        let status = MachineStatus { stage: Stage::Maintenance, ready: true, unmet: Vec::new() };

        assert!(!status.is_running_and_ready());
    }

    #[test]
    fn a_stage_of_the_future_is_unknown() {
        assert_eq!(Stage::of(42), Stage::Unknown);
        assert_eq!(Stage::of(6).to_string(), "shutting down");
    }
}
