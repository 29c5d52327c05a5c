//! One call of the whole pipe goes wrong once, whoever it is to: Proxmox VE, the Image Factory, a node or Kubernetes.

use std::collections::BTreeMap;
use std::fmt;

use lab::Options;
use lab::scenario::{Call, Scenario, Side};

use crate::support::{Shape, World};

/// How often the same pipe is run before it must have done its work.
const AGAIN: usize = 3;
const SHAPE: Shape = Shape { control_planes: 1, workers: 1, ..Shape::SMALL };

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done, and the connection ends before the reply.
    ReplyLost,
    /// Something else answers, with a web page.
    Garbage,
    /// It is done, and answered later.
    Late,
    /// It is refused with this status of HTTP, or code of gRPC, which passes.
    Passing(u16),
    /// It is refused for good, as far as the answer says.
    ForGood(u16),
}

impl Fate {
    /// What may happen to calls to this side. An unspecific code of gRPC is a node's answer to a change, and a glitch only
    /// for who asked.
    fn all(side: Side, is_change: bool) -> Vec<Self> {
        let any = [Self::ReplyLost, Self::Garbage, Self::Late];
        let own: &[Self] = match side {
            Side::Pve => &[Self::Passing(429), Self::Passing(503), Self::Passing(596), Self::ForGood(403)],
            Side::Factory => &[Self::Passing(429), Self::Passing(500), Self::Passing(502), Self::ForGood(404)],
            Side::Talos if is_change => &[Self::Passing(14), Self::Passing(4), Self::ForGood(13), Self::ForGood(7)],
            Side::Talos => {
                &[Self::Passing(14), Self::Passing(4), Self::Passing(2), Self::Passing(13), Self::ForGood(7)]
            }
            Side::Kubernetes => &[Self::Passing(429), Self::Passing(500), Self::Passing(503)],
        };
        any.into_iter().chain(own.iter().copied()).collect()
    }

    /// As a scenario says it.
    fn told(self) -> String {
        match self {
            Self::ReplyLost => "do: lose-reply".to_owned(),
            Self::Garbage => "do: garbage".to_owned(),
            Self::Late => "do: slow, by: 300ms".to_owned(),
            Self::Passing(status) | Self::ForGood(status) => format!("do: fail, status: {status}, message: not now"),
        }
    }

    /// The exit statuses with which the pipe may end.
    fn ends_with(self) -> &'static [i32] {
        match self {
            Self::ForGood(_) => &[0, 1, 4, 5, 6],
            _ => &[0, 4, 5],
        }
    }
}

/// The n-th call of its kind, and what happens to it.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    call: Call,
    n: usize,
    fate: Fate,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call: Call { side, node, call }, n, fate } = self;
        write!(f, "{side:?}/{node}/{call}/{n}/{fate:?}")
    }
}

/// A call without what is another one in each run.
fn repeated(call: Call) -> Call {
    let segments = call.call.split('/').map(|segment| {
        let kind = segment.replace("%3A", ":").split(':').nth(5).map(str::to_owned);
        kind.filter(|_| segment.starts_with("UPID")).map_or_else(|| segment.to_owned(), |kind| format!("UPID*{kind}*"))
    });
    Call { call: segments.collect::<Vec<_>>().join("/"), ..call }
}

fn is_change(call: &Call) -> bool {
    ["ApplyConfiguration", "Bootstrap", "Reboot"].contains(&call.call.as_str())
}

/// Every call of a pipe in which nothing goes wrong, with everything that may happen to it.
pub(crate) async fn cells() -> Vec<Cell> {
    let record = tempfile::NamedTempFile::new().unwrap();
    let to = record.path().to_owned();
    let world = World::start_with(SHAPE, |options| Options { record: Some(to), ..options }).await;
    world.up().await.exits(0);
    drop(world);
    let text = std::fs::read_to_string(record.path()).unwrap();
    let mut seen = BTreeMap::new();
    let mut cells = Vec::new();
    for line in text.lines() {
        let call = repeated(serde_json::from_str(line).unwrap());
        let n = seen.entry(call.clone()).and_modify(|n| *n += 1).or_insert(1_usize);
        let fates = Fate::all(call.side, is_change(&call)).into_iter();
        cells.extend(fates.map(|fate| Cell { call: call.clone(), n: *n, fate }));
    }
    assert!(cells.len() > 500, "{} cells", cells.len());
    cells
}

/// Runs the pipe with its fault, and again until it is done, as a script does that reads exit statuses.
pub(crate) async fn cell(cell: Cell) {
    let Call { side, node, call } = &cell.call;
    let side = format!("{side:?}").to_lowercase();
    let node = if node.is_empty() { String::new() } else { format!(", node: {node}") };
    let rule = format!("on: {side}{node}, call: \"{call}\", {}, after: {}, times: 1", cell.fate.told(), cell.n - 1);
    let text = format!("apiVersion: ichor-lab/v1\nkind: Scenario\nname: cell\nfaults:\n- {{{rule}}}\n");
    let scenario = Some(Scenario::parse(&text).unwrap());
    let world = World::start_with(SHAPE, |options| Options { scenario, ..options }).await;

    let mut runs = Runs { cell: &cell, world: &world, statuses: Vec::new(), is_met: false };
    for _ in 0..=AGAIN {
        if runs.again().await == 0 {
            break;
        }
    }
    assert_eq!(runs.statuses.last(), Some(&0), "{cell}: it never gets done: {:?}", runs.statuses);
    world.assert_up(&world.names());
    if matches!(cell.fate, Fate::ForGood(_)) {
        // Tags that were refused are left out, with a warning, and set by the next run that may.
        runs.again().await;
    }
    let touches = world.touches();
    // A run may have made fewer calls than the one that was counted, so that the fault comes only now.
    let last = match runs.again().await {
        0 => 0,
        _ => runs.again().await,
    };
    assert_eq!((last, world.touches()), (0, touches), "{cell}: one more run still changes something");
}

/// The runs of one cell.
struct Runs<'a> {
    cell: &'a Cell,
    world: &'a World,
    statuses: Vec<i32>,
    /// Whether a run has ended as only the fault explains.
    is_met: bool,
}

impl Runs<'_> {
    /// Runs the pipe as the last exit status says that it may be run.
    async fn again(&mut self) -> i32 {
        let outcome = self.world.up().await;
        let (cell, before) = (self.cell, &self.statuses);
        if !matches!(outcome.status, 0 | 4 | 5) {
            let explained = !self.is_met && cell.fate.ends_with().contains(&outcome.status);
            assert!(explained, "{cell}, after {before:?}: {outcome}");
            self.is_met = true;
        }
        self.statuses.push(outcome.status);
        outcome.status
    }
}
