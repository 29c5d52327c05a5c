//! Arguments, and what is made from them: help, completions, man page, schema.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};
use record::table::{Row, TABLE};
use record::{Exit, schema};

use crate::Step;
use crate::console::Console;

/// Parses `argv`, or does what one of the subcommands of every program asks.
pub(crate) fn parse<S: Step>(argv: &[OsString]) -> Result<S::Args, ExitCode> {
    let command = command::<S>();
    let matches = command.clone().try_get_matches_from(argv).map_err(|error| report(&error))?;
    match matches.subcommand() {
        Some(("completions", of)) => Err(completions(command, of)),
        Some(("man", _)) => Err(man(command)),
        Some(("schema", of)) => Err(print_schema(of)),
        Some((name, _)) if let Some(flag) = stray(&command, &matches) => {
            let text = format!("{flag} is for the stream; it can't stand before `{name}`, which would ignore it");
            Err(report(&command.clone().error(clap::error::ErrorKind::ArgumentConflict, text)))
        }
        _ => S::Args::from_arg_matches(&matches).map_err(|error| report(&error)),
    }
}

/// A flag of the stream that was given although a command follows.
fn stray(command: &clap::Command, matches: &clap::ArgMatches) -> Option<String> {
    let given = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let flag = command.get_arguments().find(given)?;
    Some(flag.get_long().map_or_else(|| flag.get_id().to_string(), |long| format!("--{long}")))
}

/// The program's command line with what every program has.
pub(crate) fn command<S: Step>() -> clap::Command {
    let row = S::row();
    let shell = clap::Arg::new("shell").required(true).value_parser(clap::value_parser!(clap_complete::Shell));
    let of = clap::Arg::new("of").value_parser(["record", "cluster-file"]).default_value("record");
    S::Args::command()
        .name(row.step)
        .version(env!("CARGO_PKG_VERSION"))
        .after_long_help(reference(row))
        .subcommand_negates_reqs(true)
        .subcommand(clap::Command::new("completions").about("Print completions for a shell").arg(shell))
        .subcommand(clap::Command::new("man").about("Print the man page"))
        .subcommand(
            clap::Command::new("schema").about("Print the JSON Schema of records or of the cluster file").arg(of),
        )
}

/// The part of the help that is made from the table: what the step needs and writes, and its exit statuses.
#[must_use]
pub fn reference(row: &Row) -> String {
    let mut text = format!("Needs:  {}\nWrites: {}\n\nExit status:\n", row.needs_text(), row.writes_text());
    for exit in Exit::ALL {
        let _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
    }
    let steps: Vec<_> = TABLE.iter().map(|row| row.step).collect();
    let _ = write!(text, "\nThe pipe:\n  {}", steps.join(" | "));
    text
}

fn report(error: &clap::Error) -> ExitCode {
    // Help and version go to stdout with status 0; if nobody reads them, nothing is lost.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()))
}

fn print(text: &[u8]) -> ExitCode {
    ExitCode::from(Console::new("").out(text).code())
}

fn completions(mut command: clap::Command, of: &clap::ArgMatches) -> ExitCode {
    let shell = *of.get_one::<clap_complete::Shell>("shell").expect("the argument is required");
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    print(&text)
}

fn man(command: clap::Command) -> ExitCode {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).expect("writing to memory does not fail");
    print(&text)
}

fn print_schema(of: &clap::ArgMatches) -> ExitCode {
    let of_file = of.get_one::<String>("of").is_some_and(|of| of == "cluster-file");
    let schema = if of_file { schema::document() } else { schema::record() };
    let mut text = serde_json::to_vec_pretty(&schema).expect("a schema is JSON");
    text.push(b'\n');
    print(&text)
}

/// The command to run next, after a status that says "run again".
pub(crate) fn again(argv: &[OsString], in_a_pipe: bool) -> String {
    if in_a_pipe {
        return "run the same pipe again".to_owned();
    }
    let mut patch = false;
    let words = argv.iter().map(|word| {
        let word = word.to_string_lossy();
        // A patch that was typed may hold anything, also secrets.
        let hidden = std::mem::replace(&mut patch, is_patch(&word) && !word.contains('=')) && !word.starts_with('@');
        match word.split_once('=').filter(|(flag, _)| is_patch(flag)) {
            Some((flag, _)) => format!("{flag}=…"),
            None if hidden => "…".to_owned(),
            None => quoted(&word),
        }
    });
    let words: Vec<_> = words.collect();
    format!("run again: {}", words.join(" "))
}

fn is_patch(word: &str) -> bool {
    word == "-p" || word.starts_with("--config-patch")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
