//! The `talos-gen` program.
fn main() -> std::process::ExitCode {
    talos_gen::main(std::env::args_os())
}
