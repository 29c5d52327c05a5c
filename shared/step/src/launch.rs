//! From parsed arguments to a running step: the runtime, input and output, signals.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use record::{Cluster, Code, Exit, Failure};

use crate::arguments::asks_for_records;
use crate::console::Console;
use crate::engine::Engine;
use crate::flags::{Flags, Format};
use crate::intake::absolute;
use crate::output::Layout;
use crate::pipes::{Pipes, Place};
use crate::signals::{Signals, Stopping};
use crate::source::{Opened, stdin_is_pipe, stdout_is_pipe, stdout_reader_is_gone};
use crate::{Job, Step, secrets};

/// Runs a program whose arguments have been parsed.
pub(crate) fn start<S: Step>(args: S::Args, argv: &[OsString]) -> Exit {
    let program = S::ROWS[0].program();
    let flags = S::flags(&args);
    let job = match flags.check().and_then(|()| S::prepare(args)) {
        Ok(job) => job,
        Err(failure) => return refuse::<S>(failure, argv),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse::<S>(no_runtime(&error), argv),
    };
    let exit = runtime.block_on(async {
        match job {
            Job::Command(work) => {
                let console = Console::new(program);
                command(work(console.clone()), &console).await
            }
            Job::Stream(step, source) => match plumb(source.open(&flags, program), flags, program) {
                Ok(pipes) => stream(step, pipes, argv).await,
                Err(failure) => refuse::<S>(failure, argv),
            },
        }
    });
    // A thread may still be blocked in a read: the process ends without it.
    runtime.shutdown_background();
    exit
}

/// Ends a program that can't begin: one message for people, and for later steps a stream that carries the failure.
/// Nothing is read, so that earlier steps stop instead of working for nothing.
pub(crate) fn refuse<S: Step>(failure: Failure, argv: &[OsString]) -> Exit {
    let row = S::ROWS[0];
    end_with(row.program(), row.name, failure, asks_for_records::<S>(argv))
}

/// Prints a failure that is signed by `step`, and writes it as a stream if records were to come.
pub(crate) fn end_with(program: &'static str, step: &str, failure: Failure, records: bool) -> Exit {
    let mut failure = secrets::redacted_failure(failure);
    let console = Console::new(program);
    step.clone_into(&mut failure.step);
    console.failure(None, &failure);
    if records && !std::io::stdout().is_terminal() {
        let line = serde_json::to_string(&Cluster::failed(&failure)).expect("a record is plain data");
        // If nobody reads it, the message on stderr is all there is.
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }
    failure.exit
}

fn no_runtime(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, Code::Internal, format!("the program can't start its threads: {error}"))
}

/// Runs a job that is not a stream; a signal ends it.
async fn command(work: crate::CommandFuture, console: &Console) -> Exit {
    let Ok(mut signals) = Signals::new() else { return Exit::Failed };
    tokio::select! {
        result = work => result.unwrap_or_else(|failure| {
            console.failure(None, &failure);
            failure.exit
        }),
        exit = signals.next() => exit,
    }
}

fn plumb(input: Result<Opened, Failure>, flags: Flags, program: &'static str) -> Result<Pipes, Failure> {
    let layout = layout(&flags, std::io::stdout().is_terminal())?;
    let dir = absolute(flags.dir.as_deref())
        .map_err(|error| Failure::new(Exit::Usage, Code::Usage, format!("--dir: {error}")))?;
    let place = Place::of(stdin_is_pipe(), stdout_is_pipe());
    let console = Console::new(program);
    let output = Box::new(std::io::stdout());
    Ok(Pipes { input: input?, output, layout, dir, flags, console, place, reader_is_gone: stdout_reader_is_gone })
}

/// How the output looks; secrets are not printed on a terminal.
fn layout(flags: &Flags, terminal: bool) -> Result<Layout, Failure> {
    if flags.inline && terminal {
        let failure = Failure::new(Exit::Usage, Code::Usage, "--inline puts secrets into the records");
        return Err(failure.hint("not on a terminal: send the output to a file or a pipe"));
    }
    let format = flags.format.unwrap_or(if terminal { Format::Table } else { Format::Jsonl });
    Ok(if flags.raw { Layout::Raw } else { Layout::Records(format) })
}

/// Runs a stream, and obeys signals: the first one stops it gracefully, a second one immediately.
pub(crate) async fn stream<S: Step>(step: S, pipes: Pipes, argv: &[OsString]) -> Exit {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{InlineFlag, RawFlag, StreamFlags};

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        stream: StreamFlags,
        #[command(flatten)]
        raw: RawFlag,
        #[command(flatten)]
        inline: InlineFlag,
    }

    fn flags(words: &[&str]) -> Flags {
        let typed = Typed::parse_from([&["toy"], words].concat());
        Flags::from(typed.stream).raw(typed.raw).inline(typed.inline)
    }

    #[test]
    fn secrets_are_not_put_into_records_on_a_terminal() {
        let failure = layout(&flags(&["--inline"]), true).unwrap_err();
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::Usage, "usage"));
        assert_eq!(layout(&flags(&["--inline"]), false), Ok(Layout::Records(Format::Jsonl)));
    }

    #[test]
    fn of_two_flags_none_is_ignored() {
        for (words, ok) in [
            (&["--raw"][..], true),
            (&["--inline"], true),
            (&["--format", "yaml", "--inline"], true),
            (&["--raw", "--inline"], false),
            (&["--raw", "--format", "jsonl"], false),
        ] {
            let checked = flags(words).check();
            assert_eq!(checked.is_ok(), ok, "{words:?}");
            if let Err(failure) = checked {
                assert_eq!(failure.exit, Exit::Usage);
                assert!(
                    words.iter().all(|word| !word.starts_with('-') || failure.message.contains(word)),
                    "{failure:?}"
                );
            }
        }
    }

    #[test]
    fn people_get_a_table_and_programs_get_records() {
        assert_eq!(layout(&flags(&[]), true), Ok(Layout::Records(Format::Table)));
        assert_eq!(layout(&flags(&[]), false), Ok(Layout::Records(Format::Jsonl)));
        assert_eq!(layout(&flags(&["--format", "yaml"]), true), Ok(Layout::Records(Format::Yaml)));
        assert_eq!(layout(&flags(&["--raw"]), true), Ok(Layout::Raw));
    }

    #[test]
    fn the_last_program_of_a_pipe_speaks_for_it() {
        assert_eq!(Place::of(true, true), Place::Within);
        assert_eq!(Place::of(false, true), Place::Within);
        assert_eq!(Place::of(true, false), Place::Last);
        assert_eq!(Place::of(false, false), Place::Alone);
    }

    #[test]
    fn a_command_exits_by_its_failure() {
        crate::tests::alone("launch::tests::a_command_exits_by_its_failure", commands());
    }

    async fn commands() {
        let failure = Failure::new(Exit::Guard, Code::Exists, "it is there already");
        let console = Console::new("toy");
        assert_eq!(command(Box::pin(async { Err(failure) }), &console).await, Exit::Guard);
        assert_eq!(command(Box::pin(async { Ok(Exit::Pending) }), &console).await, Exit::Pending);
    }
}
