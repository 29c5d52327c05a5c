//! Scalars by the field that takes them: what is accepted, and its canonical text.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::shape::Type;
use crate::value::Value;
use crate::yaml::{Resolved, Scalar};

/// What stands in a config instead of a private key that was removed.
pub const REDACTED: &str = "******";

/// Types a scalar; the error says what was expected.
pub(crate) fn typed(scalar: &Scalar, ty: &Type) -> Result<Value, String> {
    let text = scalar.text.as_str();
    match ty {
        Type::Text | Type::Url | Type::Argument | Type::Expression => Ok(text.into()),
        Type::Trimmed => Ok(text.trim_start_matches(['\n', '\t']).into()),
        Type::Bool => boolean(scalar).map(Value::Bool).ok_or("true or false".to_owned()),
        Type::Int(low, high) => whole(scalar, *low, *high),
        Type::Mode => mode(scalar),
        Type::Free => Ok(free(scalar)),
        Type::Word(words) | Type::Enum(words) => word(text, words),
        Type::Bytes => bytes(text),
        Type::Port => port(scalar),
        _ if text.is_empty() => Ok(text.into()),
        Type::Duration => duration(scalar),
        Type::Address => address(text),
        Type::Prefix => prefix(text),
        Type::AddressPort => parsed::<SocketAddr>(text, "an IP address with a port"),
        Type::Mac => mac(text),
        Type::Size => size(text),
        Type::ByteSize if text.ends_with('%') => Err("a size such as 10GiB".to_owned()),
        Type::ByteSize => size(text),
        Type::DiskSize => disk_size(text),
        Type::RoutingTable => routing_table(text),
        Type::Pointer(inner) => typed(scalar, inner),
        Type::Struct(_) | Type::Map(_) => Err("a mapping".to_owned()),
        Type::List(_) => Err("a sequence".to_owned()),
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
    let number = match scalar.resolve() {
        Resolved::Int(number) => number,
        #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked below")]
        Resolved::Float(number) if number.fract() == 0.0 && number.abs() < 1e18 => number as i128,
        _ => return Err("a whole number".to_owned()),
    };
    if (i128::from(low)..=i128::from(high)).contains(&number) {
        Ok(Value::Number(number.to_string()))
    } else {
        Err(format!("a whole number from {low} to {high}"))
    }
}

fn mode(scalar: &Scalar) -> Result<Value, String> {
    match scalar.resolve() {
        Resolved::Int(mode) if (0..=0o7777).contains(&mode) => Ok(Value::Number(format!("0o{mode:o}"))),
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

fn word(text: &str, words: &[&str]) -> Result<Value, String> {
    if words.contains(&text) { Ok(text.into()) } else { Err(format!("one of {}", words.join(", "))) }
}

/// Base64, line ends allowed, written again on one line.
fn bytes(text: &str) -> Result<Value, String> {
    if text == REDACTED {
        return Ok(text.into());
    }
    let joined: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match STANDARD.decode(&joined) {
        Ok(_) => Ok(joined.into()),
        Err(_) => Err("base64".to_owned()),
    }
}

fn parsed<T: std::str::FromStr + ToString>(text: &str, wanted: &str) -> Result<Value, String> {
    text.parse::<T>().map(|value| value.to_string().into()).map_err(|_| wanted.to_owned())
}

fn address(text: &str) -> Result<Value, String> {
    match text.split_once('%') {
        Some((ip, zone)) if ip.parse::<IpAddr>().is_ok() && !zone.is_empty() => Ok(text.into()),
        _ => parsed::<IpAddr>(text, "an IP address"),
    }
}

fn prefix(text: &str) -> Result<Value, String> {
    parsed::<ipnet::IpNet>(text, "an IP address with a prefix length")
}

fn mac(text: &str) -> Result<Value, String> {
    let lower = text.to_ascii_lowercase().replace('-', ":");
    let parts: Vec<&str> = lower.split(':').collect();
    let fits = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    if parts.len() >= 6 && parts.iter().all(fits) { Ok(lower.into()) } else { Err("a hardware address".to_owned()) }
}

/// A size, kept as written: with a unit, or as a part of the whole.
fn size(text: &str) -> Result<Value, String> {
    let body = text.trim_start_matches(['-', '+']);
    if let Some(part) = body.strip_suffix('%') {
        let fits = part.trim().parse::<f64>().is_ok_and(|part| (0.0..=100.0).contains(&part));
        return if fits { Ok(text.into()) } else { Err("a percentage from 0 to 100".to_owned()) };
    }
    let end = body.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).unwrap_or(body.len());
    let fits = body.starts_with(|c: char| c.is_ascii_digit() || c == '.') && unit(body[end..].trim()).is_some();
    if fits { Ok(text.into()) } else { Err("a size such as 10GiB".to_owned()) }
}

/// A size of the legacy document, a number of bytes.
fn disk_size(text: &str) -> Result<Value, String> {
    bytes_of(text).map(written_size).ok_or("a size such as 100 MB".to_owned())
}

/// Talos writes a unit where that says the same number, and the number elsewhere.
fn written_size(bytes: u64) -> Value {
    let short = (bytes > 0 && bytes.is_multiple_of(1000)).then(|| thousands(bytes));
    match short.filter(|text| bytes_of(text) == Some(bytes)) {
        Some(text) => text.into(),
        None => Value::Number(bytes.to_string()),
    }
}

/// The bytes that a number with a unit means; parts of a byte are dropped.
fn bytes_of(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).unwrap_or(text.len());
    let number: f64 = text[..end].replace(',', "").parse().ok()?;
    let bytes = number * unit(text[end..].trim())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds are checked")]
    (0.0..18_446_744_073_709_551_615.0).contains(&bytes).then_some(bytes as u64)
}

pub(crate) fn unit(name: &str) -> Option<f64> {
    let name = name.to_ascii_lowercase();
    let power = "kmgtpe".find(name.chars().next().unwrap_or('b')).map_or(0, |index| index + 1);
    let power = i32::try_from(power).ok()?;
    match name.trim_start_matches(|c| "kmgtpe".contains(c)) {
        "" | "b" => Some(1000_f64.powi(power)),
        "i" | "ib" => Some(1024_f64.powi(power)),
        _ => None,
    }
}

/// A whole number of thousands in the largest unit that leaves one, with one digit behind the point below ten.
#[expect(clippy::cast_precision_loss, reason = "the reader checks whether the number is still the same")]
fn thousands(bytes: u64) -> String {
    let power = bytes.ilog(1000);
    let unit = ["B", "kB", "MB", "GB", "TB", "PB", "EB"][power as usize];
    let size = (bytes as f64 / 1000_u64.pow(power) as f64 * 10.0 + 0.5).floor() / 10.0;
    if size < 10.0 { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") }
}

fn port(scalar: &Scalar) -> Result<Value, String> {
    let wanted = || "a port or a range such as 8000-9000".to_owned();
    let number = |text: &str| text.parse::<u16>().map_err(|_| wanted());
    match scalar.text.split_once('-') {
        Some((low, high)) if number(low)? <= number(high)? => Ok(scalar.text.as_str().into()),
        Some(_) => Err(wanted()),
        None => number(&scalar.text).map(|port| Value::from(u32::from(port))),
    }
}

fn routing_table(text: &str) -> Result<Value, String> {
    let name = match text {
        "0" => "unspec",
        "253" => "default",
        "254" => "main",
        "255" => "local",
        other => other,
    };
    let known = matches!(name, "unspec" | "default" | "main" | "local");
    if known || name.parse::<u32>().is_ok() {
        Ok(name.into())
    } else {
        Err("a routing table's name or number".to_owned())
    }
}

fn duration(scalar: &Scalar) -> Result<Value, String> {
    let wanted = || "a duration such as 1m30s".to_owned();
    nanoseconds(&scalar.text).map(|ns| go_duration(ns).into()).ok_or_else(wanted)
}

/// Parses a Go duration; a number without unit only when it is zero.
pub(crate) fn nanoseconds(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let (unit, tail) = split_unit(tail)?;
        total += scaled(number, unit)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sign * total)
}

fn split_unit(text: &str) -> Option<(i128, &str)> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    UNITS.iter().find_map(|(name, size)| text.strip_prefix(name).map(|rest| (*size, rest)))
}

fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.len() > 18 {
        return None;
    }
    let parse = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(parse(whole)? * unit + parse(fraction)? * unit / scale)
}

/// A duration as Go prints it: `1h0m0s`, `1.5s`, `300ms`, `0s`.
fn go_duration(ns: i128) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let size = ns.abs();
    if size == 0 {
        return "0s".to_owned();
    }
    if size < 1_000_000_000 {
        let (unit, name) = match size {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", decimal(size, unit));
    }
    let (hours, minutes) = (size / 3_600_000_000_000, size / 60_000_000_000 % 60);
    let seconds = decimal(size % 60_000_000_000, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

fn decimal(size: i128, unit: i128) -> String {
    let (whole, rest) = (size / unit, size % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0'))
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
