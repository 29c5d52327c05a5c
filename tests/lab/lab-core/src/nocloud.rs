//! A disc of NoCloud, as Talos reads it: the files of an ISO with the label `cidata`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_yaml::Value;

use crate::machine::NicConfig;

const SECTOR: usize = 2048;
const DESCRIPTOR: usize = 16 * SECTOR;
/// Labels that Talos looks for.
const LABELS: [&str; 2] = ["cidata", "CIDATA"];

/// What is on the disc.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seed {
    /// The machine config; what Talos takes for something else is none.
    pub user_data: Option<String>,
    /// Settings of NICs by hardware address, upper case; `None` without any.
    pub network: Option<BTreeMap<String, NicConfig>>,
    /// Name servers.
    pub nameservers: Vec<IpAddr>,
}

/// Reads an image from its beginning; `None` if it is no such disc.
#[must_use]
pub fn read(image: &[u8]) -> Option<Seed> {
    let descriptor = image.get(DESCRIPTOR..DESCRIPTOR + SECTOR).filter(|found| found.starts_with(b"\x01CD001\x01"))?;
    let label = std::str::from_utf8(&descriptor[40..72]).ok()?.trim_end();
    if !LABELS.contains(&label) {
        return None;
    }
    let files = files(image, descriptor)?;
    let text = |name: &str| files.get(name).map(String::as_str);
    let other = |text: &&str| ["#cloud-config", "#include"].iter().any(|word| text.starts_with(word));
    let yaml = |name: &str| text(name).and_then(|text| serde_yaml::from_str::<Value>(text).ok());
    let mut seed = Seed {
        user_data: text("user-data").filter(|text| !other(text) && !text.trim().is_empty()).map(str::to_owned),
        ..Seed::default()
    };
    let list = yaml("network-config").and_then(|network| network.get("config")?.as_sequence().cloned());
    if let Some(list) = list {
        seed.network = Some(list.iter().filter_map(nic).collect());
        let servers = list.iter().filter(|entry| kind(entry) == Some("nameserver"));
        let servers = servers.filter_map(|entry| entry.get("address")?.as_sequence()).flatten();
        seed.nameservers = servers.filter_map(|server| server.as_str()?.parse().ok()).collect();
    }
    Some(seed)
}

fn kind(entry: &Value) -> Option<&str> {
    entry.get("type")?.as_str()
}

fn nic(entry: &Value) -> Option<(String, NicConfig)> {
    let mac = entry.get("mac_address").filter(|_| kind(entry) == Some("physical"))?.as_str()?.to_uppercase();
    let subnets = entry.get("subnets").and_then(Value::as_sequence).cloned().unwrap_or_default();
    let fixed = subnets.iter().find_map(|subnet| {
        let (address, prefix) = subnet.get("address")?.as_str()?.split_once('/')?;
        let gateway = subnet.get("gateway").and_then(|gateway| gateway.as_str()?.parse().ok());
        Some(NicConfig::Static { address: address.parse().ok()?, prefix: prefix.parse().ok()?, gateway })
    });
    Some((mac, fixed.unwrap_or(NicConfig::Dhcp)))
}

/// The files in the root by their names of Rock Ridge.
fn files(image: &[u8], descriptor: &[u8]) -> Option<BTreeMap<String, String>> {
    let (at, size) = extent(&descriptor[156..])?;
    let root = image.get(at..at.checked_add(size)?)?;
    let mut files = BTreeMap::new();
    let mut from = 0;
    while let Some(length) = root.get(from).copied().map(usize::from).filter(|length| *length > 33) {
        let entry = root.get(from..from + length)?;
        if let Some(name) = name(entry) {
            let (at, size) = extent(entry)?;
            let bytes = image.get(at..at.checked_add(size)?)?;
            files.insert(name, String::from_utf8(bytes.to_vec()).ok()?);
        }
        from += length;
    }
    Some(files)
}

/// Where what an entry names begins, and how many bytes it has.
fn extent(entry: &[u8]) -> Option<(usize, usize)> {
    let number = |at: usize| Some(u32::from_le_bytes(entry.get(at..at + 4)?.try_into().ok()?) as usize);
    Some((number(2)?.checked_mul(SECTOR)?, number(10)?))
}

/// The name of Rock Ridge; the entries of the folder itself and of the one above have none.
fn name(entry: &[u8]) -> Option<String> {
    let plain = usize::from(*entry.get(32)?);
    let mut rest = entry.get((33 + plain).next_multiple_of(2)..)?;
    while let [a, b, length, _, ..] = rest {
        let field = rest.get(..usize::from(*length)).filter(|field| field.len() > 4)?;
        if (a, b) == (&b'N', &b'M') {
            return String::from_utf8(field.get(5..)?.to_vec()).ok();
        }
        rest = &rest[field.len()..];
    }
    None
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_disc_that_others_made_is_read() {
        let Some(genisoimage) = judges::require("genisoimage") else { return };
        let dir = tempfile::tempdir().expect("a folder");
        let network = "version: 1\nconfig:\n  - type: physical\n    name: eth0\n    mac_address: 'bc:24:11:00:00:01'\n    \
                       subnets:\n      - type: static\n        address: '10.0.0.11/24'\n        gateway: '10.0.0.1'\n  - type: \
                       nameserver\n    address:\n      - '10.0.0.1'\n";
        let files =
            [("user-data", "version: v1alpha1\n"), ("meta-data", "local-hostname: w-1\n"), ("network-config", network)];
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("a file");
        }
        let out = dir.path().join("x.iso");
        let mut command = Command::new(genisoimage);
        command.args(["-quiet", "-R", "-V", "cidata", "-o"]).arg(&out);
        command.args(files.map(|(name, _)| dir.path().join(name)));
        assert!(command.status().expect("it runs").success());

        let seed = read(&std::fs::read(&out).expect("the disc")).expect("a disc of NoCloud");
        let address = NicConfig::Static {
            address: "10.0.0.11".parse().expect("an address"),
            prefix: 24,
            gateway: "10.0.0.1".parse().ok(),
        };
        assert_eq!(seed.user_data.as_deref(), Some("version: v1alpha1\n"));
        assert_eq!(seed.network, Some([("BC:24:11:00:00:01".to_owned(), address)].into()));
        assert_eq!(seed.nameservers.len(), 1);
    }

    #[test]
    fn what_is_no_such_disc_is_none() {
        assert_eq!(read(&[0; 40 * SECTOR]), None);
        assert_eq!(read(b""), None);
    }
}
