//! The `talos-seed` program.
fn main() -> std::process::ExitCode {
    talos_seed::main(std::env::args_os())
}
