//! Where the API is, as people write it.

use std::fmt;

/// The port of Proxmox VE's own web server.
const PORT: u16 = 8006;

/// Host and port of the API: any host of a Proxmox VE cluster answers for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// Text that names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Nothing was written.
    #[error("the Proxmox VE endpoint is empty")]
    Empty,
    /// The scheme is not `https`.
    #[error("Proxmox VE endpoint {0:?} is not https")]
    Scheme(String),
    /// A user name or password stands in the URL; the text is not repeated, for it holds a secret.
    #[error("the Proxmox VE endpoint contains credentials")]
    Credentials,
    /// There is more behind the host than `/api2/json`.
    #[error("Proxmox VE endpoint {0:?} has a path")]
    Path(String),
    /// Host or port can't be read.
    #[error("Proxmox VE endpoint {0:?} is not a host, host:port or URL")]
    Shape(String),
}

impl Endpoint {
    /// Reads `host`, `host:port`, or a URL with or without `/api2/json`.
    ///
    /// Without a scheme the port is 8006 when none is written; a URL means what URLs mean, so `https://host` is 443.
    ///
    /// # Errors
    /// Another scheme, credentials, a path, or text that is no host.
    pub fn parse(text: &str) -> Result<Self, BadEndpoint> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadEndpoint::Empty);
        }
        let (rest, port) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (rest, 443),
            Some((_, rest)) if rest.contains('@') => return Err(BadEndpoint::Credentials),
            Some(_) => return Err(BadEndpoint::Scheme(text.into())),
            None => (text, PORT),
        };
        if rest.contains('@') {
            return Err(BadEndpoint::Credentials);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(path.trim_matches('/'), "" | "api2" | "api2/json" | "api2/extjs") {
            return Err(BadEndpoint::Path(text.into()));
        }
        let (host, port) = split(authority, port).ok_or_else(|| BadEndpoint::Shape(text.into()))?;
        Ok(Self { host, port })
    }

    /// The host, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether both name one server. Host names have no case.
    pub fn is_same(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// The URL under which all calls live: `https://host:8006/api2/json`.
    pub fn base(&self) -> String {
        format!("https://{self}/api2/json")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Host and port of an authority, `default` when it has no port.
fn split(authority: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            if port.is_empty() { (host, port) } else { (host, port.strip_prefix(':').filter(|port| !port.is_empty())?) }
        }
        None if authority.parse::<std::net::Ipv6Addr>().is_ok() => (authority, ""),
        None => match authority.split_once(':') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (authority, ""),
        },
    };
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(letters) {
        return None;
    }
    let port = if port.is_empty() { default } else { port.parse().ok().filter(|port| *port > 0)? };
    Some((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> String {
        Endpoint::parse(text).unwrap().base()
    }

    #[test]
    fn every_way_of_writing_an_endpoint_leads_to_one_base() {
        for text in [
            "pve.lan",
            "pve.lan:8006",
            " PVE.lan ",
            "https://pve.lan:8006",
            "https://pve.lan:8006/",
            "https://pve.lan:8006/api2/json",
            "https://pve.lan:8006/api2/json/",
            "pve.lan/api2/json",
        ] {
            assert_eq!(base(text), "https://pve.lan:8006/api2/json", "{text}");
        }
        assert_eq!(base("https://pve.lan"), "https://pve.lan:443/api2/json");
        assert_eq!(base("fd00::1"), "https://[fd00::1]:8006/api2/json");
        assert_eq!(base("[fd00::1]"), "https://[fd00::1]:8006/api2/json");
        assert_eq!(base("https://[fd00::1]:8443/api2/json"), "https://[fd00::1]:8443/api2/json");
    }

    #[test]
    fn what_is_no_endpoint_is_told_apart() {
        assert_eq!(Endpoint::parse("  "), Err(BadEndpoint::Empty));
        assert_eq!(Endpoint::parse("http://pve:8006"), Err(BadEndpoint::Scheme("http://pve:8006".into())));
        assert_eq!(Endpoint::parse("https://root:secret@pve"), Err(BadEndpoint::Credentials));
        assert_eq!(Endpoint::parse("http://root:secret@pve"), Err(BadEndpoint::Credentials));
        assert_eq!(Endpoint::parse("pve/ui"), Err(BadEndpoint::Path("pve/ui".into())));
        for text in ["pve:", "pve:http", "pve:0", "pve:70000", "a b", "https://", "[fd00::1", "[x]:1", "[fd00::1]x"] {
            assert_eq!(Endpoint::parse(text), Err(BadEndpoint::Shape(text.into())));
        }
    }
}
