//! The run of a step: input in, tasks, output out.

mod additions;
mod end;
mod events;
mod shared;
mod whole;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use record::status::{DryRun, RunId};
use record::stream::{Item, Stream};
use record::{Cluster, Code, Effect, Entry, Exit, Failure, Node, Tally};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::events::{due, joined, listen, reader_gone, signalled};
use self::shared::{Shared, ready};
use self::whole::Unsaid;
use crate::intake::Received;
use crate::output::{Layout, Output};
use crate::pipes::Pipes;
use crate::run::{Context, Run, World};
use crate::signals::Stopping;
use crate::slots::Slots;
use crate::source::Opened;
use crate::wait::{Heartbeat, LOOK, Waits};
use crate::{Step, Stop, Written, cluster_dir, secrets};

type Outcome = Result<Written, Stop>;

pub(crate) struct Engine<S: Step> {
    step: Arc<S>,
    run: Run,
    output: Output,
    layout: Layout,
    tally: Tally,
    tasks: JoinSet<(Box<Node>, Outcome)>,
    whole: Option<JoinHandle<Result<(), Stop>>>,
    shared: watch::Sender<Shared<S::Shared>>,
    /// The entries of nodes that this step added to the list.
    added: Vec<Entry>,
    /// Nodes that leave once the task for the whole cluster has ended: its failure explains them, and goes first.
    held: Vec<Node>,
    /// A failure of this step as a whole.
    failure: Option<Failure>,
    /// Such a failure that isn't printed yet.
    unsaid: Option<Unsaid>,
    /// The stream of a step that failed before its first line: it is passed on without a message.
    failed_before: Option<Cluster>,
    /// Whether its input is useless from here on, or it failed as a whole before a signal asked it to stop; a wait that
    /// the signal ended is no such failure.
    gave_up: bool,
    begun: bool,
    /// Whether another process is writing the input.
    piped: bool,
    /// The file that is the input, if one was named.
    file: Option<String>,
    /// Whether nobody can read the output any more, although no write has failed yet.
    reader_is_gone: fn() -> bool,
    heartbeat: Heartbeat,
}

impl<S: Step> Engine<S> {
    /// Runs the step to its end, and returns the exit status.
    pub(crate) async fn run(step: S, pipes: Pipes, stopping: Stopping, argv: &[OsString]) -> Exit {
        let Pipes { flags, input, output, layout, dir, console, place, reader_is_gone } = pipes;
        let (grown, growth) = mpsc::unbounded_channel();
        let (piped, file) = match &input {
            Opened::Bytes { piped, file, .. } => (*piped, file.clone()),
            Opened::Records(..) => (false, None),
        };
        let output = Output::new(output, layout, S::detail, stopping.clone());
        let row = step.row();
        let stream = Stream::new(row, flags.only.clone());
        let stream = if step.adds() { stream.adding() } else { stream };
        let received = listen(input, stream, dir.clone());
        let cluster = Arc::new(Cluster::new("", record::Map::new(), record::Roster::default()));
        let world =
            World { cluster, control_planes: Vec::new(), listed: Arc::default(), is_first: false, ended: false };
        let context = Context {
            row,
            slots: Slots::new(flags.parallel),
            waits: Waits::default(),
            console,
            stopping,
            world: watch::Sender::new(world),
            grown,
            writing: Mutex::new(()),
            dir: OnceLock::new(),
            flags,
        };
        let mut engine = Self {
            step: Arc::new(step),
            run: Run { context: Arc::new(context) },
            output,
            layout,
            tally: Tally::default(),
            tasks: JoinSet::new(),
            whole: None,
            shared: watch::Sender::new(Shared::NotYet),
            added: Vec::new(),
            held: Vec::new(),
            failure: None,
            unsaid: None,
            failed_before: None,
            gave_up: false,
            begun: false,
            piped,
            file,
            reader_is_gone,
            heartbeat: Heartbeat::new(Instant::now()),
        };
        engine.work(received, growth, dir).await;
        engine.end(argv, place).await
    }

