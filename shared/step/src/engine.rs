//! The run of a step: input in, tasks, output out.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use record::stream::{Item, Stream};
use record::{Change, Cluster, Exit, Failure, Node, Tally, Unusable};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::arguments::again;
use crate::console::Console;
use crate::intake::{Heard, Intake};
use crate::launch::Pipes;
use crate::output::{Layout, Output};
use crate::run::{Run, Shared, World};
use crate::signals::Stopping;
use crate::slots::Slots;
use crate::source::{Opened, stdin_is_pipe, stdout_is_pipe};
use crate::{Step, Stop, Written};

/// Adds `changed`, or `pending`, to a value that is an object.
pub(crate) fn marked(mut value: Value, change: Change) -> Value {
    if let Value::Object(map) = &mut value {
        match change {
            Change::Changed => map.insert("changed".into(), true.into()),
            Change::Unchanged => map.insert("changed".into(), false.into()),
            Change::Pending => map.insert("pending".into(), true.into()),
        };
    }
    value
}

type Outcome = Result<Written, Stop>;

pub(crate) struct Engine<S: Step> {
    step: Arc<S>,
    run: Run,
    output: Output,
    tally: Tally,
    tasks: JoinSet<(Box<Node>, Outcome)>,
    whole: Option<JoinHandle<Result<(), Stop>>>,
    /// Nodes that leave once the task for the whole cluster has ended: its failure explains them, and goes first.
    held: Vec<Node>,
    /// A failure of this step as a whole.
    failure: Option<Failure>,
    begun: bool,
    selected: Vec<String>,
}

impl<S: Step> Engine<S> {
    /// Runs the step to its end and gives the exit status.
    pub(crate) async fn run(step: S, pipes: Pipes, stopping: Stopping, argv: &[OsString]) -> Exit {
        let Pipes { flags, input, output, layout, dir } = pipes;
        let in_a_pipe = stdin_is_pipe() || stdout_is_pipe();
        let (grown, growth) = mpsc::unbounded_channel();
        let output = Output::new(output, layout, S::detail, stopping.clone());
        let heard = listen(input, Stream::new(S::row(), flags.only.clone()), dir.clone());
        let cluster = Arc::new(Cluster::new("", record::Map::new(), record::Roster::default()));
        let world =
            World { cluster, control_planes: Vec::new(), listed: Arc::default(), is_first: false, ended: false };
        let shared = Shared {
            row: S::row(),
            slots: Slots::new(flags.parallel),
            console: Console::new(S::row().step),
            stopping,
            world: watch::Sender::new(world),
            grown,
            writing: Mutex::new(()),
            flags,
        };
        let selected = shared.flags.only.clone();
        let mut engine = Self {
            step: Arc::new(step),
            run: Run { shared: Arc::new(shared) },
            output,
            tally: Tally::default(),
            tasks: JoinSet::new(),
            whole: None,
            held: Vec::new(),
            failure: None,
            begun: false,
            selected,
        };
        engine.work(heard, growth, dir).await;
        engine.end(argv, in_a_pipe, layout).await
    }

    /// Hears the input to its end and waits for all tasks.
    async fn work(
        &mut self,
        mut heard: mpsc::Receiver<Heard>,
        mut growth: mpsc::UnboundedReceiver<Change>,
        dir: Option<PathBuf>,
    ) {
        let mut listening = true;
        let mut told = false;
        let run = self.run.clone();
        while listening || !self.tasks.is_empty() || self.whole.is_some() {
            tokio::select! {
                biased;
                Some(change) = growth.recv() => self.grew(change),
                Some(done) = self.tasks.join_next() => self.done(done),
                result = joined(&mut self.whole) => self.whole_done(result),
                next = heard.recv(), if listening => match next {
                    Some(heard) => self.hear(heard, dir.as_ref()).await,
                    None => listening = false,
                },
                () = reader_gone(&run), if listening => listening = false,
                () = signalled(&run), if !told => {
                    told = true;
                    self.tell_of_stopping();
                }
            }
        }
        while let Ok(change) = growth.try_recv() {
            self.grew(change);
        }
    }

    /// Says why the step doesn't end at once, if it doesn't.
    fn tell_of_stopping(&self) {
        let begun = self.tasks.len();
        if begun > 0 {
            let text =
                format!("stopping once {begun} begun nodes are at a safe point; a second signal ends it at once");
            self.run.shared.console.sum_up(&text);
        }
    }

    async fn hear(&mut self, heard: Heard, dir: Option<&PathBuf>) {
        match heard {
            Heard::Item(Item::Cluster(cluster)) if !self.begun => self.begin(*cluster, dir).await,
            Heard::Item(Item::Cluster(cluster)) => self.absorb(&cluster, true),
            Heard::Item(Item::End(cluster)) => self.absorb(&cluster, false),
            Heard::Item(Item::Node(node)) => self.node(node),
            Heard::File => self.run.shared.world.send_modify(|world| world.is_first = true),
            Heard::Warning(text) => self.run.warn(&text),
            Heard::End(missing) => self.input_ended(&missing),
            Heard::Broken(error) => self.broken(error),
        }
    }

