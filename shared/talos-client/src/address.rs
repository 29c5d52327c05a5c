//! Where a node's API is.

use std::{fmt, net::IpAddr, str::FromStr};

use rustls::pki_types::ServerName;

/// The TCP port of the Talos API.
pub const API_PORT: u16 = 50000;

/// Where a node's API is: a host name or an IP address, and a port.
///
/// It is read as talosctl reads an endpoint: without a port it gets 50000, or 443 behind `https://`; an IPv6 address
/// may stand without brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    host: String,
    port: u16,
}

/// A text that is not an address of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address: expected a host name or an IP address, with or without a port")]
pub struct AddressError(String);

impl Address {
    /// The API of the machine with this IP address.
    pub fn of(ip: IpAddr) -> Self {
        Self { host: ip.to_string(), port: API_PORT }
    }

    /// The host name, or the IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as the name that the server's certificate must hold.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.host.clone()).ok()
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self::of(ip)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let (rest, default) = match text.split_once("://") {
            Some(("https", rest)) => (rest.trim_end_matches('/'), 443),
            Some((_, rest)) => (rest.trim_end_matches('/'), API_PORT),
            None => (text, API_PORT),
        };
        let (host, port) = split(rest).ok_or_else(wrong)?;
        let port = port.map_or(Ok(default), str::parse).map_err(|_| wrong())?;
        let address = Self { host: host.to_owned(), port };
        address.server_name().map(|_| address).ok_or_else(wrong)
    }
}

/// Host and port of `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after {
            "" => Some((host, None)),
            _ => Some((host, Some(after.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.port == API_PORT { f.write_str(&self.host) } else { f.write_str(&self.authority()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16) {
        let address: Address = text.parse().expect("an address");
        (address.host().to_owned(), address.port())
    }

    #[test]
    fn an_endpoint_is_read_as_talosctl_reads_it() {
        assert_eq!(parts("10.0.0.11"), ("10.0.0.11".to_owned(), 50000));
        assert_eq!(parts("cp-1.lab.lan:50001"), ("cp-1.lab.lan".to_owned(), 50001));
        assert_eq!(parts("fd00::1"), ("fd00::1".to_owned(), 50000));
        assert_eq!(parts("[fd00::1]:6000"), ("fd00::1".to_owned(), 6000));
        assert_eq!(parts("[fd00::1]"), ("fd00::1".to_owned(), 50000));
        assert_eq!(parts("https://talos.example.com/"), ("talos.example.com".to_owned(), 443));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "10.0.0.11:http", "10.0.0.11:70000", "[fd00::1", "[fd00::1]x", "a b", "10.0.0.11/24"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_usual_port_is_not_shown() {
        let shown = |text: &str| text.parse::<Address>().expect("an address").to_string();

        assert_eq!(shown("10.0.0.11:50000"), "10.0.0.11");
        assert_eq!(shown("[fd00::1]:6000"), "[fd00::1]:6000");
    }
}