    /// Takes the input to its end and waits for all tasks.
    async fn work(
        &mut self,
        mut input: mpsc::Receiver<Received>,
        mut growth: mpsc::UnboundedReceiver<Effect>,
        dir: Option<PathBuf>,
    ) {
        let mut listening = true;
        let mut announced = false;
        let run = self.run.clone();
        let mut look = tokio::time::interval(LOOK);
        while listening || !self.tasks.is_empty() || self.whole.is_some() {
            // A failed step without running tasks ends on the first signal, even if its input never ends.
            let idle = self.tasks.is_empty() && self.whole.is_none();
            let given_up = listening && idle && self.gave_up;
            tokio::select! {
                // In this order: results are written before new work begins, and changes of the Cluster before the
                // nodes that they explain.
                biased;
                Some(effect) = growth.recv() => self.grew(effect),
                Some(done) = self.tasks.join_next() => self.done(done),
                result = joined(&mut self.whole) => self.whole_done(result),
                () = signalled(&run), if !announced => {
                    announced = true;
                    self.announce_stop();
                }
                () = signalled(&run), if given_up => listening = false,
                // Before the input: what can still be read concerns nobody, even that it was cut.
                () = reader_gone(&run), if listening => listening = false,
                next = input.recv(), if listening => match next {
                    Some(received) => self.receive(received, dir.as_ref()).await,
                    None => listening = false,
                },
                () = due(self.unsaid.as_ref()) => self.say_unsaid(),
                _ = look.tick() => self.beat(),
            }
        }
        self.say_unsaid();
        while let Ok(effect) = growth.try_recv() {
            self.grew(effect);
        }
    }

    /// Reports for whom the step waits, when that is due.
    fn beat(&mut self) {
        let (context, now) = (&self.run.context, Instant::now());
        if let Some(line) = self.heartbeat.due(&context.waits, context.console.printed(), now) {
            context.console.say(None, &line);
        }
    }

    /// Reports why the step doesn't end at once, if it doesn't.
    fn announce_stop(&self) {
        let begun = self.tasks.len();
        if begun > 0 {
            let text =
                format!("stopping once {begun} nodes in progress are at a safe point; a second signal ends it at once");
            self.run.context.console.summary(&text);
        }
    }

    async fn receive(&mut self, received: Received, dir: Option<&PathBuf>) {
        match received {
            Received::Item(Item::Cluster(cluster)) if !self.begun => self.begin(*cluster, dir).await,
            Received::Item(Item::Cluster(cluster)) => self.absorb(&cluster, true),
            Received::Item(Item::End(cluster)) => self.absorb(&cluster, false),
            Received::Item(Item::Node(node)) => self.node(node),
            Received::Item(Item::Failed(cluster)) => {
                self.failed_before = Some(*cluster);
                // Nothing can follow it, even if its writer stays.
                self.gave_up = true;
            }
            Received::File => self.run.context.world.send_modify(|world| world.is_first = true),
            Received::Warning(text) => self.run.warn(&text),
            Received::End(missing) => self.input_ended(&missing),
            Received::Broken(error) => self.broken(error),
        }
    }

    /// The first Cluster line: it is written before anything is changed.
    async fn begin(&mut self, mut cluster: Cluster, dir: Option<&PathBuf>) {
        if let Some(dir) = dir {
            cluster.set_dir(dir);
        }
        cluster.dir().iter().for_each(|dir| secrets::protect_folder(dir));
        if self.run.flags().dry_run {
            cluster.set(&DryRun(true));
        }
        if self.run.is_first() && !cluster.has::<RunId>() {
            match cluster_dir::random_hex::<8>() {
                Ok(id) => cluster.set(&RunId(id)),
                Err(failure) => self.fail_whole(failure),
            }
        }
        let cluster = Arc::new(cluster);
        self.run.context.world.send_modify(|world| {
            world.cluster = Arc::clone(&cluster);
            world.listed = cluster.roster().map(Arc::clone).unwrap_or_default();
        });
        let added = self.add_nodes().await;
        self.output.cluster(self.run.cluster());
        self.output.flushed().await;
        self.begun = true;
        self.run.context.console.start_bar(self.run.listed().len());
        self.guard_unlimited();
        self.launch();
        added.into_iter().for_each(|node| self.node(Box::new(node)));
    }

    /// Starts the work on the cluster, unless nothing may begin.
    fn launch(&mut self) {
        if self.failure.is_some() || self.run.context.stopping.token.is_cancelled() {
            self.shared.send_replace(Shared::Never);
            return;
        }
        let (step, run, shared) = (Arc::clone(&self.step), self.run.clone(), self.shared.clone());
        self.whole = Some(tokio::spawn(async move {
            let context = Arc::clone(&run.context);
            let _working = context.waits.work(None, Instant::now());
            let found = step.cluster(run.clone()).await.inspect_err(|_| drop(shared.send_replace(Shared::Never)))?;
            let found = Arc::new(found);
            shared.send_replace(Shared::Ready(Arc::clone(&found)));
            step.settle(run, &found).await
        }));
    }

