//! Machine configs against what Talos's own code reads and writes.

use std::path::Path;

use conformance::{files, text, vectors};
use machine_config::yaml::Dialect;

const TYPES: &str = "talos-config/pkg/machinery/config/types";

/// Formatted by hand upstream, so compared only by what they say.
const BY_HAND: [&str; 3] = [
    "volumeconfig_tpm_encryption_with_pcr_settings.yaml",
    "volumeconfig_tpm_encryption_no_options.yaml",
    "volumeconfig_tpm_encryption_with_pcrs_disabled.yaml",
];

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[test]
fn every_kind_is_read_and_written_again_to_the_byte() {
    let Some(folder) = vectors(TYPES) else { return };
    let cases = files(&folder).into_iter().filter(|path| {
        let path = path.to_string_lossy();
        !path.contains("/v1alpha1/") && !path.contains("/meta/")
    });
    let mut wrong = Vec::new();
    for path in cases {
        let original = text(&path);
        match machine_config::load(&original).map(|config| config.text(Dialect::V4)) {
            Ok(ours) if ours == original || BY_HAND.contains(&name(&path)) => {}
            Ok(ours) => wrong.push(format!("{}\n{ours}\n", name(&path))),
            Err(error) => wrong.push(format!(
                "{}: {error} {:?}",
                name(&path),
                std::error::Error::source(&error).map(ToString::to_string)
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
