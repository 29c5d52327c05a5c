//! Placeholder.
/// Runs the tool.
pub fn main(_argv: impl IntoIterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
