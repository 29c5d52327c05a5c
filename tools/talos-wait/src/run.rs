//! The step.

use std::path::PathBuf;
use std::sync::Arc;

use kube_client::{Client, Kubeconfig};
use record::table::{self, Row};
use record::{Code, Effect, Exit, Failure, Node, Role, status};
use step::{Flags, Hold, Job, Run, Source, Step, Stop, Written};
use talos_access::{Answer, Credentials, address, ask};
use talos_client::{Address, Identity, Ours};

use crate::args::Args;
use crate::plan::{Condition, NodeState, holds};

/// Waits for a condition.
pub(crate) struct Wait {
    condition: Condition,
    credentials: Credentials,
    /// Without a stream, each node must report its role.
    alone: bool,
    kubeconfig: Option<PathBuf>,
}

impl Step for Wait {
    type Args = Args;
    type Shared = ();

    const ROWS: &'static [&'static Row] = &[&table::TALOS_WAIT];

    fn detail(node: &Node) -> String {
        node.get::<status::Waited>().ok().flatten().map(|waited| waited.condition).unwrap_or_default()
    }

    fn flags(args: &Args) -> Flags {
        Flags::from(args.stream.clone()).wait(args.wait)
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        args.talos.check(&args.stream)?;
        if args.kubeconfig.is_some() && !args.condition.includes(Condition::Kubernetes) {
            let message = format!("--kubeconfig and --for {} can't be used together", args.condition.word());
            let failure = Failure::new(Exit::Usage, Code::Usage, message);
            return Err(failure.hint("only `--for kubernetes` and `--for ready` ask the Kubernetes API"));
        }
        let alone = args.talos.is_alone();
        let source = if alone {
            let alone = talos_access::alone(&args.talos, Role::Worker)?;
            Source::Records(Box::new(alone.cluster), alone.nodes)
        } else {
            Source::Input
        };
        let credentials = args.talos.credentials(args.condition.needs_credentials())?;
        Ok(Job::Stream(Self { condition: args.condition, credentials, alone, kubeconfig: args.kubeconfig }, source))
    }

    async fn cluster(&self, _: Run) -> Result<(), Stop> {
        Ok(())
    }

    /// Asks the Kubernetes API itself, if the stream has credentials for it.
    async fn settle(&self, run: Run, (): &()) -> Result<(), Stop> {
        if !self.condition.includes(Condition::Kubernetes) {
            return Ok(());
        }
        let Some(kubeconfig) = self.kubeconfig(&run).await? else { return Ok(()) };
        let client =
            Client::new(&kubeconfig).map_err(|error| Failure::caused(Exit::Unusable, Code::Kubeconfig, "", &error))?;
        // While the API starts, it also returns errors that would be final later, such as unknown users.
        let look = || async { client.ready().await.map_err(|error| Hold::in_spite_of(&error)) };
        run.wait_for_cluster().until(look).await?;
        let waited = status::ClusterWaited { condition: self.condition.word() };
        run.write_cluster(&waited, Effect::Unchanged, Vec::new());
        Ok(())
    }

    async fn node(&self, run: Run, (): &(), node: &Node) -> Result<Written, Stop> {
        let waited = status::Waited { condition: self.condition.word() };
        if run.is_dry_run() {
            return Ok(Written::field(&waited, self.look_once(&run, node).await?));
        }
        if self.condition.needs_etcd() {
            self.etcd_was_started(&run).await?;
        }
        let address = address(&run, node)?;
        let identity = self.identity(&run).await?;
        run.wait(node).until(|| self.look(&address, identity.as_deref(), node.is_control_plane())).await?;
        Ok(Written::field(&waited, Effect::Unchanged))
    }
}

impl Wait {
    /// Credentials for the Kubernetes API: those that the stream has exported, else those that the user names.
    async fn kubeconfig(&self, run: &Run) -> Result<Option<Kubeconfig>, Stop> {
        let exported: Option<status::Kubeconfig> = run.cluster_want().await?;
        if run.is_dry_run() && run.cluster().is_pending() {
            return Ok(None);
        }
        if let (Some(_), Some(flag)) = (&exported, &self.kubeconfig) {
            let message = format!("--kubeconfig {} and status.kubeconfig: the records name one", flag.display());
            let failure = Failure::new(Exit::Usage, Code::Usage, message);
            return Err(failure.hint("drop --kubeconfig, or kubeconfig-export from the pipe").into());
        }
        let exported = exported.unwrap_or_default();
        let (place, text, context) = match (exported.inline, exported.file, &self.kubeconfig) {
            (Some(text), ..) => ("status.kubeconfig.inline".to_owned(), text, Some(exported.context)),
            (None, Some(file), _) => {
                let bytes = run.dir()?.read_exactly(&file, &exported.sha256.unwrap_or_default())?;
                (file, String::from_utf8_lossy(&bytes).into_owned(), Some(exported.context))
            }
            (None, None, Some(path)) => {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(path).map_err(|error| unusable(&place, &error))?;
                (place, text, None)
            }
            (None, None, None) => return Ok(None),
        };
        step::protect_keys(&text);
        Ok(Some(Kubeconfig::parse(&text, context.as_deref()).map_err(|error| unusable(&place, &error))?))
    }

