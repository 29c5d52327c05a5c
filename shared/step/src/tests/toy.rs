//! A toy step, run between bytes in memory.

use std::io::{Cursor, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use record::status::{Access, Addresses, Config, Image, Vm};
use record::table::{self, Row};
use record::{Change, Code, Effect, Exit, Failure, Node};
use serde_json::{Value, json};

use crate::console::Console;
use crate::engine::Engine;
use crate::output::Layout;
use crate::pipes::{Pipes, Place};
use crate::signals::Stopping;
use crate::source::Opened;
use crate::{Flags, Format, Hold, Job, Run, Step, Stop, StreamFlags, Written};

#[derive(Parser)]
pub(super) struct Args {
    #[command(flatten)]
    stream: StreamFlags,
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    wait: crate::WaitFlag,
    #[command(flatten)]
    parallel: crate::ParallelFlag,
    #[command(subcommand)]
    pub(super) command: Option<ToyCommand>,
}

/// What the toy does without a stream.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ToyCommand {
    /// Prints something other than records.
    Explain,
}

/// Does what the node's name asks for: `bad-…` fails for good, `mute-…` does not answer, `slow-…` waits until it is let go,
/// `idle-…` has nothing to do because of the cluster's error, `needy-…` needs a VM, `wanting-…` uses one if it is
/// there, `waiting-…` waits for what never comes; `left-…` is nothing that it acts on. What the cluster found out goes
/// into the digest of each config.
pub(super) struct Toy {
    pub(super) row: &'static Row,
    pub(super) let_go: tokio::sync::Semaphore,
    /// How often the work on the cluster and on a node was begun.
    pub(super) begun: Arc<AtomicUsize>,
    /// How many nodes have got a slot.
    pub(super) working: Arc<AtomicUsize>,
    /// What stdout had received when the work on the cluster began.
    pub(super) seen: Arc<Mutex<Option<String>>>,
    pub(super) stdout: Sink,
    pub(super) raw: bool,
    /// What it does instead of all that.
    pub(super) on_cluster: Option<OnCluster>,
    pub(super) on_node: Option<OnNode>,
    /// How it finds the nodes that it adds.
    pub(super) adding: Option<Adding>,
}

pub(super) type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Stop>> + Send>>;
pub(super) type OnCluster = Box<dyn Fn(Run) -> Doing<String> + Send + Sync>;
pub(super) type Adding = Box<dyn Fn(Run) -> Doing<Vec<Node>> + Send + Sync>;
pub(super) type OnNode = Box<dyn Fn(Run, Node) -> Doing<Written> + Send + Sync>;

impl Toy {
    /// A toy that does this to each node, and nothing to the cluster.
    pub(super) fn doing<F>(work: impl Fn(Run, Node) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Written, Stop>> + Send + 'static,
    {
        Self {
            on_cluster: Some(Box::new(|_| Box::pin(async { Ok(String::new()) }))),
            on_node: Some(Box::new(move |run, node| Box::pin(work(run, node)))),
            ..Self::default()
        }
    }
}

/// What such a toy found out, to be read in the digest of the node's config.
pub(super) fn found(text: impl Into<String>) -> Result<Written, Stop> {
    Ok(Written::field(&Config { sha256: text.into(), ..Config::default() }, Effect::Unchanged))
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            row: &table::TALOS_GEN,
            let_go: tokio::sync::Semaphore::new(0),
            begun: Arc::default(),
            working: Arc::default(),
            seen: Arc::default(),
            stdout: Sink::default(),
            raw: false,
            on_cluster: None,
            on_node: None,
            adding: None,
        }
    }
}

impl Step for Toy {
    type Args = Args;
    type Shared = String;

