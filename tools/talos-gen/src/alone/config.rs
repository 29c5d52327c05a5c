//! `talos-gen config`: what `talosctl gen config` writes.

use std::path::PathBuf;

use cluster_pki::Bundle;
use config_rules::{Mode, losses, validate};
use machine_config::generate::{Input, Options};
use machine_config::{Contract, Gate, MachineType, generate};
use record::{Exit, Failure};
use step::Console;
use talosconfig::Talosconfig;

use super::{bundle_of, check_target, contract, emit, secrets};
use crate::access::credentials;
use crate::args::{Config, Output};
use crate::error::Error;
use crate::patches::{self, Patched};

pub(super) fn config(args: &Config, console: &Console) -> Result<Exit, Failure> {
    if args.with_docs || args.with_examples {
        console.warn("--with-docs and --with-examples: comments are not supported; use `talos-gen explain`");
    }
    let endpoint = endpoint(&args.endpoint)?;
    let contract = contract(args.talos_version.as_deref())?;
    let kubernetes = kubernetes(args, contract, console)?;
    let outputs = outputs(args);
    let paths = paths(args, &outputs)?;
    paths.iter().try_for_each(|path| check_target(path, args.force, console))?;
    let bundle = match &args.with_secrets {
        Some(path) => bundle_of(path)?,
        None => {
            console.say(None, "generating PKI and tokens");
            secrets::new(contract)?
        }
    };
    let input = Input {
        cluster: &args.name,
        endpoint: &endpoint,
        contract,
        kubernetes: &kubernetes,
        secrets: bundle.secrets(),
        options: options(args, contract)?,
    };
    // All are generated before the first is written, so that a failure leaves no files behind.
    let render = |output: &Output| render(args, *output, &input, &bundle, console);
    let texts = outputs.iter().map(render).collect::<Result<Vec<_>, _>>()?;
    let mut exit = Exit::Done;
    for (path, text) in paths.iter().zip(&texts) {
        exit = emit(path, text, args.force, console)?;
    }
    Ok(exit)
}

/// What to write, each once.
fn outputs(args: &Config) -> Vec<Output> {
    let mut out = Vec::new();
    for output in &args.output_types {
        if !out.contains(output) {
            out.push(*output);
        }
    }
    out
}

/// The endpoint as written: an https URL with a host, as talosctl requires it.
fn endpoint(given: &str) -> Result<String, Failure> {
    let usage = |text: String| Err(Error::Usage(text).into());
    match given.split_once("://") {
        None if given.contains(':') => {
            usage(format!("no scheme specified for the cluster endpoint URL; try: \"https://{given}\""))
        }
        None => {
            usage(format!("no scheme and port specified for the cluster endpoint URL; try: \"https://{given}:6443\""))
        }
        Some((scheme, rest)) if !scheme.eq_ignore_ascii_case("https") => usage(format!(
            "the control plane endpoint URL should have scheme https://, not {scheme}://; try: \"https://{rest}\""
        )),
        Some(_) => {
            let Some(url) = go_yaml::url(given) else {
                return usage(format!("the cluster endpoint {given:?} is not a URL"));
            };
            match config_rules::endpoint(&url) {
                Some(why) => usage(format!("the cluster endpoint URL can't be used: {why}")),
                None => Ok(url),
            }
        }
    }
}

fn kubernetes(args: &Config, contract: Contract, console: &Console) -> Result<String, Failure> {
    let given = args.kubernetes_version.as_deref().map(|version| version.strip_prefix('v').unwrap_or(version));
    let version = given.unwrap_or_else(|| contract.kubernetes());
    if version.is_empty() {
        let text = format!("--kubernetes-version is empty; it defaults to {}", contract.kubernetes());
        return Err(Error::Usage(text).into());
    }
    if !contract.supports_kubernetes(version) {
        console.warn(&format!("Talos {contract} does not run Kubernetes {version}"));
    }
    Ok(version.to_owned())
}

fn options(args: &Config, contract: Contract) -> Result<Options, Failure> {
    Ok(Options {
        install_disk: args.install_disk.clone(),
        install_image: args.install_image.clone().unwrap_or_else(|| default_installer(args, contract)),
        sans: args.additional_sans.iter().flat_map(|list| list.iter().cloned()).collect(),
        dns_domain: args.dns_domain.clone(),
        mirrors: mirrors(args.registry_mirror.iter().flat_map(|list| list.iter()), contract)?,
        discovery: args.with_cluster_discovery,
        kubespan: args.with_kubespan,
        ..Options::default()
    })
}

