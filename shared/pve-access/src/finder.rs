//! Finding out where a VM answers, and by what certificate it is known until it has its config.
//!
//! The sources, in order: the file, the guest agent, Proxmox VE's own DHCP, the serial console, `ichor.lock`. Each look asks them in this
//! order, and the first that knows is believed.

use std::{net::IpAddr, time::Duration};

use patience::{Backoff, Deadline};
use pve_client::{Client, Kind, Rights, request};
use record::{Node, status::AddressSource};
use step::{Hold, Run, Slot, Stop};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    addresses, answers,
    console::{Obstacle, SILENCE, Sources, Watch},
    error::NotFound,
    location::Location,
};

/// How often a search looks at what is known here; others are asked less often.
const PACE: Duration = Duration::from_millis(400);
/// How long a VM that is found without its console waits to have it read.
const PLACE: Duration = Duration::from_secs(15);
/// How long a boot may take until its certificate is known.
const CERTIFICATE: Duration = Duration::from_secs(180);
/// After how long a console that shows nothing is given up: firmware and kernel print within seconds.
const MUTE: Duration = Duration::from_secs(30);

/// What was found out about a VM that is on.
pub struct Found {
    /// Where it answers, the best first.
    pub addresses: Vec<String>,
    /// Who told them.
    pub source: AddressSource,
    /// Of the certificates that it shows in maintenance mode, the newest last.
    pub fingerprints: Vec<String>,
    /// Whether its console said that it has its config.
    pub is_configured: bool,
}

/// Maximum number of guest agents asked at once on one host: a silent one occupies one of three workers for 3 s.
const AGENTS: usize = 2;

/// What finding a VM takes.
pub struct Finder<'a> {
    /// The run.
    pub run: &'a Run,
    /// The node that the VM is for.
    pub node: &'a Node,
    /// Proxmox VE.
    pub pve: &'a Client,
    /// Where the VM is.
    pub location: &'a Location,
    /// The hardware addresses of its NICs.
    pub macs: &'a [String],
    /// Whether it has a serial port that Talos prints to: see [`crate::console::PORT`].
    pub has_port: bool,
    /// What the token may do.
    pub rights: &'a Rights,
    /// The pool that it is in, if that is known.
    pub pool: Option<&'a str>,
    /// What the searches of this run share.
    pub sources: &'a Sources,
}

