//! Sizes in bytes, with units.

use go_yaml::Value;

/// A size, kept as written: with a unit, or as a part of the whole.
pub(crate) fn size(text: &str) -> Result<Value, String> {
    if !text.contains('%') {
        return byte_size(text);
    }
    let part = text.strip_suffix('%').map(|part| part.strip_prefix('-').unwrap_or(part));
    let fits = part.and_then(number).is_some_and(|part| (0.0..=100.0).contains(&part));
    if fits { Ok(text.into()) } else { Err("a percentage from 0 to 100".to_owned()) }
}

/// A number of bytes, kept as written.
pub(crate) fn byte_size(text: &str) -> Result<Value, String> {
    let body = text.strip_prefix('-').unwrap_or(text);
    if bytes_of(body).is_some() { Ok(text.into()) } else { Err("a size such as 10GiB".to_owned()) }
}

/// What a disk's size is compared with: a size behind an operator.
pub(crate) fn condition(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let size = ["<=", ">=", "==", "<", ">"].iter().find_map(|sign| text.strip_prefix(sign)).unwrap_or(text);
    match bytes_of(size.trim()) {
        Some(_) => Ok(text.into()),
        None => Err("a size such as 10GiB, also behind one of < <= == >= >".to_owned()),
    }
}

/// A size of the legacy document, a number of bytes.
pub(crate) fn disk_size(text: &str) -> Result<Value, String> {
    bytes_of(text).map(written_size).ok_or("a size such as 100 MB".to_owned())
}

/// Talos writes a unit if that gives the same number, else the number.
fn written_size(bytes: u64) -> Value {
    let short = (bytes > 0 && bytes.is_multiple_of(1000)).then(|| thousands(bytes));
    match short.filter(|text| bytes_of(text) == Some(bytes)) {
        Some(text) => text.into(),
        None => Value::Number(bytes.to_string()),
    }
}

/// A number in the form that Go and Rust both take.
fn number(text: &str) -> Option<f64> {
    let known = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if text.chars().all(known) { text.parse().ok() } else { None }
}

/// The number of bytes that a number with a unit means; parts of a byte are dropped.
fn bytes_of(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).unwrap_or(text.len());
    let bytes = number(&text[..end].replace(',', ""))? * unit(text[end..].trim())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds are checked")]
    (0.0..18_446_744_073_709_551_615.0).contains(&bytes).then_some(bytes as u64)
}

/// How many bytes a unit's name means.
pub fn unit(name: &str) -> Option<f64> {
    let name = name.to_ascii_lowercase();
    let power = "kmgtpe".find(name.chars().next().unwrap_or('b')).map_or(0, |index| index + 1);
    let rest = if power == 0 { name.as_str() } else { &name[1..] };
    let power = i32::try_from(power).ok()?;
    match rest {
        "" | "b" => Some(1000_f64.powi(power)),
        "i" | "ib" if power > 0 => Some(1024_f64.powi(power)),
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
