//! The step.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use patience::{Attempt, Deadline};
use record::{Change, Exit, Failure, Node, Role, status, table::Row};
use step::{Job, Run, Source, Step, Stop, Written};
use talos_access::{Credentials, Met, failure, meet};
use talos_client::{Address, Class, Identity};
use tokio::{sync::watch, time::Instant};

use crate::{
    args::Args,
    observe::{Voice, observe},
    plan::{Decision, Etcd, Seen, decide},
};

/// How long a node that was told to start etcd may show no data before it is told again.
const STARTING: Duration = Duration::from_secs(30);

/// Ensures that etcd was started.
pub(crate) struct Bootstrap {
    credentials: Credentials,
    without: Vec<String>,
    outcome: watch::Sender<Option<Option<Outcome>>>,
}

/// How it ended.
#[derive(Debug, Clone)]
struct Outcome {
    bootstrap: status::Bootstrap,
    change: Change,
    /// The nodes that were seen to be members.
    members: Vec<String>,
}

impl Step for Bootstrap {
    type Args = Args;

    fn row() -> &'static Row {
        record::table::row("talos-bootstrap").expect("the table has every step")
    }

    fn flags(args: &Args) -> &step::Flags {
        &args.flags
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        let source = if args.talos.is_alone() { alone(&args)? } else { Source::Input };
        let credentials = Credentials::of_context(args.talos.context);
        Ok(Job::Stream(Self { credentials, without: args.without, outcome: watch::Sender::new(None) }, source))
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        let ended = self.ensure(&run).await;
        // The nodes wait for this, whatever it is.
        self.outcome.send_replace(Some(ended.as_ref().ok().cloned()));
        let outcome = ended?;
        run.write_cluster("bootstrap", &outcome.bootstrap, outcome.change);
        Ok(())
    }

    fn acts_on(&self, node: &Node) -> bool {
        node.is_control_plane()
    }

    async fn node(&self, run: Run, node: &Node) -> Result<Written, Stop> {
        run.need::<status::Applied>(node, "applied")?;
        let mut outcomes = self.outcome.subscribe();
        let ended = outcomes.wait_for(Option::is_some).await.map_err(|_| Stop::Explained)?.clone();
        let Some(outcome) = ended.flatten() else { return Err(Stop::Explained) };
        let member = outcome.members.iter().any(|name| name == node.name());
        let is_first = outcome.bootstrap.node == node.name();
        let change = if is_first { outcome.change } else { Change::Unchanged };
        Ok(Written::field("etcd", &status::Etcd { member }, change))
    }
}

fn alone(args: &Args) -> Result<Source, Failure> {
    let mut alone = talos_access::alone(&args.talos, Role::ControlPlane)?;
    for node in &mut alone.nodes {
        let applied = status::Applied { address: node.name().to_owned(), ..status::Applied::default() };
        node.set_status("applied", serde_json::to_value(applied).expect("a status is plain data"));
    }
    Ok(Source::Records(Box::new(alone.cluster), alone.nodes))
}

impl Bootstrap {
    async fn ensure(&self, run: &Run) -> Result<Outcome, Stop> {
        let identity = self.credentials.get(run).await?;
        self.check_names(run)?;
        let voices = self.voices(run).await?;
        if run.is_dry_run() {
            return self.plan(&voices, identity.as_ref()).await;
        }
        let Some(identity) = identity else { return Err(Stop::Explained) };
        let started = Mutex::new(None);
        let deadline = Deadline::within(run.wait_timeout());
        let step = || self.advance(run, &voices, &identity, &started);
        match talos_access::until_for(run, None, deadline, step).await {
            Ok(outcome) => outcome.ok_or(Stop::Explained),
            Err(Stop::Failed(failure)) if failure.code == "timeout" => {
                Err(failure.hint("a control plane that is gone for good: --without NODE goes on without it").into())
            }
            Err(stop) => Err(stop),
        }
    }

    /// A name after `--without` that isn't a control plane's is a mistake.
    fn check_names(&self, run: &Run) -> Result<(), Failure> {
        let listed = run.listed();
        let is_listed = |name: &String| listed.control_planes().any(|entry| *entry.name == **name);
        match self.without.iter().find(|name| !is_listed(name)) {
            Some(name) => {
                let message = format!("--without {name}: no such control plane in the list");
                Err(Failure::new(Exit::Usage, "usage", message))
            }
            None => Ok(()),
        }
    }

    /// Every listed control plane in file order, but for those that are done without.
    async fn voices(&self, run: &Run) -> Result<Vec<Voice>, Stop> {
        let came = run.control_planes().await?;
        let listed = run.listed();
        let wanted = listed.control_planes().filter(|entry| !self.without.iter().any(|name| **name == *entry.name));
        Ok(wanted
            .map(|entry| match came.iter().find(|node| *node.name() == *entry.name) {
                Some(node) => Voice::of(node),
                None => Voice::absent(&entry.name, run.cluster().error().is_some()),
            })
            .collect())
    }

