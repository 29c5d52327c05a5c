//! Between the state machine and the world: the clock, tasks that take time, and the guests.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::download;
use super::state::{Effect, State};
use lab_core::disk_image::Found;
use lab_core::scenario::Chooser;

/// How long a reply waits for a download that takes no time, before it is given out.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the connections share.
pub(crate) struct Driver {
    state: Mutex<State>,
    /// Counts changes, so that tests can wait for one.
    changes: watch::Sender<u64>,
    /// Requests so far: method and path.
    requests: Mutex<Vec<(String, String)>>,
    /// What goes wrong by a scenario.
    pub(crate) chooser: OnceLock<Arc<Chooser>>,
    /// Cancelled when the server is dropped.
    pub(crate) stopped: CancellationToken,
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl Driver {
    /// A driver of a state machine.
    pub(crate) fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            changes: watch::channel(0).0,
            requests: Mutex::default(),
            chooser: OnceLock::new(),
            stopped: CancellationToken::new(),
        })
    }

    /// Notes a request.
    pub(crate) fn note(&self, method: &str, path: &str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push((method.to_owned(), path.to_owned()));
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the state; nobody is told, as nothing has changed.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Looks at the state, or changes it from a test.
    pub(crate) fn with<T>(self: &Arc<Self>, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let seen = look(&mut state);
        drop(state);
        self.changes.send_modify(|count| *count += 1);
        seen
    }

    /// Lets the state machine answer, does what it leaves to do, and returns downloads that the reply may wait for.
    pub(crate) fn act<T>(self: &Arc<Self>, act: impl FnOnce(&mut State) -> T) -> (T, Vec<Fetch>) {
        let mut state = self.lock();
        let reply = act(&mut state);
        let fetches = self.settle(&mut state);
        drop(state);
        self.changes.send_modify(|count| *count += 1);
        (reply, fetches)
    }

    /// Tells of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is left to do; a task that takes no time ends here and now.
    fn settle(self: &Arc<Self>, state: &mut State) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        while let Some(effect) = state.effects.pop_front() {
            match effect {
                Effect::On(machine) => state.guests.power_on(*machine),
                Effect::Off(uuid) => state.guests.power_off(&uuid),
                Effect::DiskRemoved(disk) => state.guests.disk_removed(&disk),
                Effect::Run { upid, delay } if delay.is_zero() && !state.is_held(&upid) => state.advance(&upid, now()),
                Effect::Run { upid, delay } => {
                    let driver = Arc::clone(self);
                    self.later(async move { driver.go_on(&upid, delay).await });
                }
                Effect::GiveUp { upid, wait, delay } if delay.is_zero() => state.give_up(&upid, wait, now()),
                Effect::GiveUp { upid, wait, delay } => {
                    self.after(delay, move |state| state.give_up(&upid, wait, now()));
                }
                Effect::Fence { node, delay } if delay.is_zero() => state.fence(&node, now()),
                Effect::Fence { node, delay } => self.after(delay, move |state| state.fence(&node, now())),
                Effect::Manage { vmid, delay } => self.after(delay, move |state| state.manage(vmid, now())),
                Effect::Fetch { upid, url } => fetches.push(Fetch { upid, url }),
            }
        }
        fetches
    }

    fn later(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Changes the state after a while.
    fn after(self: &Arc<Self>, delay: Duration, change: impl FnOnce(&mut State) + Send + 'static) {
        let driver = Arc::clone(self);
        self.later(async move {
            tokio::time::sleep(delay).await;
            let ((), fetches) = driver.act(change);
            driver.fetch(fetches).await;
        });
    }

    /// Goes on with a task after a while, and not while it is held.
    async fn go_on(self: &Arc<Self>, upid: &str, delay: Duration) {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut changes = self.changes();
        while self.lock().is_held(upid) {
            if changes.changed().await.is_err() {
                return;
            }
        }
        let ((), fetches) = self.act(|state| state.advance(upid, now()));
        self.fetch(fetches).await;
    }

    /// Starts downloads and waits a moment for those that take no time.
    pub(crate) async fn fetch(self: &Arc<Self>, fetches: Vec<Fetch>) {
        for fetch in fetches {
            let driver = Arc::clone(self);
            let running = tokio::spawn(async move {
                let unreached = driver.look(|state| state.faults.unreached.clone());
                let found = match unreached {
                    Some(text) => Err(text),
                    None => download::fetch(&fetch.url).await.map_err(|error| format!("{error:#}")),
                };
                driver.fetched(&fetch.upid, found);
            });
            // Only an instant download is waited for; any other goes on while the caller has its answer.
            let _late = tokio::time::timeout(PATIENCE, running).await;
        }
    }

    fn fetched(self: &Arc<Self>, upid: &str, found: Result<Found, String>) {
        let ((), _none) = self.act(|state| {
            let delay = state.fetched(upid, found);
            state.effects.push_back(Effect::Run { upid: upid.to_owned(), delay });
        });
    }
}

/// A download to be done.
pub(crate) struct Fetch {
    upid: String,
    url: String,
}
