//! The step.

use std::path::PathBuf;
use std::sync::Arc;

use kube_client::{Client, Kubeconfig};
use record::table::{self, Row};
use record::{Code, Effect, Exit, Failure, Node, Role, status};
use rolling::OneEtcd;
use step::{Flags, Hold, Job, Run, Source, Step, Stop, Written};
use talos_access::{Credentials, address};
use talos_client::{Address, Identity};

use crate::args::Args;
use crate::condition::Condition;
use crate::look::Looker;

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
    type Shared = OneEtcd;

    const ROWS: &'static [&'static Row] = &[&table::TALOS_WAIT];

    fn detail(node: &Node) -> String {
        node.get::<status::Waited>().ok().flatten().map(|waited| waited.condition).unwrap_or_default()
    }

    fn flags(args: &Args) -> Flags {
        Flags::from(args.stream.clone()).wait(args.wait)
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        args.talos.check(&args.stream)?;
        if args.kubeconfig.is_some() && !args.condition.asks_kubernetes() {
            let message = format!("--kubeconfig and --for {} can't be used together", args.condition);
            let failure = Failure::new(Exit::Usage, Code::Usage, message);
            return Err(failure
                .hint("only `--for kubernetes-api`, `--for kubernetes` and `--for ready` ask the Kubernetes API"));
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

    async fn cluster(&self, _: Run) -> Result<OneEtcd, Stop> {
        Ok(OneEtcd::default())
    }

    /// Asks the Kubernetes API itself, if the stream has credentials for it.
    async fn settle(&self, run: Run, _: &OneEtcd) -> Result<(), Stop> {
        if !self.condition.asks_kubernetes() {
            return Ok(());
        }
        let Some(kubeconfig) = self.kubeconfig(&run).await? else { return Ok(()) };
        let client =
            Client::new(&kubeconfig).map_err(|error| Failure::caused(Exit::Unusable, Code::Kubeconfig, "", &error))?;
        // While the API starts, it also returns errors that would be final later, such as unknown users.
        let look = || async { client.ready().await.map_err(|error| Hold::in_spite_of(&error)) };
        run.wait_for_cluster().until(look).await?;
        let waited = status::ClusterWaited { condition: self.condition.to_string() };
        run.write_cluster(&waited, Effect::Unchanged, Vec::new());
        Ok(())
    }

    async fn node(&self, run: Run, one: &OneEtcd, node: &Node) -> Result<Written, Stop> {
        let waited = status::Waited { condition: self.condition.to_string() };
        if run.is_dry_run() {
            return Ok(Written::field(&waited, self.look_once(&run, one, node).await?));
        }
        if self.condition.needs_etcd() {
            self.etcd_was_started(&run).await?;
        }
        let address = address(&run, node)?;
        let identity = self.identity(&run).await?;
        let met = run.wait(node).until(|| self.look(&run, one, (&address, identity.as_deref()), node));
        tokio::select! {
            met = met => met?,
            stop = self.never_configured(&run, node) => return Err(stop),
        }
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
        Ok(self.open(run, exported)?)
    }

    fn open(&self, run: &Run, exported: Option<status::Kubeconfig>) -> Result<Option<Kubeconfig>, Failure> {
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

    /// Ends when it is known that nobody will configure this node: the stream has failed, and left it as it was. A node
    /// that talos-apply did send a config to still comes up.
    async fn never_configured(&self, run: &Run, node: &Node) -> Stop {
        if self.alone || node.has::<status::Applied>() || !self.condition.needs_credentials() {
            return std::future::pending().await;
        }
        run.cluster_failed().await.err().unwrap_or(Stop::Explained)
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
    async fn look_once(&self, run: &Run, one: &OneEtcd, node: &Node) -> Result<Effect, Stop> {
        let (Ok(address), Ok(Some(identity))) = (address(run, node), self.identity(run).await) else {
            return Ok(Effect::Pending);
        };
        match self.look(run, one, (&address, Some(&identity)), node).await {
            Ok(()) => Ok(Effect::Unchanged),
            Err(Hold::NotYet(_)) => Ok(Effect::Pending),
            Err(Hold::Failed(failure)) => Err(failure.into()),
        }
    }

    async fn look(
        &self,
        run: &Run,
        one: &OneEtcd,
        (address, identity): (&Address, Option<&Identity>),
        node: &Node,
    ) -> Result<(), Hold> {
        let control_plane = (!self.alone).then(|| node.is_control_plane());
        let kubernetes = self.kubernetes_at_hand(run);
        let bootstrapped = run.cluster().has::<status::Bootstrap>();
        Looker {
            condition: &self.condition,
            name: node.name(),
            one,
            address,
            identity,
            control_plane,
            bootstrapped,
            kubernetes,
        }
        .look()
        .await
    }

    /// A client of the Kubernetes API, if credentials for it have arrived already: they only explain, so nothing waits for
    /// them, and `settle` reports those that can't be used.
    fn kubernetes_at_hand(&self, run: &Run) -> Option<Client> {
        if self.condition != Condition::Ready {
            return None;
        }
        let exported: Option<status::Kubeconfig> = run.cluster().get().ok().flatten();
        Client::new(&self.open(run, exported).ok().flatten()?).ok()
    }
}

/// A kubeconfig that can't be read.
fn unusable(place: &str, error: &dyn std::error::Error) -> Failure {
    Failure::caused(Exit::Unusable, Code::Kubeconfig, place, error)
}
