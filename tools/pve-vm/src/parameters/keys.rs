//! The keys of values that are property strings, and what stands for each: Proxmox VE refuses all others, and a creation
//! that it refuses must not begin with the destruction of the VM that was there.

use std::{collections::BTreeSet, net::IpAddr};

use pve_client::property::Property;

use super::{Kind, find, nearest};
use crate::values::flag;

/// A release, as `(9, 0)`.
type Release = (u32, u32);
/// The release that the newer keys came with, and that the older ones went with.
const NINE: Release = (9, 0);

/// What may stand for a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Values {
    /// Text, which the server itself judges.
    Any,
    /// On or off.
    Flag,
    /// A number from one to another.
    Number(f64, f64),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// An IPv4 address, or else an IPv6 one.
    Address { is_v4: bool },
    /// An address of this family with its prefix length, or one of these words.
    Network { is_v4: bool, words: &'static [&'static str] },
}

/// Which releases have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    All,
    Since9,
    Until8,
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) values: Values,
    pub(crate) has: Has,
    /// Whether it must not be left out.
    pub(crate) is_required: bool,
}

mod formats;

use formats::FORMATS;
pub(crate) use formats::MODELS;

use Has::{All, Since9, Until8};
use Values::{Address, Any, Flag, Network, Number, OneOf};

/// A parameter by its name without a number, the key whose name may be left out, and its keys.
type Format = (&'static str, &'static str, &'static [&'static [Key]]);

/// The format of a parameter.
fn format(name: &str) -> Option<&'static Format> {
    // `numa` itself is on or off, beside `numa0` and so on.
    let parameter = find(name).filter(|parameter| parameter.kind != Kind::Flag)?;
    FORMATS.iter().find(|(known, ..)| *known == parameter.name)
}

/// What is wrong with the value of a parameter, whatever the release: a key that there isn't, or what stands for one.
pub(crate) fn wrong(name: &str, value: &str) -> Option<String> {
    let (stem, default, groups) = format(name)?;
    let of = |wanted: &str| groups.iter().flat_map(|group| group.iter()).find(|key| key.name == wanted);
    if let Some(key) = of("") {
        return key.values.wanted(value).map(|wanted| format!("must be {wanted}, got {value}"));
    }
    let property = Property::parse(value);
    let mut seen = BTreeSet::new();
    for (given, value) in property.pairs() {
        // A model may stand as a key, whose value is the hardware address.
        if *stem == "net" && given.is_some_and(|given| MODELS.contains(&given)) {
            seen.insert("model");
            continue;
        }
        let given = match given {
            Some(given) => given,
            None if default.is_empty() => return Some(format!("{value} has no key{}", among(groups))),
            None => default,
        };
        let Some(key) = of(given) else {
            return Some(format!("{given} is no key of it{}", meant(given, groups).unwrap_or_else(|| among(groups))));
        };
        if !seen.insert(key.name) {
            return Some(format!("{given} is there twice"));
        }
        if let Some(wanted) = key.values.wanted(value) {
            return Some(format!("{given} must be {wanted}, got {value}"));
        }
    }
    let mut keys = groups.iter().flat_map(|group| group.iter());
    let missing = keys.find(|key| key.is_required && !seen.contains(key.name))?;
    Some(format!("{} is missing", missing.name))
}

/// The first thing among a parameter and its keys that this release doesn't have.
pub(crate) fn unknown_to(release: Release, name: &str, value: &str) -> Option<String> {
    if SINCE_9.contains(&name) && release < NINE {
        return Some(name.to_owned());
    }
    let (_, default, groups) = format(name)?;
    let lacks = |key: &&Key| match key.has {
        All => false,
        Since9 => release < NINE,
        Until8 => release >= NINE,
    };
    let property = Property::parse(value);
    let given: Vec<&str> = property.pairs().map(|(key, _)| key.unwrap_or(default)).collect();
    let mut keys = groups.iter().flat_map(|group| group.iter());
    keys.find(|key| lacks(key) && given.contains(&key.name)).map(|key| key.name.to_owned())
}

/// Parameters that came with Proxmox VE 9.
const SINCE_9: [&str; 3] = ["allow-ksm", "ha-managed", "intel-tdx"];

/// Whether a release must be known to judge a parameter.
pub(crate) fn depends_on_release(name: &str, value: &str) -> bool {
    [(8, 4), NINE].into_iter().any(|release| unknown_to(release, name, value).is_some())
}

impl Values {
    /// What is wanted, if a value isn't that.
    fn wanted(self, value: &str) -> Option<String> {
        let number = || value.parse::<f64>().ok();
        match self {
            Any => None,
            Flag => flag(value).is_none().then(|| "1 or 0".to_owned()),
            Number(least, most) if number().is_some_and(|number| number >= least && number <= most) => None,
            Number(least, most) if most.is_infinite() => Some(format!("a number from {least} on")),
            Number(least, most) => Some(format!("a number from {least} to {most}")),
            Address { is_v4 } if value.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4() == is_v4) => None,
            Address { is_v4 } => Some(format!("an {} address", family(is_v4))),
            Network { is_v4, words } if words.contains(&value) || is_network(value, is_v4) => None,
            Network { is_v4, words } => {
                Some(format!("{}, or an {} address as in {}", words.join(" or "), family(is_v4), example(is_v4)))
            }
            OneOf(known) if known.contains(&value) => None,
            OneOf(known) => Some(format!("one of {}", known.join(", "))),
        }
    }
}

fn family(is_v4: bool) -> &'static str {
    if is_v4 { "IPv4" } else { "IPv6" }
}

fn example(is_v4: bool) -> &'static str {
    if is_v4 { "10.0.0.11/24" } else { "fd00::11/64" }
}

/// Whether this is an address of the family with its prefix length.
fn is_network(value: &str, is_v4: bool) -> bool {
    let Some((address, prefix)) = value.split_once('/') else { return false };
    let longest = if is_v4 { 32 } else { 128 };
    address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4() == is_v4)
        && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest)
}

fn meant(given: &str, groups: &[&[Key]]) -> Option<String> {
    let names = groups.iter().flat_map(|group| group.iter()).map(|key| key.name);
    nearest(names, given).map(|name| format!("; did you mean `{name}`?"))
}

fn among(groups: &[&[Key]]) -> String {
    let names: Vec<&str> = groups.iter().flat_map(|group| group.iter()).map(|key| key.name).collect();
    format!(" (keys: {})", names.join(", "))
}

#[cfg(test)]
mod tests;
