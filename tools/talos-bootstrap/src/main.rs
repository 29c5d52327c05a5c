//! The `talos-bootstrap` program.
fn main() -> std::process::ExitCode {
    talos_bootstrap::main(std::env::args_os())
}
