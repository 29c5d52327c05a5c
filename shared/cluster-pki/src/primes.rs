//! The search for an RSA key's two primes, on all cores.
//!
//! How long a prime lets itself be searched for is a matter of luck, so every core searches from a place of its own,
//! and the first two primes that are found count. Whoever finds the first goes on from another place: two primes near
//! each other would give the key away.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crypto_primes::hazmat::SmallFactorsSieve;
use crypto_primes::{Flavor, is_prime};
use rsa::{BoxedUint, PrivateKey};
use zeroize::Zeroizing;

use crate::random::Random;

/// Bits of each prime: half of a key of 4096.
const BITS: NonZeroU32 = NonZeroU32::new(2048).expect("2048 is not zero");

/// The public exponent that everybody uses.
const EXPONENT: u32 = 65_537;

/// Makes an RSA key of 4096 bits; `None` only if the arithmetic refuses everything that is found.
pub(crate) fn rsa_4096(rng: &mut dyn Random) -> Option<PrivateKey> {
    // Two primes make a key unless the exponent divides one less than either, which nearly never happens.
    (0..16).find_map(|_| {
        let (p, q) = two_primes(cores(), rng)?;
        PrivateKey::from_p_q(p, q, BoxedUint::from(EXPONENT)).ok()
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Two different primes with their two highest bits set, so that their product has all its bits.
fn two_primes(threads: usize, rng: &mut dyn Random) -> Option<(BoxedUint, BoxedUint)> {
    let starts: Vec<BoxedUint> = (0..=threads).map(|_| start(rng)).collect();
    let search = Search { starts: Mutex::new(starts), found: Mutex::new(Vec::new()), enough: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| search.run());
        }
        search.run();
    });
    let mut found = search.found.into_inner().ok()?.into_iter();
    found.next().zip(found.next()).filter(|(p, q)| p != q)
}

/// An odd number to search from.
fn start(rng: &mut dyn Random) -> BoxedUint {
    let mut bytes = Zeroizing::new([0; 256]);
    rng.fill(bytes.as_mut_slice());
    bytes[0] |= 0b1100_0000;
    bytes[255] |= 1;
    BoxedUint::from_be_slice(bytes.as_slice(), BITS.get()).expect("256 bytes are 2048 bits")
}

/// What the searching threads share.
struct Search {
    starts: Mutex<Vec<BoxedUint>>,
    found: Mutex<Vec<BoxedUint>>,
    enough: AtomicBool,
}

impl Search {
    /// Searches from one start after the other, until two primes are there.
    fn run(&self) {
        while let Some(start) = self.starts.lock().ok().and_then(|mut starts| starts.pop()) {
            let Ok(mut sieve) = SmallFactorsSieve::new(start, BITS, false) else { continue };
            let stop = || self.enough.load(Ordering::Relaxed);
            let Some(prime) = sieve.find(|candidate| stop() || is_prime(Flavor::Any, candidate)) else { continue };
            let Ok(mut found) = self.found.lock() else { return };
            if stop() {
                return;
            }
            found.push(prime);
            if found.len() == 2 {
                self.enough.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_threads_finds_two_primes_of_full_length() {
        let mut state = 3_u64;
        let mut rng = move |bytes: &mut [u8]| {
            for byte in bytes {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 33) as u8;
            }
        };
        for threads in [1, 3] {
            let (p, q) = two_primes(threads, &mut rng).unwrap();
            for prime in [&p, &q] {
                assert_eq!(prime.bit_width(), BITS.get());
                assert!(is_prime(Flavor::Any, prime));
            }
            let apart = if p > q { p - q } else { q - p };
            assert!(apart.bit_width() > 1024, "whoever divides the key near its root would find them");
        }
    }
}
