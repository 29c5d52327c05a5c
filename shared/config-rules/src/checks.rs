//! Checks that several rules share; the messages are Talos's own.

use std::net::IpAddr;

use go_yaml::Url;

use crate::cel::{self, Environment};
use crate::lookup::Lookup;
use crate::report::Report;

/// `[prefix/]name`, as Kubernetes defines it.
pub(crate) fn qualified_name(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        ["", _] => return Some(format!("prefix cannot be empty: {text:?}")),
        [prefix, name] => match dns_subdomain(prefix) {
            Some(why) => return Some(format!("prefix {prefix:?} is invalid: {why}")),
            None => name,
        },
        _ => return Some(format!("invalid format: too many slashes: {text:?}")),
    };
    match name.len() {
        0 => Some(format!("name cannot be empty: {text:?}")),
        64.. => Some(format!("name is too long: {text:?} (limit is 63)")),
        _ if !is_word(name) => Some(format!("name {name:?} is invalid")),
        _ => None,
    }
}

/// A DNS subdomain of RFC 1123.
pub(crate) fn dns_subdomain(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some(format!("domain name length exceeds limit of 253: {text:?}"));
    }
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = |part: &str| part.starts_with(end) && part.ends_with(end) && part.chars().all(|c| end(c) || c == '-');
    (!text.split('.').all(fits)).then(|| format!("domain doesn't match required format: {text:?}"))
}

fn label_value(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(format!("label value length exceeds limit of 63: {text:?}"));
    }
    (!text.is_empty() && !is_word(text)).then(|| format!("label value {text:?} is invalid"))
}

fn is_word(text: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(end) && text.ends_with(end) && text.chars().all(|c| end(c) || matches!(c, '-' | '_' | '.'))
}

/// What is wrong with Kubernetes labels.
pub(crate) fn labels(pairs: Lookup<'_>) -> Vec<String> {
    let pairs = pairs.pairs().into_iter();
    pairs.flat_map(|(key, value)| qualified_name(key).into_iter().chain(label_value(value.text()))).collect()
}

/// Annotations that Talos keeps for itself.
const RESERVED: [&str; 3] = ["talos.dev/owned-labels", "talos.dev/owned-annotations", "talos.dev/owned-taints"];
/// Maximum size of all annotations together, in bytes.
const ANNOTATIONS: usize = 256 << 10;

/// What is wrong with Kubernetes annotations.
pub(crate) fn annotations(pairs: Lookup<'_>) -> Vec<String> {
    let pairs = pairs.pairs();
    let size: usize = pairs.iter().map(|(key, value)| key.len() + value.text().len()).sum();
    let reserved = |key: &str| RESERVED.contains(&key).then(|| format!("annotation {key:?} is reserved"));
    let one = |(key, _): (&str, Lookup<'_>)| qualified_name(key).into_iter().chain(reserved(key)).collect::<Vec<_>>();
    let mut out: Vec<String> = pairs.into_iter().flat_map(one).collect();
    if size > ANNOTATIONS {
        out.push(format!("total annotation size exceeds limit of {ANNOTATIONS} bytes"));
    }
    out
}

/// What is wrong with Kubernetes taints, written as `Effect` or `value:Effect`.
pub(crate) fn taints(pairs: Lookup<'_>) -> Vec<String> {
    let one = |(key, taint): (&str, Lookup<'_>)| {
        let (value, effect) = taint.text().split_once(':').unwrap_or(("", taint.text()));
        let known = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
        let effect = (!known).then(|| format!("invalid taint effect: {effect:?}"));
        qualified_name(key).or(effect).or_else(|| label_value(value))
    };
    pairs.pairs().into_iter().filter_map(one).collect()
}

/// Whether this is an address with its prefix length, as Go's `net.ParseCIDR` accepts it: no octet begins with a zero,
/// but the length may.
pub(crate) fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let longest = address.parse().map_or(0, |address: IpAddr| if address.is_ipv4() { 32 } else { 128 });
    longest > 0
        && bits.bytes().all(|byte| byte.is_ascii_digit())
        && bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
}

/// The same as Go's `netip.ParsePrefix` accepts it.
pub(crate) fn is_prefix(text: &str) -> bool {
    is_network(text) && !text.rsplit('/').next().is_some_and(|bits| bits.len() > 1 && bits.starts_with('0'))
}

/// An address or network, which `!` may exclude.
pub(crate) fn is_subnet(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text);
    is_prefix(text) || text.parse::<IpAddr>().is_ok()
}

/// What is wrong with an address, with or without a prefix length.
pub(crate) fn address_or_network(text: &str) -> Option<String> {
    if text.contains('/') {
        return (!is_network(text)).then(|| format!("invalid CIDR address: {text}"));
    }
    (text.parse::<IpAddr>().is_err()).then(|| format!("failed to parse IP address {text:?}"))
}

