//! What is on the disc: the machine config, and what Proxmox VE's own cloud-init drive would have said. Pure.

use std::net::IpAddr;

use pve_access::iso9660::{Entry, image};
use pve_client::{answer::Config, property::Property};

/// The label by which Talos finds the disc.
const LABEL: &str = "cidata";
/// First lines by which user data is something else than a machine config.
const OTHERS: [&str; 2] = ["#cloud-config", "#include"];

/// The disc of a VM with this config, for a node with this machine config.
pub(crate) fn disc(machine_config: &str, vm: &Config) -> Vec<u8> {
    let (meta, network) = (meta_data(vm), network_config(vm));
    image(
        LABEL,
        &[
            Entry { name: "user-data", bytes: machine_config.as_bytes() },
            Entry { name: "meta-data", bytes: meta.as_bytes() },
            Entry { name: "network-config", bytes: network.as_bytes() },
        ],
    )
}

/// The first line, if Talos would take the text for something else than a machine config.
pub(crate) fn misread(machine_config: &str) -> Option<&'static str> {
    OTHERS.into_iter().find(|word| machine_config.lines().next().is_some_and(|line| line.trim_end().starts_with(word)))
}

fn meta_data(vm: &Config) -> String {
    let name = vm.get("name").unwrap_or_default();
    let id = vm.uuid().unwrap_or_default();
    let name = if name.is_empty() { String::new() } else { format!("local-hostname: {}\n", quoted(name)) };
    format!("instance-id: {}\n{name}", quoted(&id))
}

/// The network settings of the VM. Without any, Talos asks DHCP.
fn network_config(vm: &Config) -> String {
    let numbered = |name: &str, stem: &str| name.strip_prefix(stem).and_then(|rest| rest.parse::<u32>().ok());
    let is_setting =
        |name: &str| numbered(name, "ipconfig").is_some() || name == "nameserver" || name == "searchdomain";
    if !vm.values().any(|(name, _)| is_setting(name)) {
        return "version: 1\n".to_owned();
    }
    let mut nics: Vec<(u32, String)> =
        vm.values().filter_map(|(name, value)| Some((numbered(name, "net")?, mac(value)?))).collect();
    nics.sort_unstable();
    let mut text = "version: 1\nconfig:\n".to_owned();
    for (index, mac) in nics {
        text += &format!("  - type: physical\n    name: eth{index}\n    mac_address: {}\n", quoted(&mac));
        let subnets = vm.property(&format!("ipconfig{index}")).map(|network| subnets(&network)).unwrap_or_default();
        if !subnets.is_empty() {
            text += &format!("    subnets:\n{subnets}");
        }
    }
    let list = |key: &str| -> Vec<String> {
        let words = vm.get(key).unwrap_or_default().split([' ', ',', ';']).filter(|word| !word.is_empty());
        words.map(|word| format!("      - {}\n", quoted(word))).collect()
    };
    let (servers, domains) = (list("nameserver"), list("searchdomain"));
    if !servers.is_empty() || !domains.is_empty() {
        text += "  - type: nameserver\n";
        for (key, list) in [("address", servers), ("search", domains)].into_iter().filter(|(_, list)| !list.is_empty())
        {
            text += &format!("    {key}:\n{}", list.concat());
        }
    }
    text
}

/// The hardware address of a NIC: `virtio=BC:24:11:00:00:01,bridge=vmbr0`.
fn mac(nic: &str) -> Option<String> {
    let is_mac = |text: &str| {
        text.len() == 17
            && text.split(':').all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let values = nic.split(',').filter_map(|pair| pair.split_once('='));
    values.map(|(_, value)| value).find(|value| is_mac(value)).map(str::to_lowercase)
}

fn subnets(network: &Property) -> String {
    let mut text = String::new();
    for (key, gateway, dhcp, fixed) in [("ip", "gw", "dhcp4", "static"), ("ip6", "gw6", "dhcp6", "static6")] {
        match network.get(key) {
            None => continue,
            Some("dhcp") => text += &format!("      - type: {dhcp}\n"),
            Some("auto") => text += "      - type: ipv6_slaac\n",
            Some(address) => {
                text += &format!("      - type: {fixed}\n        address: {}\n", quoted(address));
                if let Some(gateway) = network.get(gateway).and_then(|text| text.parse::<IpAddr>().ok()) {
                    text += &format!("        gateway: {}\n", quoted(&gateway.to_string()));
                }
            }
        }
    }
    text
}

/// A text that YAML reads as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(more: &[(&str, &str)]) -> Config {
        let own = [
            ("name", "w-1"),
            ("smbios1", "uuid=31B18265-28b5-8b49-a7c1-a8396ffe3616"),
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
        ];
        own.iter().chain(more).copied().collect()
    }

    #[test]
    fn a_static_address_is_said_as_proxmox_would_have() {
        let vm = vm(&[
            ("net10", "virtio=BC:24:11:00:00:0A,bridge=vmbr1"),
            ("ipconfig0", "ip=10.0.0.11/24,gw=10.0.0.1,ip6=fd00::11/64,gw6=fd00::1"),
            ("ipconfig10", "ip=dhcp,ip6=auto"),
            ("nameserver", "10.0.0.1 fd00::1"),
            ("searchdomain", "lab.lan"),
        ]);
        assert_eq!(
            network_config(&vm),
            "version: 1\nconfig:\n  - type: physical\n    name: eth0\n    mac_address: 'bc:24:11:00:00:01'\n    subnets:\n      \
             - type: static\n        address: '10.0.0.11/24'\n        gateway: '10.0.0.1'\n      - type: static6\n        \
             address: 'fd00::11/64'\n        gateway: 'fd00::1'\n  - type: physical\n    name: eth10\n    mac_address: \
             'bc:24:11:00:00:0a'\n    subnets:\n      - type: dhcp4\n      - type: ipv6_slaac\n  - type: nameserver\n    \
             address:\n      - '10.0.0.1'\n      - 'fd00::1'\n    search:\n      - 'lab.lan'\n"
        );
    }

    #[test]
    fn without_settings_nothing_is_said_of_the_network() {
        assert_eq!(network_config(&vm(&[])), "version: 1\n");
        assert_eq!(meta_data(&vm(&[])), "instance-id: '31b18265-28b5-8b49-a7c1-a8396ffe3616'\nlocal-hostname: 'w-1'\n");
    }

    #[test]
    fn texts_of_others_stay_texts() {
        assert_eq!(quoted("a: 'b'\n"), "'a: ''b''\n'");
        assert_eq!(mac("virtio=x,bridge=vmbr0"), None);
        assert_eq!(mac("model=virtio,macaddr=BC:24:11:00:00:01"), Some("bc:24:11:00:00:01".to_owned()));
    }

    #[test]
    fn what_talos_would_not_take_for_a_machine_config_is_known() {
        assert_eq!(misread("#cloud-config\nversion: v1alpha1\n"), Some("#cloud-config"));
        assert_eq!(misread("#include\nhttps://x\n"), Some("#include"));
        assert_eq!(misread("# mine\nversion: v1alpha1\n#include\n"), None);
    }

    #[test]
    fn a_disc_has_the_label_that_talos_looks_for() {
        let bytes = disc("version: v1alpha1\n", &vm(&[]));
        assert_eq!(&bytes[16 * 2048 + 40..16 * 2048 + 48], b"cidata  ");
    }
}