/// The installer without extensions, since Talos publishes no other one (1.14).
const FACTORY_INSTALLER: &str =
    "factory.talos.dev/metal-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

/// talosctl's own default carries its own version; the nearest to it is the version that was asked for.
fn default_installer(args: &Config, contract: Contract) -> String {
    let version = args.talos_version.as_deref().unwrap_or_default();
    let tag = match version.matches('.').count() {
        2.. => format!("v{}", version.trim_start_matches('v')),
        _ => format!("{contract}.0"),
    };
    let repository = if contract.has(Gate::Documents) { FACTORY_INSTALLER } else { "ghcr.io/siderolabs/installer" };
    format!("{repository}:{tag}")
}

/// `host=url`; a host that comes again gets one more URL.
fn mirrors<'a>(
    given: impl Iterator<Item = &'a String>,
    contract: Contract,
) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let mut out: Vec<(String, Vec<String>)> = Vec::new();
    for text in given {
        let Some((host, url)) = text.split_once('=') else {
            return Err(Error::Usage(format!("invalid registry mirror spec: {text:?}; write HOST=URL")).into());
        };
        // Older configs hold the text unchanged.
        if contract.has(Gate::NetworkDocuments) && go_yaml::url(url).is_none() {
            return Err(Error::Usage(format!("failed to parse registry mirror endpoint {url:?} of {host:?}")).into());
        }
        match out.iter_mut().find(|(known, _)| known == host) {
            Some((_, urls)) => urls.push(url.to_owned()),
            None => out.push((host.to_owned(), vec![url.to_owned()])),
        }
    }
    Ok(out)
}

fn render(
    args: &Config,
    output: Output,
    input: &Input<'_>,
    bundle: &Bundle,
    console: &Console,
) -> Result<String, Failure> {
    let (machine, own) = match output {
        Output::Controlplane => (MachineType::ControlPlane, &args.config_patch_control_plane),
        Output::Worker => (MachineType::Worker, &args.config_patch_worker),
        Output::Talosconfig => {
            let context = credentials(bundle, Vec::new())?;
            return Ok(Talosconfig::of(&args.name, context).emit(input.contract.dialect()).expose().to_owned());
        }
    };
    let mut all = patches::of_flags(&args.config_patch)?;
    all.extend(patches::of_flags(own)?);
    patches::check(&all, machine, input.contract)?;
    let Patched { config, idle, mut lost } = patches::apply(generate(input, machine), &all)?;
    // Which platform it is for isn't known; only who wants no installation has none.
    lost.extend(losses(&config, Mode::Cloud, input.contract));
    for text in lost {
        console.warn(&format!("{}: {text}", machine.as_str()));
    }
    for patch in idle {
        console.warn(&format!("{}: patch {patch} changes nothing", machine.as_str()));
    }
    // Written all the same, as talosctl does: a later patch may fix it. No install disk is needed in a cloud.
    for error in validate(&config, Mode::Cloud, input.contract).errors {
        console.warn(&format!("Talos would refuse this {} config: {error}", machine.as_str()));
    }
    Ok(config.text(input.contract.dialect()))
}

/// Where each output goes.
fn paths(args: &Config, outputs: &[Output]) -> Result<Vec<String>, Failure> {
    let name = |output: &Output| match output {
        Output::Controlplane => "controlplane.yaml",
        Output::Worker => "worker.yaml",
        Output::Talosconfig => "talosconfig",
    };
    if let Some(folder) = &args.output_dir {
        return Ok(outputs.iter().map(|output| join(folder, name(output))).collect());
    }
    match outputs {
        [only] if args.output.is_empty() => Ok(vec![name(only).to_owned()]),
        [_] => Ok(vec![args.output.clone()]),
        _ if args.output == "-" => Err(Error::Usage("can't use multiple output types with stdout".to_owned()).into()),
        many => Ok(many.iter().map(|output| join(&args.output, name(output))).collect()),
    }
}

fn join(folder: &str, name: &str) -> String {
    PathBuf::from(folder).join(name).display().to_string()
}
