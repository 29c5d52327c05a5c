//! The commands that stand alone.

use std::path::{Path, PathBuf};

use cluster_pki::{Bundle, Talosconfig};
use machine_config::generate::{Input, Options};
use machine_config::validate::{Mode, contract_of};
use machine_config::yaml::Dialect;
use machine_config::{Contract, MachineType, generate};
use record::{Exit, Failure};
use step::Console;
use time::OffsetDateTime;

use crate::access::{credentials, entropy};
use crate::args::{Command, Config, Diff, Output, Patch, Secrets, Validate};
use crate::error::Error;
use crate::{files, machine, patches};

/// Runs a command.
pub(crate) fn run(command: Command, console: &Console) -> Result<Exit, Failure> {
    match command {
        Command::Secrets(args) => secrets(&args, console),
        Command::Config(args) => config(&args, console),
        Command::Patch(args) => patch(&args, console),
        Command::Validate(args) => validate(&args, console),
        Command::Diff(args) => diff(&args, console),
    }
}

/// A task that panicked or was taken down with the runtime.
pub(crate) fn broken(error: &tokio::task::JoinError) -> Failure {
    Failure::new(Exit::Failed, "internal", format!("a task failed: {error}"))
}

fn contract(version: Option<&str>) -> Result<Contract, Failure> {
    let contract = version.map_or(Ok(Contract::STABLE), Contract::parse);
    contract.map_err(|error| Error::Usage(format!("--talos-version: {error}")).into())
}

fn secrets(args: &Secrets, console: &Console) -> Result<Exit, Failure> {
    let contract = contract(args.talos_version.as_deref())?;
    if args.output_file != "-" && !args.force && Path::new(&args.output_file).exists() {
        let text = format!("file {:?} already exists, use --force to overwrite", args.output_file);
        return Err(Failure::new(Exit::Guard, "exists", text));
    }
    let bundle = match &args.from_controlplane_config {
        Some(path) => from_config(&path.display().to_string())?,
        None => new_bundle(contract)?,
    };
    emit(&args.output_file, bundle.to_yaml().expose(), args.force, console)
}

fn new_bundle(contract: Contract) -> Result<Bundle, Failure> {
    let bundle = Bundle::generate(contract, OffsetDateTime::now_utc(), &mut entropy()?);
    Ok(bundle.map_err(Error::Pki)?)
}

fn from_config(path: &str) -> Result<Bundle, Failure> {
    let config = load(path)?;
    Bundle::from_config(&config).map_err(|source| Error::Bundle { path: path.to_owned(), source }.into())
}

fn load(path: &str) -> Result<machine_config::Config, Failure> {
    let text = files::read(path)?;
    machine_config::load(&text).map_err(|source| Error::Config { path: path.to_owned(), source }.into())
}

/// Writes a product to a file or, for `-`, to stdout.
fn emit(path: &str, text: &str, force: bool, console: &Console) -> Result<Exit, Failure> {
    if path == "-" {
        return Ok(console.out(text.as_bytes()));
    }
    files::write(Path::new(path), text, force)?;
    console.say(None, &format!("wrote {path}"));
    Ok(Exit::Done)
}

fn config(args: &Config, console: &Console) -> Result<Exit, Failure> {
    check_endpoint(&args.endpoint)?;
    let contract = contract(args.talos_version.as_deref())?;
    let kubernetes = kubernetes(args, contract, console);
    let bundle = match &args.with_secrets {
        Some(path) => bundle_of(path)?,
        None => new_bundle(contract)?,
    };
    let input = Input {
        cluster: &args.name,
        endpoint: &args.endpoint,
        contract,
        kubernetes: &kubernetes,
        secrets: bundle.secrets(),
        options: options(args, contract)?,
    };
    let mut exit = Exit::Done;
    let paths = paths(args)?;
    for (output, path) in args.output_types.iter().zip(paths) {
        let text = product(args, *output, &input, &bundle)?;
        exit = emit(&path, &text, args.force, console)?;
    }
    Ok(exit)
}

/// The endpoint must be an https URL, as talosctl has it.
fn check_endpoint(endpoint: &str) -> Result<(), Failure> {
    let usage = |text: String| Err(Error::Usage(text).into());
    match endpoint.split_once("://") {
        None if endpoint.contains(':') => {
            usage(format!("no scheme specified for the cluster endpoint URL; try: \"https://{endpoint}\""))
        }
        None => usage(format!(
            "no scheme and port specified for the cluster endpoint URL; try: \"https://{endpoint}:6443\""
        )),
        Some(("https", _)) if !machine::host(endpoint).is_empty() => Ok(()),
        Some(("https", _)) => usage(format!("the cluster endpoint URL {endpoint:?} has no host")),
        Some(_) => usage("the control plane endpoint URL should have scheme https://".to_owned()),
    }
}

fn kubernetes(args: &Config, contract: Contract, console: &Console) -> String {
    let given = args.kubernetes_version.as_deref().map(|version| version.strip_prefix('v').unwrap_or(version));
    let version = given.unwrap_or_else(|| contract.kubernetes());
    if !contract.supports_kubernetes(version) {
        console.warn(&format!("Talos {contract} does not run Kubernetes {version}"));
    }
    version.to_owned()
}

