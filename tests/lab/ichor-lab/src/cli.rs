//! `ichor-lab`: a lab for people and their pipelines.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg(target_os = "linux")]
mod background;

/// Plays Proxmox VE, the Image Factory, Talos nodes and Kubernetes on loopback.
#[derive(Debug, Parser)]
#[command(name = "ichor-lab", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a lab until it is interrupted; print its environment variables
    Serve {
        #[command(flatten)]
        shape: Shape,
        /// Return once the lab is up, and leave it running: `eval "$(ichor-lab serve --background)"`, later
        /// `kill "$ICHOR_LAB_PID"`.
        #[arg(long)]
        background: bool,
    },
    /// Run a command in a lab's environment, and return its exit status
    Run {
        #[command(flatten)]
        shape: Shape,
        /// The command with its arguments.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Show scenarios of what goes wrong
    Scenario {
        #[command(subcommand)]
        command: Scenarios,
    },
}

#[derive(Debug, Subcommand)]
enum Scenarios {
    /// List the scenarios that come with the lab
    List,
    /// Print a scenario, as a start for your own
    Show {
        /// Its name.
        name: String,
    },
}

/// What the lab is made of.
#[derive(Debug, clap::Args)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "labs run on Linux only"))]
struct Shape {
    /// Control planes in the cluster file.
    #[arg(long, value_name = "N", default_value_t = 1)]
    control_planes: usize,
    /// Workers in the cluster file.
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: usize,
    /// Give the control planes a shared address
    #[arg(long)]
    vip: bool,
    /// Give the workers their addresses by DHCP
    #[arg(long)]
    dhcp: bool,
    /// Version of Talos in the cluster file.
    #[arg(long, value_name = "VERSION", default_value = "v1.13.9")]
    talos: String,
    /// Release of Proxmox VE: 9.2 or 8.4.
    #[arg(long, value_name = "RELEASE", default_value = "9.2")]
    proxmox: lab_pve::Release,
    /// Add a storage that all hosts share, for images and disks
    #[arg(long, value_name = "NAME")]
    shared_storage: Option<String>,
    /// Kind of Image Factory: an edition, an old release, one that redirects to an object store. Can be repeated
    #[arg(long, value_enum, value_name = "KIND")]
    factory: Vec<Kind>,
    /// What goes wrong: a scenario of `ichor-lab scenario list`, or a scenario file
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Option<String>,
    /// Write every call with its fault to a file
    #[arg(long, value_name = "FILE")]
    record: Option<std::path::PathBuf>,
    /// Give the calls of a recording the same faults again
    #[arg(long, value_name = "FILE")]
    replay: Option<std::path::PathBuf>,
    /// Hosts of Proxmox VE.
    #[arg(long, value_name = "N", default_value_t = 1)]
    hosts: usize,
    /// How long things take: nothing, or about a tenth of the real time
    #[arg(long, value_enum, default_value_t = Pace::Realistic)]
    delays: Pace,
    /// Bring the cluster up first, and export TALOSCONFIG and KUBECONFIG too
    #[arg(long)]
    ready: bool,
    /// Name of the cluster.
    #[arg(long, default_value = "lab")]
    name: String,
    /// Folder for the cluster file, which is kept; defaults to one that is removed with the lab
    #[arg(long, value_name = "DIR")]
    dir: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Community,
    Enterprise,
    Old,
    Redirecting,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Pace {
    Zero,
    Realistic,
}

/// Runs `ichor-lab`.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    match Args::try_parse_from(&argv) {
        Ok(args) => outcome(run(args.command, &argv)),
        Err(error) => {
            // Help that nobody reads is no failure.
            let text = error.render().to_string();
            let _printed = match text.starts_with("error: ") {
                true => write!(std::io::stderr(), "ichor-lab {text}"),
                false => error.print(),
            };
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

/// An error as every program of the project prints it: behind its name.
fn said(error: &str) -> String {
    format!("ichor-lab error: {error}")
}

fn outcome(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            // With stderr gone there is nobody left to tell.
            let _told = writeln!(std::io::stderr(), "{}", said(&format!("{error:#}")));
            ExitCode::from(1)
        }
    }
}

/// Lists scenarios, or prints one.
fn scenario(command: &Scenarios) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    match command {
        Scenarios::List => {
            for builtin in lab_core::scenario::BUILTIN {
                writeln!(out, "{:<18}{}", builtin.name, builtin.about)?;
            }
        }
        Scenarios::Show { name } => {
            let known = lab_core::scenario::BUILTIN.iter().find(|builtin| builtin.name == name);
            let builtin = known.ok_or_else(|| anyhow::anyhow!("there is no scenario `{name}`; see `scenario list`"))?;
            write!(out, "{}", builtin.text)?;
        }
    }
    Ok(0)
}

#[cfg(not(target_os = "linux"))]
fn run(_command: Command, _argv: &[OsString]) -> anyhow::Result<u8> {
    anyhow::bail!("the lab needs Linux, where every address in 127.0.0.0/8 is there without being set up")
}

#[cfg(target_os = "linux")]
fn run(command: Command, argv: &[OsString]) -> anyhow::Result<u8> {
    if let Command::Scenario { command } = &command {
        return scenario(command);
    }
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        match command {
            Command::Serve { background: true, .. } => background::serve(argv).await,
            Command::Serve { shape, .. } => linux::serve(shape).await,
            Command::Run { shape, command } => linux::run(shape, &command).await,
            Command::Scenario { command } => scenario(&command),
        }
    });
    runtime.shutdown_background();
    status
}

