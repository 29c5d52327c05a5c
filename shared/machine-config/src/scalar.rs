//! Scalars by the field that takes them: what is accepted, and its canonical text.

use std::net::SocketAddr;

use go_yaml::any::free;
use go_yaml::scalar::{address, boolean, bytes, duration, parsed, prefix, whole};
use go_yaml::{Scalar, Url, Value};

use crate::schema::Type;
use crate::size;

/// Types a scalar; the error is what was expected.
pub(crate) fn typed(scalar: &Scalar, ty: &Type) -> Result<Value, String> {
    let text = scalar.text.as_str();
    match ty {
        Type::Text | Type::Argument | Type::Expression => Ok(text.into()),
        Type::Trimmed => Ok(text.trim_start_matches(['\t', '\n', '\u{b}', '\u{c}', '\r']).into()),
        Type::Bool => boolean(scalar).map(Value::Bool).ok_or("true or false".to_owned()),
        Type::Int(low, high) => whole(scalar, *low, *high),
        Type::Mode => mode(scalar),
        Type::Duration => duration(text),
        Type::Free => Ok(free(scalar)),
        Type::Word(words) | Type::Enum(words) => word(text, words),
        Type::WordOrNumber(words) => word_or_number(text, words),
        Type::RoutingTable => routing_table(text),
        Type::Bytes => bytes(text),
        Type::Port => port(scalar),
        Type::DiskSize => size::disk_size(text),
        Type::DiskCondition => size::condition(text),
        Type::Pointer(inner) => typed(scalar, inner),
        Type::Struct(_) | Type::Map(_) => Err("a mapping".to_owned()),
        Type::List(_) => Err("a sequence".to_owned()),
        _ if text.is_empty() => Ok(text.into()),
        Type::Url => Url::parse(text).map(|url| url.to_string().into()).ok_or("a URL".to_owned()),
        Type::Address => address(text),
        Type::Prefix => prefix(text),
        Type::AddressPort => parsed::<SocketAddr>(text, "an IP address with a port"),
        Type::Mac => mac(text),
        Type::Size => size::size(text),
        Type::ByteSize => size::byte_size(text),
    }
}

fn mode(scalar: &Scalar) -> Result<Value, String> {
    match scalar.whole().map(u32::try_from) {
        Some(Ok(mode)) => Ok(Value::Number(format!("0o{mode:o}"))),
        _ => Err("a file mode such as 0o644".to_owned()),
    }
}

/// Talos looks for the word unchanged, then in lower case.
fn word(text: &str, words: &[&str]) -> Result<Value, String> {
    let lower = text.to_lowercase();
    let found =
        words.iter().find(|word| **word == text).or_else(|| words.iter().find(|word| word.to_lowercase() == lower));
    found.map(|word| (*word).into()).ok_or_else(|| format!("one of {}", words.join(", ")))
}

/// One of the words, the first for an empty text, or the word with this number.
fn word_or_number(text: &str, words: &[&str]) -> Result<Value, String> {
    let number = text.parse::<i8>().ok().and_then(|number| words.get(usize::try_from(number).ok()?));
    let first = words.first().filter(|_| text.is_empty());
    let found = words.iter().find(|word| **word == text).or(first).or(number);
    found.map(|word| (*word).into()).ok_or_else(|| format!("one of {}", words.join(", ")))
}

/// Bytes in hexadecimal; Talos looks at the digits alone.
fn mac(text: &str) -> Result<Value, String> {
    let digits: Vec<char> = text.to_ascii_lowercase().chars().filter(|c| *c != ':').collect();
    if digits.len() % 2 == 1 || !digits.iter().all(char::is_ascii_hexdigit) {
        return Err("a hardware address".to_owned());
    }
    let bytes: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    Ok(bytes.join(":").into())
}

/// A number, or a range as text; a number in quotes is neither.
fn port(scalar: &Scalar) -> Result<Value, String> {
    let wanted = || "a port or a range such as 8000-9000".to_owned();
    if let Some(Ok(number)) = scalar.whole().map(u16::try_from) {
        return Ok(u32::from(number).into());
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    let range = scalar.text.split_once('-').and_then(|(low, high)| Some((digits(low)?, digits(high)?)));
    match range.ok_or_else(wanted)? {
        (low, high) if low == high => Ok(u32::from(low).into()),
        (low, high) => Ok(format!("{low}-{high}").into()),
    }
}

/// The name of a table, or its number where it has none.
fn routing_table(text: &str) -> Result<Value, String> {
    const NAMES: [&str; 4] = ["unspec", "default", "main", "local"];
    let lower = text.to_ascii_lowercase();
    let number = lower.parse::<u8>().is_ok_and(|number| (1..=252).contains(&number) && number.to_string() == lower);
    if number || NAMES.contains(&lower.as_str()) {
        Ok(lower.into())
    } else {
        Err("a routing table's name or number".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, ty: &Type) -> Result<Value, String> {
        typed(&Scalar { text: text.to_owned(), plain: true }, ty)
    }

    #[test]
    fn the_field_decides_what_a_scalar_is() {
        assert_eq!(plain("1.10", &Type::Text), Ok("1.10".into()));
        assert_eq!(plain("yes", &Type::Bool), Ok(true.into()));
        assert_eq!(plain("0644", &Type::Mode), Ok(Value::Number("0o644".into())));
        assert_eq!(plain("off", &Type::Word(&["off"])), Ok("off".into()));
        assert!(plain("70000", &Type::U16).is_err());
    }

    #[test]
    fn sizes_have_units_that_exist() {
        for good in ["10GiB", "1.5 TB", "100", "-5GiB", "50%", "0%"] {
            assert_eq!(plain(good, &Type::Size), Ok(good.into()));
        }
        for bad in ["10 parsecs", "GiB", "150%", "x%"] {
            assert!(plain(bad, &Type::Size).is_err(), "{bad}");
        }
        assert!(plain("10GiB", &Type::ByteSize).is_ok() && plain("10%", &Type::ByteSize).is_err());
    }

    #[test]
    fn disk_sizes_become_powers_of_a_thousand() {
        assert_eq!(plain("100MB", &Type::DiskSize), Ok("100 MB".into()));
        assert_eq!(plain("5000000000", &Type::DiskSize), Ok("5.0 GB".into()));
    }

    #[test]
    fn a_disk_size_that_a_unit_would_round_stays_a_number() {
        for (text, bytes) in [
            ("100GiB", "107374182400"),
            ("1TiB", "1099511627776"),
            ("1234567890", "1234567890"),
            ("1,234,000", "1234000"),
            ("500", "500"),
            ("0", "0"),
        ] {
            assert_eq!(plain(text, &Type::DiskSize), Ok(Value::Number(bytes.into())), "{text}");
        }
        assert!(plain("20EB", &Type::DiskSize).is_err(), "more than 64 bits");
    }
}