fn bundle_of(path: &Path) -> Result<Bundle, Failure> {
    let path = path.display().to_string();
    let text = files::read(&path)?;
    Bundle::from_yaml(&text).map_err(|source| Error::Bundle { path, source }.into())
}

fn options(args: &Config, contract: Contract) -> Result<Options, Failure> {
    Ok(Options {
        install_disk: args.install_disk.clone(),
        install_image: args.install_image.clone().unwrap_or_else(|| default_installer(args, contract)),
        sans: args.additional_sans.clone(),
        dns_domain: args.dns_domain.clone(),
        mirrors: mirrors(&args.registry_mirror)?,
        discovery: args.with_cluster_discovery,
        kubespan: args.with_kubespan,
        ..Options::default()
    })
}

/// talosctl's own default carries its own version; the nearest to it is the version that was asked for.
fn default_installer(args: &Config, contract: Contract) -> String {
    let version = args.talos_version.as_deref().unwrap_or_default();
    let tag = match version.matches('.').count() {
        2.. => format!("v{}", version.trim_start_matches('v')),
        _ => format!("{contract}.0"),
    };
    format!("ghcr.io/siderolabs/installer:{tag}")
}

/// `host=url`; a host that comes again gets one more URL.
fn mirrors(given: &[String]) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let mut out: Vec<(String, Vec<String>)> = Vec::new();
    for text in given {
        let Some((host, url)) = text.split_once('=') else {
            return Err(Error::Usage(format!("invalid registry mirror spec: {text:?}")).into());
        };
        match out.iter_mut().find(|(known, _)| known == host) {
            Some((_, urls)) => urls.push(url.to_owned()),
            None => out.push((host.to_owned(), vec![url.to_owned()])),
        }
    }
    Ok(out)
}

fn product(args: &Config, output: Output, input: &Input<'_>, bundle: &Bundle) -> Result<String, Failure> {
    let (machine, own) = match output {
        Output::Controlplane => (MachineType::ControlPlane, &args.config_patch_control_plane),
        Output::Worker => (MachineType::Worker, &args.config_patch_worker),
        Output::Talosconfig => {
            let context = credentials(bundle, Vec::new())?;
            return Ok(Talosconfig::of(&args.name, context).emit().expose().to_owned());
        }
    };
    let mut all = patches::of_flags(&args.config_patch, &files::patch_file)?;
    all.extend(patches::of_flags(own, &files::patch_file)?);
    let (config, _) = patches::apply(generate(input, machine), &all)?;
    Ok(config.text(input.contract.dialect()))
}

/// Where each output goes.
fn paths(args: &Config) -> Result<Vec<String>, Failure> {
    let name = |output: &Output| match output {
        Output::Controlplane => "controlplane.yaml",
        Output::Worker => "worker.yaml",
        Output::Talosconfig => "talosconfig",
    };
    match args.output_types.as_slice() {
        [only] if args.output.is_empty() => Ok(vec![name(only).to_owned()]),
        [_] => Ok(vec![args.output.clone()]),
        _ if args.output == "-" => Err(Error::Usage("can't use multiple output types with stdout".to_owned()).into()),
        many => Ok(many.iter().map(|output| join(&args.output, name(output))).collect()),
    }
}

fn join(folder: &str, name: &str) -> String {
    PathBuf::from(folder).join(name).display().to_string()
}

fn patch(args: &Patch, console: &Console) -> Result<Exit, Failure> {
    let all = patches::of_flags(&args.patch, &files::patch_file)?;
    if all.is_empty() {
        return emit(&args.output, &files::read(&args.config)?, true, console);
    }
    let (config, idle) = patches::apply(load(&args.config)?, &all)?;
    for name in idle {
        console.warn(&format!("patch {name} changes nothing"));
    }
    emit(&args.output, &config.text(Dialect::V3), true, console)
}

fn validate(args: &Validate, console: &Console) -> Result<Exit, Failure> {
    let config = load(&args.config)?;
    // The words of `--mode` are those that the arguments allow.
    let mode = Mode::parse(&args.mode).unwrap_or(Mode::Metal);
    let contract = match &args.talos_version {
        Some(version) => contract(Some(version))?,
        None => contract_of(&config),
    };
    let report = machine_config::validate::validate(&config, mode, contract);
    let report = if args.strict { report.strict() } else { report };
    for warning in &report.warnings {
        console.warn(warning);
    }
    if !report.errors.is_empty() {
        return Err(Error::Invalid(report.errors).into());
    }
    console.say(None, &format!("{} is valid for {} mode", args.config, args.mode));
    Ok(Exit::Done)
}

fn diff(args: &Diff, console: &Console) -> Result<Exit, Failure> {
    let (left, right) = (load(&args.left)?, load(&args.right)?);
    if machine_config::is_same(&left, &right) {
        return Ok(Exit::Done);
    }
    match console.out(machine_config::diff(&left, &right).as_bytes()) {
        Exit::Done => Ok(Exit::Pending),
        other => Ok(other),
    }
}
