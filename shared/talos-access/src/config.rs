//! The machine config that a record refers to.

use record::{Code, Exit, Failure, status};
use step::Run;

/// The bytes of a node's machine config, whose digest is compared.
///
/// # Errors
/// The file can't be read, or is not what its digest says.
pub fn config_bytes(run: &Run, config: &status::Config) -> Result<Vec<u8>, Failure> {
    if let Some(text) = &config.inline {
        if step::sha256(text.as_bytes()) == config.sha256 {
            return Ok(text.clone().into_bytes());
        }
        let message = "the machine config in the record was changed (its SHA-256 differs)";
        return Err(Failure::new(Exit::Unusable, Code::DigestMismatch, message));
    }
    let file = config.file.as_deref().ok_or_else(|| {
        Failure::new(Exit::Unusable, Code::MissingInput, "status.config has neither `file` nor `inline`")
    })?;
    run.dir()?.read_exactly(file, &config.sha256)
}
