//! The `ichor` program.
fn main() -> std::process::ExitCode {
    ichor::main(std::env::args_os())
}
