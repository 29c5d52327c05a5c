//! What Talos says on its console, line by line. Anybody may have written what stands there, so nothing is taken that is
//! not exactly of the shape in which Talos writes it, and what is taken is an address or a digest, never text.

use std::net::IpAddr;

use serde_json::{Map, Value};
use talos_client::Fingerprint;

/// The longest line in bytes that is looked at. Talos's are shorter than 300.
const LONGEST: usize = 4096;
/// The controllers that tell how a machine in maintenance mode is reached: that of Talos 1.13 and later, and the earlier
/// one.
const INFORMERS: [&str; 2] = ["runtime.MaintenanceServiceInformController", "runtime.MaintenanceServiceController"];
/// The controller that gives addresses to links.
const ASSIGNER: &str = "network.AddressSpecController";
/// The controller that finds the machine config.
const ACQUIRER: &str = "config.AcquireController";

/// A line that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// The machine's addresses follow, a line each; those that were said before are not valid any more.
    Addresses,
    /// One of them.
    Address(IpAddr),
    /// The certificate that the machine shows in maintenance mode from now on.
    Certificate(Fingerprint),
    /// A network card got this address.
    Assigned(IpAddr),
    /// The machine has its config: it doesn't come to maintenance mode.
    Configured,
}

/// What a line says, if it counts.
pub(crate) fn said(line: &str) -> Option<Said> {
    let (text, fields) = message(line)?;
    let controller = fields.get("controller").and_then(Value::as_str)?;
    if fields.get("component").and_then(Value::as_str) != Some("controller-runtime") {
        return None;
    }
    if controller == ACQUIRER {
        return (text == "machine config loaded successfully").then_some(Said::Configured);
    }
    if controller == ASSIGNER {
        return if text == "assigned address" { assigned(&fields) } else { None };
    }
    if !INFORMERS.contains(&controller) {
        return None;
    }
    match text {
        "this machine is reachable at:" => Some(Said::Addresses),
        "server certificate issued" => {
            let fingerprint = fields.get("fingerprint")?.as_str()?;
            fingerprint.parse().ok().map(Said::Certificate)
        }
        address => address.trim_start().parse().ok().map(Said::Address),
    }
}

/// An address of a network card. Those that stand alone are shared or internal, and others' links aren't cards.
fn assigned(fields: &Map<String, Value>) -> Option<Said> {
    let link = fields.get("link").and_then(Value::as_str)?;
    if !["eth", "en", "bond"].iter().any(|kind| link.starts_with(kind)) {
        return None;
    }
    let (address, prefix) = fields.get("address").and_then(Value::as_str)?.split_once('/')?;
    let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?);
    (prefix < if address.is_ipv4() { 32 } else { 128 }).then_some(Said::Assigned(address))
}

/// Text and fields of a line of Talos's log: `[    9.851478] [talos] TEXT {"component": …}`. Without a kernel there is no
/// time before it, but a date behind it.
fn message(line: &str) -> Option<(&str, Map<String, Value>)> {
    let line = without_uptime(line);
    let rest = line.strip_prefix("[talos] ")?;
    let rest = without_date(rest);
    let at = rest.find(" {\"component\": ")?;
    let fields = serde_json::from_str(&rest[at + 1..]).ok()?;
    Some((&rest[..at], fields))
}

/// The line without the seconds since power-on that the kernel writes in front: `[    9.851478] `.
fn without_uptime(line: &str) -> &str {
    let stripped = line.strip_prefix('[').and_then(|rest| {
        let (time, rest) = rest.split_once("] ")?;
        let (seconds, fraction) = time.trim_start_matches(' ').split_once('.')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(seconds) && digits(fraction)).then_some(rest)
    });
    stripped.unwrap_or(line)
}

/// The text without a date in front: `2026/11/30 02:26:11 `.
fn without_date(text: &str) -> &str {
    const SHAPE: &[u8] = b"dddd/dd/dd dd:dd:dd ";
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == *shape };
    let is_date = text.len() >= SHAPE.len() && text.bytes().zip(SHAPE).all(fits);
    if is_date { &text[SHAPE.len()..] } else { text }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    /// Takes the next bytes; what was begun stays until its end comes. A line that is too long is dropped, and what is no
    /// text comes as an empty line.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let text = std::str::from_utf8(&line).unwrap_or_default();
                    each(if std::mem::take(&mut self.is_too_long) { "" } else { text.trim_matches('\r') });
                }
                _ if self.line.len() < LONGEST => self.line.push(*byte),
                _ => self.is_too_long = true,
            }
        }
    }

    /// What of a line has come so far.
    pub(crate) fn begun(&self) -> &[u8] {
        &self.line
    }
}

#[cfg(test)]
mod tests;
