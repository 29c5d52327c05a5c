//! The `talos-apply` program.
fn main() -> std::process::ExitCode {
    talos_apply::main(std::env::args_os())
}