/// A URL; text that isn't a URL gives one without any part.
pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).unwrap_or_default()
}

/// What is wrong with the URL of an endpoint, if anything: its host must be an address or a DNS name.
pub fn endpoint(text: &str) -> Option<String> {
    let url = url(text);
    let why = match url.port().parse::<i64>() {
        _ if url.host_name().is_empty() => "hostname must not be blank",
        _ if url.port().is_empty() => return None,
        Err(_) => "port number must be numeric",
        Ok(1..=65535) => return None,
        Ok(_) => "port number must be between 1 and 65535",
    };
    Some(why.to_owned())
}

/// Whether Talos accepts this as a DNS name.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = |part: &str| part.starts_with(first) && part.len() <= 63 && part.chars().all(|c| first(c) || c == '-');
    let body = text.strip_suffix(['.', '_']).unwrap_or(text);
    !body.is_empty() && body.len() - body.matches('.').count() <= 255 && body.split('.').all(fits)
}

/// Decodes base64; the error is Go's message.
pub(crate) fn base64(text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine;
    const LENIENT: base64::engine::GeneralPurposeConfig =
        base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let engine = base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    let packed: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    engine.decode(&packed).map_err(|_| format!("illegal base64 data at input byte {}", illegal(&packed)))
}

/// The offset at which Go stops reading invalid base64.
fn illegal(text: &str) -> usize {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let bytes = text.as_bytes();
    match bytes.iter().position(|byte| !digit(*byte)) {
        // Four digits form a group: Go reports the first digit of an incomplete one.
        None => bytes.len() - bytes.len() % 4,
        Some(at) if bytes[at] != b'=' || at % 4 < 2 => at,
        Some(at) if at % 4 == 3 => at + 1,
        Some(at) if bytes.len() == at + 1 || bytes[at + 1] != b'=' => at + 1,
        Some(at) => at + 2,
    }
}

/// What is wrong with a WireGuard key; `length` makes the message for one of the wrong length.
pub(crate) fn wireguard_key(text: &str, length: fn(&str, usize) -> String) -> Option<String> {
    match base64(text) {
        Err(why) => Some(why),
        Ok(bytes) if bytes.len() != 32 => Some(length(text, bytes.len())),
        Ok(_) => None,
    }
}

/// A Go duration's sign and size in nanoseconds; zero when there is none.
pub(crate) fn nanoseconds(value: Lookup<'_>) -> i128 {
    go_yaml::scalar::nanoseconds(value.text()).unwrap_or(0)
}

/// Go's `%v` of a list of texts.
pub(crate) fn listed<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<&str> = items.into_iter().collect();
    format!("[{}]", items.join(" "))
}

/// Go's `%q` of a list of texts.
pub(crate) fn quoted<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}

/// What is wrong with a size of memory.
pub(crate) fn memory(text: &str) -> Option<String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let why = match number.parse::<f64>() {
        Err(_) => format!("strconv.ParseFloat: parsing {number:?}: invalid syntax"),
        Ok(_) if machine_config::size::unit(unit.trim()).is_none() => format!("unhandled size name: {}", unit.trim()),
        Ok(_) => return None,
    };
    Some(format!("is not a valid size: {why}"))
}

/// A size in bytes; `None` for one that is relative, negative or absent.
pub(crate) fn bytes(text: &str) -> Option<u128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let factor = machine_config::size::unit(text[end..].trim())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size is positive and saturates")]
    Some((number * factor) as u128)
}

/// Checks an expression (CEL), if it is set, in the environment that Talos gives it.
pub(crate) fn expression(at: Lookup<'_>, environment: Environment, what: &str, report: &mut Report) {
    if at.text().is_empty() {
        return;
    }
    if let Err(why) = cel::check(at.text(), environment, report.minor) {
        report.error(format!("{what}: {why}"));
    }
}

/// The document's name.
pub(crate) fn name<'a>(fields: Lookup<'a>) -> &'a str {
    fields.at("name").text()
}

/// Reports a required field that is missing.
pub(crate) fn required(fields: Lookup<'_>, path: &str, text: &str, report: &mut Report) {
    if fields.at(path).text().is_empty() {
        report.error(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_taken_as_go_takes_them() {
        for (text, network, prefix) in [
            ("10.0.0.1/24", true, true),
            ("fd00::/8", true, true),
            ("10.0.0.1/024", true, false),
            ("10.0.0.01/24", false, false),
            ("010.0.0.0/8", false, false),
            ("::1.2.3.04/24", false, false),
            ("10.0.0.1", false, false),
            ("10.0.0.1/33", false, false),
            ("10.0.0.1/+8", false, false),
            ("10.0.0.1/", false, false),
        ] {
            assert_eq!((is_network(text), is_prefix(text)), (network, prefix), "{text}");
        }
    }
}
