//! What errors of the Talos API mean to a script.

use verdict::{Classify, Code, Exit, Facts};

use crate::{Class, Error};

impl Classify for Error {
    fn facts(&self) -> Facts {
        let exit = match self.class() {
            Class::Retry => Exit::Unreachable,
            Class::Forbidden => Exit::NotAllowed,
            Class::WrongMachine => Exit::Guard,
            Class::Final => Exit::Failed,
        };
        let (code, hint) = self.code_and_hint();
        Facts::new(exit, code).maybe_hint(hint)
    }
}

impl Error {
    fn code_and_hint(&self) -> (Code, Option<&'static str>) {
        match self {
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Hanging { .. }
            | Self::Lost { .. }
            | Self::Garbled { .. }
            | Self::NotYet { .. } => (Code::Unreachable, None),
            Self::OtherTime { .. } => (Code::Unreachable, Some("compare the clocks of this machine and the node")),
            Self::InMaintenance { .. } => (Code::Maintenance, Some("apply a machine config with talos-apply")),
            Self::WantsCertificate { .. } => {
                (Code::NotAllowed, Some("drop --insecure: the node is already configured"))
            }
            Self::CertificateRefused { .. } => {
                (Code::NotAllowed, Some("check that these credentials belong to this cluster and haven't expired"))
            }
            Self::NotAuthorized { call, .. } => (Code::NotAllowed, Some(role_for(call))),
            Self::Identity(_) => (Code::NotAllowed, None),
            Self::Foreign { .. } => {
                (Code::OtherCluster, Some("check the address, and whether the machine was part of another cluster"))
            }
            Self::OtherFingerprint { .. } => (
                Code::OtherMachine,
                Some(
                    "a node in maintenance mode prints its fingerprint on its console; it changes when its addresses change",
                ),
            ),
            Self::OtherName { .. } => {
                (Code::Failed, Some("use an address of the node itself, or put this one into the cluster's `certSANs`"))
            }
            Self::Invalid { .. } => (Code::RefusedByNode, None),
            Self::Failed { .. } => match self.class() {
                Class::Retry => (Code::Unreachable, None),
                Class::Forbidden => (Code::NotAllowed, None),
                Class::WrongMachine => (Code::UnknownNode, None),
                Class::Final => (Code::Failed, None),
            },
            Self::NotTalos { .. } | Self::NotOffered { .. } | Self::Unreadable { .. } => (Code::Failed, None),
        }
    }
}

/// Which role a call takes, as a hint (internal/app/machined/pkg/system/services/machined.go `rules`; of the resources that
/// we read, only the machine config is for administrators). A call that isn't listed there is for administrators.
fn role_for(call: &str) -> &'static str {
    const READERS: [&str; 16] = [
        "EtcdMember",
        "ExtensionStatus",
        "LinkStatus",
        "List",
        "Logs",
        "MachineStatus",
        "MachineType",
        "NodeAddress",
        "NodeStatus",
        "Nodename",
        "ServiceList",
        "StaticPodStatus",
        "SystemInformation",
        "TimeStatus",
        "Version",
        "VolumeStatus",
    ];
    match call {
        "EtcdMemberList" | "EtcdStatus" => {
            "use credentials with the role `os:reader`, `os:etcd:backup`, `os:operator` or `os:admin`"
        }
        "Reboot" => "use credentials with the role `os:operator` or `os:admin`",
        _ if READERS.contains(&call) => "use credentials with the role `os:reader`, `os:operator` or `os:admin`",
        _ => "use credentials with the role `os:admin`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_a_role_lacks_is_told_with_the_roles_that_have_it() {
        let hint = |call| {
            let facts = Error::NotAuthorized { address: "10.0.0.11".parse().expect("an address"), call }.facts();
            assert_eq!((facts.exit, facts.code), (Exit::NotAllowed, Code::NotAllowed));
            facts.hint.expect("a hint")
        };
        for call in ["Bootstrap", "Kubeconfig", "Read", "ApplyConfiguration", "MachineConfig", "NewCall"] {
            assert_eq!(hint(call), "use credentials with the role `os:admin`", "{call}");
        }
        assert!(hint("Reboot").contains("`os:operator`") && !hint("Reboot").contains("`os:reader`"));
        assert!(hint("ServiceList").contains("`os:reader`") && !hint("ServiceList").contains("backup"));
        assert!(hint("EtcdMemberList").contains("`os:etcd:backup`"));
    }

    #[test]
    fn a_node_in_maintenance_may_be_configured_the_next_time() {
        let address = "10.0.0.11".parse().expect("an address");

        let facts = Error::InMaintenance { address }.facts();

        assert_eq!((facts.exit, facts.code), (Exit::Unreachable, Code::Maintenance));
        assert!(facts.hint.is_some());
    }

    #[test]
    fn what_is_refused_connections_may_be_there_the_next_time() {
        let address = "10.0.0.11".parse().expect("an address");

        assert_eq!(Error::Refused { address }.facts().exit, Exit::Unreachable);
    }
}
