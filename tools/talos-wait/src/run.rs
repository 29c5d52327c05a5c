//! The step.

use std::path::PathBuf;
use std::sync::Arc;

use kube_client::{Client, Kubeconfig};
use patience::{Attempt, Deadline};
use record::table::Row;
use record::{Change, Exit, Failure, Node, Role, status};
use step::{Job, Run, Source, Step, Stop, Written};
use talos_access::{Credentials, Met, address, attempt, meet, until, until_for};
use talos_client::{Address, Identity, Ours};

use crate::args::Args;
use crate::plan::{Condition, Told, holds};

/// Waits for a condition.
pub(crate) struct Wait {
    condition: Condition,
    credentials: Credentials,
    /// Without a stream, each node has to say what it is.
    alone: bool,
    kubeconfig: Option<PathBuf>,
}

impl Step for Wait {
    type Args = Args;

    fn row() -> &'static Row {
        record::table::row("talos-wait").expect("the table has every step")
    }

    fn detail(node: &Node) -> String {
        let waited: Option<status::Waited> = node.typed_status("waited").ok().flatten();
        waited.map(|waited| waited.condition).unwrap_or_default()
    }

    fn flags(args: &Args) -> &step::Flags {
        &args.flags
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        let alone = args.talos.is_alone();
        let source = if alone {
            let alone = talos_access::alone(&args.talos, Role::Worker)?;
            Source::Records(Box::new(alone.cluster), alone.nodes)
        } else {
            Source::Input
        };
        let credentials = Credentials::of_context(args.talos.context);
        Ok(Job::Stream(Self { condition: args.condition, credentials, alone, kubeconfig: args.kubeconfig }, source))
    }

    /// Asks the Kubernetes API itself, where the stream has credentials for it.
    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        if self.condition < Condition::Kubernetes {
            return Ok(());
        }
        let Some(kubeconfig) = self.kubeconfig(&run).await? else { return Ok(()) };
        let client = Client::new(&kubeconfig).map_err(|error| Failure::of(Exit::Unusable, "kubeconfig", &error))?;
        let ask = || async {
            match client.ready().await {
                Ok(()) => Attempt::Ready(()),
                Err(error) => Attempt::NotYet(error.to_string()),
            }
        };
        until_for(&run, None, Deadline::within(run.wait_timeout()), ask).await?;
        run.write_cluster("waited", &self.waited(), Change::Unchanged);
        Ok(())
    }

    async fn node(&self, run: Run, node: &Node) -> Result<Written, Stop> {
        if run.is_dry_run() {
            return Ok(Written::field("waited", &self.waited(), self.look(&run, node).await?));
        }
        if self.condition.needs_etcd() {
            self.etcd_was_started(&run).await?;
        }
        let address = address(&run, node)?;
        let identity = self.identity(&run).await?;
        until(&run, node, || self.ask(&address, identity.as_deref(), node.is_control_plane())).await?;
        Ok(Written::field("waited", &self.waited(), Change::Unchanged))
    }
}

impl Wait {
    fn waited(&self) -> status::Waited {
        status::Waited { condition: self.condition.as_str().to_owned() }
    }

