//! Where the API token may go. The token is the user's, and what says where Proxmox VE is may be anybody's: a cluster file
//! from a repository, records that somebody saved.

use pve_client::Endpoint;
use record::{Classify, Code, Exit, Facts, Failure, spec::ProxmoxSpec};
use step::Run;

/// The variable that says where the token of the environment belongs.
const VARIABLE: &str = "PROXMOX_VE_ENDPOINT";

/// The input names another Proxmox VE than what the user has said before.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API token is not sent to {named}, which the input names: {} names {}", self.by(), self.other())]
enum Elsewhere {
    /// The user's environment.
    Environment { named: String, variable: String },
    /// The lock of the cluster's folder.
    Lock { named: String, locked: String },
}

impl Elsewhere {
    fn by(&self) -> &'static str {
        match self {
            Self::Environment { .. } => VARIABLE,
            Self::Lock { .. } => "ichor.lock",
        }
    }

    fn other(&self) -> &str {
        match self {
            Self::Environment { variable, .. } => variable,
            Self::Lock { locked, .. } => locked,
        }
    }
}

impl Classify for Elsewhere {
    fn facts(&self) -> Facts {
        let hint = match self {
            Self::Environment { .. } => {
                "make `spec.proxmox.endpoint` and PROXMOX_VE_ENDPOINT name the same server; the variable may be unset"
            }
            Self::Lock { .. } => {
                "if this cluster's Proxmox VE moved there, allow it once with --new-endpoint, in the step that reads the cluster file and in those after it"
            }
        };
        Facts::new(Exit::Guard, Code::OtherEndpoint).hint(hint)
    }
}

/// Whether two texts name one server. What can't be read is refused where it is used.
fn differ(one: &str, other: &str) -> bool {
    let (one, other) = (Endpoint::parse(one), Endpoint::parse(other));
    matches!((one, other), (Ok(one), Ok(other)) if !one.is_same(&other))
}

/// Whether the token may go to the endpoint that the input names; `Ok(true)` if ichor.lock has to remember it.
fn judge(named: &str, variable: Option<&str>, locked: Option<&str>, is_new: bool) -> Result<bool, Elsewhere> {
    let named_ = || named.to_owned();
    match (variable, locked) {
        (Some(variable), _) if differ(named, variable) => {
            Err(Elsewhere::Environment { named: named_(), variable: variable.to_owned() })
        }
        (Some(_), _) => Ok(false),
        (None, Some(locked)) if !differ(named, locked) => Ok(false),
        (None, Some(locked)) if !is_new => Err(Elsewhere::Lock { named: named_(), locked: locked.to_owned() }),
        (None, _) => Ok(true),
    }
}

/// Refuses an endpoint of the input that is another one than the environment's or, without that, the lock's. `Ok(true)` if
/// it is to be locked once the server has answered: by the first real run that reads the cluster file itself.
///
/// # Errors
/// Another endpoint (exit 7), a lock that can't be read.
pub(crate) fn check(run: &Run, spec: &ProxmoxSpec, is_new: bool, acts: bool) -> Result<bool, Failure> {
    let Some(named) = spec.endpoint.as_deref() else { return Ok(false) };
    let variable = step::variable(VARIABLE);
    // Records without a folder have no lock.
    let dir = run.cluster().dir().map(|_| run.dir()).transpose()?;
    let lock = dir.as_ref().map(step::ClusterDir::lock).transpose()?.flatten();
    let locked = lock.as_deref().and_then(record::Lock::proxmox);
    let is_unlocked = judge(named, variable.as_deref(), locked, is_new)?;
    Ok(dir.is_some() && is_unlocked && acts && run.is_first() && !run.is_dry_run())
}

/// Locks the endpoint of a server that has answered as it should: a slip in the file must not be kept.
///
/// # Errors
/// A lock that can't be written.
pub(crate) fn remember(run: &Run, spec: &ProxmoxSpec) -> Result<(), Failure> {
    let Some(named) = spec.endpoint.as_deref() else { return Ok(()) };
    run.dir()?.update_lock(|lock| lock.set_proxmox(named))?;
    run.announce(&format!(
        "ichor.lock now names the Proxmox VE of this cluster, {named}: the API token goes to no other without --new-endpoint"
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PVE: &str = "https://pve.lan:8006";
    const EVIL: &str = "https://evil.example:8006";

    #[test]
    fn the_environment_says_where_its_token_belongs() {
        assert_eq!(judge(PVE, Some("PVE.lan"), None, false), Ok(false));
        for is_new in [false, true] {
            let error = judge(EVIL, Some(PVE), Some(EVIL), is_new).unwrap_err();
            assert_eq!(error.facts().exit, Exit::Guard);
            assert_eq!(
                error.to_string(),
                "the API token is not sent to https://evil.example:8006, which the input names: PROXMOX_VE_ENDPOINT names https://pve.lan:8006"
            );
        }
    }

    #[test]
    fn without_it_the_first_endpoint_is_locked_and_another_one_is_refused() {
        assert_eq!(judge(PVE, None, None, false), Ok(true));
        assert_eq!(judge(PVE, None, Some("pve.lan"), false), Ok(false));
        let error = judge(EVIL, None, Some(PVE), false).unwrap_err();
        assert!(error.to_string().ends_with("ichor.lock names https://pve.lan:8006"), "{error}");
        assert!(error.facts().hint.is_some_and(|hint| hint.contains("--new-endpoint")));
        assert_eq!(judge(EVIL, None, Some(PVE), true), Ok(true));
    }

    #[test]
    fn another_port_is_another_server() {
        assert!(judge("https://pve.lan", Some(PVE), None, false).is_err());
    }
}