    /// Credentials, if the condition needs them or they exist anyway.
    async fn identity(&self, run: &Run) -> Result<Option<Arc<Identity>>, Stop> {
        match self.condition.needs_credentials() {
            true => self.credentials.get(run).await,
            false => self.credentials.if_there(run).await,
        }
    }

    /// Waits until it is known whether etcd was started. If an error in the stream prevented that, no node will become
    /// Ready, and waiting is useless.
    async fn etcd_was_started(&self, run: &Run) -> Result<(), Stop> {
        let bootstrap: Option<status::Bootstrap> = run.cluster_want().await?;
        let failed =
            || run.cluster().error().is_some() || run.control_planes_so_far().iter().any(|node| node.has_error());
        if bootstrap.is_none() && failed() { Err(Stop::Explained) } else { Ok(()) }
    }

    /// Looks once, for a dry run: whether the condition already holds.
    async fn look_once(&self, run: &Run, node: &Node) -> Result<Effect, Stop> {
        let (Ok(address), Ok(Some(identity))) = (address(run, node), self.identity(run).await) else {
            return Ok(Effect::Pending);
        };
        match self.look(&address, Some(&identity), node.is_control_plane()).await {
            Ok(()) => Ok(Effect::Unchanged),
            Err(Hold::NotYet(_)) => Ok(Effect::Pending),
            Err(Hold::Failed(failure)) => Err(failure.into()),
        }
    }

    async fn look(&self, address: &Address, identity: Option<&Identity>, control_plane: bool) -> Result<(), Hold> {
        let state = match ask(address, identity).await {
            Ok(Answer::Maintenance(_)) => NodeState::Maintenance,
            Ok(Answer::Ours(ours)) => self.state(&ours, control_plane).await?,
            Err(Hold::Failed(failure)) if self.is_answer_enough(&failure) => return Ok(()),
            Err(hold) => return Err(hold),
        };
        holds(self.condition, &state).map_err(|missing| match self.condition {
            Condition::Maintenance => {
                let hint = "use `talos-wait --for configured` for a node that is already configured";
                Hold::Failed(Failure::new(Exit::Failed, Code::Configured, missing).hint(hint))
            }
            _ => Hold::NotYet(missing),
        })
    }

    /// Whether a node that refuses us already meets the condition.
    fn is_answer_enough(&self, failure: &Failure) -> bool {
        self.condition == Condition::Reachable && matches!(failure.exit, Exit::NotAllowed | Exit::Guard)
    }

    /// Asks a configured node no more than the condition needs.
    async fn state(&self, ours: &Ours, control_plane: bool) -> Result<NodeState, Hold> {
        let is_unsaid = || Hold::not_yet("it hasn't reported its role yet");
        let control_plane = match self.alone && self.condition.includes(Condition::Etcd) {
            false => control_plane,
            true => ours.node.is_control_plane().await?.ok_or_else(is_unsaid)?,
        };
        let etcd = match self.condition.includes(Condition::Etcd) && control_plane {
            true => Some(ours.node.local_etcd_members().await.is_ok_and(|members| !members.is_empty())),
            false => None,
        };
        let registered = match self.condition.includes(Condition::Kubernetes) {
            true => ours.node.node_status().await?.map(|status| status.ready),
            false => None,
        };
        let status = &ours.status;
        let missing = || {
            let unmet: Vec<_> = status.unmet.iter().map(|unmet| format!("{}: {}", unmet.name, unmet.reason)).collect();
            let unmet = if unmet.is_empty() { String::new() } else { format!(" ({})", unmet.join("; ")) };
            format!("{:?}{unmet}", status.stage).to_lowercase()
        };
        let booted = if status.is_running_and_ready() { Ok(()) } else { Err(missing()) };
        Ok(NodeState::Configured { etcd, registered, booted })
    }
}

/// A kubeconfig that can't be read.
fn unusable(place: &str, error: &dyn std::error::Error) -> Failure {
    Failure::caused(Exit::Unusable, Code::Kubeconfig, place, error)
}
