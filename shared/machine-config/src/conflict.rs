//! Documents that exclude each other.

use std::collections::HashMap;

use crate::config::{Document, Identity};

/// Two documents that exclude each other, with Talos's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The same document twice.
    #[error("duplicate document: {0}")]
    Duplicate(Identity),
    /// Two kinds of which only one may have a name.
    #[error("conflicting documents: {0} and {1}")]
    Documents(Identity, Identity),
    /// Two documents that configure the same link, one of them as the other end of its own.
    #[error("conflicting link configurations: {0} and {1} both configure {2:?}")]
    Link(Identity, Identity, String),
}

/// Sets of kinds of which only one may have a name.
const RIVALS: [&[&str]; 3] = [
    &[
        "BondConfig",
        "BridgeConfig",
        "DummyLinkConfig",
        "LinkConfig",
        "VLANConfig",
        "VRFConfig",
        "VethConfig",
        "WireguardConfig",
    ],
    &["ExistingVolumeConfig", "UserVolumeConfig"],
    &["HCloudVIPConfig", "Layer2VIPConfig"],
];

/// Finds the first conflict.
pub(crate) fn find(documents: &[Document]) -> Result<(), Box<Conflict>> {
    let mut seen: HashMap<(usize, String), Identity> = HashMap::new();
    for document in documents {
        let identity = document.identity();
        for key in keys(document, &identity) {
            let own_name = key.1 == identity.name;
            let name = key.1.clone();
            match seen.insert(key, identity.clone()) {
                Some(other) if other == identity => return Err(Conflict::Duplicate(identity).into()),
                Some(other) if own_name && other.name == name => {
                    return Err(Conflict::Documents(other, identity).into());
                }
                Some(other) => return Err(Conflict::Link(other, identity, name).into()),
                None => {}
            }
        }
    }
    Ok(())
}

/// The names that a document claims: its own among its rivals, and for a pair of links also the other end's.
fn keys(document: &Document, identity: &Identity) -> Vec<(usize, String)> {
    let set = RIVALS.iter().position(|set| set.contains(&identity.kind));
    let Some(set) = set else {
        let alone = crate::kinds::KINDS.iter().position(|kind| kind.name == identity.kind);
        return vec![(RIVALS.len() + alone.map_or(0, |index| index + 1), identity.name.clone())];
    };
    let peer = document.fields.get("peer").filter(|_| identity.kind == "VethConfig");
    let peer = peer.and_then(|peer| peer.text_at(&["name"])).filter(|name| !name.is_empty() && *name != identity.name);
    std::iter::once(identity.name.as_str()).chain(peer).map(|name| (set, name.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(text: &str) -> String {
        let documents = text.split("---\n").map(|text| {
            let config = crate::load(&format!("apiVersion: v1alpha1\n{text}")).unwrap();
            config.documents()[0].clone()
        });
        find(&documents.collect::<Vec<_>>()).map_or_else(|conflict| conflict.to_string(), |()| String::new())
    }

    #[test]
    fn names_are_unique_among_rivals() {
        assert_eq!(conflict("kind: LinkConfig\nname: a\n---\nkind: DHCPv4Config\nname: a\n"), "");
        assert_eq!(
            conflict("kind: LinkConfig\nname: a\n---\nkind: LinkConfig\nname: a\n"),
            "duplicate document: LinkConfig/a"
        );
        assert_eq!(
            conflict("kind: LinkConfig\nname: a\n---\nkind: BondConfig\nname: a\n"),
            "conflicting documents: LinkConfig/a and BondConfig/a"
        );
        assert_eq!(
            conflict("kind: UserVolumeConfig\nname: a\n---\nkind: ExistingVolumeConfig\nname: a\n"),
            "conflicting documents: UserVolumeConfig/a and ExistingVolumeConfig/a"
        );
        assert_eq!(
            conflict("kind: VethConfig\nname: a\npeer: {name: b}\n---\nkind: LinkConfig\nname: b\n"),
            "conflicting link configurations: VethConfig/a and LinkConfig/b both configure \"b\""
        );
    }
}