    /// The first Cluster line: it is written before anything is changed.
    async fn begin(&mut self, mut cluster: Cluster, dir: Option<&PathBuf>) {
        if let Some(dir) = dir {
            cluster.set_dir(dir);
        }
        if self.run.flags().dry_run {
            cluster.set_dry_run();
        }
        let nodes = cluster.roster().map_or(0, |roster| roster.len());
        let cluster = Arc::new(cluster);
        self.run.shared.world.send_modify(|world| {
            world.cluster = Arc::clone(&cluster);
            world.listed = cluster.roster().map(Arc::clone).unwrap_or_default();
        });
        self.output.cluster(cluster);
        self.output.flushed().await;
        self.begun = true;
        self.run.shared.console.start_bar(nodes);
        if self.run.shared.stopping.token.is_cancelled() {
            return;
        }
        let (step, run) = (Arc::clone(&self.step), self.run.clone());
        self.whole = Some(tokio::spawn(async move { step.cluster(run).await }));
    }

    /// A later Cluster line: what has grown is taken over and passed on.
    fn absorb(&mut self, newer: &Cluster, pass_on: bool) {
        let grown = self.run.shared.world.send_if_modified(|world| {
            let before = Arc::clone(&world.cluster);
            let cluster = Arc::make_mut(&mut world.cluster);
            cluster.absorb(newer);
            // What `--dir` says here is not taken back by a line that was written before.
            before.dir().into_iter().for_each(|dir| cluster.set_dir(&dir));
            *before != *world.cluster
        });
        if grown && pass_on {
            self.output.cluster(self.run.cluster());
        }
    }

    /// The step has set a field of the Cluster's status.
    fn grew(&mut self, change: Change) {
        self.tally.did(change);
        self.output.cluster(self.run.cluster());
    }

    fn node(&mut self, mut node: Box<Node>) {
        if node.is_control_plane() {
            let copy = Arc::new((*node).clone());
            self.run.shared.world.send_modify(|world| world.control_planes.push(copy));
        }
        let selected = self.selected.is_empty() || self.selected.iter().any(|name| name == node.name());
        if node.has_error() {
            self.tally.skipped += 1;
            self.emit(node, "skipped");
        } else if !selected || !self.step.acts_on(&node) {
            self.emit(node, "passed");
        } else if self.run.shared.stopping.token.is_cancelled() {
            self.fail(&mut node, Failure::interrupted());
            self.emit(node, "failed");
        } else {
            let (step, run) = (Arc::clone(&self.step), self.run.clone());
            self.tasks.spawn(async move {
                let outcome = step.node(run, &node).await;
                (node, outcome)
            });
        }
    }

    fn done(&mut self, done: Result<(Box<Node>, Outcome), tokio::task::JoinError>) {
        let (mut node, outcome) = match done {
            Ok(done) => done,
            Err(error) => {
                // The node's record is lost with its task: the steps after this one will miss it.
                self.fail_whole(Failure::new(Exit::Failed, "internal", format!("a task failed: {error}")));
                return;
            }
        };
        let what = match outcome {
            Ok(written) => {
                self.tally.did(written.change);
                for (field, value) in written.fields {
                    node.set_status(field, marked(value, written.change));
                }
                match written.change {
                    Change::Changed => "changed",
                    Change::Unchanged => "unchanged",
                    Change::Pending => "pending",
                }
            }
            Err(Stop::Explained) => {
                self.tally.skipped += 1;
                if self.whole.is_some() {
                    self.held.push(*node);
                    return;
                }
                "skipped"
            }
            Err(Stop::Failed(failure)) => {
                self.fail(&mut node, failure);
                "failed"
            }
        };
        self.emit(node, what);
    }

    /// Signs a failure, prints it and puts it into the record.
    fn fail(&mut self, node: &mut Node, mut failure: Failure) {
        self.run.shared.row.step.clone_into(&mut failure.step);
        if failure.code != Failure::interrupted().code {
            self.run.shared.console.failure(Some(node.name()), &failure);
        }
        self.tally.failed += 1;
        node.set_error(&failure);
    }

    fn emit(&mut self, node: Box<Node>, what: &'static str) {
        self.tally.see_node(&node);
        self.run.shared.console.advance();
        self.output.node(node, what);
    }

    fn whole_done(&mut self, result: Result<Result<(), Stop>, tokio::task::JoinError>) {
        self.whole = None;
        match result {
            Ok(Ok(()) | Err(Stop::Explained)) => {}
            Ok(Err(Stop::Failed(failure))) => self.fail_whole(failure),
            Err(error) => self.fail_whole(Failure::new(Exit::Failed, "internal", format!("the task failed: {error}"))),
        }
        for node in std::mem::take(&mut self.held) {
            self.emit(Box::new(node), "skipped");
        }
    }

