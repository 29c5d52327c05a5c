//! `ichor-lab`, for the tests.
fn main() -> std::process::ExitCode {
    lab::cli::main(std::env::args_os())
}
