//! Which addresses are a VM's, by what others say of it.

use std::net::IpAddr;

use pve_client::answer::{Lease, Nics};

/// The addresses of the NICs with these MAC addresses, as a guest agent reports them.
pub fn of(nics: &Nics, macs: &[String]) -> Vec<String> {
    let nics = nics.0.iter().filter(|nic| is_ours(&nic.hardware_address, macs));
    in_order(nics.flat_map(|nic| &nic.ip_addresses).filter_map(|address| address.ip_address.parse().ok()).collect())
}

/// The addresses that Proxmox VE's own DHCP hands out to these MAC addresses.
pub(crate) fn leased(leases: &[Lease], macs: &[String]) -> Vec<String> {
    let ours = leases.iter().filter(|lease| lease.mac.as_deref().is_some_and(|mac| is_ours(mac, macs)));
    in_order(ours.filter_map(|lease| lease.ip.as_deref()?.parse().ok()).collect())
}

fn is_ours(mac: &str, macs: &[String]) -> bool {
    macs.iter().any(|known| known.eq_ignore_ascii_case(mac))
}

/// Those that others reach, IPv4 first.
pub(crate) fn in_order(mut found: Vec<IpAddr>) -> Vec<String> {
    found.retain(is_reachable);
    found.sort_by_key(IpAddr::is_ipv6);
    found.dedup();
    found.iter().map(ToString::to_string).collect()
}

fn is_reachable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_link_local() && !address.is_unspecified(),
        IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_unspecified() && !address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_nics_count_and_only_addresses_that_others_reach() {
        let nics: Nics = serde_json::from_str(
            r#"{"result":[
                {"name":"cni0","hardware-address":"aa:00:00:00:00:01","ip-addresses":[{"ip-address":"10.244.0.1"}]},
                {"name":"eth0","hardware-address":"bc:24:11:00:00:01","ip-addresses":[
                    {"ip-address":"fe80::1"},{"ip-address":"fd00::11"},{"ip-address":"10.0.0.11"},{"ip-address":"169.254.1.1"}]},
                {"name":"eth1","hardware-address":"bc:24:11:00:00:02"}]}"#,
        )
        .unwrap();

        assert_eq!(of(&nics, &["BC:24:11:00:00:01".into()]), ["10.0.0.11", "fd00::11"]);
    }

    #[test]
    fn leases_count_by_our_mac_addresses_and_gateways_never() {
        let leases: Vec<Lease> = serde_json::from_str(
            r#"[{"ip":"10.1.0.1","gateway":1,"zone":"z","vnet":"v"},
                {"ip":"10.1.0.7","mac":"BC:24:11:00:00:01","vmid":100,"hostname":"w-1"},
                {"ip":"fd01::7","mac":"bc:24:11:00:00:01","vmid":"100"},
                {"ip":"somewhere","mac":"BC:24:11:00:00:01"},
                {"ip":"10.1.0.8","mac":"BC:24:11:00:00:02","vmid":101},{"mac":"BC:24:11:00:00:01"}]"#,
        )
        .unwrap();

        assert_eq!(leased(&leases, &["BC:24:11:00:00:01".into()]), ["10.1.0.7", "fd01::7"]);
    }
}
