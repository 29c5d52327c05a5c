//! Network cards: `virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=5`, whose keys stand in any order.

use std::collections::BTreeMap;

use pve_client::property::Property;

use crate::{
    parameters::keys::MODELS,
    values::{Extent, plain},
};

/// Values that hold where a key isn't set.
const DEFAULTS: [(&str, &str); 4] = [("firewall", "0"), ("host-tunnel", "0"), ("link_down", "0"), ("queues", "0")];

/// Keys that need another card: Proxmox VE would pull it out of a running VM.
const CARD: [&str; 4] = ["model", "macaddr", "queues", "mtu"];

/// A network card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Nic {
    pub(crate) model: Option<String>,
    /// Its hardware address, as it was written.
    pub(crate) mac: Option<String>,
    /// The other keys.
    pub(crate) options: BTreeMap<String, String>,
}

impl Nic {
    /// Reads a card. Any text is one.
    pub(crate) fn parse(text: &str) -> Self {
        let mut nic = Self::default();
        for (key, value) in Property::parse(text).pairs() {
            match key {
                None | Some("model") => nic.model = Some(value.to_owned()),
                Some("macaddr") => nic.mac = Some(value.to_owned()),
                Some(model) if MODELS.contains(&model) => {
                    nic.model = Some(model.to_owned());
                    nic.mac = Some(value.to_owned());
                }
                Some(other) => drop(nic.options.insert(other.to_owned(), value.to_owned())),
            }
        }
        nic
    }

    /// Its hardware address as records have it: upper case.
    pub(crate) fn address(&self) -> Option<String> {
        self.mac.as_deref().map(str::to_ascii_uppercase)
    }

    /// Whether the address is one that a card can have.
    pub(crate) fn has_sound_address(&self) -> bool {
        let Some(mac) = &self.mac else { return true };
        let bytes: Vec<&str> = mac.split(':').collect();
        let is_byte = |byte: &&str| byte.len() == 2 && byte.chars().all(|c| c.is_ascii_hexdigit());
        // An odd first byte is the address of a group.
        let is_one = u8::from_str_radix(bytes[0], 16).is_ok_and(|first| first % 2 == 0);
        bytes.len() == 6 && bytes.iter().all(is_byte) && is_one
    }

    fn keys(&self) -> BTreeMap<String, String> {
        let mut keys: BTreeMap<String, String> =
            self.options.iter().map(|(key, value)| (key.clone(), plain(key, value))).collect();
        keys.insert("model".to_owned(), self.model.clone().unwrap_or_else(|| "virtio".to_owned()));
        keys.extend(self.mac.iter().map(|mac| ("macaddr".to_owned(), plain("macaddr", mac))));
        keys.retain(|key, value| !DEFAULTS.iter().any(|(known, usual)| known == key && usual == value));
        keys
    }

    /// Whether a card that was found is this one.
    pub(crate) fn is(&self, found: &Self, extent: Extent) -> bool {
        let (wanted, found) = (self.keys(), found.keys());
        match extent {
            Extent::Whole => wanted == found,
            Extent::Part => wanted.iter().all(|(key, value)| found.get(key) == Some(value)),
        }
    }

    /// Whether the card itself stays, and only its bridge, VLAN, rate and the like change.
    pub(crate) fn stays(&self, found: &Self) -> bool {
        let (wanted, found) = (self.keys(), found.keys());
        CARD.iter().all(|key| wanted.get(*key) == found.get(*key))
    }

    /// What makes a card that was found this one. An equal address keeps its spelling: another one would be another card.
    pub(crate) fn over(&self, found: &Self, extent: Extent) -> Self {
        let mut nic = self.clone();
        if self.address() == found.address() {
            nic.mac.clone_from(&found.mac);
        }
        if extent == Extent::Part {
            for (key, value) in &found.options {
                nic.options.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        nic
    }
}

impl std::fmt::Display for Nic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.model.as_deref().unwrap_or("virtio"))?;
        if let Some(mac) = &self.mac {
            write!(f, "={mac}")?;
        }
        self.options.iter().try_for_each(|(key, value)| write!(f, ",{key}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_read_by_its_keys_in_any_order() {
        let wanted = "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=5";
        for text in [
            "bridge=vmbr0,virtio=BC:24:11:00:00:01,tag=5",
            "tag=5,bridge=vmbr0,model=virtio,macaddr=BC:24:11:00:00:01",
            "virtio,macaddr=BC:24:11:00:00:01,tag=5,bridge=vmbr0",
        ] {
            assert_eq!(Nic::parse(text).to_string(), wanted, "{text}");
        }
        assert_eq!(Nic::parse("bridge=vmbr0,model=virtio").to_string(), "virtio,bridge=vmbr0");
        assert_eq!(Nic::parse("bridge=vmbr0,model=virtio").address(), None);
    }

    #[test]
    fn a_card_is_the_same_however_it_is_spelled() {
        let wanted = Nic::parse("bridge=vmbr0,virtio=BC:24:11:00:00:AB,rate=10.5,trunks=10;20-30");
        let found = "virtio=bc:24:11:00:00:ab,bridge=vmbr0,firewall=0,rate=10.50,trunks=20-30;10";
        assert!(wanted.is(&Nic::parse(found), Extent::Whole));
        assert!(!wanted.is(&Nic::parse(&format!("{found},tag=5")), Extent::Whole));
        assert!(wanted.is(&Nic::parse(&format!("{found},tag=5")), Extent::Part));
    }

    #[test]
    fn a_change_keeps_the_address_as_it_is_spelled_and_pulls_no_card_out() {
        let wanted = Nic::parse("virtio=BC:24:11:00:00:AB,bridge=vmbr1");
        let found = Nic::parse("virtio=bc:24:11:00:00:ab,bridge=vmbr0,firewall=1");

        assert!(wanted.stays(&found));
        assert_eq!(wanted.over(&found, Extent::Whole).to_string(), "virtio=bc:24:11:00:00:ab,bridge=vmbr1");
        assert_eq!(wanted.over(&found, Extent::Part).to_string(), "virtio=bc:24:11:00:00:ab,bridge=vmbr1,firewall=1");
        for other in ["e1000=BC:24:11:00:00:AB,bridge=vmbr1", "virtio=BC:24:11:00:00:AB,bridge=vmbr1,queues=4"] {
            assert!(!Nic::parse(other).stays(&found), "{other}");
        }
    }

    #[test]
    fn an_address_that_no_card_has_is_told() {
        assert!(Nic::parse("virtio=BC:24:11:00:00:AB").has_sound_address());
        for text in ["virtio=BC:24:11:00:00", "virtio=01:00:5E:00:00:01", "virtio=vmbr0", "virtio=zz:24:11:00:00:AB"] {
            assert!(!Nic::parse(text).has_sound_address(), "{text}");
        }
    }
}