impl Finder<'_> {
    pub(crate) async fn place(&self, gate: String, places: usize) -> Slot {
        self.sources.gates.take(gate, places, self.node.is_control_plane()).await
    }

    /// Opens the VM's console before it is switched on, if that is allowed and possible. A VM that is found without it
    /// doesn't wait until there is a place for one more reader.
    pub async fn console(&self, is_needed: bool) -> Option<Watch> {
        let opened = self.open();
        let opened = match is_needed {
            true => opened.await,
            false => tokio::time::timeout(PLACE, opened).await.ok()?,
        };
        let console = opened.ok()?;
        console.until_opened().await;
        Some(console)
    }

    /// The VM's addresses, and the certificates that it shows until it has its config, if its console was opened. Where
    /// it was found `last` is believed if nobody tells, and something answers there.
    ///
    /// # Errors
    /// Nobody told an address in time, or Proxmox VE can't be asked.
    pub async fn search(&self, fixed: Option<String>, console: Option<Watch>, last: &[String]) -> Result<Found, Stop> {
        let (addresses, source, console) = match fixed {
            Some(address) => (vec![address], AddressSource::Static, console),
            None => {
                let search = Mutex::new(Search::new(self, console, last));
                let (addresses, source) = self.until_found(&search).await?;
                (addresses, source, search.into_inner().console)
            }
        };
        let fingerprints = match &console {
            Some(console) if source != AddressSource::Lock => self.fingerprints(console).await?,
            _ => Vec::new(),
        };
        let is_configured = console.is_some_and(|console| console.is_configured());
        Ok(Found { addresses, source, fingerprints, is_configured })
    }

    async fn until_found(&self, search: &Mutex<Search<'_>>) -> Result<(Vec<String>, AddressSource), Stop> {
        let Location { vmid, host } = self.location.clone();
        let look = || async { search.lock().await.look().await };
        let wait = self.run.wait(self.node).paced(self.paces());
        wait.until_or(look, |expired| {
            let advice = search.try_lock().ok().and_then(|search| search.advice.clone());
            NotFound { vmid, host, last: expired.last, advice }.into()
        })
        .await
    }

    /// The fingerprints, once the console has shown that they stay. None from a machine that has its config, and none if
    /// the console doesn't show any in time: then the first contact is not verified, as without a console.
    async fn fingerprints(&self, console: &Watch) -> Result<Vec<String>, Stop> {
        let deadline = Deadline::within(CERTIFICATE.min(self.run.wait_timeout() / 2));
        let look = || async {
            if let Some((_, fingerprints)) = console.settled() {
                return Ok(fingerprints);
            }
            let is_mute = console.silent_for().is_some_and(|time| time >= MUTE);
            if console.is_configured() || is_mute || console.ended().is_some() || deadline.passed(Instant::now()) {
                return Ok(console.fingerprints());
            }
            self.tell_silence(console, false);
            Err(Hold::not_yet("its console hasn't shown its certificate yet"))
        };
        let found = self.run.wait(self.node).paced(self.paces()).until(look).await?;
        if found.is_empty() && !console.is_configured() {
            self.run.say(self.node, "its console showed no certificate: the first contact can't be verified");
        }
        Ok(found)
    }

    /// Says, once, that the console shows nothing; whether it was said now.
    fn tell_silence(&self, console: &Watch, was_on: bool) -> bool {
        if !console.falls_silent() {
            return false;
        }
        let (Location { vmid, host }, seconds) = (&self.location, SILENCE.as_secs());
        let more = if was_on { "; and Talos repeats its addresses only when they change" } else { "" };
        self.run.say(
            self.node,
            &format!(
                "the console of VM {vmid} on {host} has shown nothing for {seconds} s: while somebody else has it open, \
                 nobody else sees anything{more}"
            ),
        );
        true
    }

    fn paces(&self) -> Backoff {
        Backoff::new(PACE / 4, PACE).seeded(self.node.name())
    }
}

/// The search for the addresses of a VM without a static one.
struct Search<'a> {
    finder: &'a Finder<'a>,
    /// Where the VM was found last.
    last: &'a [String],
    console: Option<Watch>,
    /// What keeps the console from being read, and what to do about it.
    obstacle: Option<Obstacle>,
    advice: Option<String>,
    /// Whether the VM was on before this search, so that its console may have said everything already.
    was_on: bool,
    begun: Instant,
    /// When others are asked again.
    due: Instant,
    pauses: Backoff,
    /// What is known of the guest agent, and whether it may be asked.
    agent: String,
    may_ask: bool,
    has_spoken: bool,
}

impl<'a> Search<'a> {
    fn new(finder: &'a Finder<'a>, console: Option<Watch>, last: &'a [String]) -> Self {
        let now = Instant::now();
        Self {
            finder,
            last,
            was_on: console.is_none(),
            console,
            obstacle: None,
            advice: None,
            begun: now,
            due: now,
            pauses: Backoff::new(Duration::from_millis(100), Duration::from_secs(4)).seeded(finder.node.name()),
            agent: String::new(),
            may_ask: true,
            has_spoken: false,
        }
    }

    /// Asks every source once, as far as it is due.
    async fn look(&mut self) -> Result<(Vec<String>, AddressSource), Hold> {
        if Instant::now() >= self.due {
            if let Some(found) = self.by_agent().await? {
                return Ok((found, AddressSource::Agent));
            }
            if let Some(found) = self.by_lease().await {
                return Ok((found, AddressSource::Ipam));
            }
            self.due = Instant::now() + self.pauses.pause();
        }
        if let Some((found, _)) = self.console.as_ref().and_then(Watch::settled) {
            return Ok((found, AddressSource::Console));
        }
        self.open().await;
        if let Some(found) = self.by_lock().await {
            return Ok((found, AddressSource::Lock));
        }
        self.speak();
        Err(Hold::not_yet(self.reason()))
    }

