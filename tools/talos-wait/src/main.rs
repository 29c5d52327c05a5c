//! The `talos-wait` program.
fn main() -> std::process::ExitCode {
    talos_wait::main(std::env::args_os())
}
