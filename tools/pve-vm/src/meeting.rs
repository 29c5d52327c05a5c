//! Meeting a node's VM: what its console told once is kept in `ichor.lock` until the node has its config, so that a later
//! run believes no other machine, and finds a node that nobody tells the address of.

use pve_access::{Found, Watch};
use pve_client::request;
use record::{Change, Contact, Failure, Impact};
use rolling::quorum::Away;
use step::Stop;
use talos_client::{Address, Limits, Probe, probe};

use crate::{apply::Progress, changes::VmOperation, reconcile::Reconcile, remembered};

/// How often a VM is reset at most until its console shows something: the terminal may have come to it too late.
const RESETS: usize = 2;

/// A VM that runs, and what is known of it.
pub(crate) struct Met {
    pub(crate) console: Option<Watch>,
    contact: Contact,
    /// What was done to it for that.
    pub(crate) changes: Vec<Change>,
}

impl<'a> Reconcile<'a> {
    /// Switches the VM on. Its console is opened before, so that nothing is missed that it says.
    pub(crate) async fn switch_on(
        &self,
        operation: &VmOperation<'a>,
        progress: &mut Progress<'a>,
    ) -> Result<Met, Stop> {
        let console = operation.finder().console(self.spec.static_address().is_none()).await;
        let known = if progress.is_new { None } else { remembered::contact(self.run, self.node, operation)? };
        let contact = self.expect(operation, known, console.is_some())?;
        operation.start_changed(progress).await?;
        if let Some(console) = &console {
            console.vm_is_on();
        }
        Ok(Met { console, contact, changes: vec![switched_on()] })
    }

    /// Meets a VM that runs already. One that never got a config, and shows another certificate than its console told, is
    /// reset with its console open: there is nothing on it, and it may have booted again without a reader.
    pub(crate) async fn meet(&self, operation: &VmOperation<'a>) -> Result<Met, Stop> {
        let contact = remembered::contact(self.run, self.node, operation)?;
        let mut contact = contact.unwrap_or_else(|| Contact::of(operation.location.vmid));
        match self.stranger(&contact).await {
            Seen::Known => {}
            Seen::Configured => contact.is_configured = true,
            Seen::Stranger => {
                let Some((console, hears)) = self.reset(operation).await? else {
                    return Ok(Met { console: None, contact, changes: Vec::new() });
                };
                // Whoever holds the console must not make us believe anybody.
                let contact = if hears { self.expect(operation, Some(contact), true)? } else { contact };
                return Ok(Met { console: Some(console), contact, changes: vec![was_reset()] });
            }
        }
        Ok(Met { console: None, contact, changes: Vec::new() })
    }

    /// The same in a plan.
    pub(crate) async fn foresee_meeting(&self, operation: &VmOperation<'a>) -> Result<Option<Change>, Failure> {
        let Some(contact) = remembered::contact(self.run, self.node, operation)? else { return Ok(None) };
        let may_read = operation.finder().can_be_read();
        Ok((may_read && matches!(self.stranger(&contact).await, Seen::Stranger)).then(was_reset))
    }

    /// Remembers that the VM is about to be switched on, before it is: its certificates of before are none any more.
    fn expect(
        &self,
        operation: &VmOperation<'_>,
        known: Option<Contact>,
        is_watched: bool,
    ) -> Result<Contact, Failure> {
        let known = known.unwrap_or_else(|| Contact::of(operation.location.vmid));
        let before = known.clone();
        // What is only remembered of another boot binds nobody, unless the node has a config: then only a person resets it.
        let fingerprints = if known.is_configured { known.fingerprints } else { Vec::new() };
        let contact = Contact { fingerprints, is_watched, ..known };
        if contact != before {
            remembered::remember_contact(self.run, self.node, &contact)?;
        }
        Ok(contact)
    }

    /// Who answers where a VM is whose first contact is open.
    async fn stranger(&self, contact: &Contact) -> Seen {
        let fixed = self.spec.static_address().map(|address| address.to_string());
        let Some(address) = fixed.as_ref().or(contact.addresses.first()).filter(|_| contact.is_open()) else {
            return Seen::Known;
        };
        let Ok(address) = address.parse::<Address>() else { return Seen::Known };
        match probe(&address, None, Limits::default()).await {
            Ok(Probe::Maintenance(found)) => {
                let shown = found.fingerprint.to_string();
                if contact.fingerprints.contains(&shown) { Seen::Known } else { Seen::Stranger }
            }
            Ok(Probe::Ours(_) | Probe::NotOurs(_)) => Seen::Configured,
            // Nobody, or not yet: whoever comes is compared with what the console told.
            Ok(Probe::Absent(_) | Probe::Booting(_) | Probe::Hanging(_)) | Err(_) => Seen::Known,
        }
    }

    /// Resets the VM with its console open, and whether that showed anything then; `None` if it can't be opened.
    async fn reset(&self, operation: &VmOperation<'a>) -> Result<Option<(Watch, bool)>, Stop> {
        let Some(console) = operation.finder().console(true).await.filter(|console| !console.is_over()) else {
            return Ok(None);
        };
        console.vm_is_on();
        console.until_read().await;
        let _permit = self.fleet.etcd.pass(self, Away::ForAWhile).await?;
        let (host, vmid) = (&operation.location.host, operation.location.vmid);
        self.run.say(
            self.node,
            &format!(
                "VM {vmid} on {host} has no config yet, and what answers there shows another certificate than its \
                 console told: resetting it with its console open"
            ),
        );
        let request = request::reset(host, vmid);
        for _ in 0..RESETS {
            operation.persist(|| self.fleet.pve.run(&request, self.run.wait_timeout())).await?;
            if console.hears().await {
                return Ok(Some((console, true)));
            }
        }
        Ok(Some((console, false)))
    }

    /// Finds the VM's addresses and certificates, and remembers them.
    pub(crate) async fn find(&self, operation: &VmOperation<'a>, met: Met) -> Result<Found, Stop> {
        let fixed = self.spec.static_address().map(|address| address.to_string());
        let is_static = fixed.is_some();
        let Met { console, contact, .. } = met;
        let was_opened = console.is_some();
        let mut found = operation.finder().search(fixed, console, &contact.addresses).await?;
        let mut after = contact.clone();
        if !is_static {
            after.addresses.clone_from(&found.addresses);
        }
        after.is_configured |= found.is_configured;
        if !found.fingerprints.is_empty() {
            after.fingerprints.clone_from(&found.fingerprints);
            after.is_watched = true;
        } else if was_opened && !after.is_configured && after.fingerprints.is_empty() {
            // Nothing was to be read: nobody can be compared.
            after.is_watched = false;
        }
        found.fingerprints.clone_from(&after.fingerprints);
        let is_known = remembered::contact(self.run, self.node, operation)?.as_ref() == Some(&after);
        if !is_known && after != Contact::of(after.vm) {
            remembered::remember_contact(self.run, self.node, &after)?;
        }
        Ok(found)
    }
}

/// Who answers where a VM is expected.
enum Seen {
    /// The VM, as far as that can be told.
    Known,
    /// A node that has a config.
    Configured,
    /// A node without a config, with another certificate than the console told.
    Stranger,
}

pub(crate) fn switched_on() -> Change {
    Change::live("power").from("stopped").to("running")
}

fn was_reset() -> Change {
    Change::new("power", Impact::PowerCycle).from("running").to("reset, to learn its certificate")
}
