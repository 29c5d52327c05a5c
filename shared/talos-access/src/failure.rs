//! What an error of the Talos API is to the contract.

use record::{Exit, Failure};
use talos_client::{Class, Error};

/// The failure that an error amounts to: its exit status, a stable code, and a hint where one is known.
pub fn failure(error: &Error) -> Failure {
    Failure::new(exit(error.class()), code(error), error.chain()).maybe_hint(hint(error))
}

fn exit(class: Class) -> Exit {
    match class {
        Class::Retry => Exit::Unreachable,
        Class::Forbidden => Exit::NotAllowed,
        Class::Stranger => Exit::Guard,
        Class::Final => Exit::Failed,
    }
}

fn code(error: &Error) -> &'static str {
    match error {
        Error::Foreign { .. } => "other-cluster",
        Error::OtherFingerprint { .. } => "other-machine",
        Error::InMaintenance { .. } => "maintenance",
        Error::Invalid { .. } => "refused-by-node",
        _ => match error.class() {
            Class::Retry => "unreachable",
            Class::Forbidden => "not-allowed",
            Class::Stranger => "stranger",
            Class::Final => "failed",
        },
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::WantsCertificate { .. } => Some("leave out --insecure: the node is configured already"),
        Error::InMaintenance { .. } => Some("talos-apply gives it a configuration"),
        Error::CertificateRefused { .. } => Some("are these credentials of this cluster, and not run out?"),
        Error::NotAuthorized { .. } => Some("the role `os:admin` may do everything"),
        Error::OtherName { .. } => {
            Some("use an address of the node itself, or put this one into the cluster's `certSANs`")
        }
        Error::OtherTime { .. } => Some("compare the clocks of this machine and the node"),
        Error::Foreign { .. } => Some("is the address right, or was the machine part of another cluster?"),
        Error::OtherFingerprint { .. } => {
            Some("a node in maintenance prints its fingerprint on its console; it changes with its addresses")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_another_cluster_is_for_a_person_to_look_at() {
        let address = "10.0.0.11".parse().expect("an address");

        let failure = failure(&Error::InMaintenance { address });

        assert_eq!((failure.exit, failure.code.as_str()), (Exit::Unreachable, "maintenance"));
        assert!(failure.hint.is_some());
    }

    #[test]
    fn what_is_refused_connections_may_be_there_the_next_time() {
        let address = "10.0.0.11".parse().expect("an address");

        assert_eq!(failure(&Error::Refused { address }).exit, Exit::Unreachable);
    }
}
