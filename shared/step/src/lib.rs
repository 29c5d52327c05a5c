//! What every step does besides its own work.
//!
//! A program implements [`Step`] and calls [`main`]. This crate does the rest: arguments, the input (a stream of
//! records, a cluster file, or nothing but flags), one task for each node, the output, progress, signals, and the exit
//! status. It is the only crate that writes to stdout and stderr.
//!
//! The life of a step:
//!
//! 1. [`Step::prepare`] turns the arguments into a [`Job`].
//! 2. The first Cluster line is read, and written before anything is changed.
//! 3. [`Step::cluster`] runs once; what it returns is shared by all nodes. [`Step::node`] runs for each node as soon as
//!    both are there, and [`Step::settle`] beside them. All use a [`Run`] to see the rest. A node's record is written
//!    as soon as its task is done.
//! 4. When the input has ended and all is done, the Cluster is written for the last time.
//!
//! A task returns what it found or did as [`Written`] fields of the step's row in [`record::table`], or a [`Stop`]. The
//! engine puts them into the record, signs failures, prints each failure once and counts it. A step that fails before
//! its first line writes a stream all the same, of one record ([`record::Cluster::failed`]).

mod arguments;
mod claim;
mod cluster_dir;
mod console;
mod engine;
mod env;
pub mod file;
mod flags;
mod gitignore;
mod intake;
mod launch;
mod output;
mod pipes;
mod progress;
mod run;
mod secrets;
mod signals;
mod slots;
mod source;
#[cfg(test)]
mod tests;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use record::status::NodeField;
use record::table::Row;
use record::{Change, Cluster, Code, Effect, Exit, Failure, Node};
use serde_json::Value;

pub use arguments::{quoted, reference};
pub use claim::Claim;
pub use cluster_dir::{ClusterDir, Made, sha256};
pub use console::Console;
pub use env::variable;
pub use flags::{Flags, Format, InlineFlag, ParallelFlag, RawFlag, StreamFlags, WaitFlag, duration, exclusive};
pub use progress::Progress;
pub use record;
pub use run::{Need, Run};
pub use secrets::{protect, protect_keys, protect_token};
pub use slots::{Slot, Slots};
pub use source::Source;
pub use wait::{Expired, Hold, Wait};

/// A program of the pipe.
pub trait Step: Send + Sync + Sized + 'static {
    /// The arguments.
    type Args: clap::Parser;
    /// What the work on the whole cluster hands to the work on each node; `()` if nothing.
    type Shared: Send + Sync + 'static;

    /// Its rows in the table of steps: first what the program does without a verb, then its verbs.
    const ROWS: &'static [&'static Row];

    /// The row of this call.
    fn row(&self) -> &'static Row {
        Self::ROWS[0]
    }

    /// The settings of the run, from the arguments.
    fn flags(args: &Self::Args) -> Flags;

    /// Interprets the arguments.
    ///
    /// # Errors
    /// Wrong usage ([`Exit::Usage`]), or files that cannot be read.
    fn prepare(args: Self::Args) -> Result<Job<Self>, Failure>;

    /// Whether this call adds nodes to the stream that the input doesn't list. The default is no.
    fn adds(&self) -> bool {
        false
    }

    /// The nodes that this call adds, asked for before the first line is written: a list of nodes never grows later.
    /// The default adds none.
    fn additions(&self, run: Run) -> impl Future<Output = Result<Vec<Node>, Stop>> + Send {
        let _ = run;
        async { Ok(Vec::new()) }
    }

    /// The work on the cluster as a whole, once. The nodes begin when it has succeeded; if it fails, they are passed on
    /// untouched, as the failure explains them.
    fn cluster(&self, run: Run) -> impl Future<Output = Result<Self::Shared, Stop>> + Send;

    /// Work on the cluster as a whole that continues beside the nodes. The default does nothing.
    fn settle(&self, run: Run, shared: &Self::Shared) -> impl Future<Output = Result<(), Stop>> + Send {
        let _ = (run, shared);
        async { Ok(()) }
    }

    /// Whether the step does anything about this node; if not, it is passed on at once. The default is yes.
    fn acts_on(&self, node: &Node) -> bool {
        let _ = node;
        true
    }

    /// The work on one node. The default does nothing.
    fn node(&self, run: Run, shared: &Self::Shared, node: &Node) -> impl Future<Output = Result<Written, Stop>> + Send {
        let _ = (run, shared, node);
        async { Ok(Written::nothing()) }
    }

    /// What is worth knowing about a node once it is done, in a few words for people's table. The default is empty.
    fn detail(node: &Node) -> String {
        let _ = node;
        String::new()
    }

    /// The step's single result as text, for `--raw`, once all is done. A step that has one offers [`RawFlag`].
    ///
    /// # Errors
    /// There is none.
    fn result(&self, run: &Run, cluster: &Cluster) -> Result<String, Failure> {
        let _ = (run, cluster);
        Err(Failure::new(Exit::Failed, Code::NoResult, "there is no single result to print"))
    }
}

