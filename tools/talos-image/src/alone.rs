//! Working from flags: a cluster spec made of them.

use schematic::{Schematic, is_id};
use serde_json::{Map, Value, json};

use crate::{args::Alone, error::Error};

/// `spec` as a cluster file would have it, from the flags.
pub(crate) fn spec(alone: &Alone, version: &str) -> Result<Map<String, Value>, Error> {
    let mut talos = json!({"version": version});
    talos["schematic"] = match &alone.schematic {
        Some(id) if is_id(id) => json!({ "id": id }),
        Some(file) => read(file)?,
        None if alone.extensions.is_empty() => json!({}),
        None => json!({"customization": {"systemExtensions": {"officialExtensions": alone.extensions}}}),
    };
    if let Some(factory) = &alone.factory {
        talos["factory"] = json!(factory);
    }
    Ok(Map::from_iter([("talos".to_owned(), talos)]))
}

/// A schematic file as JSON. It goes through its canonical text to keep its ID: there every value has the type that the
/// factory reads.
fn read(file: &str) -> Result<Value, Error> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::SchematicFile { file: file.into(), source })?;
    let canonical = Schematic::parse(&text).map_err(schematic::SpecError::from)?.canonical();
    serde_yaml::from_str(&canonical).map_err(|error| Error::SchematicFile {
        file: file.into(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    })
}
