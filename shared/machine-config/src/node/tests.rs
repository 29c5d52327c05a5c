use super::*;

fn config(contract: &str, machine: &str, node: &Node<'_>) -> String {
    let contract = Contract::parse(contract).unwrap();
    let hostname = "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
    let mut text = format!("machine: {{type: {machine}}}\n");
    if contract.has(Gate::NetworkDocuments) {
        text.push_str(&format!("---\n{hostname}"));
    }
    let config = crate::load(&text).unwrap();
    let machine = MachineType::parse(machine).unwrap();
    tailor(&config, contract, machine, node).unwrap().text(contract.dialect())
}

fn node() -> Node<'static> {
    Node {
        hostname: "cp-1.lab.lan",
        address: Some("10.0.0.11/24".parse().unwrap()),
        gateway: Some("10.0.0.1".parse().unwrap()),
        nameservers: vec!["10.0.0.1".parse().unwrap()],
        ntp: vec!["time.cloudflare.com"],
        vip: Some("10.0.0.10".parse().unwrap()),
        nics: vec![Some("BC:24:11:00:00:01")],
        labels: vec![("rack", "7")],
        ..Node::default()
    }
}

#[test]
fn from_1_12_on_each_fact_is_a_document_and_the_link_is_found_by_mac() {
    insta::assert_snapshot!(config("v1.13", "controlplane", &node()));
}

#[test]
fn up_to_1_11_the_facts_stand_in_the_legacy_document() {
    insta::assert_snapshot!(config("v1.11", "controlplane", &node()));
}

#[test]
fn a_worker_with_dhcp_gets_a_name_and_nothing_that_switches_dhcp_off() {
    let node = Node { hostname: "w-1", vip: node().vip, nics: node().nics, ..Node::default() };
    let text = config("v1.12", "worker", &node);
    assert!(text.ends_with("kind: HostnameConfig\nauto: \"off\"\nhostname: w-1\n"), "{text}");
}

#[test]
fn an_unknown_mac_means_the_first_nic_of_a_nocloud_image() {
    let text = config("v1.13", "worker", &Node { nics: vec![None], ..node() });
    assert!(text.contains("kind: LinkConfig\nname: eth0\n") && !text.contains("LinkAliasConfig"));
    assert!(!text.contains("Layer2VIPConfig"));
}

#[test]
fn from_1_14_on_labels_stand_in_the_node_document() {
    let text = config("v1.14", "controlplane", &node());
    assert!(
        text.contains(
            "kind: KubeNodeConfig\nnodeIP:\n    validSubnets:\n        - 10.0.0.0/24\nlabels:\n    rack: \"7\"\n"
        ),
        "{text}"
    );
}

/// A node with everything that a network can have.
fn wired() -> Node<'static> {
    let route = Route { to: "10.9.0.0/16".parse().unwrap(), via: "10.0.0.254".parse().unwrap(), metric: Some(100) };
    Node {
        nics: vec![Some("BC:24:11:00:00:01"), Some("BC:24:11:00:00:02"), Some("BC:24:11:00:00:03")],
        bond: Some(Bond { mode: "802.3ad", nics: vec![0, 1] }),
        mtu: Some(9000),
        routes: vec![route],
        vlans: vec![
            Vlan { id: 7, address: Some("10.7.0.11/24".parse().unwrap()), mtu: Some(1500), routes: Vec::new() },
            Vlan { id: 8, address: None, mtu: None, routes: Vec::new() },
        ],
        ..node()
    }
}

#[test]
fn a_bond_carries_the_address_and_the_vlans_and_other_nics_go_on_with_dhcp() {
    insta::assert_snapshot!(config("v1.13", "controlplane", &wired()));
}

#[test]
fn up_to_1_11_a_bond_and_its_vlans_are_an_interface() {
    insta::assert_snapshot!(config("v1.11", "controlplane", &wired()));
}

#[test]
fn a_link_with_a_setting_and_no_address_goes_on_with_dhcp() {
    let node = Node { mtu: Some(9000), address: None, ..node() };
    let text = config("v1.13", "worker", &node);
    assert!(text.contains("kind: LinkConfig\nname: net0\nup: true\nmtu: 9000\n---\n"), "{text}");
    assert!(text.contains("kind: DHCPv4Config\nname: net0\n"), "{text}");
    let text = config("v1.11", "worker", &node);
    assert!(text.contains("mtu: 9000\n              dhcp: true\n"), "{text}");
}

#[test]
fn a_static_address_on_the_first_of_two_nics_leaves_dhcp_on_the_second() {
    let node = Node { nics: vec![None, None], vip: None, ..node() };
    let text = config("v1.13", "worker", &node);
    assert!(
        text.contains("kind: DHCPv4Config\nname: eth1\n")
            && !text.contains("name: eth0\n---\napiVersion: v1alpha1\nkind: DHCP"),
        "{text}"
    );
}

#[test]
fn a_bond_of_a_nic_that_is_not_there_is_refused() {
    let node = Node { nics: vec![None], bond: Some(Bond { mode: "active-backup", nics: vec![0, 1] }), ..node() };
    let contract = Contract::parse("v1.13").unwrap();
    let refused = tailor(&Config::default(), contract, MachineType::Worker, &node).unwrap_err();
    assert_eq!(refused, Error::NoSuchNic { nic: 1, count: 1 });
}

#[test]
fn volumes_are_documents_from_1_10_on() {
    let node = Node { volumes: vec![Volume { name: "data", filesystem: Some("ext4"), ..Volume::default() }], ..node() };
    let text = config("v1.12", "worker", &node);
    let volume = "kind: UserVolumeConfig\nname: data\nprovisioning:\n    diskSelector:\n        match: '!system_disk'\n    grow: true\n    minSize: 1GiB\nfilesystem:\n    type: ext4\n";
    assert!(text.contains(volume), "{text}");
    let contract = Contract::parse("v1.9").unwrap();
    let refused = tailor(&Config::default(), contract, MachineType::Worker, &node).unwrap_err();
    assert_eq!(refused.to_string(), "volumes are known from Talos v1.10 on; this is v1.9");
}