    /// A failure of the whole step: printed once, and put into the Cluster so that the tasks and later steps see it
    /// before the nodes that it explains.
    fn fail_whole(&mut self, mut failure: Failure) {
        self.run.shared.row.step.clone_into(&mut failure.step);
        if failure.code != Failure::interrupted().code {
            self.run.shared.console.failure(None, &failure);
        }
        self.run.shared.world.send_modify(|world| Arc::make_mut(&mut world.cluster).set_error(&failure));
        self.failure.get_or_insert(failure);
        if self.begun {
            self.output.cluster(self.run.cluster());
        }
    }

    /// The input has ended as it should; listed nodes that never came are an error unless one explains them.
    fn input_ended(&mut self, missing: &[String]) {
        if !missing.is_empty() && self.run.flags().allow_missing {
            self.run.shared.world.send_modify(|world| {
                let cluster = Arc::make_mut(&mut world.cluster);
                let fewer = cluster.roster().map(|roster| Arc::new(roster.without(missing)));
                fewer.into_iter().for_each(|roster| cluster.set_roster(roster));
            });
        } else if !missing.is_empty() && self.run.cluster().error().is_none() {
            let names = shown(missing);
            let failure = Failure::new(Exit::Unusable, "missing-node", format!("listed, but never came: {names}"));
            self.fail_whole(failure.hint("a filter in the pipe may have dropped them; --allow-missing accepts that"));
        }
        self.run.shared.world.send_modify(|world| world.ended = true);
    }

    /// The input cannot be used from here on.
    fn broken(&mut self, error: Unusable) {
        self.fail_whole(Failure::from(error));
        self.run.shared.world.send_modify(|world| world.ended = true);
    }

    /// Writes the last line and says how it went.
    async fn end(mut self, argv: &[OsString], in_a_pipe: bool, layout: Layout) -> Exit {
        let cluster = self.run.cluster();
        self.tally.see_cluster(&cluster);
        self.failure.iter().for_each(|failure| self.tally.see_failure(failure.exit));
        let mut own_exit = None;
        if self.begun {
            if layout == Layout::Raw && self.tally.exit() == Exit::Done {
                match self.step.product(&self.run, &cluster) {
                    Ok(text) => self.output.text(text),
                    Err(failure) => {
                        self.run.shared.console.failure(None, &failure);
                        own_exit = Some(failure.exit);
                    }
                }
            }
            self.output.cluster(Arc::new((*cluster).clone().ended()));
        }
        self.output.flushed().await;
        let written = self.output.finish();
        let console = &self.run.shared.console;
        console.finish();
        if let Err(failure) = &written {
            console.failure(None, failure);
            return failure.exit;
        }
        let exit = self.run.shared.stopping.reason().or(own_exit).unwrap_or_else(|| self.tally.exit());
        if self.begun && exit != Exit::PipeClosed {
            console.sum_up(&self.tally.to_string());
        }
        // In a pipe, its last step says it for all.
        if exit.is_retryable() && exit != Exit::PipeClosed && !stdout_is_pipe() {
            console.sum_up(&again(argv, in_a_pipe));
        }
        exit
    }
}

/// Waits until nobody reads our output any more; then the rest of the input does not matter.
async fn reader_gone(run: &Run) {
    let stopping = &run.shared.stopping;
    stopping.token.cancelled().await;
    if stopping.reason().is_some_and(|reason| reason != Exit::PipeClosed) {
        std::future::pending::<()>().await;
    }
    run.shared.world.send_modify(|world| world.ended = true);
}

/// Waits until a signal asks the step to stop.
async fn signalled(run: &Run) {
    let stopping = &run.shared.stopping;
    stopping.token.cancelled().await;
    if stopping.reason().is_none_or(|reason| reason == Exit::PipeClosed) {
        std::future::pending::<()>().await;
    }
}

/// The end of the task for the whole cluster; never, if there is none.
async fn joined(whole: &mut Option<JoinHandle<Result<(), Stop>>>) -> Result<Result<(), Stop>, tokio::task::JoinError> {
    match whole {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

fn listen(input: Opened, stream: Stream, dir: Option<PathBuf>) -> mpsc::Receiver<Heard> {
    match input {
        Opened::Bytes { reader, base } => {
            let reader: Box<dyn Read + Send> = reader;
            Intake { stream, base, dir }.read(reader)
        }
        Opened::Records(cluster, nodes) => Intake { stream, base: PathBuf::new(), dir }.take(*cluster, nodes),
    }
}

/// A few of the names, and how many more there are.
fn shown(names: &[String]) -> String {
    const FEW: usize = 5;
    let few = names[..names.len().min(FEW)].join(", ");
    if names.len() > FEW { format!("{few} and {} more", names.len() - FEW) } else { few }
}
