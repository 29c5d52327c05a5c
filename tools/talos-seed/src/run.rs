//! The step.

use std::sync::OnceLock;

use config_rules::{Mode, validate};
use machine_config::{Contract, MachineType};
use pve_access::{Silent, Sources, TokenFlag};
use pve_client::{Client, Rights, request};
use record::{
    Failure, Node, status,
    table::{self, Row},
};
use step::{Claim, Flags, Job, Need, Run, Source, Step, Stop, Written};

use crate::{
    args::Args,
    cidata,
    error::Error,
    seeding::{Seeding, planned},
};

/// Starts new VMs with their configs.
pub(crate) struct TalosSeed {
    token: TokenFlag,
}

/// What the nodes share.
pub(crate) struct Shared {
    pub(crate) pve: Client,
    pub(crate) rights: Rights,
    /// Where the discs go.
    pub(crate) storage: String,
    /// The pool of the VMs.
    pub(crate) pool: Option<String>,
    pub(crate) sources: Sources,
    /// Whether it was said who can read a disc.
    pub(crate) warned: OnceLock<()>,
    /// Held by a run that changes anything.
    _claim: Option<Claim>,
    _silent: Silent,
}

impl Step for TalosSeed {
    type Args = Args;
    type Shared = Shared;

    const ROWS: &'static [&'static Row] = &[&table::TALOS_SEED];

    fn detail(node: &Node) -> String {
        let volume = node.get::<status::Seed>().ok().flatten().and_then(|seed| seed.volume);
        volume.map(|volume| format!("seed {volume}")).unwrap_or_default()
    }

    fn flags(args: &Args) -> Flags {
        Flags::from(args.stream.clone()).parallel(args.parallel).wait(args.wait)
    }

    fn prepare(args: Args) -> Result<Job<Self>, Failure> {
        Ok(Job::Stream(Self { token: args.token }, Source::Input))
    }

    async fn cluster(&self, run: Run) -> Result<Shared, Stop> {
        let proxmox = run.cluster().typed_spec()?.proxmox.unwrap_or_default();
        let storage = proxmox.seeds.clone().ok_or(Error::NoStorage)?;
        let pve = self.token.connect(&run, &proxmox, true).await?;
        let silent = Silent::told(&run, &pve);
        let claim = if run.is_dry_run() { None } else { Some(run.claim().await?) };
        let rights = Rights::from(pve.ask(&request::permissions()).await?);
        let (sources, warned) = (Sources::default(), OnceLock::new());
        Ok(Shared { pve, rights, storage, pool: proxmox.pool, sources, warned, _claim: claim, _silent: silent })
    }

    async fn node(&self, run: Run, shared: &Shared, node: &Node) -> Result<Written, Stop> {
        let Need::Here(config) = run.need::<status::Config>(node)? else { return Ok(planned(&shared.storage)) };
        let config = wanted(&run, node, &config)?;
        let vm = run.need::<status::Vm>(node)?.value();
        match vm.id {
            None if run.is_dry_run() => {
                run.say(node, "would start it with its config on a disc");
                Ok(planned(&shared.storage))
            }
            None => Err(Error::NoVm.into()),
            Some(vmid) => Seeding::new(&run, shared, node, &vm, vmid, config)?.done().await,
        }
    }
}

/// The node's config, once it is certain that its Talos takes it: nobody could tell it otherwise any more.
fn wanted(run: &Run, node: &Node, config: &status::Config) -> Result<String, Failure> {
    let bytes = talos_access::config_bytes(run, config)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::NotText)?;
    step::protect_keys(&text);
    let config = machine_config::load(&text).map_err(Error::Config)?;
    step::protect(machine_config::secret_values(&config));
    let wanted = if node.is_control_plane() { MachineType::ControlPlane } else { MachineType::Worker };
    if config.machine_type() != Some(wanted) {
        let found = config.machine_type().map_or("(nothing)", MachineType::as_str);
        return Err(Error::OtherRole { config: found.to_owned(), node: wanted.as_str().to_owned() }.into());
    }
    if let Some(word) = cidata::misread(&text) {
        return Err(Error::Misread(word).into());
    }
    let version = run.cluster().typed_spec()?.talos.version;
    let contract = Contract::parse(&version).map_err(|error| Error::Version(error.to_string()))?;
    let report = validate(&config, Mode::Cloud, contract);
    match report.errors.is_empty() {
        true => Ok(text),
        false => Err(Error::Invalid { version, errors: report.errors }.into()),
    }
}
