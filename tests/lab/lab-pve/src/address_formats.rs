//! How addresses are written in options.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `ip`.
pub(crate) fn ipv4_config(value: &str) -> Result<(), String> {
    let cidr = |value: &str| {
        let (address, prefix) = value.split_once('/')?;
        address.parse::<Ipv4Addr>().ok()?;
        prefix.parse::<u8>().ok().filter(|prefix| *prefix <= 32)
    };
    match value == "dhcp" || cidr(value).is_some() {
        true => Ok(()),
        false => Err("value does not look like a valid ipv4 network configuration".to_owned()),
    }
}

/// `ip6`.
pub(crate) fn ipv6_config(value: &str) -> Result<(), String> {
    let cidr = |value: &str| {
        let (address, prefix) = value.split_once('/')?;
        address.parse::<Ipv6Addr>().ok()?;
        prefix.parse::<u8>().ok().filter(|prefix| *prefix <= 128)
    };
    match matches!(value, "dhcp" | "auto") || cidr(value).is_some() {
        true => Ok(()),
        false => Err("value does not look like a valid ipv6 network configuration".to_owned()),
    }
}

/// `gw`.
pub(crate) fn ipv4(value: &str) -> Result<(), String> {
    value.parse::<Ipv4Addr>().map(|_| ()).map_err(|_| "value does not look like a valid ipv4 address".to_owned())
}

/// `gw6`.
pub(crate) fn ipv6(value: &str) -> Result<(), String> {
    value.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| "value does not look like a valid ipv6 address".to_owned())
}
