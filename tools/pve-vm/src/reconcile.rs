//! One node and its VM: the current state, the wanted state, and the steps between them.

use pve_access::agent_addresses;
use pve_client::{answer::Config, request};
use record::{
    Change, Effect, Failure, Node, Role,
    spec::NodeSpec,
    status::{self, AddressSource, Addresses},
};
use rolling::quorum::Away;
use step::{Run, Stop, Written};

use crate::{
    apply::Progress,
    args::Disk,
    changes::VmOperation,
    creation::create,
    difference::Difference,
    difference::moved::owner,
    disks::{Drive, Source},
    error::Error,
    etcd,
    fleet::Fleet,
    identity::role,
    inventory::Known,
    leftovers,
    location::Location,
    machine::Machine,
    meeting::switched_on,
    moving,
    preflight::Intent,
    remembered,
};

/// The parameter that each VM gets anew when it is made.
const GENERATION: &str = "vmgenid";

/// Everything about one node.
pub(crate) struct Reconcile<'a> {
    pub(crate) run: &'a Run,
    pub(crate) fleet: &'a Fleet,
    pub(crate) node: &'a Node,
    pub(crate) machine: &'a Machine,
    pub(crate) spec: &'a NodeSpec,
    /// Its VM, if it exists.
    pub(crate) found: Option<&'a Known>,
}

/// What the user allows.
#[derive(Debug, Clone)]
pub(crate) struct Allowed {
    pub(crate) reboot: bool,
    pub(crate) recreate: bool,
    /// Whether VMs and disks are moved to where the file has them.
    pub(crate) migrate: bool,
    /// Whether VMs that are off stay off.
    pub(crate) stopped: bool,
    /// Disks that may be given up.
    pub(crate) disks: Vec<Disk>,
}

impl Allowed {
    /// Whether the user named this disk.
    pub(crate) fn names(&self, node: &str, slot: &str) -> bool {
        self.disks.iter().any(|disk| disk.node == node && disk.slot == slot)
    }
}

impl<'a> Reconcile<'a> {
    /// Where its VM is.
    pub(crate) fn location(&self) -> Option<Location> {
        self.found.map(|known| Location { vmid: known.vmid, host: known.host.clone() })
    }

    /// Whether the node may be a member of etcd: the file says so, or the VM was made for one, or its notes don't say what
    /// it was made for, as those of earlier releases. A slip in the file must not switch the guard off.
    pub(crate) fn is_control_plane(&self) -> bool {
        self.machine.control_plane || (self.found.is_some() && self.made_as() != Some(Role::Worker))
    }

    /// The role that the VM's notes say.
    fn made_as(&self) -> Option<Role> {
        role(self.found?.config.as_ref().ok()?)
    }

    /// Refuses another role than that which the VM was made for: Talos never changes it.
    fn check_role(&self) -> Result<(), Error> {
        let (Some(known), Some(was)) = (self.found, self.made_as()) else { return Ok(()) };
        match was == self.spec.role {
            true => Ok(()),
            false => Err(Error::OtherRole { vmid: known.vmid, host: known.host.clone(), was, wanted: self.spec.role }),
        }
    }

