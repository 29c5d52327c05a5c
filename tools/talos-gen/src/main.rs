//! The `talos-gen` program.
use std::process::ExitCode;

fn main() -> ExitCode {
    talos_gen::main(std::env::args_os())
}
