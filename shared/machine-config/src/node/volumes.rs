//! Volumes for the user's own data.

use go_yaml::{Map, map};

use super::{Error, Node, Volume};
use crate::config::Document;
use crate::contract::Contract;
use crate::generate::document;
use crate::kinds;

const KIND: &str = "UserVolumeConfig";

/// Any disk except the one that Talos is on.
const NOT_THE_SYSTEM: &str = "!system_disk";

/// A volume without a size takes the whole disk; Talos requires a minimum size all the same.
const LEAST: &str = "1GiB";

pub(super) fn documents(contract: Contract, node: &Node<'_>) -> Result<Vec<Document>, Error> {
    let since = kinds::kind(KIND).map_or(0, |kind| kind.since);
    if !node.volumes.is_empty() && contract.minor() < since {
        return Err(Error::TooOld { what: "volumes", since, contract });
    }
    Ok(node.volumes.iter().map(volume).collect())
}

fn volume(volume: &Volume<'_>) -> Document {
    let mut provisioning = Map::new();
    provisioning.set("diskSelector", map! { "match" => volume.disk.unwrap_or(NOT_THE_SYSTEM) });
    match volume.max_size {
        None => provisioning.set("grow", true),
        Some(size) => provisioning.set("maxSize", size),
    }
    if let Some(size) = volume.min_size.or(volume.max_size.is_none().then_some(LEAST)) {
        provisioning.set("minSize", size);
    }
    let mut out = document(KIND, [("name", volume.name.into()), ("provisioning", provisioning.into())]);
    if let Some(kind) = volume.filesystem {
        out.fields.set("filesystem", map! { "type" => kind });
    }
    out
}
