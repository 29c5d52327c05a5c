//! The step.

use std::{collections::BTreeMap, path::PathBuf};

use factory_client::Client;
use record::{
    Change, Cluster, Code, Effect, Exit, Failure, Node, Roster,
    spec::ProxmoxSpec,
    status,
    table::{self, Row},
};
use schematic::{FACTORY_VARIABLE, Image, Source as Schematic, Wanted};
use step::{Flags, Job, Run, Source, Step, Stop};

use crate::{
    alone,
    args::{Args, Kind},
    error::Error,
    plan,
    storage::{Copy, Found, Place},
};

/// Puts an image where the VMs can use it.
pub(crate) struct TalosImage {
    kind: Kind,
    token_file: Option<PathBuf>,
}

impl Step for TalosImage {
    type Args = Args;
    type Shared = ();

    const ROWS: &'static [&'static Row] = &[&table::TALOS_IMAGE];

    fn flags(args: &Args) -> Flags {
        Flags::from(args.stream.clone()).raw(args.raw)
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        let source = match &args.alone.talos_version {
            Some(_) if args.stream.file.is_some() => {
                return Err(Failure::new(Exit::Usage, Code::Usage, "-f and --talos-version can't be used together"));
            }
            Some(version) => {
                let spec = alone::spec(&args.alone, version)?;
                Source::Records(Box::new(Cluster::new("talos", spec, Roster::default())), Vec::new())
            }
            None => Source::Input,
        };
        Ok(Job::Stream(Self { kind: args.kind, token_file: args.token_file }, source))
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        let spec = run.cluster().typed_spec()?;
        let wanted = plan::wanted(&spec.talos, step::variable(FACTORY_VARIABLE).as_deref())?;
        let client = Client::new(wanted.factory.clone())?;
        let image = self.registered(&run, &client, &wanted).await?;
        let mut status = status::Image {
            schematic: image.schematic.clone(),
            version: image.version.to_string(),
            url: client.base().image(&image),
            installer: plan::installer(&wanted, &image),
            ..status::Image::default()
        };
        let images = spec.proxmox.as_ref().and_then(|proxmox| proxmox.images.as_ref().map(|images| (proxmox, images)));
        let (effect, changes) = match images {
            Some((proxmox, storage)) => self.deliver(&run, &client, &image, proxmox, storage, &mut status).await?,
            None => (Effect::Unchanged, Vec::new()),
        };
        run.write_cluster(&status, effect, changes);
        Ok(())
    }

    fn acts_on(&self, _: &Node) -> bool {
        false
    }

    fn result(&self, _: &Run, cluster: &Cluster) -> Result<String, Failure> {
        let image: Option<status::Image> = cluster.get()?;
        Ok(image.map(|image| image.url + "\n").unwrap_or_default())
    }
}

impl TalosImage {
    /// The image, after its extensions were checked and its schematic was registered.
    async fn registered(&self, run: &Run, client: &Client, wanted: &Wanted) -> Result<Image, Failure> {
        if !wanted.schematic.extensions().is_empty() {
            let known = client.extensions(wanted.version).await?;
            if let Some(missing) = plan::missing(wanted, &known) {
                return Err(missing.into());
            }
        }
        let id = match &wanted.schematic {
            Schematic::Text { canonical, id, .. } if !run.is_dry_run() => {
                let theirs = client.register(canonical).await?;
                if theirs != *id {
                    run.warn(&format!(
                        "the factory reports the schematic ID {theirs}, we computed {id}; the factory's is used"
                    ));
                }
                theirs
            }
            Schematic::Text { .. } => wanted.schematic.id().to_owned(),
            Schematic::Id(id) => match client.knows(id).await? {
                true => id.clone(),
                false => return Err(Error::UnknownSchematic { base: client.base().to_string(), id: id.clone() }.into()),
            },
        };
        Ok(plan::image(wanted, &id, &self.kind)?)
    }

