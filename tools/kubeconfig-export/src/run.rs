//! The step.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use patience::{Attempt, Deadline};
use record::{Change, Cluster, Failure, Node, Role, status, table::Row};
use step::{Job, Need, Run, Source, Step, Stop};
use talos_access::{Credentials, Met, attempt, meet};
use talos_client::{Address, Identity};
use time::OffsetDateTime;

use crate::{
    args::Args,
    document::{Document, Way},
    error::Error,
    merge::merge,
    place, plan,
};

/// Exports the kubeconfig.
pub(crate) struct Export {
    credentials: Credentials,
    to: Option<PathBuf>,
    merge: bool,
    force: bool,
    wishes: plan::Wishes,
    alone: bool,
    product: Mutex<Option<String>>,
}

impl Step for Export {
    type Args = Args;

    fn row() -> &'static Row {
        record::table::row("kubeconfig-export").expect("the table has every step")
    }

    fn flags(args: &Args) -> &step::Flags {
        &args.flags
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        if args.to.as_deref() == Some(Path::new("-")) {
            let failure = Failure::new(record::Exit::Usage, "usage", "--to - would mix the kubeconfig with records");
            return Err(failure.hint("--raw prints only the kubeconfig"));
        }
        let alone = args.talos.is_alone();
        let source = if alone {
            let alone = talos_access::alone(&args.talos, Role::ControlPlane)?;
            Source::Records(Box::new(alone.cluster), alone.nodes)
        } else {
            Source::Input
        };
        let export = Self {
            credentials: Credentials::of_context(args.talos.context),
            to: args.to,
            merge: args.merge,
            force: args.force,
            wishes: plan::Wishes { context: args.force_context_name, server: args.server },
            alone,
            product: Mutex::new(None),
        };
        Ok(Job::Stream(export, source))
    }

    fn acts_on(&self, _node: &Node) -> bool {
        false
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        let planned = self.has_steps_before(&run)
            && matches!(run.cluster_need::<status::Bootstrap>("bootstrap").await?, Need::Planned(_));
        let identity = self.credentials.get(&run).await?;
        let (Some(identity), false) = (identity, planned) else {
            run.write_cluster("kubeconfig", &status::Kubeconfig::default(), Change::Pending);
            return Ok(());
        };
        let text = fetch(&run, &identity).await?;
        let (made, way) = plan::made(&text, &self.wishes).map_err(Failure::from)?;
        self.deliver(&run, &made, &way).await
    }

    fn product(&self, _run: &Run, _cluster: &Cluster) -> Result<String, Failure> {
        let product = self.product.lock().unwrap_or_else(PoisonError::into_inner).clone();
        product.ok_or_else(|| Failure::new(record::Exit::Failed, "no-product", "there is no kubeconfig to print"))
    }
}

impl Export {
    /// Whether it stands in a pipe behind the step that starts etcd. Alone, or from a cluster file, whether the cluster
    /// has a kubeconfig to give is for its nodes to say.
    fn has_steps_before(&self, run: &Run) -> bool {
        !self.alone && !run.is_first()
    }

    /// Writes the file, unless it is good enough as it is, and the record.
    async fn deliver(&self, run: &Run, made: &Document, way: &Way) -> Result<(), Stop> {
        let flags = run.flags();
        if (flags.raw || flags.inline) && self.to.is_none() && !self.merge {
            let text = made.text();
            self.keep(text.clone());
            let kubeconfig = status::Kubeconfig {
                context: way.context.clone(),
                server: way.server.clone(),
                sha256: flags.inline.then(|| step::sha256(text.as_bytes())),
                inline: flags.inline.then_some(text),
                ..status::Kubeconfig::default()
            };
            run.write_cluster("kubeconfig", &kubeconfig, Change::Unchanged);
            return Ok(());
        }
        let products = run.products()?;
        let file = place::file(self.to.as_deref(), self.merge, &products.path("kubeconfig")).map_err(Failure::from)?;
        let _turn = if run.is_dry_run() { None } else { Some(turn(run, &file).await?) };
        let (text, way, change) = self.settle(run, &file, made, way).map_err(Failure::from)?;
        let shown = file.strip_prefix(products.path("")).unwrap_or(&file).display().to_string();
        let kubeconfig = status::Kubeconfig {
            file: Some(shown),
            context: way.context,
            server: way.server,
            sha256: Some(step::sha256(text.as_bytes())),
            inline: None,
        };
        self.keep(text);
        run.write_cluster("kubeconfig", &kubeconfig, change);
        Ok(())
    }

