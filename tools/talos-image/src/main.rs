//! The `talos-image` program.
fn main() -> std::process::ExitCode {
    talos_image::main(std::env::args_os())
}
