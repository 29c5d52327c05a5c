//! Where a VM is, and its config once nothing is at work on it.

use pve_client::{answer::Config, request};
use record::{Code, Failure, Node};
use step::{Expired, Hold, Run, Stop};

use crate::{error::Error, fleet::Fleet};

pub(crate) use pve_access::Location;

/// Somebody keeps a VM busy.
pub(crate) trait Busy {
    /// Another operation kept the VM busy until the timeout.
    fn still_busy(&self, last: String) -> Error;
}

impl Busy for Location {
    fn still_busy(&self, last: String) -> Error {
        Error::StillBusy { vmid: self.vmid, host: self.host.clone(), last }
    }
}

/// The config of a VM, once it is whole: until its creation has ended it holds nothing but a lock. Other locks are no
/// reason to wait before it is known that there is anything to change.
pub(crate) async fn settled(fleet: &Fleet, run: &Run, node: &Node, location: &Location) -> Result<Config, Stop> {
    until_unlocked(fleet, run, node, location, |lock| lock != "create").await
}

/// The config of a VM, once no lock is on it that forbids what is about to be done.
pub(crate) async fn until_unlocked(
    fleet: &Fleet,
    run: &Run,
    node: &Node,
    location: &Location,
    allows: impl Fn(&str) -> bool,
) -> Result<Config, Stop> {
    let look = || async {
        let config = fleet.pve.ask(&request::pending(&location.host, location.vmid)).await?;
        match config.lock().filter(|lock| !allows(lock)) {
            Some(lock) => Err(Hold::not_yet(format!("VM is locked ({lock})"))),
            None => Ok(config),
        }
    };
    let expired = |expired: Expired| {
        let is_creation = expired.last.contains("(create)");
        let is_locked = expired.last.contains("VM is locked");
        let mut failure = Failure::from(location.still_busy(expired.last));
        let Location { vmid, host } = location;
        if is_locked {
            failure.code = Code::Locked.as_str().into();
            failure = failure.hint("run again when that operation has ended; --wait-timeout sets a longer timeout");
        }
        let unlock = format!("if nothing is creating this VM any more, run `qm unlock {vmid}` on {host}");
        if is_creation { failure.hint(unlock) } else { failure }
    };
    run.wait(node).until_or(look, expired).await
}
