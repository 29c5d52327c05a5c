//! One node and its disc.
//!
//! The notes of the VM say what is on its way before it is: so a run that is cut off anywhere is continued by the next one,
//! and no file with secrets is ever forgotten.

use std::time::Duration;

use pve_access::{
    Finder, Found, Location, console,
    files::{self, Target},
    is_marked,
    seed::{BEGUN, Kept, Mark, NOTES, Removal, file_name},
};
use pve_client::{Kind, answer::Config, request};
use record::{
    Change, Contact, Effect, Failure, Node,
    spec::NodeSpec,
    status::{Seed, Vm},
};
use step::{Hold, Run, Stop, Written};
use talos_access::Credentials;
use talos_client::{Address, Limits, Probe, probe};

use crate::{
    cidata,
    error::Error,
    plan::{Act, Seen, Slot, act},
    run::Shared,
};

/// How long one call may take to be carried out.
const SET: Duration = Duration::from_secs(60);

/// One node, its VM and its config.
pub(crate) struct Seeding<'a> {
    pub(crate) run: &'a Run,
    pub(crate) shared: &'a Shared,
    pub(crate) node: &'a Node,
    pub(crate) spec: NodeSpec,
    vm: &'a Vm,
    pub(crate) location: Location,
    /// The cluster's identity, which pve-vm may have made a moment ago.
    uid: Option<String>,
    /// The machine config.
    config: String,
}

impl<'a> Seeding<'a> {
    pub(crate) fn new(
        run: &'a Run,
        shared: &'a Shared,
        node: &'a Node,
        vm: &'a Vm,
        vmid: u32,
        config: String,
    ) -> Result<Self, Failure> {
        let location = Location { vmid, host: vm.node.clone() };
        let uid = run.dir()?.lock()?.and_then(|lock| lock.uid().map(str::to_owned));
        Ok(Self { run, shared, node, spec: node.typed_spec()?, vm, location, uid, config })
    }

    /// Looks at the VM, and does what is missing.
    pub(crate) async fn done(&self) -> Result<Written, Stop> {
        let config = self.vm_config().await?;
        let is_running = self.is_running().await?;
        let disc = cidata::disc(&self.config, &config);
        let uid = self.uid.as_deref().unwrap_or_default();
        let file = file_name(uid, self.node.name());
        let Location { vmid, host } = &self.location;
        let volume = format!("{}:iso/{file}", self.shared.storage);
        let wanted = Kept { host: host.clone(), volume, sha256: step::sha256(&disc) };
        let contact = self.contact()?;
        let is_configured = contact.as_ref().is_some_and(|contact| contact.is_configured);
        let is_there = !is_running && !is_configured && self.is_there(&wanted, disc.len() as u64).await?;
        let seen = Seen { config: &config, is_running, is_configured, wanted: &wanted, is_there };
        let act = act(seen).ok_or_else(|| Error::NoSlot { vmid: *vmid, host: host.clone() })?;
        match act {
            Act::Leave => self.left(&config).await,
            Act::Ask => self.asked().await,
            Act::Start | Act::Seed(_) if self.run.is_dry_run() => {
                if let Act::Seed(slot) = &act {
                    self.check().await?;
                    self.run.say(self.node, &format!("would put its config into {} of {}", slot.name, self.location));
                }
                self.check_address().await?;
                let seeded = matches!(act, Act::Seed(_)).then(|| seeded(&wanted.volume));
                let changes = seeded.into_iter().chain([switched_on()]).collect();
                Ok(Written::field(&Seed::default(), Effect::Pending).changes(changes))
            }
            Act::Start => {
                let mark = Mark::of(&config).filter(|mark| mark.is_attached(&config));
                let seed = mark.map(|mark| seed_of(&mark)).unwrap_or_default();
                self.started(seed, contact, vec![switched_on()]).await
            }
            Act::Seed(slot) => {
                self.check().await?;
                self.check_address().await?;
                self.warn();
                self.put(&slot, &wanted, &disc).await?;
                let mark = Mark { slot: slot.name, file: Some(wanted.clone()) };
                self.started(seed_of(&mark), None, vec![seeded(&wanted.volume), switched_on()]).await
            }
        }
    }

    /// The config of the VM, which must be the node's.
    async fn vm_config(&self) -> Result<Config, Failure> {
        let Location { vmid, host } = &self.location;
        let config = self.shared.pve.ask(&request::pending(host, *vmid)).await?;
        let is_it = config.uuid().is_some_and(|uuid| uuid.eq_ignore_ascii_case(&self.vm.uuid));
        let is_ours = self.uid.as_ref().is_some_and(|uid| is_marked(&config, uid));
        match is_it && is_ours {
            true => Ok(config),
            false => Err(Error::NotOurs { vmid: *vmid, host: host.clone() }.into()),
        }
    }

