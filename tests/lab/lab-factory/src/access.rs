//! Who asks, at an Enterprise factory with users of its own: by name and password, or with a token for downloads.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::exchange::Answer;
use lab_core::disk_image::hex;

/// What is asked for the first time without a name.
const CHALLENGE: &str = "Basic realm=\"Image Factory Enterprise\", charset=\"UTF-8\"";
/// Maximum lifetime of a token for downloads, and its default.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(8 * 3600);
const USUAL: Duration = Duration::from_secs(300);

/// The users of a factory with their passwords, and the tokens that were given out.
#[derive(Default)]
pub(crate) struct Users {
    passwords: BTreeMap<String, String>,
    /// Names by token.
    tokens: BTreeMap<String, String>,
}

impl Users {
    /// Adds a user.
    pub(crate) fn add(&mut self, name: &str, password: &str) {
        self.passwords.insert(name.to_owned(), password.to_owned());
    }

    /// Whether everybody has to authenticate.
    pub(crate) fn any(&self) -> bool {
        !self.passwords.is_empty()
    }

    /// Who asks, by the header `Authorization` or by a token for a download.
    pub(crate) fn identify(&self, authorization: Option<&str>, token: Option<&str>) -> Option<String> {
        if let Some(name) = token.and_then(|token| self.tokens.get(token)) {
            return Some(name.clone());
        }
        let encoded = authorization?.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        (self.passwords.get(name)? == password).then(|| name.to_owned())
    }

    /// `POST /download-token`: what a download by somebody else may show for a while.
    pub(crate) fn issue(&mut self, name: &str, ttl: Option<&str>) -> Answer {
        let wanted = match ttl {
            None | Some("") => USUAL,
            Some(text) => match humantime::parse_duration(text) {
                Ok(wanted) if !wanted.is_zero() => wanted,
                _ => {
                    let text = format!("invalid ttl {text:?}: expected a positive Go duration, e.g. 30m");
                    return Answer::text(400, text);
                }
            },
        };
        if !(SHORTEST..=LONGEST).contains(&wanted) {
            let text = format!(
                "downloadtoken: requested TTL out of range: {} is outside [30s, 8h0m0s]",
                humantime::format_duration(wanted).to_string().replace(' ', "")
            );
            return Answer::text(400, text);
        }
        let token = hex(&Sha256::digest(format!("{name}/{}", self.tokens.len())));
        self.tokens.insert(token.clone(), name.to_owned());
        let body = serde_json::json!({"access_token": token, "token_type": "Bearer", "expires_in": wanted.as_secs()});
        let mut answer = Answer::new(200, "application/json", format!("{body}\n"));
        answer.headers.push(("cache-control", "no-store".to_owned()));
        answer
    }
}

/// Name and password of a header as a URL has them.
pub(crate) fn credentials(authorization: &str) -> Option<String> {
    let decoded = STANDARD.decode(authorization.strip_prefix("Basic ")?).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
    let written = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Some(decoded.into_iter().map(written).collect())
}

/// The refusal of a caller without a known name.
pub(crate) fn unauthorized() -> Answer {
    let mut answer = Answer::text(401, "authentication required to access this schematic");
    answer.headers.push(("www-authenticate", CHALLENGE.to_owned()));
    answer
}

/// The refusal of somebody else's schematic.
pub(crate) fn denied() -> Answer {
    Answer::text(403, "access denied")
}

/// Whether a path is open to everybody.
pub(crate) fn is_public(parts: &[&str]) -> bool {
    matches!(
        parts,
        ["versions" | "healthz" | "readyz" | "llms.txt"]
            | ["version", _, "extensions" | "overlays", "official"]
            | ["talosctl", ..]
            | ["secureboot", "signing-cert.pem"]
            | ["oci", "cosign", "signing-key.pub"]
            | [".well-known", "jwks.json"]
    )
}
