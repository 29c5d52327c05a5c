//! The step.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use record::{
    Change, Cluster, Code, Effect, Exit, Failure, Node, Role, status,
    table::{self, Row},
};
use step::{Flags, Hold, Job, Need, Run, Source, Step, Stop};
use talos_access::{Answer, Credentials, ask, for_admins};
use talos_client::{Address, Identity};
use time::OffsetDateTime;

use crate::{
    args::Args,
    document::{Document, ResolvedContext},
    error::Error,
    place,
    plan::{self, Wanted},
};

/// Exports the kubeconfig.
pub(crate) struct Export {
    credentials: Credentials,
    to: Option<PathBuf>,
    merge: bool,
    force: bool,
    overrides: plan::Overrides,
    alone: bool,
    kubeconfig: Mutex<Option<String>>,
}

impl Step for Export {
    type Args = Args;
    type Shared = ();

    const ROWS: &'static [&'static Row] = &[&table::KUBECONFIG_EXPORT];

    fn flags(args: &Args) -> Flags {
        Flags::from(args.stream.clone()).wait(args.wait).raw(args.raw).inline(args.inline)
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        if args.to.as_deref() == Some(Path::new("-")) {
            let failure = Failure::new(Exit::Usage, Code::Usage, "--to - would mix the kubeconfig with records");
            return Err(failure.hint("--raw prints only the kubeconfig"));
        }
        step::exclusive(&[("--raw", args.raw.raw), ("--merge", args.merge)])?;
        args.talos.check_but_dir(&args.stream)?;
        let alone = args.talos.is_alone();
        let source = if alone {
            let alone = talos_access::alone(&args.talos, Role::ControlPlane)?;
            Source::Records(Box::new(alone.cluster), alone.nodes)
        } else {
            Source::Input
        };
        let export = Self {
            credentials: args.talos.credentials(true)?,
            to: args.to,
            merge: args.merge,
            force: args.force,
            overrides: plan::Overrides { context: args.force_context_name, server: args.server },
            alone,
            kubeconfig: Mutex::new(None),
        };
        Ok(Job::Stream(export, source))
    }

    fn acts_on(&self, _node: &Node) -> bool {
        false
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        let planned =
            self.has_steps_before(&run) && matches!(run.cluster_need::<status::Bootstrap>().await?, Need::Planned(_));
        let identity = self.credentials.get(&run).await?;
        let (Some(identity), false) = (identity, planned) else {
            run.write_cluster(&status::Kubeconfig::default(), Effect::Pending, vec![Change::live("kubeconfig")]);
            return Ok(());
        };
        let text = fetch(&run, &identity).await?;
        let (made, resolved) = plan::made(&text, &self.overrides)?;
        self.deliver(&run, &made, &resolved).await
    }

    fn result(&self, _run: &Run, _cluster: &Cluster) -> Result<String, Failure> {
        let kubeconfig = self.kubeconfig.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kubeconfig.ok_or_else(|| Failure::new(Exit::Failed, Code::NoResult, "there is no kubeconfig to print"))
    }
}

impl Export {
    /// Whether earlier steps of the pipe bootstrap etcd. If not, the nodes themselves show whether they have a
    /// kubeconfig.
    fn has_steps_before(&self, run: &Run) -> bool {
        !self.alone && !run.is_first()
    }