    async fn is_running(&self) -> Result<bool, pve_client::Error> {
        let power = self.shared.pve.ask(&request::power(&self.location.host, self.location.vmid)).await?;
        Ok(power.is_running())
    }

    /// What `ichor.lock` knows of this VM.
    fn contact(&self) -> Result<Option<Contact>, Failure> {
        let contact = self.run.dir()?.lock()?.and_then(|lock| lock.contact(self.node.name()));
        Ok(contact.filter(|contact| contact.vm == self.location.vmid))
    }

    /// Brings the disc to the VM: what is on its way is in its notes before it is there.
    async fn put(&self, slot: &Slot, wanted: &Kept, disc: &[u8]) -> Result<(), Stop> {
        let _slot = self.run.slot(self.node).await?;
        let pve = &self.shared.pve;
        if slot.uploads {
            let begun = Kept { sha256: BEGUN.to_owned(), ..wanted.clone() };
            let mark = Mark { slot: slot.name.clone(), file: Some(begun) };
            self.set(|config| vec![(NOTES.to_owned(), mark.within(config.get(NOTES).unwrap_or_default()))]).await?;
            let file = wanted.volume.rsplit('/').next().unwrap_or_default();
            let target = Target { host: &self.location.host, storage: &self.shared.storage, file };
            files::put(self.run, pve, &target, disc).await?;
        }
        if slot.replaces {
            // Only so Proxmox VE removes the volume that it made for it.
            self.set(|_| vec![(slot.name.clone(), "none,media=cdrom".to_owned())]).await?;
        }
        let mark = Mark { slot: slot.name.clone(), file: Some(wanted.clone()) };
        self.set(|config| {
            let notes = mark.within(config.get(NOTES).unwrap_or_default());
            vec![(slot.name.clone(), format!("{},media=cdrom", wanted.volume)), (NOTES.to_owned(), notes)]
        })
        .await?;
        self.run.say(self.node, &format!("its config is in {} of {}", slot.name, self.location));
        Ok(())
    }

    /// Sets options of a VM that is off, by what it has now: nothing is put into one that was switched on meanwhile.
    async fn set(&self, parameters: impl Fn(&Config) -> request::Parameters) -> Result<(), Stop> {
        let Location { vmid, host } = &self.location;
        let look = || async {
            let config = self.vm_config().await?;
            if let Some(lock) = config.lock() {
                return Err(Hold::not_yet(format!("VM is locked ({lock})")));
            }
            if self.is_running().await? {
                return Err(Error::Waits { vmid: *vmid, host: host.clone() }.into());
            }
            let request = request::set_config(host, *vmid, config.digest(), parameters(&config));
            Ok(self.shared.pve.settle(&request, SET).await?)
        };
        self.run.wait(self.node).until(look).await
    }

