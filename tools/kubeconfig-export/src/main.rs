//! The `kubeconfig-export` program.
fn main() -> std::process::ExitCode {
    kubeconfig_export::main(std::env::args_os())
}
