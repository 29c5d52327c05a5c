//! The programs, for the test over their messages.
fn main() -> std::process::ExitCode {
    ichor::main(std::env::args_os())
}
