//! Reading a console beside everything else, from before the VM is switched on until its addresses are known.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pve_client::{Client, Console, TERMINAL_WAITS};
use step::Slot;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    Obstacle,
    transcript::{Refused, SILENCE, Transcript},
};
use crate::location::Location;

/// How often a terminal is opened on one VM. Each is a task in the host's list.
const OPENINGS: usize = 5;
/// How long to wait before the next one.
const PAUSE: Duration = Duration::from_secs(2);
/// How long switching the VM on waits for its console at most.
const OPENED: Duration = Duration::from_secs(15);
/// How long a terminal that has announced itself takes to get the VM's port.
const ATTACHES: Duration = Duration::from_secs(1);
/// How often it is looked whether a VM has said something.
const LOOKS: Duration = Duration::from_millis(100);

/// A console that is being read; dropping this ends it.
pub struct Watch {
    shown: Arc<Mutex<Shown>>,
    /// How far the VM and its console are.
    stage: watch::Sender<Stage>,
    task: JoinHandle<()>,
}

/// What stands between a VM and its console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The terminal is being asked for.
    Opening,
    /// The terminal waits for the VM.
    Opened,
    /// The VM is on.
    On,
    /// The terminal has said something.
    Read,
}

/// What is known of a console.
struct Shown {
    transcript: Transcript,
    /// Since when it is read.
    begun: Option<Instant>,
    /// Why it isn't read any more.
    ended: Option<Obstacle>,
    /// Whether it was said that it is silent.
    told: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Opens the console of a VM that is still off; `pve` talks to its host, `place` is given back at the end.
    pub(crate) fn of_vm(pve: Client, location: &Location, place: Slot) -> Self {
        let shown = Shown { transcript: Transcript::new(Instant::now()), begun: None, ended: None, told: false };
        let shown = Arc::new(Mutex::new(shown));
        let stage = watch::Sender::new(Stage::Opening);
        let reader = Reader { pve, location: location.clone(), shown: Arc::clone(&shown), stage: stage.clone() };
        let task = tokio::spawn(async move {
            let _place = place;
            let why = reader.follow().await;
            lock(&reader.shown).ended.get_or_insert(why);
            raise(&reader.stage, Stage::Read);
        });
        Self { shown, stage, task }
    }

    /// Waits until the terminal is there, or can't be had.
    pub(crate) async fn until_opened(&self) {
        let mut stage = self.stage.subscribe();
        // A host that is slow with this doesn't keep a VM off.
        let _late = timeout(OPENED, stage.wait_for(|stage| *stage >= Stage::Opened)).await;
    }

    /// The VM is on: reading begins.
    pub fn vm_is_on(&self) {
        raise(&self.stage, Stage::On);
    }

    /// Waits until what a VM says that is on is seen, or can't be.
    pub async fn until_read(&self) {
        {
            let mut stage = self.stage.subscribe();
            let _late = timeout(OPENED, stage.wait_for(|stage| *stage >= Stage::Read)).await;
        }
        // The terminal announces itself before it has the VM's port.
        sleep(ATTACHES).await;
    }

    /// Whether the VM says something within a few seconds.
    pub async fn hears(&self) -> bool {
        let since = Instant::now();
        loop {
            let is_heard = self.shown().transcript.is_heard();
            if is_heard {
                return true;
            }
            if since.elapsed() >= SILENCE || self.ended().is_some() {
                return false;
            }
            sleep(LOOKS).await;
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        lock(&self.shown)
    }

    /// Addresses and fingerprints, once they have stayed the same for a while.
    pub(crate) fn settled(&self) -> Option<(Vec<String>, Vec<String>)> {
        let shown = self.shown();
        let transcript = &shown.transcript;
        transcript.is_settled(Instant::now()).then(|| (transcript.addresses(), transcript.fingerprints()))
    }

    /// The fingerprints so far.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        self.shown().transcript.fingerprints()
    }

    /// Whether the machine will show no other certificate of maintenance mode.
    pub(crate) fn is_configured(&self) -> bool {
        self.shown().transcript.is_configured()
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.ended().is_some()
    }

    /// Why nothing more comes.
    pub(crate) fn ended(&self) -> Option<Obstacle> {
        self.shown().ended.clone()
    }

    /// For how long it has been read and has shown nothing at all; `None` if it has shown something.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        let shown = self.shown();
        let begun = shown.begun.filter(|_| shown.ended.is_none() && !shown.transcript.is_heard())?;
        Some(begun.elapsed())
    }

    /// Whether it has been silent for so long that somebody else may hold it.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent_for().is_some_and(|time| time >= SILENCE)
    }

    /// The same, to be said once.
    pub(crate) fn falls_silent(&self) -> bool {
        self.is_silent() && !std::mem::replace(&mut self.shown().told, true)
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raise(stage: &watch::Sender<Stage>, to: Stage) {
    stage.send_modify(|stage| *stage = to.max(*stage));
}

/// The task that reads.
struct Reader {
    pve: Client,
    location: Location,
    shown: Arc<Mutex<Shown>>,
    stage: watch::Sender<Stage>,
}

impl Reader {
    /// Reads until nothing more comes; why.
    async fn follow(&self) -> Obstacle {
        let mut last = Obstacle::Closed;
        for opening in 0..OPENINGS {
            if opening > 0 {
                // One that waited in vain for the VM to be switched on is not opened again before it is.
                self.until_on().await;
                sleep(PAUSE).await;
            }
            match self.read_once().await {
                Ok(()) => last = Obstacle::Closed,
                Err(why @ (Obstacle::NoPort | Obstacle::Flood)) => return why,
                Err(why @ Obstacle::Refused { is_final: true, .. }) => return why,
                Err(why) => last = why,
            }
        }
        last
    }

    async fn until_on(&self) {
        let mut stage = self.stage.subscribe();
        // We hold a sender ourselves, so it never ends early.
        let _on = stage.wait_for(|stage| *stage >= Stage::On).await;
    }

    /// Opens a terminal and reads it to its end.
    async fn read_once(&self) -> Result<(), Obstacle> {
        let Location { vmid, host } = &self.location;
        let terminal = self.pve.terminal(host, *vmid).await.map_err(|error| Obstacle::of(&error))?;
        raise(&self.stage, Stage::Opened);
        if timeout(TERMINAL_WAITS, self.until_on()).await.is_err() {
            return Ok(());
        }
        let mut console = terminal.begin().await.map_err(|error| Obstacle::of(&error))?;
        {
            let mut shown = lock(&self.shown);
            shown.transcript.begin();
            shown.begun.get_or_insert_with(Instant::now);
        }
        self.read(&mut console).await
    }

    async fn read(&self, console: &mut Console) -> Result<(), Obstacle> {
        while let Some(bytes) = console.read().await.map_err(|error| Obstacle::of(&error))? {
            let fed = lock(&self.shown).transcript.feed(&bytes, Instant::now());
            fed.map_err(|_| Obstacle::Flood)?;
            raise(&self.stage, Stage::Read);
        }
        match lock(&self.shown).transcript.refusal() {
            Some(Refused::NoPort) => Err(Obstacle::NoPort),
            Some(Refused::NotRunning) | None => Ok(()),
        }
    }
}