    /// Writes the file, unless it is already good enough, and the record.
    async fn deliver(&self, run: &Run, made: &Document, resolved: &ResolvedContext) -> Result<(), Stop> {
        let flags = run.flags();
        if (flags.raw || flags.inline) && self.to.is_none() && !self.merge {
            let text = made.text();
            self.keep(text.clone());
            let kubeconfig = status::Kubeconfig {
                context: resolved.context.clone(),
                server: resolved.server.clone(),
                sha256: flags.inline.then(|| step::sha256(text.as_bytes())),
                inline: flags.inline.then_some(text),
                ..status::Kubeconfig::default()
            };
            run.write_cluster(&kubeconfig, Effect::Unchanged, Vec::new());
            return Ok(());
        }
        let dir = run.dir()?;
        let file = place::file(self.to.as_deref(), self.merge, &dir.path("kubeconfig"))?;
        let _lock = if run.is_dry_run() { None } else { Some(lock(run, &file).await?) };
        let (text, resolved, effect) = self.write(run, &file, made, resolved)?;
        let shown = file.strip_prefix(dir.path("")).unwrap_or(&file).display().to_string();
        let kubeconfig = status::Kubeconfig {
            file: Some(shown),
            context: resolved.context,
            server: resolved.server,
            sha256: Some(step::sha256(text.as_bytes())),
            inline: None,
        };
        self.keep(text);
        let changes = match effect {
            Effect::Unchanged => Vec::new(),
            Effect::Changed | Effect::Pending => {
                vec![Change::live(file.display().to_string()).to(format!("context {}", kubeconfig.context))]
            }
        };
        run.write_cluster(&kubeconfig, effect, changes);
        Ok(())
    }

    /// The final content of the file, the context in it, and whether it was changed.
    fn write(
        &self,
        run: &Run,
        file: &Path,
        made: &Document,
        resolved: &ResolvedContext,
    ) -> Result<(String, ResolvedContext, Effect), Error> {
        let existing = place::read(file)?;
        if let Some(text) = &existing
            && let Ok(document) = Document::parse(text)
            && let Some(good) =
                plan::good_enough(&document, resolved, &self.overrides, self.force, OffsetDateTime::now_utc())
        {
            return Ok((text.clone(), good, Effect::Unchanged));
        }
        let flags = (self.merge, self.force);
        let Wanted { document, said, lost } = plan::wanted(file, existing.as_deref(), (made, resolved), flags)?;
        let context = document.current().unwrap_or_default().to_owned();
        let resolved = document.resolve(&context).unwrap_or_else(|| resolved.clone());
        let text = document.text();
        if run.is_dry_run() {
            return Ok((text, resolved, Effect::Pending));
        }
        if let Some(copy) = place::replace(file, existing.as_deref(), &text, lost)? {
            run.announce(&format!(
                "not all of {} could be kept; as it was, it is in {}",
                file.display(),
                copy.display()
            ));
        }
        said.iter().for_each(|said| run.announce(said));
        run.announce(&format!("wrote {} (context {})", file.display(), resolved.context));
        Ok((text, resolved, Effect::Changed))
    }

    fn keep(&self, text: String) {
        *self.kubeconfig.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// Waits until no other run writes to the folder: of two merges at the same time, one would be lost.
async fn lock(run: &Run, file: &Path) -> Result<place::FolderLock, Stop> {
    let busy = || Hold::not_yet(format!("another run writes to the folder of {}", file.display()));
    let look = || std::future::ready(place::lock(file).map_err(Hold::from).and_then(|lock| lock.ok_or_else(busy)));
    run.wait_for_cluster().until(look).await
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
    run.wait_for_cluster().until(|| try_all(&addresses, identity)).await
}

/// Asks one after the other; a final refusal of one ends it, since the others would refuse as well.
async fn try_all(addresses: &[Address], identity: &Identity) -> Result<String, Hold> {
    let mut last = Hold::not_yet("no control plane is known");
    for address in addresses {
        match kubeconfig(address, identity).await.map_err(for_admins) {
            Err(hold @ Hold::NotYet(_)) => last = hold,
            done => return done,
        }
    }
    Err(last)
}

async fn kubeconfig(address: &Address, identity: &Identity) -> Result<String, Hold> {
    match ask(address, Some(identity)).await? {
        Answer::Ours(found) => {
            let text = match found.node.kubeconfig().await.map_err(Hold::from) {
                Err(Hold::NotYet(why)) => return Err(Hold::NotYet(found.node.because(&why).await)),
                answer => answer?,
            };
            step::protect_keys(&text);
            Ok(text)
        }
        Answer::Maintenance(_) => Err(Hold::not_yet(format!("{address} is in maintenance"))),
    }
}
