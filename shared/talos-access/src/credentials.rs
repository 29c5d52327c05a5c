//! The client credentials that a stream refers to.

use std::{path::PathBuf, sync::Arc};

use record::{Code, Exit, Failure, status::Access};
use step::{Need, Run, Stop};
use talos_client::{Address, Identity};
use talosconfig::{Context, Talosconfig};
use time::OffsetDateTime;
use tokio::sync::OnceCell;

/// Where talos-gen writes the credentials, in the cluster's folder.
const TALOSCONFIG: &str = "talosconfig";

/// The client credentials that `Cluster.status.access` refers to, read once.
#[derive(Debug, Default)]
pub struct Credentials {
    context: Option<String>,
    identity: OnceCell<Arc<Identity>>,
}

/// Credentials that a step found without waiting for them.
#[derive(Debug)]
pub struct AtHand {
    /// Who we are to the nodes.
    pub identity: Identity,
    /// Where the talosconfig says that the cluster answers.
    pub endpoints: Vec<Address>,
    /// The file, absolute.
    pub talosconfig: PathBuf,
}

impl Credentials {
    /// Those of this context, an empty name being the current one; else of the one with the cluster's name, else of the
    /// current one.
    pub fn of_context(context: Option<String>) -> Self {
        Self { context, identity: OnceCell::new() }
    }

    /// Waits for the credentials. `None` in a dry run that has only planned them.
    ///
    /// # Errors
    /// They are missing, can't be read, have expired, or belong to another cluster.
    pub async fn get(&self, run: &Run) -> Result<Option<Arc<Identity>>, Stop> {
        let need = match self.beside(run)? {
            Some(access) => Need::Here(access),
            None => run.cluster_need::<Access>().await?,
        };
        match need {
            Need::Planned(_) => Ok(None),
            Need::Here(access) => {
                let identity =
                    self.identity.get_or_try_init(|| async { self.load(run, &access).map(Arc::new) }).await?;
                Ok(Some(Arc::clone(identity)))
            }
        }
    }

    /// The credentials, if they have already arrived: for a step that can do without, and so doesn't wait.
    ///
    /// # Errors
    /// They exist but can't be read, have expired, or belong to another cluster.
    pub async fn if_there(&self, run: &Run) -> Result<Option<Arc<Identity>>, Stop> {
        if run.cluster().has::<Access>() {
            return self.get(run).await;
        }
        if !self.beside(run).is_ok_and(|access| access.is_some()) {
            return Ok(None);
        }
        // Who can do without isn't refused for a file of an earlier run.
        match self.get(run).await {
            Err(Stop::Failed(_)) => Ok(None),
            found => found,
        }
    }

    /// The credentials of the stream, else those of the cluster's folder, whoever read the cluster file; `None` if neither
    /// has any. It doesn't wait, and is for a guard that asks if it can.
    ///
    /// # Errors
    /// They are there but can't be read, have expired, or belong to another cluster.
    pub fn at_hand(run: &Run) -> Result<Option<AtHand>, Failure> {
        let (cluster, dir) = (run.cluster(), run.dir()?);
        let access = match cluster.get::<Access>()?.filter(|_| !cluster.is_planned::<Access>()) {
            Some(access) => access,
            None if dir.read(TALOSCONFIG)?.is_none() => return Ok(None),
            None => {
                let ca256 = dir.lock()?.and_then(|lock| lock.ca256().map(str::to_owned)).unwrap_or_default();
                Access { talosconfig: TALOSCONFIG.to_owned(), ca256, ..Access::default() }
            }
        };
        let (identity, endpoints) = Self::default().open(run, &access)?;
        let endpoints = endpoints.iter().filter_map(|endpoint| endpoint.parse().ok()).collect();
        Ok(Some(AtHand { identity, endpoints, talosconfig: dir.path(&access.talosconfig) }))
    }

    /// The talosconfig of an earlier run, for a step that reads the cluster file itself: `talos-wait -f cluster.yaml`.
    fn beside(&self, run: &Run) -> Result<Option<Access>, Failure> {
        if !run.is_first() || run.dir()?.read(TALOSCONFIG)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Access { talosconfig: TALOSCONFIG.to_owned(), ..Access::default() }))
    }

    fn load(&self, run: &Run, access: &Access) -> Result<Identity, Failure> {
        self.open(run, access).map(|(identity, _)| identity)
    }

    /// The identity, and the endpoints of its context.
    fn open(&self, run: &Run, access: &Access) -> Result<(Identity, Vec<String>), Failure> {
        let dir = run.dir()?;
        let file = dir.path(&access.talosconfig);
        let unusable = |why: &dyn std::error::Error| {
            Failure::caused(Exit::Unusable, Code::Talosconfig, file.display().to_string(), why)
                .hint("talos-gen writes the talosconfig")
        };
        let bytes = dir.read(&access.talosconfig)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        step::protect_keys(&text);
        let config = Talosconfig::parse(&text).map_err(|error| unusable(&error))?;
        let context = self.choose(&config, run.cluster().name()).map_err(|error| unusable(&error))?;
        checked(context, access, OffsetDateTime::now_utc())?;
        let ca = context.ca_pem().map_err(|error| unusable(&error))?;
        let ours = context.identity().map_err(|error| unusable(&error))?;
        let identity = Identity::from_pem(&ca, &ours.crt, ours.key.expose()).map_err(|error| unusable(&error))?;
        Ok((identity, context.endpoints.clone()))
    }

    fn choose<'a>(&self, config: &'a Talosconfig, cluster: &str) -> Result<&'a Context, talosconfig::Error> {
        match &self.context {
            Some(name) => config.context(name),
            None => config.context(cluster).or_else(|_| config.context("")),
        }
    }
}

/// Refuses credentials of a cluster other than the record's, and those that a node no longer accepts.
fn checked(context: &Context, access: &Access, now: OffsetDateTime) -> Result<(), Failure> {
    let other = context.ca256().is_ok_and(|ca256| !access.ca256.is_empty() && ca256 != access.ca256);
    if other {
        let message = format!("{}: its certificate authority is not this cluster's", access.talosconfig);
        return Err(Failure::new(Exit::Unusable, Code::OtherCluster, message).hint("run talos-gen again"));
    }
    match context.not_after() {
        Ok(end) if end <= now => {
            let message = format!("{}: the client certificate has expired ({})", access.talosconfig, end.date());
            Err(Failure::new(Exit::NotAllowed, Code::Expired, message).hint("run talos-gen: it creates a new one"))
        }
        _ => Ok(()),
    }
}
