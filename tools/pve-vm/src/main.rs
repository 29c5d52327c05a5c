//! The `pve-vm` program.
fn main() -> std::process::ExitCode {
    pve_vm::main(std::env::args_os())
}
