//! Commands about existing configs and their documents: patch, validate, diff, explain.

use config_rules::{Mode, losses};
use machine_config::MachineType;
use machine_config::contract_of;
use record::{Exit, Failure};
use step::Console;

use super::{check_target, contract, emit, load};
use crate::args::{Diff, Explain, Patch, Validate};
use crate::error::Error;
use crate::patches::Patched;
use crate::{files, patches};

pub(super) fn patch(args: &Patch, console: &Console) -> Result<Exit, Failure> {
    check_target(&args.output, true, console)?;
    once(std::iter::once(args.config.as_str()).chain(args.patch.iter().filter_map(|patch| patch.strip_prefix('@'))))?;
    let all = patches::of_flags(&args.patch)?;
    if all.is_empty() {
        return emit(&args.output, &files::read(&args.config)?, true, console);
    }
    let Patched { config, idle, mut lost } = patches::apply(load(&args.config)?, &all)?;
    lost.extend(losses(&config, Mode::Cloud, contract_of(&config)));
    for text in lost {
        console.warn(&text);
    }
    for name in idle {
        console.warn(&format!("patch {name} changes nothing"));
    }
    let closed: Vec<String> = config
        .documents()
        .iter()
        .filter(|document| document.kind.control_plane)
        .map(|document| document.identity().to_string())
        .collect();
    if config.machine_type() == Some(MachineType::Worker) && !closed.is_empty() {
        console.warn(&format!(
            "this is a worker's config, but these documents are only for control planes: {}",
            closed.join(", ")
        ));
    }
    emit(&args.output, &config.text(contract_of(&config).dialect()), true, console)
}

/// Refuses to read stdin twice.
fn once<'a>(inputs: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    match inputs.filter(|input| *input == "-").count() {
        0 | 1 => Ok(()),
        _ => Err(Error::Usage("stdin can be read only once: name a file for the others".to_owned()).into()),
    }
}

pub(super) fn validate(args: &Validate, console: &Console) -> Result<Exit, Failure> {
    let config = load(&args.config)?;
    // The words of `--mode` are those that the arguments allow.
    let mode = Mode::parse(&args.mode).unwrap_or(Mode::Metal);
    let contract = match &args.talos_version {
        Some(version) => contract(Some(version))?,
        None => contract_of(&config),
    };
    let report = config_rules::validate(&config, mode, contract);
    let report = if args.strict { report.strict() } else { report };
    for warning in &report.warnings {
        console.warn(warning);
    }
    for warning in losses(&config, mode, contract) {
        console.warn(&warning);
    }
    if !report.errors.is_empty() {
        return Err(Error::Invalid(report.errors).into());
    }
    console.say(None, &format!("{} is valid for {} mode", args.config, args.mode));
    Ok(Exit::Done)
}

pub(super) fn diff(args: &Diff, console: &Console) -> Result<Exit, Failure> {
    once([args.left.as_str(), &args.right].into_iter())?;
    let (left, right) = (load(&args.left)?, load(&args.right)?);
    if machine_config::is_same(&left, &right) {
        return Ok(Exit::Done);
    }
    match console.out(machine_config::diff(&left, &right).as_bytes()) {
        Exit::Done => Ok(Exit::Pending),
        other => Ok(other),
    }
}

pub(super) fn explain(args: &Explain, console: &Console) -> Result<Exit, Failure> {
    let text = machine_config::explain(&args.path).map_err(|unknown| Error::Unknown(Box::new(unknown)))?;
    Ok(console.out(text.as_bytes()))
}
