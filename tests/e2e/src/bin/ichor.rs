//! The programs, for the tests.
fn main() -> std::process::ExitCode {
    ichor::main(std::env::args_os())
}
