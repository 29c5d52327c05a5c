//! The `ichor-lab` program.
fn main() -> std::process::ExitCode {
    lab::cli::main(std::env::args_os())
}