    async fn by_agent(&mut self) -> Result<Option<Vec<String>>, Hold> {
        if !self.may_ask {
            return Ok(None);
        }
        let Finder { pve, macs, location, .. } = self.finder;
        let _place = self.finder.place(format!("agent {}", location.host), AGENTS).await;
        match pve.ask(&request::nics(&location.host, location.vmid)).await {
            Ok(nics) => {
                let found = addresses::of(&nics, macs);
                self.agent = "its guest agent reports no address".to_owned();
                Ok((!found.is_empty()).then_some(found))
            }
            Err(error) if matches!(error.kind(), Some(Kind::NoAgent | Kind::Stopped)) => {
                self.agent = record::chain(&error);
                Ok(None)
            }
            // Who may read consoles needs no other right.
            Err(error) if error.kind() == Some(Kind::Forbidden) && self.can_read().await => {
                self.may_ask = false;
                self.agent = "its guest agent may not be asked".to_owned();
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn can_read(&mut self) -> bool {
        self.open().await;
        self.console.is_some()
    }

    /// Asks Proxmox VE's own DHCP, where the token may see it. It hands addresses out only in its own networks, so that it
    /// doesn't know this one is usual.
    async fn by_lease(&self) -> Option<Vec<String>> {
        let Finder { pve, macs, rights, .. } = self.finder;
        let sees = |privilege| rights.holds_somewhere("/sdn/zones", privilege);
        if !sees("SDN.Audit") && !sees("SDN.Allocate") {
            return None;
        }
        let leases = pve.ask(&request::leases()).await.ok()?;
        Some(addresses::leased(&leases, macs)).filter(|found| !found.is_empty())
    }

    /// Looks where the VM was found last, once the others had their time. A VM that has just been switched on tells
    /// itself, unless its console is mute.
    async fn by_lock(&self) -> Option<Vec<String>> {
        let is_mute = self.console.as_ref().and_then(Watch::silent_for).is_some_and(|time| time >= MUTE);
        let is_time = is_mute || (self.was_on && self.begun.elapsed() >= SILENCE);
        if is_time { still_there(self.last).await } else { None }
    }

    /// Opens the console of a VM that was on already: it says when its addresses change.
    async fn open(&mut self) {
        if self.console.is_some() || self.obstacle.is_some() {
            return;
        }
        match self.finder.open().await {
            Ok(console) => {
                console.vm_is_on();
                self.console = Some(console);
            }
            Err(obstacle) => {
                self.advice = self.finder.advice(&obstacle).await;
                self.obstacle = Some(obstacle);
            }
        }
    }

    /// Says, once, what keeps the console from telling.
    fn speak(&mut self) {
        let Finder { run, location, sources, .. } = self.finder;
        if self.has_spoken || self.begun.elapsed() < SILENCE {
            return;
        }
        if let Some(obstacle @ Obstacle::Release { .. }) = &self.obstacle {
            self.has_spoken = true;
            if sources.told.set(()).is_ok() {
                run.announce(&format!("{obstacle}: nodes without a guest agent are not found by theirs"));
            }
        }
        let Some(console) = &self.console else { return };
        if self.finder.tell_silence(console, self.was_on) {
            let Location { vmid, host } = location;
            self.advice =
                Some(format!("or close its console where it is open, `qm shutdown {vmid}` on {host}, and run again"));
        }
    }

    /// What is missing.
    fn reason(&self) -> String {
        let ended = self.console.as_ref().and_then(Watch::ended).or_else(|| self.obstacle.clone());
        let console = match (ended, &self.console) {
            (Some(obstacle), _) => obstacle.to_string(),
            (None, Some(console)) if console.is_configured() => "its console says that it has its config".to_owned(),
            (None, Some(console)) if console.is_silent() => "its console shows nothing".to_owned(),
            (None, _) => "its console shows no address yet".to_owned(),
        };
        if self.agent.is_empty() { console } else { format!("{}; {console}", self.agent) }
    }
}

/// The first of the addresses that a node had last where something answers now.
async fn still_there(addresses: &[String]) -> Option<Vec<String>> {
    for (index, text) in addresses.iter().enumerate() {
        let Ok(address) = text.parse::<IpAddr>() else { continue };
        if answers(address).await {
            let mut found = addresses.to_vec();
            found.swap(0, index);
            return Some(found);
        }
    }
    None
}
