use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use rsa::rand_core::{TryCryptoRng, TryRng};

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

/// A token of the form that kubeadm gave the world: six characters, a dot, sixteen characters.
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

/// Lets the search for primes draw from our source.
pub(crate) struct Source<'a>(pub(crate) &'a mut dyn Random);

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(bytes(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(bytes(self.0)))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}