    fn finder(&self) -> Finder<'_> {
        let Shared { pve, rights, sources, .. } = self.shared;
        let has_port = self.spec.vm.get(console::PORT.0).is_none_or(|port| port.as_str() == Some(console::PORT.1));
        let (location, macs, pool) = (&self.location, &self.vm.macs, self.pool());
        Finder { run: self.run, node: self.node, pve, location, macs, has_port, rights, pool, sources }
    }

    /// Starts the VM and finds it. Its console is opened before, so that nothing is missed that it says.
    async fn started(&self, seed: Seed, known: Option<Contact>, changes: Vec<Change>) -> Result<Written, Stop> {
        let fixed = self.spec.static_address().map(|address| address.to_string());
        if fixed.is_some() {
            self.check_address().await?;
        }
        let finder = self.finder();
        let opened = match fixed {
            None => finder.console(true).await,
            Some(_) => None,
        };
        let known = known.unwrap_or_else(|| Contact::of(self.location.vmid));
        // Who answers there without a config isn't this VM, or lost its own.
        let contact = Contact { is_watched: true, fingerprints: Vec::new(), ..known.clone() };
        if !known.is_configured {
            self.remember(&contact)?;
        }
        self.switch_on().await?;
        if let Some(opened) = &opened {
            opened.vm_is_on();
        }
        let is_static = fixed.is_some();
        let found = finder.search(fixed, opened, &contact.addresses).await?;
        self.found(seed, &found, changes, |addresses| match is_static || known.is_configured {
            true => Ok(()),
            false => self.remember(&Contact { addresses: addresses.to_vec(), ..contact.clone() }),
        })
    }

    fn found(
        &self,
        seed: Seed,
        found: &Found,
        changes: Vec<Change>,
        remember: impl Fn(&[String]) -> Result<(), Failure>,
    ) -> Result<Written, Stop> {
        remember(&found.addresses)?;
        let seed = Seed { addresses: found.addresses.clone(), ..seed };
        Ok(Written::field(&seed, Effect::Changed).changes(changes))
    }

    fn remember(&self, contact: &Contact) -> Result<(), Failure> {
        self.run.dir()?.update_lock(|lock| lock.remember_contact(self.node.name(), contact))
    }

    async fn switch_on(&self) -> Result<(), Stop> {
        let Location { vmid, host } = &self.location;
        let _slot = self.run.slot(self.node).await?;
        let request = request::start(host, *vmid);
        let look = || async {
            if self.is_running().await? {
                return Ok(());
            }
            match self.shared.pve.run(&request, self.run.wait_timeout()).await {
                Err(error) if error.kind() == Some(Kind::Running) => Ok(()),
                Ok(()) => Err(Hold::not_yet("VM is not on yet")),
                Err(error) => Err(error.into()),
            }
        };
        self.run.wait(self.node).until(look).await?;
        self.run.say(self.node, &format!("started VM {vmid} on {host}"));
        Ok(())
    }

    /// A VM that runs, and has its config or its disc. What is done with is removed.
    async fn left(&self, config: &Config) -> Result<Written, Stop> {
        let mark = Mark::of(config).filter(|mark| mark.is_attached(config));
        let mut seed = mark.map(|mark| seed_of(&mark)).unwrap_or_default();
        let mut changes = Vec::new();
        let removal =
            Removal { run: self.run, pve: &self.shared.pve, location: &self.location, rights: &self.shared.rights };
        if removal.is_due(config) && self.keeps_its_config().await {
            if self.run.is_dry_run() {
                let changes = Removal::change(config).into_iter().collect();
                return Ok(Written::field(&Seed::default(), Effect::Pending).changes(changes));
            }
            changes.extend(removal.remove().await?);
            self.run.say(self.node, &format!("{} has its config: its seed is removed", self.location));
            seed = Seed::default();
        }
        if self.node.address().is_none() && !self.run.is_dry_run() {
            let last = self.contact()?.unwrap_or_default().addresses;
            seed.addresses = self.finder().search(None, None, &last).await?.addresses;
        }
        let effect = if changes.is_empty() { Effect::Unchanged } else { Effect::Changed };
        Ok(Written::field(&seed, effect).changes(changes))
    }

    /// A VM that runs, of which nobody knows whether it has a config: it says so itself.
    async fn asked(&self) -> Result<Written, Stop> {
        let mut seed = Seed::default();
        let address = match self.node.address() {
            Some(address) => address.to_owned(),
            None if self.run.is_dry_run() => return Ok(Written::field(&seed, Effect::Unchanged)),
            None => {
                let last = self.contact()?.unwrap_or_default().addresses;
                seed.addresses = self.finder().search(None, None, &last).await?.addresses;
                seed.addresses.first().cloned().unwrap_or_default()
            }
        };
        let Ok(address) = address.parse::<Address>() else { return Ok(Written::field(&seed, Effect::Unchanged)) };
        let look = || async {
            match probe(&address, None, Limits::default()).await? {
                Probe::Maintenance(_) => {
                    let Location { vmid, host } = self.location.clone();
                    Err(Error::Waits { vmid, host }.into())
                }
                Probe::Ours(_) | Probe::NotOurs(_) => Ok(()),
                Probe::Absent(error) | Probe::Booting(error) | Probe::Hanging(error) => Err(Hold::in_spite_of(&error)),
            }
        };
        match self.run.is_dry_run() {
            false => self.run.wait(self.node).until(look).await?,
            true => match look().await {
                Ok(()) | Err(Hold::NotYet(_)) => {}
                Err(Hold::Failed(failure)) => return Err(failure.into()),
            },
        }
        Ok(Written::field(&seed, Effect::Unchanged))
    }

    /// Whether the node itself says that its config is on its own disk.
    async fn keeps_its_config(&self) -> bool {
        let Ok(Some(credentials)) = Credentials::at_hand(self.run) else { return false };
        let Some(Ok(address)) = self.node.address().map(str::parse::<Address>) else { return false };
        match probe(&address, Some(&credentials.identity), Limits::default()).await {
            Ok(Probe::Ours(found)) => {
                let is_this = found.uuid.as_deref().is_some_and(|uuid| uuid.eq_ignore_ascii_case(&self.vm.uuid));
                is_this && found.node.keeps_machine_config().await.unwrap_or_default()
            }
            _ => false,
        }
    }
}

fn seed_of(mark: &Mark) -> Seed {
    let file = mark.file.as_ref();
    Seed {
        volume: file.map(|file| file.volume.clone()),
        slot: Some(mark.slot.clone()),
        sha256: file.map(|file| file.sha256.clone()),
        addresses: Vec::new(),
    }
}

fn seeded(volume: &str) -> Change {
    Change::live("seed").to(volume)
}

fn switched_on() -> Change {
    Change::live("power").from("stopped").to("running")
}

/// The field of a node whose VM or config is only planned.
pub(crate) fn planned(storage: &str) -> Written {
    let changes = vec![Change::live("seed").to(format!("on {storage}")), switched_on()];
    Written::field(&Seed::default(), Effect::Pending).changes(changes)
}
