//! Property strings: `value,key=value,…`.

use super::schema::Properties;

/// Models of network cards; each may stand as a key whose value is the hardware address.
pub(crate) const NIC_MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

/// Keys and values in the order in which they stand.
pub(crate) type Pairs = Vec<(String, String)>;

/// Takes a property string apart; keys get their proper names.
pub(crate) fn parse(text: &str, known: &Properties) -> Result<Pairs, String> {
    let pairs = split(text, known)?;
    Ok(pairs.into_iter().map(|(key, value)| (known.canonical(&key).to_owned(), value)).collect())
}

/// Takes a property string apart; the default key gets its name, `virtio=MAC` becomes `model` and `macaddr`.
pub(super) fn split(text: &str, known: &Properties) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((_, "")) => return Err("missing key in comma-separated list property".to_owned()),
            Some((model, mac)) if known.default == Some("model") && NIC_MODELS.contains(&model) => {
                pairs.push(("model".to_owned(), model.to_owned()));
                pairs.push(("macaddr".to_owned(), mac.to_owned()));
            }
            Some((key, value)) => pairs.push((key.to_owned(), value.to_owned())),
            None => pairs.push((default_key(known, &pairs)?, part.to_owned())),
        }
    }
    match pairs.is_empty() {
        true => Err("missing key in comma-separated list property".to_owned()),
        false => Ok(pairs),
    }
}

fn default_key(known: &Properties, seen: &Pairs) -> Result<String, String> {
    let key = known.default.ok_or("value without key, but schema does not define a default key")?;
    match seen.iter().any(|(other, _)| other == key) {
        true => Err("duplicate key in comma-separated list property: ".to_owned() + key),
        false => Ok(key.to_owned()),
    }
}

/// Puts a property string together: the default key first and bare, the others sorted.
pub(crate) fn print(pairs: &Pairs, default: &str) -> String {
    let mut parts: Vec<String> =
        pairs.iter().filter(|(key, _)| key == default).map(|(_, value)| value.clone()).collect();
    let mut rest: Vec<String> =
        pairs.iter().filter(|(key, _)| key != default).map(|(key, value)| format!("{key}={value}")).collect();
    rest.sort();
    parts.append(&mut rest);
    parts.join(",")
}

/// Puts `netN` together: model and address first, in the case that it was given in, the others sorted.
pub(crate) fn print_nic(pairs: &Pairs) -> String {
    let model = get(pairs, "model").unwrap_or("virtio");
    let mac = get(pairs, "macaddr").unwrap_or_default();
    let mut parts = vec![format!("{model}={mac}")];
    let mut rest: Vec<String> = pairs
        .iter()
        .filter(|(key, _)| key != "model" && key != "macaddr")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    rest.sort();
    parts.append(&mut rest);
    parts.join(",")
}

/// The value of a key.
pub(crate) fn get<'a>(pairs: &'a Pairs, key: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
}

/// Sets or replaces the value of a key.
pub(crate) fn set(pairs: &mut Pairs, key: &str, value: impl Into<String>) {
    let value = value.into();
    match pairs.iter_mut().find(|(other, _)| other == key) {
        Some((_, old)) => *old = value,
        None => pairs.push((key.to_owned(), value)),
    }
}

/// A size as Proxmox VE writes it: the largest unit that divides it.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1_u64 << 40, 'T'), (1 << 30, 'G'), (1 << 20, 'M'), (1 << 10, 'K')];
    match units.iter().find(|(unit, _)| bytes.is_multiple_of(*unit)) {
        Some((unit, letter)) => format!("{}{letter}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// Reads a size such as `20G`; a bare number counts bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let unit = match text.strip_prefix(digits)? {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1_u64 << 40,
        _ => return None,
    };
    let number: f64 = digits.parse().ok().filter(|number| *number >= 0.0)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes of disks are far below 2^53"
    )]
    let bytes = (number * unit as f64) as u64;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_the_largest_unit_that_divides_them() {
        let cases = [(0, "0T"), (4 << 30, "4G"), (528 << 10, "528K"), (4_453_302_272, "4247M"), (5, "5")];
        for (count, text) in cases {
            assert_eq!(size(count), text);
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        let cases =
            [("20G", Some(20 << 30)), ("8192M", Some(8 << 30)), ("7", Some(7)), ("4.5K", Some(4608)), ("x", None)];
        for (text, count) in cases {
            assert_eq!(bytes(text), count);
        }
    }
}