    /// One look at all, and the next thing to do. `None` if nothing may be done.
    async fn advance(
        &self,
        run: &Run,
        voices: &[Voice],
        identity: &Arc<Identity>,
        started: &Mutex<Option<Instant>>,
    ) -> Attempt<Option<Outcome>, Failure> {
        let seen = observe(voices, identity).await;
        let since = *started.lock().unwrap_or_else(PoisonError::into_inner);
        match decide(&seen) {
            Decision::Runs { node, members } => {
                let change = if since.is_some() { Change::Changed } else { Change::Unchanged };
                Attempt::Ready(Some(outcome(&seen, node, members, change)))
            }
            Decision::Start(node) if since.is_some_and(|since| since.elapsed() < STARTING) => {
                Attempt::NotYet(format!("etcd starts on {node}"))
            }
            Decision::Start(name) if !is_selected(run, &name) => Attempt::Failed(left_out(&name)),
            Decision::Start(name) => {
                let address = voices.iter().find(|voice| voice.name == name).and_then(|voice| voice.address.as_ref());
                match address {
                    Some(address) => self.start(run, &name, address, identity, started).await,
                    None => Attempt::Ready(None),
                }
            }
            Decision::Wait(status) => Attempt::NotYet(status),
            Decision::Explained => Attempt::Ready(None),
            Decision::Split(one, other) => Attempt::Failed(split(&one, &other)),
            Decision::Refused(failure) => Attempt::Failed(failure),
        }
    }

    /// Tells a node to start etcd. A lost reply leaves open whether it did: the next look tells.
    async fn start(
        &self,
        run: &Run,
        name: &str,
        address: &Address,
        identity: &Identity,
        started: &Mutex<Option<Instant>>,
    ) -> Attempt<Option<Outcome>, Failure> {
        let node = match meet(address, Some(identity)).await {
            Attempt::Ready(Met::Ours(found)) => found.node,
            Attempt::Ready(Met::Maintenance(_)) => return Attempt::NotYet(format!("{name} is in maintenance")),
            Attempt::NotYet(status) => return Attempt::NotYet(format!("{name}: {status}")),
            Attempt::Failed(failure) => return Attempt::Failed(failure),
        };
        let sent = || *started.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        match node.bootstrap().await {
            Ok(talos_client::Bootstrap::Done) => {
                sent();
                run.announce(&format!("started etcd on {name}"));
                Attempt::NotYet(format!("etcd starts on {name}"))
            }
            Ok(talos_client::Bootstrap::Already) => Attempt::NotYet(format!("etcd on {name} has data")),
            Ok(talos_client::Bootstrap::NotYet(reason)) => Attempt::NotYet(format!("{name}: {reason}")),
            Err(error) if error.class() == Class::Retry => {
                sent();
                Attempt::NotYet(error.chain())
            }
            Err(error) => Attempt::Failed(failure(&error)),
        }
    }

    /// Says what would be done, from one look.
    async fn plan(&self, voices: &[Voice], identity: Option<&Arc<Identity>>) -> Result<Outcome, Stop> {
        let seen = match identity {
            Some(identity) => observe(voices, identity).await,
            None => Vec::new(),
        };
        match decide(&seen) {
            Decision::Runs { node, members } => Ok(outcome(&seen, node, members, Change::Unchanged)),
            Decision::Split(one, other) => Err(split(&one, &other).into()),
            Decision::Refused(failure) => Err(failure.into()),
            Decision::Explained if identity.is_some() => Err(Stop::Explained),
            _ => {
                let first = voices.first().ok_or(Stop::Explained)?.name.clone();
                Ok(outcome(&seen, first, Vec::new(), Change::Pending))
            }
        }
    }
}

fn outcome(seen: &[Seen], node: String, members: Vec<String>, change: Change) -> Outcome {
    let told = seen.iter().filter(|seen| matches!(seen.etcd, Etcd::Members(_)));
    Outcome {
        members: told.map(|seen| seen.name.clone()).collect(),
        bootstrap: status::Bootstrap { node, members },
        change,
    }
}

fn is_selected(run: &Run, name: &str) -> bool {
    let only = &run.flags().only;
    only.is_empty() || only.iter().any(|selected| selected == name)
}

fn left_out(name: &str) -> Failure {
    let message = format!("etcd would be started on {name}, which --only leaves out");
    Failure::new(Exit::Guard, "left-out", message).hint("leave out --only: etcd is started once for the whole cluster")
}

fn split(one: &str, other: &str) -> Failure {
    let message = format!("{one} and {other} are members of two etcd clusters that have no member in common");
    Failure::new(Exit::Guard, "split", message).hint("one of the two must be reset; its data is lost then")
}
