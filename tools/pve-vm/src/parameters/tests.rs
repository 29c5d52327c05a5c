//! The table against the published schemas.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_name_is_found_with_its_number_and_never_with_a_wrong_one() {
    for name in ["cores", "net0", "net31", "scsi30", "efidisk0", "numa", "numa7", "rng0"] {
        assert!(find(name).is_some(), "{name}");
    }
    for name in ["net", "net32", "net00", "scsi", "ide4", "efidisk1", "colour", "rng1", "node0"] {
        assert!(find(name).is_none(), "{name}");
    }
    assert!(find("numa0").is_some_and(|known| known.count == 8));
}

#[test]
fn a_name_that_is_misspelled_is_guessed() {
    assert_eq!(meant("Memory"), Some("memory"));
    assert_eq!(meant("socket"), Some("sockets"));
    assert_eq!(meant("ha_managed"), Some("ha-managed"));
    assert_eq!(meant("corse"), Some("cores"));
    assert_eq!(meant("colour"), None);
}

/// The published schemas of both releases that are supported.
#[test]
fn every_parameter_of_the_api_is_in_the_table_and_nothing_else_but_ours() {
    let mut published: BTreeSet<String> = BTreeSet::new();
    for release in ["8.4", "9.1"] {
        let Some(path) = judges::vectors(&format!("pve/apidata-{release}.json")) else { return };
        let text = std::fs::read_to_string(path).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        let parameters = creation(&schema).unwrap();
        published.extend(parameters.keys().map(|name| name.replace("[n]", "")));
    }
    let known: BTreeSet<String> = PARAMETERS.iter().map(|known| known.name.to_owned()).collect();
    let missing: Vec<_> = published.difference(&known).collect();
    assert_eq!(missing, [""; 0], "parameters that the table lacks");
    let ours: Vec<_> = known.difference(&published).collect();
    assert_eq!(ours, ["disk", "disks", "ha"], "parameters that the API lacks");
}

pub(super) fn creation(node: &serde_json::Value) -> Option<&serde_json::Map<String, serde_json::Value>> {
    if let Some(nodes) = node.as_array() {
        return nodes.iter().find_map(creation);
    }
    match node["path"].as_str() {
        Some("/nodes/{node}/qemu") => node["info"]["POST"]["parameters"]["properties"].as_object(),
        _ => node.get("children").and_then(creation),
    }
}