    /// Operations on the VM at this location.
    pub(crate) fn operation(&self, location: Location) -> VmOperation<'a> {
        VmOperation { fleet: self.fleet, run: self.run, node: self.node, machine: self.machine, location }
    }

    /// Creates the VM or changes it to match the spec, and starts it.
    pub(crate) async fn ensure(&self, allowed: &Allowed) -> Result<Written, Stop> {
        let mut progress = Progress::new(allowed);
        let mut making = self.found.is_none().then(|| self.fleet.newcomers.begin());
        self.remove_trial(false).await?;
        self.check_role()?;
        self.check_references().await?;
        self.ha_differences(self.found.map(|known| known.vmid)).await?;
        // A VM that was just created is not recreated: it would only be the same again.
        let new = Allowed { recreate: false, ..allowed.clone() };
        let operation = match self.location() {
            Some(location) => {
                let operation = self.operation(location);
                self.check_start(&operation).await?;
                let (operation, is_as_wanted) = match operation.target(allowed) {
                    Some(_) if !self.passes(&operation, allowed)? => (operation, false),
                    Some(target) => (operation.migrated(target, &mut progress).await?, false),
                    None => {
                        let is_as_wanted = self.is_as_wanted(&operation, allowed);
                        (operation, is_as_wanted)
                    }
                };
                match if is_as_wanted { None } else { operation.apply(self, allowed, &mut progress).await? } {
                    Some(difference) => self.recreate(operation, &difference, &mut progress).await?,
                    None => operation,
                }
            }
            None => self.created(&mut progress).await?,
        };
        if progress.is_new {
            making.get_or_insert_with(|| self.fleet.newcomers.begin());
            operation.apply(self, &new, &mut progress).await?;
        }
        remembered::remember(self.run, self.node, operation.location.vmid)?;
        let mut changes = std::mem::take(&mut progress.changes);
        let met = match operation.is_running().await? {
            true => self.meet(&operation).await?,
            // One that was switched off for its changes ran before them.
            false if allowed.stopped && !progress.is_stopped() => {
                if let Some(making) = making {
                    making.done(self.fleet, &self.machine.name, &operation.location).await?;
                }
                return Ok(self.left_off(&operation.location, changes));
            }
            false => self.switch_on(&operation, &mut progress).await?,
        };
        changes.extend(met.changes.iter().cloned());
        // Only now another control plane may be taken down.
        progress.permit = None;
        changes.extend(self.manage(&operation).await?);
        let found = self.find(&operation, met).await?;
        changes.extend(self.clear_seed(&operation, &found.addresses).await?);
        if let Some(making) = making {
            making.done(self.fleet, &self.machine.name, &operation.location).await?;
        }
        let vm = self.vm(Some(&operation.location));
        let vm = status::Vm { address_source: Some(found.source), fingerprints: found.fingerprints, ..vm };
        let effect = if changes.is_empty() { Effect::Unchanged } else { Effect::Changed };
        Ok(Written::field(&vm, effect).changes(changes).and(&Addresses(found.addresses)))
    }

    /// Refuses what the user didn't allow before the VM is moved. Whether it is worth moving: one that is recreated isn't.
    fn passes(&self, operation: &VmOperation<'_>, allowed: &Allowed) -> Result<bool, Failure> {
        let Some(known) = self.found else { return Ok(true) };
        let config = known.config.as_ref().map_err(Clone::clone)?;
        let difference = operation.difference(config, known.running, &Progress::new(allowed));
        operation.guard(&difference, known.running, allowed)?;
        Ok(difference.recreate().is_empty())
    }

    /// Whether nothing differs, by what the inventory saw. A VM that somebody locks needs no wait then.
    fn is_as_wanted(&self, operation: &VmOperation<'_>, allowed: &Allowed) -> bool {
        let Some(known) = self.found else { return false };
        let Some(config) = known.config.as_ref().ok().filter(|config| config.lock() != Some("create")) else {
            return false;
        };
        let difference = operation.difference(config, known.running, &Progress::new(allowed));
        if difference.is_none() {
            operation.tell(&difference);
        }
        difference.is_none()
    }

    /// Asks what can refuse the start of a VM that is off.
    async fn check_start(&self, operation: &VmOperation<'a>) -> Result<(), Stop> {
        let Some(known) = self.found.filter(|known| !known.running) else { return Ok(()) };
        let config = known.config.as_ref().map_err(Clone::clone)?;
        operation.checked(config, &Intent::change(self.machine, &Difference::default(), false)).await?;
        Ok(self.fleet.free_address(self.run, self.node, Some(known.vmid)).await?)
    }

    async fn created(&self, progress: &mut Progress<'a>) -> Result<VmOperation<'a>, Stop> {
        // The VM that it was known of is gone, and the new one may have its ID.
        remembered::forget_contact(self.run, self.node)?;
        let location = self.create().await?;
        progress.changes.push(created(&location));
        progress.is_new = true;
        Ok(self.operation(location))
    }

    async fn create(&self) -> Result<Location, Stop> {
        let host = self.placed().await?;
        create(self.fleet, self.run, self.node, self.machine, &host).await
    }

    /// The host for a new VM, once everything that the creation would refuse, or that would only be noticed after it, was
    /// asked.
    async fn placed(&self) -> Result<String, Failure> {
        if let Some(key) = &self.machine.root_only {
            return Err(Error::RootOnly { node: self.machine.name.clone(), key: key.clone() }.into());
        }
        let is_owned = |drive: &&Drive| matches!(&drive.source, Source::Volume(volume) if owner(volume).is_some());
        if let Some(drive) = self.machine.drives.iter().find(is_owned) {
            let (node, key) = (self.machine.name.clone(), drive.slot.clone());
            return Err(Error::Refused { node, key, why: "its volume belongs to another VM" }.into());
        }
        self.fleet.free_address(self.run, self.node, None).await?;
        let host = self.fleet.place(self.machine).await?;
        self.fleet.check_creation(self.machine, &host).await?;
        Ok(host)
    }

    /// Destroys the VM and makes it again. Whatever could refuse the new one is asked before the old one is destroyed.
    async fn recreate(
        &self,
        operation: VmOperation<'a>,
        difference: &Difference,
        progress: &mut Progress<'a>,
    ) -> Result<VmOperation<'a>, Stop> {
        let why = difference.recreate().join(", ");
        let config = operation.config().await?;
        operation.checked(&config, &Intent::destruction()).await?;
        operation.address_is_free(difference).await?;
        self.remove_trial(true).await?;
        let host = self.replacement(&operation.location, &config).await?;
        let mut lost = operation.snapshots_lost().await?;
        let ties = self.ties(&operation).await?;
        let permit = self.fleet.etcd.pass(self, Away::ForGood).await?;
        self.tried(&host).await?;
        // The next VM has the same ID and UUID: what another run made meanwhile is not what was looked at.
        let Location { vmid, host: at } = &operation.location;
        match self.fleet.pve.ask(&request::pending(at, *vmid)).await {
            Ok(now) if now.get(GENERATION) == config.get(GENERATION) => {}
            Err(error) if !error.is_no_vm() => return Err(error.into()),
            _ => return Err(Error::MadeAnew { vmid: *vmid, host: at.clone() }.into()),
        }
        self.run.say(self.node, &format!("recreating VM {}: {why}", operation.location.vmid));
        progress.slot = None;
        remembered::forget_contact(self.run, self.node)?;
        let destroyed = operation.destroy_for_good(Some((self, &permit)), true, ties.id()).await;
        let old = operation.location.vmid;
        // What it left has its ID, and would be in the way.
        if ties.keeps_id && destroyed.is_ok() {
            self.fleet.keep(old, &self.machine.name);
        }
        leftovers::told_aloud(self.run, destroyed)?;
        let left = permit.destroyed(self, true);
        let mut changes = std::mem::take(&mut progress.changes);
        changes.extend(difference.costs(true));
        changes.append(&mut lost);
        changes.extend(ties.lost);
        *progress = Progress::of_new(changes);
        let location = create(self.fleet, self.run, self.node, self.machine, &host).await?;
        if ties.keeps_id && location.vmid != old {
            self.run.warn(&format!("VM {old} is VM {} now: backup jobs that name {old} don't mean it", location.vmid));
        }
        progress.changes.push(created(&location));
        progress.changes.extend(left);
        progress.is_new = true;
        Ok(self.operation(location))
    }

    /// The host for a VM that takes the place of this one, once everything that could refuse the new one was asked.
    async fn replacement(&self, old: &Location, config: &Config) -> Result<String, Failure> {
        self.check_own_volumes(old.vmid)?;
        self.check_pool(true).await?;
        self.check_id(old.vmid).await?;
        self.fleet.release(&old.host, config, self.machine);
        let host = self.fleet.place(self.machine).await?;
        self.fleet.check_creation(self.machine, &host).await?;
        // A plan of the file alone doesn't know where the image is.
        if !(self.run.is_dry_run() && self.fleet.image.volumes.is_empty()) {
            self.fleet.check_image(&host).await?;
        }
        self.check_replacement(&host, old.vmid).await?;
        Ok(host)
    }

    /// Refuses to recreate a VM from a volume that goes with it.
    fn check_own_volumes(&self, vmid: u32) -> Result<(), Error> {
        let goes = |drive: &&Drive| matches!(&drive.source, Source::Volume(volume) if owner(volume) == Some(vmid));
        match self.machine.drives.iter().find(goes) {
            None => Ok(()),
            Some(drive) => Err(Error::GoesWithVm { node: self.machine.name.clone(), slot: drive.slot.clone(), vmid }),
        }
    }

    /// Reports what `ensure` would do. A change that needs a flag doesn't fail; it names the flag.
    pub(crate) async fn plan(&self, allowed: &Allowed) -> Result<Written, Stop> {
        self.check_role()?;
        self.check_references().await?;
        let managed = self.ha_differences(self.found.map(|known| known.vmid)).await?;
        let Some(known) = self.found else {
            let host = self.placed().await?;
            self.run.say(self.node, &format!("would create a VM on {host}"));
            let mut changes = vec![Change::live("VM").to(format!("on {host}"))];
            if allowed.stopped {
                return Ok(self.of_stopped(None, Effect::Pending).changes(changes));
            }
            changes.push(switched_on());
            changes.extend(managed);
            return Ok(self.known(None, Effect::Pending).changes(changes));
        };
        let operation = self.operation(Location { vmid: known.vmid, host: known.host.clone() });
        let config = known.config.clone()?;
        let running = known.running;
        let difference = operation.difference(&config, running, &Progress::new(allowed));
        operation.tell(&difference);
        if let Some(failure) = operation.hopeless(&difference) {
            return Err(failure.into());
        }
        if difference.recreate().is_empty() {
            operation.checked_plan(&config, &Intent::change(self.machine, &difference, running)).await?;
        } else if allowed.recreate {
            operation.checked_plan(&config, &Intent::destruction()).await?;
            self.replacement(&operation.location, &config).await?;
        }
        if running {
            operation.address_is_free(&difference).await?;
        } else {
            self.fleet.free_address(self.run, self.node, Some(known.vmid)).await?;
        }
        let mut changes = difference.costs(running);
        if !difference.recreate().is_empty() {
            changes.extend(operation.snapshots_lost().await?);
            changes.extend(self.ties(&operation).await?.lost);
        }
        if let Some(target) = operation.target(allowed) {
            operation.check_target(target, &config).await?;
            self.run.say(self.node, &format!("would move VM {} from {} to {target}", known.vmid, known.host));
            changes.push(moving::moved_to(&known.host, target));
        }
        let stays_off = !running && allowed.stopped;
        if !running && !stays_off {
            self.run.say(self.node, &format!("would start {}", operation.location));
            changes.push(switched_on());
        }
        // The VM that takes the place of another is in no rule yet, and not managed.
        let is_recreated = allowed.recreate && !difference.recreate().is_empty();
        if !stays_off {
            changes.extend(if is_recreated { self.ha_differences(None).await? } else { managed });
        }
        if running {
            changes.extend(self.foresee_meeting(&operation).await?);
            let last = remembered::contact(self.run, self.node, &operation)?.unwrap_or_default().addresses;
            let known = self.spec.static_address().map_or(last, |address| vec![address.to_string()]);
            changes.extend(self.has_needless_seed(&operation, &known).await);
        }
        changes.extend(self.fleet.etcd.foresee(self, etcd::away(&difference, running)).await?);
        self.say_plan(known.vmid, &difference, running, allowed);
        let effect = if changes.is_empty() { Effect::Unchanged } else { Effect::Pending };
        if stays_off {
            return Ok(self.of_stopped(Some(&operation.location), effect).changes(changes));
        }
        let asks = self.spec.address.is_none() && running;
        let nics = if asks { self.fleet.pve.ask(&request::nics(&known.host, known.vmid)).await.ok() } else { None };
        let found = nics.map(|nics| agent_addresses(&nics, &self.machine.macs)).unwrap_or_default();
        if found.is_empty() {
            return Ok(self.known(Some(&operation.location), effect).changes(changes));
        }
        let vm = status::Vm { address_source: Some(AddressSource::Agent), ..self.vm(Some(&operation.location)) };
        Ok(Written::field(&vm, effect).changes(changes).and(&Addresses(found)))
    }
}

fn created(location: &Location) -> Change {
    Change::live("VM").to(location.to_string())
}
