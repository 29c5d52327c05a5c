//! The client credentials that a stream refers to.

use std::sync::Arc;

use record::{Exit, Failure, status::Access};
use step::{Need, Run, Stop};
use talos_client::Identity;
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

impl Credentials {
    /// Those of this context; else of the one that has the cluster's name, else of the current one.
    pub fn of_context(context: Option<String>) -> Self {
        Self { context, identity: OnceCell::new() }
    }

    /// Waits for the credentials. `None` in a dry run that has only planned them.
    ///
    /// # Errors
    /// They never come, can't be read, have run out, or are another cluster's.
    pub async fn get(&self, run: &Run) -> Result<Option<Arc<Identity>>, Stop> {
        let need = match self.beside(run)? {
            Some(access) => Need::Here(access),
            None => run.cluster_need::<Access>("access").await?,
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

    /// The credentials if the stream has brought them already; a step that can do without doesn't wait.
    ///
    /// # Errors
    /// They are there but can't be read, have run out, or are another cluster's.
    pub async fn if_there(&self, run: &Run) -> Result<Option<Arc<Identity>>, Stop> {
        if run.cluster().status().contains_key("access") { self.get(run).await } else { Ok(None) }
    }

    /// The talosconfig of an earlier run, for a step that reads the cluster file itself: `talos-wait -f cluster.yaml`.
    fn beside(&self, run: &Run) -> Result<Option<Access>, Failure> {
        if !run.is_first() || run.products()?.read(TALOSCONFIG)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Access { talosconfig: TALOSCONFIG.to_owned(), ..Access::default() }))
    }

    fn load(&self, run: &Run, access: &Access) -> Result<Identity, Failure> {
        let products = run.products()?;
        let file = products.path(&access.talosconfig);
        let unusable = |why: &dyn std::error::Error| {
            Failure::caused(Exit::Unusable, "talosconfig", file.display().to_string(), why)
                .hint("talos-gen writes the talosconfig")
        };
        let bytes = products.read(&access.talosconfig)?.unwrap_or_default();
        let config = Talosconfig::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| unusable(&error))?;
        let context = self.choose(&config, run.cluster().name()).map_err(|error| unusable(&error))?;
        checked(context, access, OffsetDateTime::now_utc())?;
        let ca = context.ca_pem().map_err(|error| unusable(&error))?;
        let ours = context.identity().map_err(|error| unusable(&error))?;
        Identity::from_pem(&ca, &ours.crt, ours.key.expose()).map_err(|error| unusable(&error))
    }

    fn choose<'a>(&self, config: &'a Talosconfig, cluster: &str) -> Result<&'a Context, talosconfig::Error> {
        match &self.context {
            Some(name) => config.context(name),
            None => config.context(cluster).or_else(|_| config.context("")),
        }
    }
}

/// Refuses credentials of another cluster than the record names, and such as a node wouldn't accept any more.
fn checked(context: &Context, access: &Access, now: OffsetDateTime) -> Result<(), Failure> {
    let other = context.ca256().is_ok_and(|ca256| !access.ca256.is_empty() && ca256 != access.ca256);
    if other {
        let message = format!("{}: its certificate authority is not the one of this cluster", access.talosconfig);
        return Err(Failure::new(Exit::Unusable, "other-cluster", message).hint("run talos-gen again"));
    }
    match context.not_after() {
        Ok(end) if end <= now => {
            let message = format!("{}: the client certificate has run out ({})", access.talosconfig, end.date());
            Err(Failure::new(Exit::NotAllowed, "expired", message).hint("talos-gen makes a new one"))
        }
        _ => Ok(()),
    }
}
