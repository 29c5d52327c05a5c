//! A VM's addresses, as its guest agent reports them.

use std::net::IpAddr;

use pve_client::answer::Nics;

/// The addresses of the NICs with these MAC addresses, IPv4 first, without link-local ones.
pub(crate) fn of(nics: &Nics, macs: &[String]) -> Vec<String> {
    let ours = |mac: &str| macs.iter().any(|known| known.eq_ignore_ascii_case(mac));
    let nics = nics.0.iter().filter(|nic| ours(&nic.hardware_address));
    let mut found: Vec<IpAddr> = nics
        .flat_map(|nic| &nic.ip_addresses)
        .filter_map(|address| address.ip_address.parse().ok())
        .filter(reachable)
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found.dedup();
    found.iter().map(ToString::to_string).collect()
}

fn reachable(address: &IpAddr) -> bool {
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
}
