//! Starting a VM again that was switched off for its changes.
//!
//! Some values Proxmox VE refuses at the start only. The VM ran before: it gets back what it ran with, and is started so.

use pve_client::{answer::Config, request, request::Parameters};
use record::{Exit, Failure};
use step::Stop;

use crate::{
    apply::Progress,
    changes::VmOperation,
    difference::NOTES,
    disks::Found,
    error::Error,
    location::Location,
    parameters::{Kind, find},
};

impl VmOperation<'_> {
    /// Starts the VM if it is off. One that can't start with its changes is started without them.
    pub(crate) async fn start_changed(&self, progress: &mut Progress<'_>) -> Result<(), Stop> {
        // A failure that left it running (a reply that was lost) has nothing to start.
        if self.is_running().await? {
            return Ok(());
        }
        let failure = match self.switch_on(progress.slot.take()).await {
            Err(Stop::Failed(failure)) if is_final(&failure) => failure,
            started => return started,
        };
        let Some(before) = progress.before().filter(|_| progress.is_stopped()) else { return Err(failure.into()) };
        let Location { vmid, host } = self.location.clone();
        let now = self.fleet.pve.ask(&request::pending(&host, vmid)).await.map_err(|_| failure.clone())?;
        let old = values_of(before, &now, progress.sent());
        if old.is_empty() {
            return Err(failure.into());
        }
        let key =
            |(key, value): &(String, String)| if key == "delete" { value.replace(',', ", ") } else { key.clone() };
        let what = old.iter().map(key).collect::<Vec<_>>().join(", ");
        self.run.warn(&format!("VM {vmid} on {host} doesn't start with its changes: {what} is set back"));
        let request = request::set_config(&host, vmid, now.digest(), old);
        let back = self.fleet.pve.settle(&request, self.run.wait_timeout()).await.map_err(Failure::from);
        let started = match back {
            Ok(()) => self.switch_on(None).await,
            Err(failure) => Err(failure.into()),
        };
        let is_up = started.is_ok();
        Err(Error::NotStarted { vmid, host, exit: failure.exit, why: failure.message, is_up }.into())
    }
}

/// Whether another try would end the same.
fn is_final(failure: &Failure) -> bool {
    !failure.exit.is_retryable() && !matches!(failure.exit, Exit::Interrupted | Exit::Terminated)
}

/// The values that bring back what ran before, of the parameters that were sent. Disks that were made stay.
fn values_of<'a>(before: &Config, now: &Config, sent: impl Iterator<Item = &'a str>) -> Parameters {
    let (mut old, mut deleted) = (Parameters::new(), Vec::new());
    for key in sent.filter(|key| *key != NOTES && *key != "tags") {
        let (was, is) = (before.running(key), now.get(key));
        let Some(parameter) = find(key).filter(|parameter| was != is && parameter.kind != Kind::Secret) else {
            continue;
        };
        let volume = |text: Option<&str>| text.map(|text| Found::parse(text).volume);
        if parameter.kind == Kind::Drive && volume(was) != volume(is) {
            continue;
        }
        match was {
            Some(was) => old.push((key.to_owned(), was.to_owned())),
            None => deleted.push(key.to_owned()),
        }
    }
    if !deleted.is_empty() {
        old.push(("delete".to_owned(), deleted.join(",")));
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_and_differs_is_brought_back_and_disks_stay() {
        let before: Config = [
            ("memory", "2048"),
            ("cores", "2"),
            ("machine", "q35"),
            ("scsi0", "a:0,size=20G"),
            ("scsi1", "a:1,size=1G"),
            ("tags", "x"),
        ]
        .into_iter()
        .collect();
        let now: Config = [
            ("memory", "4096"),
            ("cores", "2"),
            ("machine", "pc-q35-99.0"),
            ("scsi0", "a:0,cache=unsafe,size=20G"),
            ("scsi1", "a:2,size=2G"),
            ("tags", "y"),
            ("rng0", "/dev/hwrng"),
            ("vga", "std"),
        ]
        .into_iter()
        .collect();
        let sent = ["memory", "cores", "machine", "scsi0", "scsi1", "tags", "rng0", "scsi0: size", "cipassword"];
        let old = values_of(&before, &now, sent.into_iter());
        let pairs: Vec<(&str, &str)> = old.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("memory", "2048"), ("machine", "q35"), ("scsi0", "a:0,size=20G"), ("delete", "rng0")]);
    }
}
