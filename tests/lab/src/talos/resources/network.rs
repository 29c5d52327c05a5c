//! Resources about the network of a node.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;
use talos_proto::definitions as proto;

use super::Definition;
use super::spec::{Item, prefix};
use crate::talos::world::{Id, World};

const fn network(kind: &'static str, display: &'static str, items: fn(&World, Id) -> Vec<Item>) -> Definition {
    let namespace = "network";
    Definition { kind, display, namespace, aliases: &[], columns: &[], sensitive: false, since: 0, items }
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        columns: &[("Hostname", "{.hostname}"), ("Domainname", "{.domainname}")],
        ..network("HostnameStatuses.net.talos.dev", "HostnameStatus", hostname)
    },
    Definition {
        aliases: &["addresses", "nodeaddress"],
        columns: &[("Addresses", "{.addresses}"), ("Sort Algorithm", "{.sortAlgorithm}")],
        ..network("NodeAddresses.net.talos.dev", "NodeAddress", addresses)
    },
    Definition {
        aliases: &["link", "links"],
        columns: &[
            ("Alias", "{.alias}"),
            ("Type", "{.type}"),
            ("Kind", "{.kind}"),
            ("Hw Addr", "{.hardwareAddr}"),
            ("Oper State", "{.operationalState}"),
            ("Link State", "{.linkState}"),
        ],
        ..network("LinkStatuses.net.talos.dev", "LinkStatus", links)
    },
    Definition {
        aliases: &["netstatus", "netstatuses"],
        columns: &[
            ("Address", "{.addressReady}"),
            ("Connectivity", "{.connectivityReady}"),
            ("Hostname", "{.hostnameReady}"),
            ("Etc", "{.etcFilesReady}"),
        ],
        ..network("NetworkStatuses.net.talos.dev", "NetworkStatus", status)
    },
];

fn hostname(world: &World, id: Id) -> Vec<Item> {
    let (hostname, domainname) = world.nodes[id].hostname();
    let yaml = json!({"hostname": hostname, "domainname": domainname});
    vec![Item::new("hostname", &proto::HostnameStatusSpec { hostname, domainname }, &yaml)]
}

fn addresses(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let own: Vec<(IpAddr, u8)> = node.addresses.iter().map(|a| (a.addr(), a.prefix_len())).collect();
    let shared: Vec<(IpAddr, u8)> = node.shared.iter().map(|address| (*address, 32)).collect();
    let local = (IpAddr::V4(Ipv4Addr::LOCALHOST), 8);
    let routed = [own.clone(), shared.clone()].concat();
    let current: Vec<(IpAddr, u8)> = std::iter::once(local).chain(routed.iter().copied()).collect();
    let default: Vec<(IpAddr, u8)> = own.iter().take(1).copied().collect();
    let sets = [("default", default), ("current", current.clone()), ("accumulative", current), ("routed", routed)];
    let mut items: Vec<Item> =
        sets.iter().filter(|(_, set)| !set.is_empty()).map(|(id, set)| address_item(id, set)).collect();
    if node.config.is_some() {
        items.extend(sets.iter().skip(1).map(|(id, set)| address_item(&format!("{id}-no-k8s"), set)));
    }
    items
}

fn address_item(id: &str, set: &[(IpAddr, u8)]) -> Item {
    let addresses = set.iter().map(|(address, length)| prefix(*address, *length)).collect();
    let written: Vec<String> = set.iter().map(|(address, length)| format!("{address}/{length}")).collect();
    let spec = proto::NodeAddressSpec { addresses, sort_algorithm: 0 };
    Item::new(id, &spec, &json!({"addresses": written, "sortAlgorithm": "v1"}))
}

fn links(world: &World, id: Id) -> Vec<Item> {
    let macs = world.nodes[id].machine.macs.iter().enumerate();
    let links = macs.map(|(index, mac)| link(index, mac));
    std::iter::once(loopback()).chain(links).collect()
}

fn loopback() -> Item {
    let spec = proto::LinkStatusSpec {
        index: 1,
        r#type: 772,
        flags: 0x1_0049,
        hardware_addr: vec![0; 6],
        mtu: 65_536,
        operational_state: proto::OperationalState::Unknown as i32,
        link_state: true,
        ..proto::LinkStatusSpec::default()
    };
    let yaml = json!({
        "index": 1, "type": "loopback", "flags": "UP,LOOPBACK,RUNNING", "hardwareAddr": "00:00:00:00:00:00",
        "mtu": 65_536, "operationalState": "unknown", "linkState": true,
    });
    Item::new("lo", &spec, &yaml)
}

fn link(index: usize, mac: &str) -> Item {
    let bytes: Vec<u8> = mac.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    let number = u32::try_from(index).unwrap_or_default();
    let mac = mac.to_lowercase();
    let spec = proto::LinkStatusSpec {
        index: number + 8,
        r#type: 1,
        flags: 0x1_1043,
        hardware_addr: bytes.clone(),
        mtu: 1500,
        operational_state: proto::OperationalState::Up as i32,
        bus_path: format!("0000:06:{:02x}.0", 18 + index),
        driver: "virtio_net".to_owned(),
        link_state: true,
        permanent_addr: bytes,
        alt_names: vec![format!("enx{}", mac.replace(':', "")), format!("ens{}", 18 + index)],
        ..proto::LinkStatusSpec::default()
    };
    let yaml = json!({
        "index": spec.index, "type": "ether", "flags": "UP,BROADCAST,RUNNING,MULTICAST,LOWER_UP",
        "hardwareAddr": mac, "permanentAddr": mac, "mtu": 1500, "operationalState": "up", "linkState": true,
        "busPath": spec.bus_path, "driver": spec.driver, "altNames": spec.alt_names,
    });
    Item::new(&format!("eth{index}"), &spec, &yaml)
}

fn status(world: &World, id: Id) -> Vec<Item> {
    let ready = !world.nodes[id].addresses.is_empty();
    let spec = proto::NetworkStatusSpec {
        address_ready: ready,
        connectivity_ready: ready,
        hostname_ready: true,
        etc_files_ready: true,
    };
    let yaml = json!({"addressReady": ready, "connectivityReady": ready, "hostnameReady": true, "etcFilesReady": true});
    vec![Item::new("status", &spec, &yaml)]
}
