//! From parsed arguments to a running step: the runtime, what the stream runs between, signals.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use record::{Exit, Failure};

use crate::console::Console;
use crate::engine::Engine;
use crate::flags::{Flags, Format};
use crate::intake::absolute;
use crate::output::Layout;
use crate::signals::{Signals, Stopping};
use crate::source::Opened;
use crate::{Job, Step};

/// Runs a program whose arguments have been parsed.
pub(crate) fn start<S: Step>(args: S::Args, argv: &[OsString]) -> Exit {
    let console = Console::new(S::row().step);
    let flags = S::flags(&args).clone();
    let failed = |failure: &Failure| {
        console.failure(None, failure);
        failure.exit
    };
    let job = match S::prepare(args) {
        Ok(job) => job,
        Err(failure) => return failed(&failure),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Failure::new(Exit::Failed, "runtime", format!("no runtime: {error}"))),
    };
    let exit = runtime.block_on(async {
        match job {
            Job::Own(work) => own(work(console.clone()), &console).await,
            Job::Stream(step, source) => match plumb(source.open(&flags, S::row().step), flags) {
                Ok(pipes) => stream(step, pipes, argv).await,
                Err(failure) => failed(&failure),
            },
        }
    });
    // A thread may still be blocked in a read: the process ends without it.
    runtime.shutdown_background();
    exit
}

/// Runs a job of its own; a signal ends it.
async fn own(work: crate::OwnFuture, console: &Console) -> Exit {
    let Ok(mut signals) = Signals::new() else { return Exit::Failed };
    tokio::select! {
        result = work => result.unwrap_or_else(|failure| {
            console.failure(None, &failure);
            failure.exit
        }),
        exit = signals.next() => exit,
    }
}

/// What a stream runs between.
pub(crate) struct Pipes {
    pub(crate) flags: Flags,
    pub(crate) input: Opened,
    pub(crate) output: Box<dyn Write + Send>,
    pub(crate) layout: Layout,
    pub(crate) dir: Option<PathBuf>,
}

fn plumb(input: Result<Opened, Failure>, flags: Flags) -> Result<Pipes, Failure> {
    let terminal = std::io::stdout().is_terminal();
    if flags.inline && terminal {
        let failure = Failure::new(Exit::Usage, "usage", "--inline puts secrets into the records");
        return Err(failure.hint("not on a terminal: send the output to a file or a pipe"));
    }
    let format = flags.format.unwrap_or(if terminal { Format::Table } else { Format::Jsonl });
    let layout = if flags.raw { Layout::Raw } else { Layout::Records(format) };
    let dir = absolute(flags.dir.as_deref())
        .map_err(|error| Failure::new(Exit::Usage, "usage", format!("--dir: {error}")))?;
    Ok(Pipes { input: input?, output: Box::new(std::io::stdout()), layout, dir, flags })
}

/// Runs a stream, and obeys signals: the first one stops it gently, a second one at once.
async fn stream<S: Step>(step: S, pipes: Pipes, argv: &[OsString]) -> Exit {
    let stopping = Stopping::default();
    let Ok(mut signals) = Signals::new() else { return Exit::Failed };
    let mut running = std::pin::pin!(Engine::run(step, pipes, stopping.clone(), argv));
    let first = tokio::select! {
        exit = &mut running => return exit,
        signal = signals.next() => signal,
    };
    stopping.because(first);
    tokio::select! {
        exit = running => exit,
        second = signals.next() => second,
    }
}
