//! A lab that continues when the command is over, as `ssh-agent` does.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::linux::{INTERRUPTED, PID, pass_on, status_of};

/// The option that asks for it; the process in the background is started without.
const OPTION: &str = "--background";

/// Starts the same program in the background, prints its output once it is up, and leaves it alone.
///
/// It is a group of its own, which Ctrl-C does not reach, and it holds none of the caller's files: whoever reads what
/// this command prints sees the end of it.
pub(super) async fn serve(argv: &[OsString]) -> anyhow::Result<u8> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(argv.iter().skip(1).filter(|argument| *argument != OPTION)).process_group(0);
    let mut lab = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let said = tokio::select! {
        said = first_words(&mut lab) => said?,
        _ = interrupt.recv() => return stop(&mut lab).await,
        _ = terminate.recv() => return stop(&mut lab).await,
    };
    match said {
        Some(environment) => {
            let mut out = std::io::stdout();
            if let Err(error) = out.write_all(environment.as_bytes()).and_then(|()| out.flush()) {
                // Nobody would know of the lab, nor how to stop it.
                stop(&mut lab).await?;
                return Err(error.into());
            }
            Ok(0)
        }
        None => {
            let mut why = Vec::new();
            if let Some(mut stderr) = lab.stderr.take() {
                stderr.read_to_end(&mut why).await?;
            }
            std::io::stderr().write_all(&why)?;
            Ok(status_of(lab.wait().await?))
        }
    }
}

/// The environment that a lab prints when it is up; none if it ends before.
async fn first_words(lab: &mut Child) -> anyhow::Result<Option<String>> {
    let Some(stdout) = lab.stdout.as_mut() else { return Ok(None) };
    let mut lines = BufReader::new(stdout).lines();
    let mut environment = String::new();
    while let Some(line) = lines.next_line().await? {
        environment += &format!("{line}\n");
        if line.contains(PID) {
            return Ok(Some(environment));
        }
    }
    Ok(None)
}

/// Nobody waits for the lab any more.
async fn stop(lab: &mut Child) -> anyhow::Result<u8> {
    pass_on(lab);
    lab.wait().await?;
    Ok(INTERRUPTED)
}
