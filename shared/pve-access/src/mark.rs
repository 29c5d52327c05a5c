//! By what a VM is known to be one of a cluster.

use pve_client::answer::Config;

/// The line of a description that marks a VM as ours.
pub const MARK: &str = "ichor-uid: ";

/// The tag that marks the VMs of the cluster with this identity.
pub fn tag(uid: &str) -> String {
    format!("ichor-{}", uid.get(..8).unwrap_or(uid))
}

/// Whether a VM has the mark of the cluster with this identity, in its description or as a tag.
pub fn is_marked(config: &Config, uid: &str) -> bool {
    let line = format!("{MARK}{uid}");
    config.get("description").is_some_and(|text| text.lines().any(|it| it.trim() == line))
        || config.get("tags").is_some_and(|tags| has_tag(tags, &tag(uid)))
}

/// Whether a list of tags has this one; case doesn't matter.
pub fn has_tag(tags: &str, tag: &str) -> bool {
    tags.split([';', ',', ' ']).any(|other| other.eq_ignore_ascii_case(tag))
}