    const ROWS: &'static [&'static Row] = &[&table::TALOS_GEN];

    fn row(&self) -> &'static Row {
        self.row
    }

    fn flags(args: &Args) -> Flags {
        Flags { all: args.all, ..Flags::from(args.stream.clone()).wait(args.wait).parallel(args.parallel) }
    }

    fn prepare(_: Args) -> Result<Job<Self>, Failure> {
        Err(Failure::new(Exit::Failed, Code::Internal, "the tests start the engine themselves"))
    }

    fn adds(&self) -> bool {
        self.adding.is_some()
    }

    async fn additions(&self, run: Run) -> Result<Vec<Node>, Stop> {
        match &self.adding {
            Some(adding) => adding(run).await,
            None => Ok(Vec::new()),
        }
    }

    async fn cluster(&self, run: Run) -> Result<String, Stop> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        *self.seen.lock().unwrap() = Some(self.stdout.flushed());
        if let Some(work) = &self.on_cluster {
            return work(run).await;
        }
        let image: Image = run.cluster_need().await?.value();
        let access = Access { ca256: image.version.clone(), ..Access::default() };
        run.write_cluster(&access, Effect::Changed, vec![Change::live("talosconfig").to("new")]);
        Ok(image.version)
    }

    async fn settle(&self, run: Run, shared: &String) -> Result<(), Stop> {
        if shared == "unsettled" {
            // The node lets it go: who made it wait for this would wait for ever.
            self.let_go.acquire().await.unwrap().forget();
            run.cluster_need::<record::status::Kubeconfig>().await?;
        }
        Ok(())
    }

    fn acts_on(&self, node: &Node) -> bool {
        !node.name().starts_with("left")
    }

    async fn node(&self, run: Run, shared: &String, node: &Node) -> Result<Written, Stop> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        if let Some(work) = &self.on_node {
            return work(run, node.clone()).await;
        }
        let config = Config { sha256: shared.clone(), ..Config::default() };
        let _slot = run.slot(node).await?;
        self.working.fetch_add(1, Ordering::SeqCst);
        match node.name().split('-').next() {
            Some("bad") => Err(Failure::new(Exit::Failed, Code::Failed, "it is\x1b[2J bad").hint("look\rat it").into()),
            Some("mute") => Err(Failure::new(Exit::Unreachable, Code::Unreachable, "no answer").into()),
            Some("slow") => {
                self.let_go.acquire().await.unwrap().forget();
                Ok(Written::field(&config, Effect::Unchanged))
            }
            Some("idle") => Err(Stop::Explained),
            Some("needy") => {
                run.need::<Vm>(node)?;
                Ok(Written::nothing())
            }
            Some("wanting") => {
                let vm = run.want::<Vm>(node)?;
                Ok(Written::field(&config, if vm.is_some() { Effect::Unchanged } else { Effect::Changed }))
            }
            Some("waiting") => {
                let look = || async { Err::<(), Hold>(Hold::not_yet("it never comes")) };
                run.wait(node).until(look).await?;
                Ok(Written::nothing())
            }
            Some("panic") => panic!("a task that panics"),
            _ => {
                self.let_go.add_permits(1);
                let changes = vec![Change::live("nodes/a-1.yaml").to("sha256:f")];
                Ok(Written::field(&config, Effect::Changed).changes(changes))
            }
        }
    }

    fn result(&self, _: &Run, _: &record::Cluster) -> Result<String, Failure> {
        if self.raw { Ok("the result\n".to_owned()) } else { Err(Failure::new(Exit::Failed, Code::NoResult, "none")) }
    }
}

/// Bytes in memory; those that were flushed are kept apart.
#[derive(Clone, Default)]
pub(super) struct Sink(Arc<Mutex<(Vec<u8>, usize)>>);

impl Sink {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
    }

    pub(super) fn flushed(&self) -> String {
        let state = self.0.lock().unwrap();
        String::from_utf8(state.0[..state.1].to_vec()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.1 = state.0.len();
        Ok(())
    }
}

/// The outcome of a run.
pub(super) struct Outcome {
    pub(super) exit: Exit,
    pub(super) lines: Vec<Value>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) begun: usize,
}

impl Outcome {
    pub(super) fn names(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| line["kind"] == "Node").map(|line| line["name"].as_str().unwrap()).collect()
    }

    pub(super) fn node(&self, name: &str) -> &Value {
        self.lines.iter().find(|line| line["kind"] == "Node" && line["name"] == name).unwrap()
    }

    pub(super) fn last(&self) -> &Value {
        self.lines.last().unwrap()
    }
}

/// Those whose names begin with `cp` are control planes.
fn role(name: &str) -> &'static str {
    if name.starts_with("cp") { "controlplane" } else { "worker" }
}

pub(super) fn head(names: &[&str]) -> String {
    let nodes: Vec<_> = names.iter().map(|name| json!({"name": name, "role": role(name)})).collect();
    let status = json!({"nodes": nodes, "dir": "/nowhere", "image": {"version": "v1"}});
    json!({"apiVersion": "ichor/v1", "kind": "Cluster", "name": "lab", "spec": {}, "status": status}).to_string()
}

