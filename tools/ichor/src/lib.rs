//! All steps in one file.
//!
//! It runs the program that the first argument names (`ichor talos-apply`). A symlink named after a program
//! (`talos-apply`) runs that program. So one file can be installed instead of eight.

mod explode;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use record::table::{self, Row};
use record::{Code, Exit, Failure};
use step::Console;

type Main = fn(Vec<OsString>) -> ExitCode;

/// Every program, in the order of the pipe.
static PROGRAMS: [(&Row, Main); 8] = [
    (&table::TALOS_IMAGE, |argv| talos_image::main(argv)),
    (&table::PVE_VM, |argv| pve_vm::main(argv)),
    (&table::TALOS_GEN, |argv| talos_gen::main(argv)),
    (&table::TALOS_SEED, |argv| talos_seed::main(argv)),
    (&table::TALOS_APPLY, |argv| talos_apply::main(argv)),
    (&table::TALOS_BOOTSTRAP, |argv| talos_bootstrap::main(argv)),
    (&table::KUBECONFIG_EXPORT, |argv| kubeconfig_export::main(argv)),
    (&table::TALOS_WAIT, |argv| talos_wait::main(argv)),
];

/// Runs the program that `argv` asks for.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    let called_as = argv.first().map(|path| Path::new(path).file_name().unwrap_or_default().to_owned());
    if let Some(program) = called_as.as_deref().and_then(program) {
        return program(argv);
    }
    let Some(first) = argv.get(1).cloned() else {
        return usage("no program is given");
    };
    if let Some(program) = program(&first) {
        argv.remove(0);
        return program(argv);
    }
    match first.to_str() {
        Some("explode") => {
            argv.remove(0);
            step::main::<explode::Explode>(argv)
        }
        Some("-h" | "--help" | "help") => ExitCode::from(Console::new("ichor").out(help().as_bytes()).code()),
        Some("-V" | "--version") => {
            let talos: Vec<_> = talos_releases::piped().map(ToString::to_string).collect();
            let version = format!("ichor {}\nTalos {}\n", env!("CARGO_PKG_VERSION"), talos.join(", "));
            ExitCode::from(Console::new("ichor").out(version.as_bytes()).code())
        }
        _ => usage(&format!("{}: no such program", first.display())),
    }
}

fn program(name: &OsStr) -> Option<Main> {
    PROGRAMS.iter().find(|(row, _)| name == row.program()).map(|(_, main)| *main)
}

/// A program that isn't there may stand in a pipe: then the steps behind it are silent about its mistake.
fn usage(what: &str) -> ExitCode {
    let names: Vec<_> = PROGRAMS.iter().map(|(row, _)| row.program()).collect();
    let failure =
        Failure::new(Exit::Usage, Code::Usage, what).hint(format!("use explode, or one of {}", names.join(", ")));
    step::refuse("ichor", failure)
}

fn help() -> String {
    let mut text = "All steps of Ichor in one file.\n\nUsage: ichor PROGRAM [ARGUMENTS]...\n".to_owned();
    let list = |text: &mut String, title: &str, rows: &[&Row]| {
        let _ = writeln!(text, "\n{title}:");
        for row in rows {
            let _ = writeln!(text, "  {:<18} {}", row.name, row.summary);
        }
    };
    list(&mut text, "The pipe", &table::PIPE);
    list(&mut text, "Beside it", &table::BESIDE);
    let _ = writeln!(text, "\nReleases of Talos, and what of Talos they were last compared with:");
    for release in talos_releases::piped() {
        let _ = writeln!(text, "  {:<18} {}", release.to_string(), release.compared);
    }
    let _ = writeln!(text, "\nWithout a program:\n  {:<18} {}", "explode", table::EXPLODE.summary);
    text.push_str("\n`ichor PROGRAM --help` shows more. A symlink named after a program runs that program.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_the_table_is_in_it() {
        for row in table::rows().filter(|row| row.name != table::EXPLODE.name) {
            assert!(program(OsStr::new(row.program())).is_some(), "{}", row.name);
        }
        assert_eq!(PROGRAMS.iter().map(|(row, _)| row.name).collect::<Vec<_>>(), table::PIPE.map(|row| row.name));
    }

    #[test]
    fn a_name_must_match_exactly() {
        assert!(program(OsStr::new("talos-appl")).is_none());
        assert!(program(OsStr::new("x-talos-apply")).is_none());
    }
}
