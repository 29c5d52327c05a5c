//! Where one certain host of a cluster answers.
//!
//! Most calls may go to any host, so an endpoint may be a name that leads to another one each time. A terminal belongs to
//! the host that handed it out: for that, the host itself has to be found.

use crate::Endpoint;

impl Endpoint {
    /// Where to look for a host of this endpoint's cluster, the most likely place first. `address` is the one that the
    /// cluster itself knows it by, `is_alone` whether the cluster has no other host.
    ///
    /// The endpoint itself is among them only if it can't lead to another host: if there is none, or if it has the name or
    /// the address of this one.
    pub fn of_host(&self, host: &str, address: Option<&str>, is_alone: bool) -> Vec<Self> {
        let has_its_name = self.host().split('.').next().is_some_and(|first| first.eq_ignore_ascii_case(host));
        let is_address = self.host().parse::<std::net::IpAddr>().is_ok();
        if is_alone || (has_its_name && !is_address) || address == Some(self.host()) {
            return vec![self.clone()];
        }
        // A URL without a port leads to something in front of the hosts; these listen where they always do.
        let port = if self.port() == 443 { 8006 } else { self.port() };
        let in_domain = self.host().split_once('.').map(|(_, domain)| format!("{host}.{domain}"));
        let mut names: Vec<String> = in_domain.filter(|_| !is_address).into_iter().collect();
        names.push(host.to_owned());
        // Who writes an address has maybe no names; who writes a name has certificates for names.
        let at = if is_address { 0 } else { names.len() };
        names.splice(at..at, address.map(str::to_owned));
        let written =
            |name: &str| if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
        names.iter().filter_map(|name| Self::parse(&written(name)).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(endpoint: &str, address: Option<&str>, is_alone: bool) -> Vec<String> {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        endpoint.of_host("pve2", address, is_alone).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_endpoint_is_asked_only_if_it_leads_to_no_other_host() {
        assert_eq!(places("https://balanced.lan:443", None, true), ["balanced.lan:443"], "there is no other host");
        assert_eq!(places("pve2.lan", None, false), ["pve2.lan:8006"]);
        assert_eq!(places("PVE2", None, false), ["pve2:8006"]);
        assert_eq!(places("10.0.0.2", Some("10.0.0.2"), false), ["10.0.0.2:8006"]);
        assert_eq!(places("balanced.lan", Some("10.0.0.2"), false), ["pve2.lan:8006", "pve2:8006", "10.0.0.2:8006"]);
        assert_eq!(places("pve1.lan", None, false), ["pve2.lan:8006", "pve2:8006"]);
    }

    #[test]
    fn an_address_leads_to_addresses_and_the_port_is_that_of_the_hosts() {
        assert_eq!(places("10.0.0.1:8007", Some("10.0.0.2"), false), ["10.0.0.2:8007", "pve2:8007"]);
        assert_eq!(places("[fd00::1]", Some("fd00::2"), false), ["[fd00::2]:8006", "pve2:8006"]);
        assert_eq!(places("https://pve.example.com", None, false), ["pve2.example.com:8006", "pve2:8006"]);
        assert_eq!(places("10.0.0.1", None, false), ["pve2:8006"]);
    }
}