/// What a call of a program does.
pub enum Job<S> {
    /// A step of the pipe, with its input.
    Stream(S, Source),
    /// Something else, which has the terminal to itself: a list, a file, a check.
    Command(Command),
}

impl<S> Job<S> {
    /// A job that is not a stream.
    pub fn command<F, W>(work: W) -> Self
    where
        W: FnOnce(Console) -> F + Send + 'static,
        F: Future<Output = Result<Exit, Failure>> + Send + 'static,
    {
        Self::Command(Box::new(|console| Box::pin(work(console))))
    }
}

/// A job that is not a stream: gets the terminal, returns the exit status.
pub type Command = Box<dyn FnOnce(Console) -> CommandFuture + Send>;

/// The running of a job that is not a stream.
pub type CommandFuture = std::pin::Pin<Box<dyn Future<Output = Result<Exit, Failure>> + Send>>;

/// The fields of `status` that a step sets on one node.
#[derive(Debug)]
pub struct Written {
    fields: Vec<(&'static str, Value)>,
    effect: Effect,
    changes: Vec<Change>,
}

impl Written {
    /// Nothing: the node is passed on unchanged.
    #[must_use]
    pub fn nothing() -> Self {
        Self { fields: Vec::new(), effect: Effect::Unchanged, changes: Vec::new() }
    }

    /// One field, and what was done for it. The engine adds `changed` or `pending`, and `changes`, to a value that is
    /// an object.
    #[must_use]
    pub fn field<F: NodeField>(field: &F, effect: Effect) -> Self {
        Self { fields: Vec::new(), effect, changes: Vec::new() }.and(field)
    }

    /// One more field.
    #[must_use]
    pub fn and<F: NodeField>(mut self, field: &F) -> Self {
        let value = serde_json::to_value(field).expect("a status is plain data");
        self.fields.push((F::NAME, value));
        self
    }

    /// The same with what was changed, or would be; it goes to the first field.
    #[must_use]
    pub fn changes(mut self, changes: Vec<Change>) -> Self {
        self.changes = changes;
        self
    }

    /// Puts the fields into a record.
    pub(crate) fn put(self, node: &mut Node) {
        let mut changes = secrets::redacted_changes(self.changes);
        for (name, value) in self.fields {
            let value = secrets::without_known(value);
            node.set_status(name, record::marked(value, self.effect, std::mem::take(&mut changes)));
        }
    }
}

/// Why a task ends without a result.
#[derive(Debug)]
pub enum Stop {
    /// It failed; the engine signs the failure, prints it and puts it into the record.
    Failed(Failure),
    /// Something that it needs is missing because of an error that the stream carries already: nothing is added.
    Explained,
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Ends a program that isn't a step and can't begin, where a step's records were to come: one message for people, and
/// for later steps a stream that carries the failure.
#[must_use]
pub fn refuse(program: &'static str, failure: Failure) -> ExitCode {
    ExitCode::from(launch::end_with(program, program, failure, true).code())
}

/// Runs a program: `argv` begins with its name.
pub fn main<S: Step>(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    secrets::keep_out_of_core_dumps();
    secrets::hide_in_panics();
    secrets::protect_environment();
    let parsed = arguments::parse::<S>(&argv);
    if let Some((program, verb)) = S::ROWS[0].name.split_once(' ') {
        // From here on, as the user types it.
        argv.splice(..1.min(argv.len()), [program.into(), verb.into()]);
    }
    let exit = match parsed {
        arguments::Parsed::Args(args) => launch::start::<S>(*args, &argv),
        arguments::Parsed::Done(exit) => exit,
        arguments::Parsed::Wrong(failure) => launch::refuse::<S>(failure, &argv),
    };
    ExitCode::from(exit.code())
}
