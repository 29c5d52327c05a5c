//! Scalars of the types that Go and go-yaml have themselves: what is accepted, and its canonical text.
//!
//! If a text isn't of the type, the error is what was expected.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

pub use crate::duration::{duration, nanoseconds};
use crate::node::Scalar;
use crate::resolve::Resolved;
use crate::value::Value;

/// A boolean. Go takes YAML 1.1's words for a typed one, quoted or not.
pub fn boolean(scalar: &Scalar) -> Option<bool> {
    match (scalar.resolve(), scalar.text.as_str()) {
        (Resolved::Bool(flag), _) => Some(flag),
        (_, "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => Some(true),
        (_, "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => Some(false),
        _ => None,
    }
}

/// A whole number within bounds.
///
/// # Errors
/// Another text, or a number beyond the bounds.
pub fn whole(scalar: &Scalar, low: i64, high: u64) -> Result<Value, String> {
    let number = scalar.whole().ok_or("a whole number")?;
    if (i128::from(low)..=i128::from(high)).contains(&number) {
        Ok(Value::Number(number.to_string()))
    } else {
        Err(format!("a whole number from {low} to {high}"))
    }
}

/// Go's base64: line ends are allowed, and unused bits may be set.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Base64, written again on one line.
///
/// # Errors
/// Another text.
pub fn bytes(text: &str) -> Result<Value, String> {
    let joined: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    BASE64.decode(&joined).map(|bytes| BASE64.encode(bytes).into()).map_err(|_| "base64".to_owned())
}

/// A text that Rust reads and writes as Go does.
///
/// # Errors
/// `wanted`, for another text.
pub fn parsed<T: FromStr + ToString>(text: &str, wanted: &str) -> Result<Value, String> {
    text.parse::<T>().map(|value| value.to_string().into()).map_err(|_| wanted.to_owned())
}

/// An IP address, perhaps with a zone.
///
/// # Errors
/// Another text.
pub fn address(text: &str) -> Result<Value, String> {
    match text.split_once('%') {
        Some((ip, zone)) if !zone.is_empty() => {
            let ip: Ipv6Addr = ip.parse().map_err(|_| "an IP address".to_owned())?;
            Ok(format!("{ip}%{zone}").into())
        }
        _ => parsed::<IpAddr>(text, "an IP address"),
    }
}

/// An address with a prefix length. As Go reads one, neither has zeros in front.
///
/// # Errors
/// Another text.
pub fn prefix(text: &str) -> Result<Value, String> {
    let net = text.rsplit_once('/').and_then(|(ip, bits)| {
        let bits: u8 = bits.parse().ok().filter(|number: &u8| number.to_string() == bits)?;
        ipnet::IpNet::new(ip.parse().ok()?, bits).ok()
    });
    net.map(|net| net.to_string().into()).ok_or_else(|| "an IP address with a prefix length".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_have_no_zeros_in_front() {
        for good in ["10.0.0.1/24", "0.0.0.0/0", "::/0", "fd00::1/64", "::ffff:1.2.3.4/120"] {
            assert_eq!(prefix(good), Ok(good.into()));
        }
        for bad in
            ["10.0.0.01/24", "010.0.0.0/8", "::1.2.3.04/24", "10.0.0.1/08", "10.0.0.1/+8", "10.0.0.1/33", "10.0.0.1"]
        {
            assert!(prefix(bad).is_err(), "{bad}");
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
            assert_eq!(duration(text), Ok(written.into()));
        }
        assert!(duration("30").is_err());
        assert!(duration("1d").is_err());
    }
}
