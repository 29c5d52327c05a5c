//! The names of VMs: those of their nodes, or a pattern of the file.

use crate::error::Error;

/// What stands for the node's name in a pattern.
const NODE: &str = "{node}";
/// What stands for the cluster's name.
const CLUSTER: &str = "{cluster}";
/// The longest part of a host name, which the name of a VM has to be.
const LONGEST: usize = 63;

/// How VMs are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Naming {
    /// The pattern, with the cluster's name in it.
    pattern: String,
}

impl Default for Naming {
    fn default() -> Self {
        Self { pattern: NODE.to_owned() }
    }
}

impl Naming {
    /// Reads `spec.proxmox.names`.
    pub(crate) fn read(pattern: Option<&str>, cluster: &str) -> Result<Self, Error> {
        let Some(written) = pattern else { return Ok(Self::default()) };
        let naming = Self { pattern: written.replace(CLUSTER, cluster) };
        let is_sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let sample = naming.of("x");
        let is_name = !sample.starts_with(['-', '.']) && !sample.ends_with(['-', '.']) && sample.chars().all(is_sound);
        match naming.pattern.contains(NODE) && is_name && sample.split('.').all(|part| part.len() <= LONGEST) {
            true => Ok(naming),
            false => Err(Error::Names(written.to_owned())),
        }
    }

    /// The name of a node's VM.
    pub(crate) fn of(&self, node: &str) -> String {
        self.pattern.replace(NODE, node)
    }

    /// The node whose VM has this name.
    pub(crate) fn node<'a>(&self, name: &'a str) -> Option<&'a str> {
        let (before, after) = self.pattern.split_once(NODE)?;
        let node = name.strip_prefix(before)?.strip_suffix(after)?;
        (!node.is_empty() && self.of(node) == name).then_some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_has_its_nodes_name_or_that_of_the_pattern() {
        assert_eq!(Naming::default().of("cp-1"), "cp-1");
        assert_eq!(Naming::read(Some("{cluster}-{node}"), "lab").unwrap().of("cp-1"), "lab-cp-1");
        let suffixed = Naming::read(Some("{node}.k8s.lan"), "lab").unwrap();
        assert_eq!(suffixed.of("cp-1"), "cp-1.k8s.lan");
        assert_eq!(
            (suffixed.node("cp-1.k8s.lan"), suffixed.node("cp-1"), suffixed.node(".k8s.lan")),
            (Some("cp-1"), None, None)
        );
    }

    #[test]
    fn a_pattern_that_gives_two_nodes_one_name_or_none_that_proxmox_takes_is_refused() {
        for pattern in ["", "{cluster}", "{Node}", "{node}_1", "-{node}", "{node}.", "a b {node}", &"x".repeat(64)] {
            assert!(Naming::read(Some(pattern), "lab").is_err(), "{pattern:?}");
        }
        assert!(Naming::read(Some(&format!("{}{{node}}", "x".repeat(64))), "lab").is_err());
    }
}
