//! Arguments, and what is made from them: help, completions, man page, schema.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};
use record::table::{PIPE, Place, Row};
use record::{Code, Exit, Failure, schema};

use crate::Step;
use crate::console::Console;

/// The result of parsing a command line.
pub(crate) enum Parsed<A> {
    /// Arguments of the program.
    Args(Box<A>),
    /// Help, completions and the like: already done.
    Done(Exit),
    /// Wrong usage.
    Wrong(Failure),
}

/// Parses `argv`, or runs one of the subcommands of every program.
pub(crate) fn parse<S: Step>(argv: &[OsString]) -> Parsed<S::Args> {
    let command = command::<S>();
    let matches = match command.clone().try_get_matches_from(argv) {
        Ok(matches) => matches,
        Err(error) => return report(&error),
    };
    match matches.subcommand() {
        Some(("completions", of)) => return Parsed::Done(completions(command, S::ROWS[0], of)),
        Some(("man", _)) => return Parsed::Done(man(command)),
        Some(("schema", of)) => return Parsed::Done(print_schema(of)),
        Some((name, _)) => {
            if let Some(flag) = stray(&command, &matches) {
                let text = format!("{flag} is for the stream; it can't stand before `{name}`, which would ignore it");
                return Parsed::Wrong(Failure::new(Exit::Usage, Code::Usage, text));
            }
        }
        None => {}
    }
    match S::Args::from_arg_matches(&matches) {
        Ok(args) => Parsed::Args(Box::new(args)),
        Err(error) => report(&error),
    }
}

/// Whether records would have gone to stdout, had the arguments been right: not with a `--raw` that the program has, not
/// as a table, and not for a subcommand, which prints something else. A word that the program doesn't know is the
/// mistake, and changes nothing.
pub(crate) fn asks_for_records<S: Step>(argv: &[OsString]) -> bool {
    let command = command::<S>();
    let is_subcommand = |word: &str| command.get_subcommands().any(|known| known.get_name() == word);
    let has_raw = command.get_arguments().any(|arg| arg.get_long() == Some("raw"));
    let words: Vec<_> = argv.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    let table = words.iter().any(|word| word == "--format=table")
        || words.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "table");
    !table && !words.iter().any(|word| is_subcommand(word) || has_raw && word == "--raw")
}

/// A flag of the stream that was given although a command follows.
fn stray(command: &clap::Command, matches: &clap::ArgMatches) -> Option<String> {
    let given = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let flag = command.get_arguments().find(given)?;
    Some(flag.get_long().map_or_else(|| flag.get_id().to_string(), |long| format!("--{long}")))
}

/// The program's command line with what every program has.
pub(crate) fn command<S: Step>() -> clap::Command {
    let row = S::ROWS[0];
    let shell = clap::Arg::new("shell").required(true).value_parser(clap::value_parser!(clap_complete::Shell));
    let of = clap::Arg::new("of").value_parser(["record", "cluster-file"]).default_value("record");
    S::Args::command()
        .name(row.program())
        .bin_name(row.name)
        .about(sentence(row.summary))
        .version(env!("CARGO_PKG_VERSION"))
        .after_long_help(reference(S::ROWS))
        .subcommand_negates_reqs(true)
        .subcommand(clap::Command::new("completions").about("Print completions for a shell").arg(shell))
        .subcommand(clap::Command::new("man").about("Print the man page"))
        .subcommand(
            clap::Command::new("schema").about("Print the JSON Schema of records or of the cluster file").arg(of),
        )
}

/// The text with a capital first letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The part of the help that is made from the table: what the step and its verbs need and write, its exit statuses, and
/// its place in the pipe.
#[must_use]
pub fn reference(rows: &[&Row]) -> String {
    let mut text = String::new();
    for row in rows {
        if rows.len() > 1 {
            let _ = writeln!(text, "{}: {}", row.name, row.summary);
        }
        for (what, list) in [("Needs: ", row.needs_text()), ("Writes:", row.writes_text())] {
            let _ = writeln!(text, "{what} {}", if list.is_empty() { "nothing" } else { &list });
        }
        if let Place::After(after) = row.place {
            let names: Vec<_> = after.iter().map(|row| row.name).collect();
            let after = if names.is_empty() { "the cluster file".to_owned() } else { names.join(", ") };
            let _ = writeln!(text, "After:  {after}");
        }
        text.push('\n');
    }
    text.push_str("Exit status:\n");
    for exit in Exit::ALL {
        let _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
    }
    if rows.iter().any(|row| row.is_in_pipe()) {
        let steps: Vec<_> = PIPE.iter().map(|row| row.name).collect();
        let _ = write!(text, "\nThe pipe:\n  {}", steps.join(" | "));
    }
    text
}

/// Help and version go to stdout with status 0; anything else is wrong usage, in the words of the parser.
fn report<A>(error: &clap::Error) -> Parsed<A> {
    if !error.use_stderr() {
        // If nobody reads the help, nothing is lost.
        let _ = error.print();
        return Parsed::Done(Exit::Done);
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).peekable();
    let mut message = lines.next().unwrap_or("wrong usage").trim_start_matches("error: ").to_owned();
    if message.ends_with(':') {
        // What it is about stands below it, up to the first empty line.
        let listed: Vec<_> = std::iter::from_fn(|| lines.next_if(|line| !line.is_empty())).collect();
        message = format!("{message} {}", listed.join(", "));
    }
    let lines = lines.filter(|line| !line.is_empty());
    let hint: Vec<_> = lines.map(|line| line.trim_start_matches("tip: ").trim_end_matches('.')).collect();
    let failure = Failure::new(Exit::Usage, Code::Usage, message);
    Parsed::Wrong(if hint.is_empty() { failure } else { failure.hint(hint.join("; ")) })
}

fn print(text: &[u8]) -> Exit {
    Console::new("").out(text)
}

fn completions(mut command: clap::Command, row: &Row, of: &clap::ArgMatches) -> Exit {
    let shell = *of.get_one::<clap_complete::Shell>("shell").expect("the argument is required");
    let name = row.program();
    if let Some((_, verb)) = row.name.split_once(' ') {
        // A shell completes `ichor`, and knows nothing of a program of two words.
        command = clap::Command::new(name).subcommand(command.name(verb));
    }
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    print(&text)
}

fn man(command: clap::Command) -> Exit {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).expect("writing to memory does not fail");
    print(&text)
}

fn print_schema(of: &clap::ArgMatches) -> Exit {
    let of_file = of.get_one::<String>("of").is_some_and(|of| of == "cluster-file");
    let schema = if of_file { schema::document() } else { schema::record() };
    let mut text = serde_json::to_vec_pretty(&schema).expect("a schema is JSON");
    text.push(b'\n');
    print(&text)
}

/// The command to run next, after a status that means "run again".
pub(crate) fn again(argv: &[OsString], in_a_pipe: bool) -> String {
    if in_a_pipe {
        return "run the same pipe again".to_owned();
    }
    let mut patch = false;
    let words = argv.iter().map(|word| {
        let word = word.to_string_lossy();
        // A patch on the command line may hold anything, even secrets.
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

/// A word as a shell takes it.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
