//! What every step does around its own work.
//!
//! A program implements [`Step`] and calls [`main`]. This crate does the rest: arguments, the input (a stream of
//! records, a cluster file, or nothing but flags), one task for each node, the output, progress, signals, and the exit
//! status. It is the only crate that writes to stdout and stderr.
//!
//! The life of a step:
//!
//! 1. [`Step::prepare`] turns what was typed into a [`Job`].
//! 2. The first Cluster line is read, and written before anything is changed.
//! 3. [`Step::cluster`] runs once, and [`Step::node`] for each node as soon as it comes; both see the world through a
//!    [`Run`]. A node's record is written as soon as its task is done.
//! 4. When the input has ended and all is done, the Cluster is written for the last time.
//!
//! A task returns what it found or did as [`Written`] fields of the step's row in [`record::table`], or a [`Stop`]. The
//! engine puts them into the record, signs failures, prints each failure once and counts it.

mod arguments;
mod console;
mod engine;
mod env;
pub mod file;
mod flags;
mod intake;
mod launch;
mod output;
mod products;
mod run;
mod signals;
mod slots;
mod source;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use record::table::Row;
use record::{Change, Cluster, Exit, Failure, Node};
use serde::Serialize;
use serde_json::Value;

pub use arguments::reference;
pub use console::Console;
pub use env::variable;
pub use flags::{Flags, Format};
pub use products::{Claim, Made, Products, sha256};
pub use record;
pub use run::{Need, Run};
pub use slots::{Slot, Slots};
pub use source::Source;

/// A program of the pipe.
pub trait Step: Send + Sync + Sized + 'static {
    /// What was typed.
    type Args: clap::Parser;

    /// Its row in the table of steps.
    fn row() -> &'static Row;

    /// The stream's own flags among what was typed.
    fn flags(args: &Self::Args) -> &Flags;

    /// Decides what was meant.
    ///
    /// # Errors
    /// Wrong usage ([`Exit::Usage`]), or files that cannot be read.
    fn prepare(args: Self::Args) -> Result<Job<Self>, Failure>;

    /// The work on the cluster as a whole, once. The default does nothing.
    fn cluster(&self, run: Run) -> impl Future<Output = Result<(), Stop>> + Send {
        let _ = run;
        async { Ok(()) }
    }

    /// Whether the step does anything about this node; if not, it is passed on at once. The default says yes.
    fn acts_on(&self, node: &Node) -> bool {
        let _ = node;
        true
    }

    /// The work on one node. The default does nothing.
    fn node(&self, run: Run, node: &Node) -> impl Future<Output = Result<Written, Stop>> + Send {
        let _ = (run, node);
        async { Ok(Written::nothing()) }
    }

    /// What is worth knowing of a node once it is done, in a few words for people's table. The default says nothing.
    fn detail(node: &Node) -> String {
        let _ = node;
        String::new()
    }

    /// The step's product as text, for `--raw`, once all is done.
    ///
    /// # Errors
    /// A step without a single product says so.
    fn product(&self, run: &Run, cluster: &Cluster) -> Result<String, Failure> {
        let _ = (run, cluster);
        Err(Failure::new(Exit::Usage, "usage", format!("--raw: {} has no single product", Self::row().step)))
    }
}

/// What a call of a program comes to.
pub enum Job<S> {
    /// A step of the pipe, reading from here.
    Stream(S, Source),
    /// Something else, which has the terminal to itself: a list, a file, a check.
    Own(Own),
}

impl<S> Job<S> {
    /// A job of its own.
    pub fn own<F, W>(work: W) -> Self
    where
        W: FnOnce(Console) -> F + Send + 'static,
        F: Future<Output = Result<Exit, Failure>> + Send + 'static,
    {
        Self::Own(Box::new(|console| Box::pin(work(console))))
    }
}

/// A job that is not a stream: gets the terminal, gives the exit status.
pub type Own = Box<dyn FnOnce(Console) -> OwnFuture + Send>;

/// The running of a job that is not a stream.
pub type OwnFuture = std::pin::Pin<Box<dyn Future<Output = Result<Exit, Failure>> + Send>>;

/// The fields of `status` that a step sets on one node.
#[derive(Debug)]
pub struct Written {
    fields: Vec<(&'static str, Value)>,
    change: Change,
}

impl Written {
    /// Nothing at all: the node is passed on as it came.
    #[must_use]
    pub fn nothing() -> Self {
        Self { fields: Vec::new(), change: Change::Unchanged }
    }

    /// No field, because what the field would tell of was removed now.
    #[must_use]
    pub fn gone() -> Self {
        Self { fields: Vec::new(), change: Change::Changed }
    }

    /// One field. The engine adds `changed`, or `pending`, to a value that is an object.
    #[must_use]
    pub fn field<T: Serialize>(name: &'static str, value: &T, change: Change) -> Self {
        Self { fields: Vec::new(), change }.and(name, value)
    }

    /// One more field.
    #[must_use]
    pub fn and<T: Serialize>(mut self, name: &'static str, value: &T) -> Self {
        let value = serde_json::to_value(value).expect("a status is plain data");
        self.fields.push((name, value));
        self
    }
}

/// Why a task ends without having done its part.
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

/// Runs a program: `argv` begins with its name.
pub fn main<S: Step>(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    let exit = match arguments::parse::<S>(&argv) {
        Ok(args) => launch::start::<S>(args, &argv),
        Err(exit) => return exit,
    };
    ExitCode::from(exit.code())
}