    /// In a pipe, a step that destroys does nothing unless somebody selected its nodes.
    fn guard_unlimited(&mut self) {
        let (run, row) = (&self.run, self.run.context.row);
        let is_limited = run.is_first() || run.flags().all || !run.cluster().only().is_empty();
        if row.destroys && !is_limited && self.failure.is_none() {
            let message = "no nodes given, and behind a pipe that doesn't mean all of them";
            let failure = Failure::new(Exit::Usage, Code::Usage, message);
            self.fail_whole(
                failure.hint("name nodes with --only NODE,..., or use --all for every node of the cluster"),
            );
        }
    }

    /// A later Cluster line: its new status is copied and passed on.
    fn absorb(&mut self, newer: &Cluster, pass_on: bool) {
        self.was_said_before(newer);
        let grown = self.run.context.world.send_if_modified(|world| {
            let before = Arc::clone(&world.cluster);
            let cluster = Arc::make_mut(&mut world.cluster);
            cluster.absorb(newer);
            additions::keep(cluster, &self.added);
            // An earlier step's line must not undo `--dir` and `--dry-run` of this step.
            before.dir().into_iter().for_each(|dir| cluster.set_dir(&dir));
            if before.is_dry_run() {
                cluster.set(&DryRun(true));
            }
            *before != *world.cluster
        });
        if grown && pass_on {
            self.output.cluster(self.run.cluster());
        }
    }

    /// The step has set a field of the Cluster's status.
    fn grew(&mut self, effect: Effect) {
        self.tally.did_to_cluster(effect);
        self.output.cluster(self.run.cluster());
    }

    fn node(&mut self, mut node: Box<Node>) {
        if node.is_control_plane() {
            let copy = Arc::new((*node).clone());
            self.run.context.world.send_modify(|world| world.control_planes.push(copy));
        }
        if node.has_error() {
            self.tally.skipped += 1;
            self.emit(node, "skipped");
        } else if !self.run.is_selected(node.name()) || !self.step.acts_on(&node) {
            self.emit(node, "passed");
        } else if let Some(failure) = self.has_no_spec(&node) {
            self.fail(&mut node, failure);
            self.emit(node, "failed");
        } else if self.run.context.stopping.token.is_cancelled() {
            self.fail(&mut node, Failure::interrupted());
            self.emit(node, "failed");
        } else {
            let (step, run, shared) = (Arc::clone(&self.step), self.run.clone(), self.shared.subscribe());
            self.tasks.spawn(async move {
                let outcome = match ready(shared, &run).await {
                    Ok(shared) => {
                        let context = Arc::clone(&run.context);
                        let _working = context.waits.work(Some(node.name()), Instant::now());
                        step.node(run, &shared, &node).await
                    }
                    Err(stop) => Err(stop),
                };
                (node, outcome)
            });
        }
    }

    fn done(&mut self, done: Result<(Box<Node>, Outcome), tokio::task::JoinError>) {
        let (mut node, outcome) = match done {
            Ok(done) => done,
            Err(error) => {
                // The node's record is lost with its task: later steps will miss it.
                self.fail_whole(Failure::new(Exit::Failed, Code::Internal, format!("a task failed: {error}")));
                return;
            }
        };
        let what = match outcome {
            Ok(written) => {
                let effect = written.effect;
                self.tally.did(effect);
                written.put(&mut node);
                match effect {
                    Effect::Changed => "changed",
                    Effect::Unchanged => "unchanged",
                    Effect::Pending => "pending",
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
    fn fail(&mut self, node: &mut Node, failure: Failure) {
        let mut failure = secrets::redacted_failure(failure);
        self.run.context.row.name.clone_into(&mut failure.step);
        if !failure.is(Code::Interrupted) {
            self.run.context.console.failure(Some(node.name()), &failure);
        }
        self.tally.failed += 1;
        node.set_error(&failure);
    }

    fn emit(&mut self, node: Box<Node>, what: &'static str) {
        self.tally.see_node(&node);
        self.run.context.console.advance();
        self.output.node(node, what);
    }
}
