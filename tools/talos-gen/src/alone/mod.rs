//! The commands without a stream.

mod check;
mod config;
mod secrets;
mod talosconfig;

use std::path::Path;

use cluster_pki::Bundle;
use machine_config::Contract;
use record::{Code, Exit, Failure};
use step::Console;

use crate::args::Command;
use crate::error::Error;
use crate::files;

/// Runs a command.
pub(crate) fn run(command: Command, console: &Console) -> Result<Exit, Failure> {
    match command {
        Command::Secrets(args) => secrets::secrets(&args, console),
        Command::Config(args) => config::config(&args, console),
        Command::Talosconfig(args) => talosconfig::talosconfig(&args, console),
        Command::Patch(args) => check::patch(&args, console),
        Command::Validate(args) => check::validate(&args, console),
        Command::Diff(args) => check::diff(&args, console),
        Command::Explain(args) => check::explain(&args, console),
    }
}

/// A task that panicked or was cancelled.
pub(crate) fn broken(error: &tokio::task::JoinError) -> Failure {
    Failure::new(Exit::Failed, Code::Internal, format!("a task failed: {error}"))
}

fn contract(version: Option<&str>) -> Result<Contract, Failure> {
    let contract = version.filter(|version| !version.is_empty()).map_or(Ok(Contract::STABLE), Contract::parse);
    contract.map_err(|error| Error::Usage(format!("--talos-version: {error}")).into())
}

fn load(path: &str) -> Result<machine_config::Config, Failure> {
    let text = files::read(path)?;
    machine_config::load(&text).map_err(|source| Error::Config { path: path.to_owned(), source }.into())
}

fn bundle_of(path: &Path) -> Result<Bundle, Failure> {
    let path = path.display().to_string();
    let text = files::read(&path)?;
    step::protect_keys(&text);
    Bundle::from_yaml(&text).map_err(|source| Error::Bundle { path, source }.into())
}

/// Refuses what would be printed on a terminal, or overwrite a file, before any work is done.
fn check_target(path: &str, force: bool, console: &Console) -> Result<(), Failure> {
    if is_stdout(path) && console.is_terminal() {
        let failure = Failure::new(
            Exit::Usage,
            Code::Terminal,
            "the output contains secrets, which are not printed on a terminal",
        );
        return Err(failure.hint("name a file with -o, or send stdout to a file or a pipe"));
    }
    let found = step::file::existing(Path::new(path));
    if let Err(error) = &found {
        return Err(files::failed(path, error));
    }
    let is_stream = matches!(found, Ok(step::file::Existing::Stream));
    if !is_stdout(path) && !is_stream && !force && Path::new(path).symlink_metadata().is_ok() {
        return Err(files::exists(path));
    }
    Ok(())
}

fn is_stdout(path: &str) -> bool {
    path == "-" || path == "/dev/stdout"
}

/// Writes a result to a file or, for `-`, to stdout.
fn emit(path: &str, text: &str, force: bool, console: &Console) -> Result<Exit, Failure> {
    check_target(path, force, console)?;
    if is_stdout(path) {
        return Ok(console.out(text.as_bytes()));
    }
    files::write(Path::new(path), text, force)?;
    console.say(None, &format!("wrote {path}"));
    Ok(Exit::Done)
}
