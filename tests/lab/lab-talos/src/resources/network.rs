//! Resources about the network of a node.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;
use talos_proto::definitions as proto;

use super::Source;
use super::spec::{Item, prefix};
use crate::world::{Id, World};

pub(super) const SOURCES: &[Source] = &[
    ("HostnameStatuses.net.talos.dev", hostname),
    ("NodeAddresses.net.talos.dev", addresses),
    ("LinkStatuses.net.talos.dev", links),
    ("NetworkStatuses.net.talos.dev", status),
    ("AddressStatuses.net.talos.dev", address_statuses),
    ("ResolverStatuses.net.talos.dev", resolvers),
    ("TimeServerStatuses.net.talos.dev", time_servers),
    ("RouteStatuses.net.talos.dev", routes),
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
    // The loopback's address is in none of them, and no pod's or service's is any node's (seen on 1.13.9).
    let all = [own.clone(), shared].concat();
    let default: Vec<(IpAddr, u8)> = own.into_iter().take(1).collect();
    let mut items: Vec<Item> = if default.is_empty() { Vec::new() } else { vec![address_item("default", &default)] };
    for id in ["accumulative", "current", "routed"] {
        items.push(address_item(id, &all));
        if node.config.is_some() {
            items.push(address_item(&format!("{id}-no-k8s"), &all));
            items.push(address_item(&format!("{id}-only-k8s"), &[]));
        }
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
        broadcast_addr: vec![0; 6],
        mtu: 65_536,
        queue_disc: "noqueue".to_owned(),
        operational_state: proto::OperationalState::Unknown as i32,
        port: 0xff,
        duplex: 0xff,
        link_state: true,
        ..proto::LinkStatusSpec::default()
    };
    let yaml = json!({
        "index": 1, "type": "loopback", "linkIndex": 0, "flags": "UP,LOOPBACK,RUNNING,LOWER_UP",
        "hardwareAddr": "00:00:00:00:00:00", "permanentAddr": "", "broadcastAddr": "00:00:00:00:00:00",
        "mtu": 65_536, "queueDisc": spec.queue_disc, "operationalState": "unknown", "kind": "", "slaveKind": "",
        "linkState": true, "port": "Other", "duplex": "Unknown",
    });
    Item::new("lo", &spec, &yaml)
}

fn link(index: usize, mac: &str) -> Item {
    let bytes = super::spec::mac(mac);
    let number = u32::try_from(index).unwrap_or_default();
    let mac = mac.to_lowercase();
    let spec = proto::LinkStatusSpec {
        index: number + 8,
        r#type: 1,
        flags: 0x1_1043,
        hardware_addr: bytes.clone(),
        broadcast_addr: vec![0xff; 6],
        mtu: 1500,
        queue_disc: "pfifo_fast".to_owned(),
        operational_state: proto::OperationalState::Up as i32,
        bus_path: format!("0000:06:{:02x}.0", 18 + index),
        driver: "virtio_net".to_owned(),
        link_state: true,
        port: 0xff,
        duplex: 0xff,
        permanent_addr: bytes,
        alt_names: vec![format!("enx{}", mac.replace(':', "")), format!("ens{}", 18 + index)],
        ..proto::LinkStatusSpec::default()
    };
    let yaml = json!({
        "index": spec.index, "type": "ether", "linkIndex": 0, "flags": "UP,BROADCAST,RUNNING,MULTICAST,LOWER_UP",
        "hardwareAddr": mac, "permanentAddr": mac, "broadcastAddr": "ff:ff:ff:ff:ff:ff", "mtu": 1500,
        "queueDisc": spec.queue_disc, "operationalState": "up", "kind": "", "slaveKind": "", "linkState": true,
        "port": "Other", "duplex": "Unknown",
        "busPath": spec.bus_path, "driver": spec.driver, "altNames": spec.alt_names,
    });
    Item::new(&format!("eth{index}"), &spec, &yaml)
}

/// Linux's number of the address family.
fn family(address: IpAddr) -> i32 {
    if address.is_ipv4() { 2 } else { 10 }
}

fn address_statuses(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let own = node.addresses.iter().map(|a| (a.addr(), a.prefix_len(), 8, "eth0"));
    let shared = node.shared.iter().map(|address| (*address, 32, 8, "eth0"));
    let local = (IpAddr::V4(Ipv4Addr::LOCALHOST), 8, 1, "lo");
    let item = |(address, length, index, link): (IpAddr, u8, u32, &str)| {
        // Linux's numbers: a host's own address, and one for everybody.
        let (scope, reach) = if address.is_loopback() && link == "lo" { (254, "host") } else { (0, "global") };
        let spec = proto::AddressStatusSpec {
            address: Some(prefix(address, length)),
            link_index: index,
            link_name: link.to_owned(),
            family: family(address),
            scope,
            flags: 0x80,
        };
        let written = format!("{address}/{length}");
        let yaml = json!({
            "address": written, "linkIndex": index, "linkName": link,
            "family": if address.is_ipv4() { "inet4" } else { "inet6" }, "scope": reach, "flags": "permanent",
            "priority": 0,
        });
        Item::new(&format!("{link}/{written}"), &spec, &yaml)
    };
    std::iter::once(local).chain(own).chain(shared).map(item).collect()
}

fn resolvers(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let configured: Vec<IpAddr> = node
        .config
        .iter()
        .flat_map(|config| config.network.nameservers.iter())
        .filter_map(|server| server.parse().ok())
        .collect();
    let servers = if configured.is_empty() { node.machine.nameservers.clone() } else { configured };
    let yaml = json!({"dnsServers": servers, "searchDomains": []});
    let dns_servers = servers.iter().map(|server| super::spec::ip(*server)).collect();
    vec![Item::new("resolvers", &proto::ResolverStatusSpec { dns_servers, search_domains: Vec::new() }, &yaml)]
}

fn time_servers(world: &World, id: Id) -> Vec<Item> {
    let configured = world.nodes[id].config.as_ref().map(|config| config.network.time_servers.clone());
    let ntp_servers = configured.filter(|servers| !servers.is_empty());
    let ntp_servers = ntp_servers.unwrap_or_else(|| vec!["time.cloudflare.com".to_owned()]);
    let yaml = json!({"timeServers": ntp_servers});
    vec![Item::new("timeservers", &proto::TimeServerStatusSpec { ntp_servers }, &yaml)]
}

/// One route for the node's own network; the lab has no way out of it.
fn routes(world: &World, id: Id) -> Vec<Item> {
    let item = |address: &ipnet::IpNet| {
        let (net, length) = (address.network(), address.prefix_len());
        let spec = proto::RouteStatusSpec {
            family: family(net),
            destination: Some(prefix(net, length)),
            gateway: None,
            out_link_index: 8,
            out_link_name: "eth0".to_owned(),
            table: 254,
            priority: 1024,
            scope: 253,
            r#type: 1,
            flags: 0,
            protocol: 2,
        };
        let yaml = json!({
            "family": if net.is_ipv4() { "inet4" } else { "inet6" }, "dst": format!("{net}/{length}"), "src": "",
            "gateway": "", "outLinkIndex": 8, "outLinkName": "eth0", "table": "main", "priority": 1024,
            "scope": "link", "type": "unicast", "flags": "", "protocol": "kernel",
        });
        Item::new(&format!("inet4//{net}/{length}/1024"), &spec, &yaml)
    };
    world.nodes[id].addresses.iter().map(item).collect()
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
