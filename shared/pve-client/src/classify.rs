//! What errors of Proxmox VE mean to a script.

use verdict::{Classify, Code, Exit, Facts};

use crate::{Error, Kind, Unset};

impl Classify for Error {
    fn facts(&self) -> Facts {
        let (exit, code) = match self {
            Self::Untrusted { .. } => (Exit::NotAllowed, Code::Untrusted),
            Self::Unreachable { .. } | Self::TaskRuns { .. } => (Exit::Unreachable, Code::Unreachable),
            // It was there when the call was decided: somebody destroyed or moved it, and the next look shows which.
            Self::Refused { source, .. } if source.is_no_vm() => (Exit::Unreachable, Code::Unreachable),
            Self::Refused { source, .. } => of_refusal(source.kind),
            Self::Task(task) => of_refusal(task.refusal.kind),
            Self::Foreign { .. } | Self::Misread { .. } | Self::Console { .. } => (Exit::Failed, Code::ProxmoxRefused),
        };
        Facts::new(exit, code).maybe_hint(self.hint())
    }
}

fn of_refusal(kind: Kind) -> (Exit, Code) {
    match kind {
        Kind::Unauthorized | Kind::Forbidden => (Exit::NotAllowed, Code::NotAllowed),
        Kind::Protected => (Exit::Guard, Code::Protected),
        Kind::Busy | Kind::Changed => (Exit::Unreachable, Code::Unreachable),
        Kind::NoQuorum => (Exit::Unreachable, Code::NoQuorum),
        Kind::Locked => (Exit::Unreachable, Code::Locked),
        Kind::Invalid
        | Kind::NotFound
        | Kind::Exists
        | Kind::VolumeExists
        | Kind::Unfit
        | Kind::Running
        | Kind::Stopped
        | Kind::NoAgent
        | Kind::Unsupported
        | Kind::Other => (Exit::Failed, Code::ProxmoxRefused),
    }
}

impl Classify for Unset {
    fn facts(&self) -> Facts {
        let exit = match self {
            // Without a token nothing is allowed, as with one that has no rights.
            Self::NoToken => Exit::NotAllowed,
            Self::NoEndpoint | Self::Endpoint(_) | Self::Token(_) | Self::Trust(_) | Self::File { .. } => {
                Exit::Unusable
            }
        };
        Facts::new(exit, Code::ProxmoxSettings).maybe_hint(self.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Refusal;

    #[test]
    fn what_may_pass_asks_to_run_again_and_nothing_else_does() {
        let refused =
            |message| Error::Refused { call: "GET /nodes".into(), source: Refusal::new(500, message, vec![]) };
        for message in ["can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", "VM is locked (backup)"]
        {
            let error = refused(message);
            assert_eq!(error.facts().exit, Exit::Unreachable, "{message}");
            assert!(error.is_transient(), "{message}");
        }
        let error = refused("cluster not ready - no quorum?");
        assert_eq!(
            (error.facts().exit, error.facts().code, error.is_transient()),
            (Exit::Unreachable, Code::NoQuorum, true)
        );
        let error = refused("Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist");
        assert_eq!((error.facts().exit, error.is_transient()), (Exit::Unreachable, false), "a VM that vanished");
        let error = refused("can't remove VM 100 - protection mode enabled");
        assert_eq!((error.facts().exit, error.is_transient()), (Exit::Guard, false));
    }
}
