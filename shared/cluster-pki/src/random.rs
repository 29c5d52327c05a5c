use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::Secret;

/// A source of randomness fit for keys, such as the operating system's.
pub trait Random {
    /// Fills a buffer.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Random for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}

/// An array of random bytes.
pub(crate) fn bytes<const N: usize>(rng: &mut dyn Random) -> [u8; N] {
    let mut out = [0; N];
    rng.fill(&mut out);
    out
}

/// 32 random bytes in base64.
pub(crate) fn key(rng: &mut dyn Random) -> Secret {
    Secret::new(STANDARD.encode(bytes::<32>(rng)))
}

/// 32 random bytes in base64 that fits in a URL.
pub(crate) fn url_key(rng: &mut dyn Random) -> String {
    URL_SAFE.encode(bytes::<32>(rng))
}

/// A token in kubeadm's form: six characters, a dot, sixteen characters.
pub(crate) fn token(rng: &mut dyn Random) -> Secret {
    let left = characters(6, rng);
    Secret::new(format!("{left}.{}", characters(16, rng)))
}

/// Evenly distributed: bytes above the last multiple of 36 are drawn again.
fn characters(count: usize, rng: &mut dyn Random) -> String {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let [byte] = bytes::<1>(rng);
        if byte < 252 {
            text.push(char::from(ALPHABET[usize::from(byte % 36)]));
        }
    }
    text
}
