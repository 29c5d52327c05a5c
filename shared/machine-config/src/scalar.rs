//! Scalars by the field that takes them: what is accepted, and its canonical text.

mod duration;
mod size;

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use crate::shape::Type;
use crate::url::Url;
use crate::value::Value;
use crate::yaml::{Resolved, Scalar};

pub(crate) use duration::nanoseconds;
pub(crate) use size::unit;

/// What stands in a config instead of a private key that was removed.
pub const REDACTED: &str = "******";

/// Types a scalar; the error says what was expected.
pub(crate) fn typed(scalar: &Scalar, ty: &Type) -> Result<Value, String> {
    let text = scalar.text.as_str();
    match ty {
        Type::Text | Type::Argument | Type::Expression => Ok(text.into()),
        Type::Trimmed => Ok(text.trim_start_matches(['\t', '\n', '\u{b}', '\u{c}', '\r']).into()),
        Type::Bool => boolean(scalar).map(Value::Bool).ok_or("true or false".to_owned()),
        Type::Int(low, high) => whole(scalar, *low, *high),
        Type::Mode => mode(scalar),
        Type::Duration => duration::duration(text),
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

/// Go takes YAML 1.1's words for a typed boolean, quoted or not.
fn boolean(scalar: &Scalar) -> Option<bool> {
    match (scalar.resolve(), scalar.text.as_str()) {
        (Resolved::Bool(flag), _) => Some(flag),
        (_, "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => Some(true),
        (_, "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => Some(false),
        _ => None,
    }
}

fn whole(scalar: &Scalar, low: i64, high: u64) -> Result<Value, String> {
    let number = scalar.whole().ok_or("a whole number")?;
    if (i128::from(low)..=i128::from(high)).contains(&number) {
        Ok(Value::Number(number.to_string()))
    } else {
        Err(format!("a whole number from {low} to {high}"))
    }
}

fn mode(scalar: &Scalar) -> Result<Value, String> {
    match scalar.whole().map(u32::try_from) {
        Some(Ok(mode)) => Ok(Value::Number(format!("0o{mode:o}"))),
        _ => Err("a file mode such as 0o644".to_owned()),
    }
}

/// A scalar without a type of its own, as Go's `any` takes it.
pub(crate) fn free(scalar: &Scalar) -> Value {
    match scalar.resolve() {
        Resolved::Null => Value::Null,
        Resolved::Bool(flag) => Value::Bool(flag),
        Resolved::Int(number) => Value::Number(number.to_string()),
        Resolved::Float(number) => Value::Number(float(number)),
        Resolved::Date => match crate::yaml::date_time(&scalar.text) {
            Some(date) => Value::Number(date),
            None => scalar.text.as_str().into(),
        },
        Resolved::Merge | Resolved::Text => scalar.text.as_str().into(),
    }
}

/// A float, told from a whole number by its `.0`.
fn float(number: f64) -> String {
    let text = crate::yaml::float_text(number);
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') { text + ".0" } else { text }
}

/// Talos looks for the word as it is, then in small letters.
fn word(text: &str, words: &[&str]) -> Result<Value, String> {
    let lower = text.to_lowercase();
    let found =
        words.iter().find(|word| **word == text).or_else(|| words.iter().find(|word| word.to_lowercase() == lower));
    found.map(|word| (*word).into()).ok_or_else(|| format!("one of {}", words.join(", ")))
}

/// One of the words, nothing for the first, or the number of one.
fn word_or_number(text: &str, words: &[&str]) -> Result<Value, String> {
    let number = text.parse::<i8>().ok().and_then(|number| words.get(usize::try_from(number).ok()?));
    let first = words.first().filter(|_| text.is_empty());
    let found = words.iter().find(|word| **word == text).or(first).or(number);
    found.map(|word| (*word).into()).ok_or_else(|| format!("one of {}", words.join(", ")))
}

/// Go's base64: line ends are allowed, and unused bits may be set.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Base64, written again on one line.
fn bytes(text: &str) -> Result<Value, String> {
    let joined: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    BASE64.decode(&joined).map(|bytes| BASE64.encode(bytes).into()).map_err(|_| "base64".to_owned())
}

fn parsed<T: std::str::FromStr + ToString>(text: &str, wanted: &str) -> Result<Value, String> {
    text.parse::<T>().map(|value| value.to_string().into()).map_err(|_| wanted.to_owned())
}

fn address(text: &str) -> Result<Value, String> {
    match text.split_once('%') {
        Some((ip, zone)) if !zone.is_empty() => {
            let ip: std::net::Ipv6Addr = ip.parse().map_err(|_| "an IP address".to_owned())?;
            Ok(format!("{ip}%{zone}").into())
        }
        _ => parsed::<IpAddr>(text, "an IP address"),
    }
}

/// As Go reads a prefix: neither the address nor the length has zeros in front.
fn prefix(text: &str) -> Result<Value, String> {
    let net = text.rsplit_once('/').and_then(|(ip, bits)| {
        let bits: u8 = bits.parse().ok().filter(|number: &u8| number.to_string() == bits)?;
        ipnet::IpNet::new(ip.parse().ok()?, bits).ok()
    });
    net.map(|net| net.to_string().into()).ok_or_else(|| "an IP address with a prefix length".to_owned())
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
    fn prefixes_have_no_zeros_in_front() {
        for good in ["10.0.0.1/24", "0.0.0.0/0", "::/0", "fd00::1/64", "::ffff:1.2.3.4/120"] {
            assert_eq!(plain(good, &Type::Prefix), Ok(good.into()));
        }
        for bad in
            ["10.0.0.01/24", "010.0.0.0/8", "::1.2.3.04/24", "10.0.0.1/08", "10.0.0.1/+8", "10.0.0.1/33", "10.0.0.1"]
        {
            assert!(plain(bad, &Type::Prefix).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (text, written) in [
            ("168h", "168h0m0s"),
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("300ms", "300ms"),
            ("0", "0s"),
            ("1h2m", "1h2m0s"),
        ] {
            assert_eq!(plain(text, &Type::Duration), Ok(written.into()));
        }
        assert!(plain("30", &Type::Duration).is_err());
        assert!(plain("1d", &Type::Duration).is_err());
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
