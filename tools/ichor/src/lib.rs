//! All steps in one file.
//!
//! It acts as the program that it is called as (a link named `talos-apply`), or as the one that the first argument
//! names (`ichor talos-apply`). That is for those who would rather install one file than seven.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use step::Console;
use step::record::{Exit, Failure, table};

type Main = fn(Vec<OsString>) -> ExitCode;

/// Every program, in the order of the pipe.
const PROGRAMS: [(&str, Main); 7] = [
    ("talos-image", |argv| talos_image::main(argv)),
    ("pve-vm", |argv| pve_vm::main(argv)),
    ("talos-gen", |argv| talos_gen::main(argv)),
    ("talos-apply", |argv| talos_apply::main(argv)),
    ("talos-bootstrap", |argv| talos_bootstrap::main(argv)),
    ("kubeconfig-export", |argv| kubeconfig_export::main(argv)),
    ("talos-wait", |argv| talos_wait::main(argv)),
];

/// Runs the program that `argv` asks for.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    let called_as = argv.first().map(|path| Path::new(path).file_name().unwrap_or_default().to_owned());
    if let Some(program) = called_as.as_deref().and_then(program) {
        return program(argv);
    }
    let console = Console::new("ichor");
    let Some(first) = argv.get(1).cloned() else {
        return usage(&console, "which program?");
    };
    if let Some(program) = program(&first) {
        argv.remove(0);
        return program(argv);
    }
    match first.to_str() {
        Some("-h" | "--help" | "help") => ExitCode::from(console.out(help().as_bytes()).code()),
        Some("-V" | "--version") => {
            let version = format!("ichor {}\n", env!("CARGO_PKG_VERSION"));
            ExitCode::from(console.out(version.as_bytes()).code())
        }
        _ => usage(&console, &format!("{}: no such program", first.display())),
    }
}

fn program(name: &OsStr) -> Option<Main> {
    PROGRAMS.iter().find(|(program, _)| name == *program).map(|(_, main)| *main)
}

fn usage(console: &Console, what: &str) -> ExitCode {
    let names: Vec<_> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    let failure = Failure::new(Exit::Usage, "usage", what).hint(format!("one of {}", names.join(", ")));
    console.failure(None, &failure);
    ExitCode::from(failure.exit.code())
}

fn help() -> String {
    let mut text = "All steps of Ichor in one file.\n\nUsage: ichor PROGRAM [ARGUMENTS]...\n\nPrograms:\n".to_owned();
    for row in &table::TABLE {
        let _ = writeln!(text, "  {:<18} {}", row.step, row.summary);
    }
    text.push_str("\n`ichor PROGRAM --help` tells more. A link that is named like a program acts as it.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_the_table_is_in_it() {
        let names: Vec<_> = PROGRAMS.iter().map(|(name, _)| *name).collect();
        let steps: Vec<_> = table::TABLE.iter().map(|row| row.step).collect();
        assert_eq!(names, steps);
    }

    #[test]
    fn a_name_must_match_exactly() {
        assert!(program(OsStr::new("talos-appl")).is_none());
        assert!(program(OsStr::new("x-talos-apply")).is_none());
    }
}