    /// What the file holds in the end, the context in it, and whether it was changed.
    fn settle(&self, run: &Run, file: &Path, made: &Document, way: &Way) -> Result<(String, Way, Change), Error> {
        let existing = place::read(file)?;
        let parsed = existing.as_deref().map(Document::parse);
        if let (Some(text), Some(Ok(document))) = (&existing, &parsed)
            && let Some(good) = plan::good_enough(document, way, &self.wishes, OffsetDateTime::now_utc())
        {
            return Ok((text.clone(), good, Change::Unchanged));
        }
        let (document, said) = self.wanted(file, parsed, made, way)?;
        let context = document.current().unwrap_or_default().to_owned();
        let way = document.way(&context).unwrap_or_else(|| way.clone());
        let text = document.text();
        if run.is_dry_run() {
            return Ok((text, way, Change::Pending));
        }
        place::write(file, &text)?;
        said.iter().for_each(|said| run.announce(said));
        run.announce(&format!("wrote {} (context {})", file.display(), way.context));
        Ok((text, way, Change::Changed))
    }

    fn wanted(
        &self,
        file: &Path,
        existing: Option<Result<Document, String>>,
        made: &Document,
        way: &Way,
    ) -> Result<(Document, Vec<String>), Error> {
        match existing {
            Some(Err(why)) if self.merge || !self.force => Err(Error::NotKubeconfig { file: file.to_owned(), why }),
            Some(Ok(mut existing)) if self.merge => {
                let said = merge(&mut existing, made, way, self.force);
                Ok((existing, said))
            }
            Some(Ok(existing)) if !self.force && !plan::is_all_of(&existing, way) => {
                Err(Error::OtherCluster { file: file.to_owned() })
            }
            _ => Ok((made.clone(), Vec::new())),
        }
    }

    fn keep(&self, text: String) {
        *self.product.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// Waits for the turn to change the file: of two merges at the same time one would be lost.
async fn turn(run: &Run, file: &Path) -> Result<place::Turn, Stop> {
    let ask = || {
        std::future::ready(match place::turn(file) {
            Ok(Some(turn)) => Attempt::Ready(turn),
            Ok(None) => Attempt::NotYet(format!("another run writes to the folder of {}", file.display())),
            Err(error) => Attempt::Failed(error.into()),
        })
    };
    talos_access::until_for(run, None, Deadline::within(run.wait_timeout()), ask).await
}

/// Fetches a kubeconfig from the first control plane that gives one.
async fn fetch(run: &Run, identity: &Arc<Identity>) -> Result<String, Stop> {
    let usable = |node: &Node| !node.has_error() && node.address().is_some();
    let nodes = run.some_control_plane(usable).await?;
    let addresses: Vec<Address> =
        nodes.iter().filter(|node| usable(node)).filter_map(|node| node.address()?.parse().ok()).collect();
    if addresses.is_empty() {
        let Some(node) = nodes.iter().find(|node| !node.has_error()) else { return Err(Stop::Explained) };
        talos_access::address(run, node)?;
    }
    let deadline = Deadline::within(run.wait_timeout());
    talos_access::until_for(run, None, deadline, || try_all(&addresses, identity)).await
}

/// Asks one after the other. What one of them refuses for good, the others would refuse as well.
async fn try_all(addresses: &[Address], identity: &Identity) -> Attempt<String, Failure> {
    let mut status = "no control plane is known".to_owned();
    for address in addresses {
        let found = match meet(address, Some(identity)).await {
            Attempt::Ready(Met::Ours(found)) => attempt(found.node.kubeconfig().await),
            Attempt::Ready(Met::Maintenance(_)) => Attempt::NotYet(format!("{address} is in maintenance")),
            Attempt::NotYet(status) => Attempt::NotYet(status),
            Attempt::Failed(failure) => Attempt::Failed(failure),
        };
        match found {
            Attempt::NotYet(why) => status = why,
            done => return done,
        }
    }
    Attempt::NotYet(status)
}
