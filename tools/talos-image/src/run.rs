//! The step.

use factory_client::Client;
use pve_access::TokenFlag;
use record::{
    Cluster, Code, Effect, Exit, Failure, Node, Roster,
    spec::Via,
    status,
    table::{self, Row},
};
use schematic::{FACTORY_VARIABLE, Image, Source as Schematic, Wanted};
use step::{Flags, Job, Run, Source, Step, Stop};

use crate::{
    alone,
    args::{Args, Kind},
    delivery::Delivery,
    error::Error,
    plan,
    storage::Place,
};

/// Puts an image where the VMs can use it.
pub(crate) struct TalosImage {
    kind: Kind,
    token: TokenFlag,
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
        Ok(Job::Stream(Self { kind: args.kind, token: args.token }, source))
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        let spec = run.cluster().typed_spec()?;
        let wanted = plan::wanted(&spec.talos, step::variable(FACTORY_VARIABLE).as_deref())?;
        let client = Client::new(wanted.factory.clone())?;
        let images = spec.proxmox.as_ref().and_then(|proxmox| proxmox.images.as_ref().map(|images| (proxmox, images)));
        // What is wrong with the settings or the token is told before the factory is asked for anything.
        let pve = match images {
            Some((proxmox, _)) => Some(self.token.connect(&run, proxmox, true).await?),
            None => None,
        };
        let _silent = pve.as_ref().map(|pve| pve_access::Silent::told(&run, pve));
        let image = self.registered(&run, &client, &wanted, images.map(|(_, images)| images.via)).await?;
        let mut status = status::Image {
            schematic: image.schematic.clone(),
            version: image.version.to_string(),
            url: client.base().image(&image),
            installer: plan::installer(&wanted, &image),
            ..status::Image::default()
        };
        let (effect, changes) = match images.zip(pve) {
            Some(((_, images), pve)) => {
                let place = Place { storage: images.storage.clone(), file: image.stored_file(), via: images.via };
                let delivery = Delivery { run: &run, factory: &client, image: &image, pve, place };
                delivery.deliver(&mut status).await?
            }
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
    async fn registered(
        &self,
        run: &Run,
        client: &Client,
        wanted: &Wanted,
        via: Option<Via>,
    ) -> Result<Image, Failure> {
        // What the flags and the file say about the format is refused before anything is asked.
        plan::image(wanted, "", &self.kind, via)?;
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
        Ok(plan::image(wanted, &id, &self.kind, via)?)
    }
}
