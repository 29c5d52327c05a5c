//! What a cell is, and which of them run.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::operations::Operation;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done, and the connection ends before the reply.
    ReplyLost,
    /// It is refused, because a lock was not free in time.
    Busy,
    /// A proxy between the hosts gives it up.
    Broken,
    /// It is refused: a right is missing.
    Forbidden,
    /// It is done, and answered later than the calls after it.
    Late,
    /// The program is killed while the call is not done.
    KilledBefore,
    /// The program is killed when the call is done, before the reply.
    KilledAfter,
}

impl Fate {
    pub(crate) const ALL: [Self; 7] =
        [Self::ReplyLost, Self::Busy, Self::Broken, Self::Forbidden, Self::Late, Self::KilledBefore, Self::KilledAfter];
}

/// One run of an operation in which one call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) operation: Operation,
    /// Which of its calls, the first is 0.
    pub(crate) call: u64,
    pub(crate) fate: Fate,
}

impl Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}/{:?}", self.operation, self.call, self.fate)
    }
}

impl Cell {
    /// Every call of these operations with everything that may happen to it.
    pub(crate) fn all(calls: &[(Operation, u64)]) -> Vec<Self> {
        let of = |(operation, calls): &(Operation, u64)| {
            let operation = *operation;
            (0..*calls).flat_map(move |call| Fate::ALL.map(|fate| Self { operation, call, fate }))
        };
        calls.iter().flat_map(of).collect()
    }
}

/// The cells that run, in their order.
pub(crate) struct Chosen<C> {
    pub(crate) seed: u64,
    cells: Vec<C>,
    /// How long cells are begun; a soak has no such bound.
    within: Option<Duration>,
    /// Where a soak notes what has passed.
    notes: Option<PathBuf>,
}

/// How long a sample begins cells.
const SAMPLE: Duration = Duration::from_secs(12);

impl<C: Clone + Display> Chosen<C> {
    /// All of these cells for a soak, those of `ICHOR_CELL` alone (one by its name, or all of `Adopt/`), or a sample that
    /// differs from day to day. A soak notes under this name what has passed.
    pub(crate) fn from_environment(name: &str, mut cells: Vec<C>) -> Self {
        let soak = std::env::var("ICHOR_SOAK").ok();
        let today = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
        let seed = soak.as_ref().map_or_else(today, |text| text.parse().expect("ICHOR_SOAK is a number"));
        shuffle(&mut cells, seed);
        if let Ok(wanted) = std::env::var("ICHOR_CELL") {
            let is_it = |cell: String| cell == wanted || (wanted.ends_with('/') && cell.starts_with(&wanted));
            cells.retain(|cell| is_it(cell.to_string()));
            return Self { seed, cells, within: None, notes: None };
        }
        let notes = soak.map(|_| target().join(format!("soak-{name}-{seed}.txt")));
        let within = notes.is_none().then_some(SAMPLE);
        Self { seed, cells, within, notes }
    }
}

/// The folder that cargo builds in, where nothing is committed.
fn target() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    here.ancestors().nth(3).unwrap().to_owned()
}

/// Puts the cells into an order that only the seed decides (SplitMix64, Fisher-Yates).
fn shuffle<C>(cells: &mut [C], seed: u64) {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    for at in (1..cells.len()).rev() {
        let other = usize::try_from(next() % (at as u64 + 1)).unwrap();
        cells.swap(at, other);
    }
}

/// How far the cells are.
pub(crate) struct Progress<C> {
    left: std::vec::IntoIter<C>,
    begun: Instant,
    within: Option<Duration>,
    notes: Option<std::fs::File>,
    ran: usize,
    of: usize,
    before: usize,
}

impl<C: Clone + Display> Progress<C> {
    /// Leaves out what an earlier soak with this seed has passed.
    pub(crate) fn begin(chosen: &Chosen<C>) -> Self {
        let passed = chosen.notes.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let passed: BTreeSet<&str> = passed.lines().collect();
        let left: Vec<C> =
            chosen.cells.iter().filter(|cell| !passed.contains(cell.to_string().as_str())).cloned().collect();
        let open = |path: &PathBuf| std::fs::File::options().create(true).append(true).open(path).unwrap();
        let before = chosen.cells.len() - left.len();
        Self {
            left: left.into_iter(),
            begun: Instant::now(),
            within: chosen.within,
            notes: chosen.notes.as_ref().map(open),
            ran: 0,
            of: chosen.cells.len(),
            before,
        }
    }

    pub(crate) fn next(&mut self) -> Option<C> {
        if self.within.is_some_and(|within| self.begun.elapsed() > within) {
            return None;
        }
        let cell = self.left.next()?;
        self.ran += 1;
        if self.notes.is_some() && self.ran.is_multiple_of(50) {
            eprintln!("{} of {} cells after {} s", self.before + self.ran, self.of, self.begun.elapsed().as_secs());
        }
        Some(cell)
    }

    pub(crate) fn passed(&mut self, cell: &C) {
        if let Some(notes) = &mut self.notes {
            writeln!(notes, "{cell}").unwrap();
        }
    }

    pub(crate) fn summary(&self, failed: usize) -> String {
        let (ran, of, before) = (self.ran, self.of, self.before);
        let seconds = self.begun.elapsed().as_secs();
        format!("{ran} of {of} cells ran in {seconds} s, {failed} failed; {before} had passed before")
    }
}
