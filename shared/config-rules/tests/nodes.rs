//! Configs that are made for a node are valid.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use config_rules::{Mode, validate};
use machine_config::node::{Bond, Node, Route, Vlan, Volume, tailor};
use machine_config::{Contract, Gate, MachineType, load};

/// A worker's config with the facts of a node.
fn config(contract: Contract, node: &Node<'_>) -> String {
    let mut text = "machine: {type: worker}\n".to_owned();
    if contract.has(Gate::NetworkDocuments) {
        text.push_str("---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n");
    }
    tailor(&load(&text).unwrap(), contract, MachineType::Worker, node).unwrap().text(contract.dialect())
}

/// A node with everything that a network can have.
fn wired() -> Node<'static> {
    let route = Route { to: "10.9.0.0/16".parse().unwrap(), via: "10.0.0.254".parse().unwrap(), metric: Some(100) };
    Node {
        hostname: "w-1.lab.lan",
        address: Some("10.0.0.11/24".parse().unwrap()),
        gateway: Some("10.0.0.1".parse().unwrap()),
        nameservers: vec!["10.0.0.1".parse().unwrap()],
        ntp: vec!["time.cloudflare.com"],
        vip: Some("10.0.0.10".parse().unwrap()),
        nics: vec![Some("BC:24:11:00:00:01"), Some("BC:24:11:00:00:02"), Some("BC:24:11:00:00:03")],
        bond: Some(Bond { mode: "802.3ad", nics: vec![0, 1] }),
        mtu: Some(9000),
        routes: vec![route],
        vlans: vec![
            Vlan { id: 7, address: Some("10.7.0.11/24".parse().unwrap()), mtu: Some(1500), routes: Vec::new() },
            Vlan { id: 8, address: None, mtu: None, routes: Vec::new() },
        ],
        labels: vec![("rack", "7")],
        ..Node::default()
    }
}

#[test]
fn what_is_made_of_a_node_is_valid_for_every_contract() {
    for contract in Contract::all().filter(|contract| contract.minor() >= 10) {
        // Talos accepts parts of a disk from 1.12 on.
        let most = if contract.minor() < 12 { "10GiB" } else { "50%" };
        let volumes = vec![Volume { name: "data", max_size: Some(most), ..Volume::default() }];
        let text = config(contract, &Node { volumes, ..wired() });
        let found = validate(&load(&text).unwrap(), Mode::Cloud, contract).errors;
        let ours = ["Link", "Bond", "VLAN", "DHCP", "Volume", "networking", "bond", "Hostname", "Resolver", "nodeIP"];
        let about: Vec<&String> = found.iter().filter(|text| ours.iter().any(|word| text.contains(word))).collect();
        assert!(about.is_empty(), "{contract}: {about:#?}");
    }
}
