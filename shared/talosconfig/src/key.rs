//! The PEM types of private keys.

use crate::{PemError, Secret};

/// Talos's own label for an Ed25519 key, which is in PKCS#8.
pub const ED25519: &str = "ED25519 PRIVATE KEY";
/// An elliptic key in SEC1.
pub const EC: &str = "EC PRIVATE KEY";
/// An RSA key in PKCS#1.
pub const RSA: &str = "RSA PRIVATE KEY";
/// A key of any kind in PKCS#8.
pub const PKCS8: &str = "PRIVATE KEY";

/// The PEM of a key under a label that TLS libraries know: they don't know Talos's own.
///
/// # Errors
/// Not PEM, or a label that Talos never writes.
pub fn relabelled(text: &str) -> Result<Secret, PemError> {
    let block = pem::parse(text).map_err(|_| PemError::Pem("the private key"))?;
    let label = match block.tag() {
        ED25519 | PKCS8 => PKCS8,
        known @ (EC | RSA) => known,
        other => return Err(PemError::Key(other.to_owned())),
    };
    Ok(Secret::new(encode(label, block.contents())))
}

/// A PEM text with plain line ends.
pub fn encode(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_talos_own_label_is_changed() {
        for (label, known) in [(ED25519, PKCS8), (PKCS8, PKCS8), (EC, EC), (RSA, RSA)] {
            let text = relabelled(&encode(label, b"0")).unwrap();
            assert_eq!(text.expose(), encode(known, b"0"));
        }
        assert_eq!(relabelled(&encode("X", b"0")).unwrap_err(), PemError::Key("X".to_owned()));
        assert_eq!(relabelled("").unwrap_err(), PemError::Pem("the private key"));
    }
}
