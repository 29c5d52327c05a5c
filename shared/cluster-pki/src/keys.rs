//! Private keys in the PEM types that Talos writes.

use std::convert::Infallible;

use machine_config::{Contract, Gate};
use p256::SecretKey;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use rcgen::KeyPair;
use rsa::PrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::rand_core::{TryCryptoRng, TryRng};
use talosconfig::PemError;
use talosconfig::key::{EC, ED25519, PKCS8, RSA, encode};
use zeroize::Zeroizing;

use crate::random::{Random, bytes};
use crate::{Error, Secret};

/// The bytes before the seed in an Ed25519 key of PKCS#8 version 1, the form that Go writes.
const ED25519_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A kind of key for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// For the Talos API.
    Ed25519,
    /// For Kubernetes and etcd.
    P256,
}

/// A new key: its PEM as Talos writes it, and the form that signs.
pub(crate) struct NewKey {
    pub(crate) pem: Secret,
    pub(crate) pair: KeyPair,
}

/// Makes a key.
pub(crate) fn generate(algorithm: Algorithm, rng: &mut dyn Random) -> Result<NewKey, Error> {
    match algorithm {
        Algorithm::Ed25519 => ed25519(rng),
        Algorithm::P256 => p256(rng),
    }
}

fn ed25519(rng: &mut dyn Random) -> Result<NewKey, Error> {
    let mut der = Zeroizing::new(ED25519_PREFIX.to_vec());
    der.extend(Zeroizing::new(bytes::<32>(rng)).iter());
    let pair = pair(&der, ED25519)?;
    Ok(NewKey { pem: block(ED25519, &der), pair })
}

fn p256(rng: &mut dyn Random) -> Result<NewKey, Error> {
    let secret = scalar(rng);
    let failed = || Error::Key(EC.to_owned());
    let pem = secret.to_sec1_pem(LineEnding::LF).map_err(|_| failed())?;
    let der = secret.to_pkcs8_der().map_err(|_| failed())?;
    Ok(NewKey { pem: Secret::new(pem.as_str()), pair: pair(der.as_bytes(), EC)? })
}

/// Draws until the number is below the curve's order, which the first one nearly always is.
fn scalar(rng: &mut dyn Random) -> SecretKey {
    loop {
        if let Ok(secret) = SecretKey::from_slice(Zeroizing::new(bytes::<32>(rng)).as_slice()) {
            return secret;
        }
    }
}

/// Makes the key that signs service account tokens: RSA-4096 or P-256, by the contract.
///
/// The search for two primes takes from a tenth of a second to a few seconds.
pub fn service_account(contract: Contract, rng: &mut dyn Random) -> Result<Secret, Error> {
    if !contract.has(Gate::RsaServiceAccount) {
        return p256(rng).map(|key| key.pem);
    }
    let key = PrivateKey::new(&mut Source(rng), 4096).map_err(|_| Error::Key(RSA.to_owned()))?;
    let pem = key.to_pkcs1_pem(LineEnding::LF).map_err(|_| Error::Key(RSA.to_owned()))?;
    Ok(Secret::new(pem.as_str()))
}

/// A [`Random`] as the RSA library's source of randomness.
struct Source<'a>(&'a mut dyn Random);

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

/// [`Random`] requires randomness fit for keys.
impl TryCryptoRng for Source<'_> {}

/// Reads a key in any of the PEM types that Talos takes.
pub(crate) fn parse(text: &str) -> Result<KeyPair, Error> {
    pair(&pkcs8(text)?, PKCS8)
}

/// The PEM of a key in PKCS#8, which every TLS library knows.
pub(crate) fn relabelled(text: &str) -> Result<Secret, Error> {
    Ok(block(PKCS8, &pkcs8(text)?))
}

/// A key's PKCS#8 form.
fn pkcs8(text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let block = pem::parse(text).map_err(|_| PemError::Pem("the private key"))?;
    let bad = || Error::Key(block.tag().to_owned());
    let der = match block.tag() {
        ED25519 | PKCS8 => Zeroizing::new(block.contents().to_vec()),
        EC => {
            let key = SecretKey::from_sec1_der(block.contents()).map_err(|_| bad())?;
            key.to_pkcs8_der().map_err(|_| bad())?.to_bytes()
        }
        RSA => {
            let key = PrivateKey::from_pkcs1_der(block.contents()).map_err(|_| bad())?;
            EncodePrivateKey::to_pkcs8_der(&key).map_err(|_| bad())?.to_bytes()
        }
        other => return Err(PemError::Key(other.to_owned()).into()),
    };
    Ok(der)
}

fn pair(der: &[u8], label: &str) -> Result<KeyPair, Error> {
    KeyPair::try_from(der).map_err(|_| Error::Key(label.to_owned()))
}

/// A PEM block with plain line ends.
fn block(label: &str, der: &[u8]) -> Secret {
    Secret::new(encode(label, der))
}
