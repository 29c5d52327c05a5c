//! Sending what differs.

use pve_client::{
    Kind,
    request::{self, Parameters},
};

use super::{Failed, Progress};
use crate::{
    changes::VmOperation,
    difference::{Act, Difference, Item},
};

impl<'a> VmOperation<'a> {
    /// Refuses values that Proxmox VE doesn't take, before a running VM is switched off for them: it judges them before it
    /// compares the digest, and no config has this one.
    pub(super) async fn rehearse(&self, difference: &Difference) -> Result<(), pve_client::Error> {
        const NO_CONFIG: &str = "0000000000000000000000000000000000000000";
        let due: Vec<&Item> = difference.items.iter().filter(|item| matches!(item.act, Act::SetOff(_))).collect();
        if due.is_empty() {
            return Ok(());
        }
        match self.send(Some(NO_CONFIG), &due).await {
            Err(error) if error.kind() == Some(Kind::Changed) => Ok(()),
            ended => ended,
        }
    }

    /// Sends values; the digest protects changes that somebody else makes meanwhile.
    pub(super) async fn send(&self, digest: Option<&str>, items: &[&Item]) -> Result<(), pve_client::Error> {
        let mut parameters = Parameters::new();
        let mut reverted = Vec::new();
        for item in items {
            match item.act {
                Act::Revert => reverted.push(item.key.as_str()),
                _ => parameters.extend(item.value().map(|value| (item.key.clone(), value.to_owned()))),
            }
        }
        if !reverted.is_empty() {
            parameters.push(("revert".to_owned(), reverted.join(",")));
        }
        let request = request::set_config(&self.location.host, self.location.vmid, digest, parameters);
        self.fleet.pve.settle(&request, self.run.wait_timeout()).await
    }

    /// Sends what is due. Tags may be reserved for others: then the rest is sent alone, for the mark in the notes is enough.
    pub(super) async fn send_due(
        &self,
        digest: Option<&str>,
        mut due: Vec<&Item>,
        is_running: bool,
        progress: &mut Progress<'a>,
    ) -> Result<(), Failed> {
        let tags = due.iter().copied().find(|item| item.key == "tags");
        match (self.send(digest, &due).await, tags) {
            (Err(error), Some(tags)) if error.kind() == Some(Kind::Forbidden) => {
                due.retain(|item| item.key != "tags");
                if !due.is_empty() {
                    self.send(digest, &due).await?;
                }
                let why = error.refusal().map(ToString::to_string).unwrap_or_default();
                self.run.warn(&format!("VM {}: its tags can't be set: {why}", self.location.vmid));
                progress.sent.extend(tags.mark());
            }
            (sent, _) => sent?,
        }
        self.note(&due, is_running, progress);
        Ok(())
    }
}