pub(super) fn node(name: &str) -> String {
    json!({"apiVersion": "ichor/v1", "kind": "Node", "name": name, "cluster": "lab", "spec": {"role": role(name)}})
        .to_string()
}

pub(super) fn node_with<F: record::status::NodeField>(name: &str, field: &F) -> String {
    let mut node: Value = serde_json::from_str(&node(name)).unwrap();
    node["status"][F::NAME] = serde_json::to_value(field).unwrap();
    node.to_string()
}

pub(super) const END: &str = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"lab","end":true}"#;

pub(super) fn stream(names: &[&str]) -> String {
    let nodes: String = names.iter().map(|name| node(name) + "\n").collect();
    format!("{}\n{nodes}{END}\n", head(names))
}

/// The stream of a pipe in which a step before failed as a whole.
pub(super) fn failed_stream(names: &[&str], step: &str, exit: u8) -> String {
    let error = json!({"step": step, "code": "x", "message": "m", "exit": exit});
    let nodes: String = names.iter().map(|name| node(name) + "\n").collect();
    let head = head(names).replace(r#""image":{"version":"v1"}"#, &format!(r#""error":{error}"#));
    format!("{head}\n{nodes}{END}\n")
}

/// A run, with what surrounds it.
pub(super) struct Setting {
    pub(super) toy: Toy,
    pub(super) input: Box<dyn Read + Send>,
    pub(super) flags: Vec<&'static str>,
    pub(super) piped: bool,
    pub(super) file: Option<&'static str>,
    pub(super) layout: Layout,
    pub(super) place: Place,
    pub(super) reader_is_gone: bool,
    pub(super) output: Option<Box<dyn Write + Send>>,
    pub(super) stopping: Stopping,
    pub(super) stderr: Sink,
}

impl Setting {
    pub(super) fn of(input: impl Into<Vec<u8>>) -> Self {
        Self {
            toy: Toy::default(),
            input: Box::new(Cursor::new(input.into())),
            flags: Vec::new(),
            piped: false,
            file: None,
            layout: Layout::Records(Format::Jsonl),
            place: Place::Alone,
            reader_is_gone: false,
            output: None,
            stopping: Stopping::default(),
            stderr: Sink::default(),
        }
    }

    /// The toy, and what it runs between.
    pub(super) fn pipes(self) -> (Toy, Pipes) {
        let args = Args::parse_from([&["toy"], self.flags.as_slice()].concat());
        let stdout = self.toy.stdout.clone();
        let pipes = Pipes {
            flags: Toy::flags(&args),
            input: Opened::Bytes {
                reader: self.input,
                base: "/base".into(),
                piped: self.piped,
                file: self.file.map(str::to_owned),
            },
            output: self.output.unwrap_or_else(|| Box::new(stdout)),
            layout: self.layout,
            dir: args.stream.dir.clone(),
            console: Console::writing_to("toy", Box::new(self.stderr)),
            place: self.place,
            reader_is_gone: if self.reader_is_gone { || true } else { || false },
        };
        (self.toy, pipes)
    }

    pub(super) async fn run(self) -> Outcome {
        let (stdout, stderr, begun) = (self.toy.stdout.clone(), self.stderr.clone(), Arc::clone(&self.toy.begun));
        let stopping = self.stopping.clone();
        let (toy, pipes) = self.pipes();
        let argv = ["toy", "--only", "a b"].map(std::ffi::OsString::from);
        let run = Engine::run(toy, pipes, stopping, &argv);
        let exit = tokio::time::timeout(Duration::from_secs(20), run).await.expect("the step does not end");
        let text = stdout.text();
        Outcome {
            exit,
            lines: text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
            stdout: text,
            stderr: stderr.text(),
            begun: begun.load(Ordering::SeqCst),
        }
    }
}

pub(super) async fn run(input: String, flags: &[&'static str]) -> Outcome {
    Setting { flags: flags.to_vec(), ..Setting::of(input) }.run().await
}

/// Lets others run until the condition holds.
pub(super) async fn until(so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it never comes to that");
}

/// The addresses of a node, so that a type of the table is used that is no object.
pub(super) fn addresses(address: &str) -> Addresses {
    Addresses(vec![address.to_owned()])
}