    /// Puts the image onto every host that has the storage.
    async fn deliver(
        &self,
        run: &Run,
        client: &Client,
        image: &Image,
        proxmox: &ProxmoxSpec,
        storage: &str,
        status: &mut status::Image,
    ) -> Result<(Effect, Vec<Change>), Failure> {
        if !["qcow2", "raw"].contains(&self.kind.image_format.as_str()) {
            return Err(Error::NotImportable(self.kind.image_format.clone()).into());
        }
        let pve = pve_access::connect(proxmox, self.token_file.clone())?;
        let place = Place { storage: storage.to_owned(), file: image.stored_file() };
        let Found { volumes, absent, copies } = place.look(&pve).await?;
        status.volumes = volumes;
        let locked = run.dir()?.lock()?.and_then(|lock| lock.image(&status.url).map(str::to_owned));
        if run.is_dry_run() {
            status.sha256 = locked;
            let effect = if absent.is_empty() { Effect::Unchanged } else { Effect::Pending };
            return Ok((effect, downloads(&absent, &status.volumes)));
        }
        let sha256 = match locked {
            Some(sha256) => sha256,
            None => first_read(run, client, image, &status.url).await?,
        };
        status.sha256 = Some(sha256.clone());
        let marks = run
            .dir()?
            .lock()?
            .map(|lock| copies.iter().map(|copy| lock.copy(&copy.place()).map(str::to_owned)).collect());
        let marks: Vec<Option<String>> = marks.unwrap_or_default();
        for (copy, mark) in copies.iter().zip(marks).filter(|(copy, mark)| mark.as_ref() != Some(&copy.mark(&sha256))) {
            let why = if mark.is_some() { "it has changed" } else { "it was never compared" };
            run.announce(&format!("{} compares the image that it has with its digest: {why}", copy.host));
            place.verify(&pve, &copy.host, &status.url, &sha256).await?;
            remember(run, copy, &sha256)?;
        }
        if absent.is_empty() {
            return Ok((Effect::Unchanged, Vec::new()));
        }
        client.prepare(image).await?;
        run.announce(&format!("downloading {} to {storage} on {}", status.url, absent.join(", ")));
        place.download_to(&pve, &absent, &status.url, &sha256, |what| run.announce(what)).await?;
        for host in &absent {
            if let Some(copy) = place.copy(&pve, host).await? {
                remember(run, &copy, &sha256)?;
            }
        }
        Ok((Effect::Changed, downloads(&absent, &status.volumes)))
    }
}

/// Notes in ichor.lock that a host has compared its file with the digest.
fn remember(run: &Run, copy: &Copy, sha256: &str) -> Result<(), Failure> {
    run.dir()?.update_lock(|lock| lock.set_copy(&copy.place(), &copy.mark(sha256)))
}

/// The changes that downloading the image to these hosts makes.
fn downloads(hosts: &[String], volumes: &BTreeMap<String, String>) -> Vec<Change> {
    let added =
        |host: &String| Change::live(format!("image on {host}")).to(volumes.get(host).cloned().unwrap_or_default());
    hosts.iter().map(added).collect()
}

/// Reads an image once, and locks its digest.
async fn first_read(run: &Run, client: &Client, image: &Image, url: &str) -> Result<String, Failure> {
    client.prepare(image).await?;
    run.announce(&format!("reading {url} once, to lock its digest"));
    let read = async {
        match client.fetch(url).await {
            // Nothing was stored, so starting again costs only time.
            Err(error) if error.is_transient() => client.fetch(url).await,
            read => read,
        }
    };
    let stopping = run.stopping();
    let fetched = tokio::select! {
        fetched = read => fetched?,
        () = stopping.cancelled() => return Err(Failure::interrupted()),
    };
    run.dir()?.update_lock(|lock| match lock.image(url) {
        // Another run locked it meanwhile: its digest is used, and the host checks against it.
        Some(sha256) => sha256.to_owned(),
        None => {
            lock.set_image(url, &fetched.sha256);
            fetched.sha256
        }
    })
}
