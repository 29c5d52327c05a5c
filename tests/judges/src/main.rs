//! `tally COMMAND...` runs tests, passes on what they print, and closes with which judges ran and how many tests did.
//!
//! Its exit status is that of the command.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

use judges::tally::Tally;

fn main() -> ExitCode {
    let command: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            drop(writeln!(std::io::stderr(), "tally: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &[OsString]) -> std::io::Result<u8> {
    let [program, arguments @ ..] = command else {
        return Err(std::io::Error::other("usage: tally COMMAND..."));
    };
    let log = std::env::temp_dir().join(format!("ichor-judges-{}", std::process::id()));
    std::fs::write(&log, "")?;
    let mut child = Command::new(program).args(arguments).env(judges::LOG, &log).stdout(Stdio::piped()).spawn()?;
    let mut tally = Tally::default();
    let mut out = std::io::stdout();
    if let Some(printed) = child.stdout.take() {
        let mut printed = BufReader::new(printed);
        let mut line = Vec::new();
        while printed.read_until(b'\n', &mut line)? > 0 {
            tally.read(String::from_utf8_lossy(&line).trim_end());
            out.write_all(&line)?;
            out.flush()?;
            line.clear();
        }
    }
    let status = child.wait()?;
    tally.judge(&std::fs::read_to_string(&log)?);
    std::fs::remove_file(&log)?;
    writeln!(out, "{tally}")?;
    Ok(status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1)))
}