    /// Credentials for the Kubernetes API: those that the stream has exported, else those that the user names.
    async fn kubeconfig(&self, run: &Run) -> Result<Option<Kubeconfig>, Stop> {
        let exported: Option<status::Kubeconfig> = run.cluster_want("kubeconfig").await?;
        if run.is_dry_run() && run.cluster().is_pending() {
            return Ok(None);
        }
        let exported = exported.unwrap_or_default();
        let (place, text, context) = match (exported.inline, exported.file, &self.kubeconfig) {
            (Some(text), ..) => ("status.kubeconfig.inline".to_owned(), text, Some(exported.context)),
            (None, Some(file), _) => {
                let bytes = run.products()?.read_exactly(&file, &exported.sha256.unwrap_or_default())?;
                (file, String::from_utf8_lossy(&bytes).into_owned(), Some(exported.context))
            }
            (None, None, Some(path)) => {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::caused(Exit::Unusable, "kubeconfig", place.clone(), &error))?;
                (place, text, None)
            }
            (None, None, None) => return Ok(None),
        };
        let read = Kubeconfig::parse(&text, context.as_deref());
        Ok(Some(read.map_err(|error| Failure::caused(Exit::Unusable, "kubeconfig", place, &error))?))
    }

    /// Credentials, if the condition cannot do without, or if they are there anyway.
    async fn identity(&self, run: &Run) -> Result<Option<Arc<Identity>>, Stop> {
        match self.condition.needs_credentials() {
            true => self.credentials.get(run).await,
            false => self.credentials.if_there(run).await,
        }
    }

    /// Waits until it is known whether etcd was started: if an error in the stream kept it from that, no node will ever
    /// be Ready, and there is nothing to wait for.
    async fn etcd_was_started(&self, run: &Run) -> Result<(), Stop> {
        let bootstrap: Option<status::Bootstrap> = run.cluster_want("bootstrap").await?;
        let failed =
            || run.cluster().error().is_some() || run.control_planes_so_far().iter().any(|node| node.has_error());
        if bootstrap.is_none() && failed() { Err(Stop::Explained) } else { Ok(()) }
    }

    /// One look, for a dry run: whether the condition holds already.
    async fn look(&self, run: &Run, node: &Node) -> Result<Change, Stop> {
        let (Ok(address), Ok(Some(identity))) = (address(run, node), self.identity(run).await) else {
            return Ok(Change::Pending);
        };
        match self.ask(&address, Some(&identity), node.is_control_plane()).await {
            Attempt::Ready(()) => Ok(Change::Unchanged),
            Attempt::NotYet(_) => Ok(Change::Pending),
            Attempt::Failed(failure) => Err(failure.into()),
        }
    }

    async fn ask(&self, address: &Address, identity: Option<&Identity>, control_plane: bool) -> Attempt<(), Failure> {
        let told = match meet(address, identity).await {
            Attempt::Ready(Met::Maintenance(_)) => Told::Maintenance,
            Attempt::Ready(Met::Ours(ours)) => match self.question(&ours, control_plane).await {
                Attempt::Ready(told) => told,
                Attempt::NotYet(status) => return Attempt::NotYet(status),
                Attempt::Failed(failure) => return Attempt::Failed(failure),
            },
            Attempt::NotYet(status) => return Attempt::NotYet(status),
            Attempt::Failed(failure) if self.answered(&failure) => return Attempt::Ready(()),
            Attempt::Failed(failure) => return Attempt::Failed(failure),
        };
        match holds(self.condition, &told) {
            Ok(()) => Attempt::Ready(()),
            Err(status) if self.condition == Condition::Maintenance => {
                let hint = "talos-wait --for configured waits for a node that has its configuration";
                Attempt::Failed(Failure::new(Exit::Failed, "configured", status).hint(hint))
            }
            Err(status) => Attempt::NotYet(status),
        }
    }

    /// Whether a node that does not want us is answer enough.
    fn answered(&self, failure: &Failure) -> bool {
        self.condition == Condition::Reachable && matches!(failure.exit, Exit::NotAllowed | Exit::Guard)
    }

    /// Asks a configured node no more than the condition needs.
    async fn question(&self, ours: &Ours, control_plane: bool) -> Attempt<Told, Failure> {
        let control_plane = match self.alone && self.condition >= Condition::Etcd {
            false => control_plane,
            true => match attempt(ours.node.is_control_plane().await) {
                Attempt::Ready(Some(told)) => told,
                Attempt::Ready(None) => return Attempt::NotYet("it does not say yet what it is".to_owned()),
                Attempt::NotYet(status) => return Attempt::NotYet(status),
                Attempt::Failed(failure) => return Attempt::Failed(failure),
            },
        };
        let etcd = match self.condition >= Condition::Etcd && control_plane {
            true => Some(ours.node.local_etcd_members().await.is_ok_and(|members| !members.is_empty())),
            false => None,
        };
        let registered = match self.condition >= Condition::Kubernetes {
            true => match attempt(ours.node.node_status().await) {
                Attempt::Ready(status) => status.map(|status| status.ready),
                Attempt::NotYet(status) => return Attempt::NotYet(status),
                Attempt::Failed(failure) => return Attempt::Failed(failure),
            },
            false => None,
        };
        let status = &ours.status;
        let missing = || {
            let unmet: Vec<_> = status.unmet.iter().map(|unmet| format!("{}: {}", unmet.name, unmet.reason)).collect();
            format!(
                "{:?}{}",
                status.stage,
                if unmet.is_empty() { String::new() } else { format!(" ({})", unmet.join("; ")) }
            )
        };
        let booted = if status.is_running_and_ready() { Ok(()) } else { Err(missing().to_lowercase()) };
        Attempt::Ready(Told::Configured { etcd, registered, booted })
    }
}