/// Lets the lab open as many files as it may: every node listens on ports of its own.
#[cfg(target_os = "linux")]
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it may not be raised, a small lab runs all the same.
    let _raised = setrlimit(Resource::Nofile, limit);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use rustix::process::{Pid, Signal, kill_process};
    use tokio::process::{Child, Command};
    use tokio::signal::unix::{SignalKind, signal};

    use super::{Kind, Pace, Shape};
    use crate::{Lab, Options};
    use lab_core::delays::Delays;
    use lab_core::scenario::Scenario;
    use lab_factory::Mode;
    use lab_pve::{Storage, StorageKind};

    impl Shape {
        fn options(self) -> anyhow::Result<Options> {
            let mut storages = Options::default().storages;
            storages.extend(self.shared_storage.map(|name| Storage {
                shared: true,
                ..Storage::new(&name, StorageKind::Dir, &["images", "import", "iso"])
            }));
            Ok(Options {
                storages,
                proxmox: self.proxmox,
                factory: Mode {
                    enterprise: self.factory.contains(&Kind::Enterprise),
                    old: self.factory.contains(&Kind::Old),
                    redirects: self.factory.contains(&Kind::Redirecting),
                },
                scenario: self.scenario.as_deref().map(Scenario::load).transpose()?,
                record: self.record,
                replay: self.replay,
                name: self.name,
                control_planes: self.control_planes,
                workers: self.workers,
                talos: self.talos,
                vip: self.vip,
                dhcp: self.dhcp,
                hosts: (1..=self.hosts.max(1)).map(|number| format!("pve{number}")).collect(),
                delays: match self.delays {
                    Pace::Zero => Delays::ZERO,
                    Pace::Realistic => Delays::REALISTIC,
                },
                dir: self.dir,
            })
        }
    }

    /// The exit status of who was interrupted.
    pub(super) const INTERRUPTED: u8 = 130;

    /// The variable with the process of a lab, the last one that is printed.
    pub(super) const PID: &str = "ICHOR_LAB_PID";

    /// Starts a lab of this shape, with its cluster if that is asked for; none if it is interrupted before.
    async fn start(shape: Shape) -> anyhow::Result<Option<Lab>> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let ready = shape.ready;
        let lab = Lab::start(shape.options()?).await?;
        if ready {
            tokio::select! {
                done = lab.bring_up() => done?,
                _ = interrupt.recv() => return Ok(None),
                _ = terminate.recv() => return Ok(None),
            }
        }
        Ok(Some(lab))
    }

    /// Runs a lab until SIGINT or SIGTERM.
    pub(super) async fn serve(shape: Shape) -> anyhow::Result<u8> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let Some(lab) = start(shape).await? else { return Ok(INTERRUPTED) };
        let own = (PID.to_owned(), std::process::id().to_string());
        writeln!(
            std::io::stderr(),
            "ichor-lab: runs until interrupted; what it prints goes into a shell's environment; watch it at {}",
            lab.web()
        )?;
        let mut out = std::io::stdout().lock();
        for (name, value) in lab.env().into_iter().chain([own]) {
            writeln!(out, "export {name}={}", quoted(&value))?;
        }
        out.flush()?;
        drop(out);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(0)
    }

    /// A value as a shell reads it back.
    fn quoted(value: &str) -> String {
        format!("'{}'", value.replace('\'', r"'\''"))
    }

    /// Runs a command in a lab.
    pub(super) async fn run(shape: Shape, command: &[OsString]) -> anyhow::Result<u8> {
        let Some((program, arguments)) = command.split_first() else { return Ok(2) };
        let Some(lab) = start(shape).await? else { return Ok(INTERRUPTED) };
        let mut child = match Command::new(program).args(arguments).envs(lab.env()).spawn() {
            Ok(child) => child,
            Err(error) => return missing(program, &error),
        };
        let status = wait(&mut child).await?;
        Ok(status_of(status))
    }

    /// As in a shell: 127 for a command that is not there, 126 for one that cannot be run.
    fn missing(program: &OsString, error: &std::io::Error) -> anyhow::Result<u8> {
        writeln!(std::io::stderr(), "{}", super::said(&format!("cannot run {}: {error}", program.display())))?;
        Ok(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
    }

    /// The exit status that a shell would give for how a process ended.
    pub(super) fn status_of(status: ExitStatus) -> u8 {
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
        u8::try_from(code).unwrap_or(1)
    }

    /// Waits for the command. What the terminal sends reaches the command by itself, as they share a group; the lab
    /// only outlives it. SIGTERM is for the lab alone, so it is passed on.
    async fn wait(child: &mut Child) -> anyhow::Result<ExitStatus> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        loop {
            tokio::select! {
                status = child.wait() => return Ok(status?),
                _ = interrupt.recv() => {}
                _ = terminate.recv() => pass_on(child),
            }
        }
    }

    /// Asks a process to end.
    pub(super) fn pass_on(child: &Child) {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // Who has ended in the meantime needs no asking.
        let _asked = pid.map(|pid| kill_process(pid, Signal::TERM));
    }
}
