//! Go's durations.

use crate::value::Value;

/// A duration as Go prints it.
///
/// # Errors
/// Another text, or more nanoseconds than 64 bits hold.
pub fn duration(text: &str) -> Result<Value, String> {
    let ns = nanoseconds(text).filter(|ns| i64::try_from(*ns).is_ok());
    ns.map(|ns| go_duration(ns).into()).ok_or_else(|| "a duration such as 1m30s".to_owned())
}

/// Parses a Go duration; a number without unit only when it is zero.
pub fn nanoseconds(text: &str) -> Option<i128> {
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
