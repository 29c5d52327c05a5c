//! One-time passwords by time: RFC 6238 with SHA-1, six digits and steps of thirty seconds.

use sha1::{Digest, Sha1};

const BLOCK: usize = 64;
const STEP: u64 = 30;

/// Whether a code is that of the present step, of the one before or of the one after.
pub(crate) fn fits(secret: &[u8], code: &str, now: u64) -> bool {
    let step = now / STEP;
    [step.saturating_sub(1), step, step + 1].iter().any(|step| at(secret, *step) == code)
}

fn at(secret: &[u8], step: u64) -> String {
    let digest = hmac(secret, &step.to_be_bytes());
    let offset = usize::from(digest[19] & 0xf);
    let mut word = [0; 4];
    word.copy_from_slice(&digest[offset..offset + 4]);
    format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
}

/// RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut block = [0; BLOCK];
    match key.len() > BLOCK {
        true => block[..20].copy_from_slice(&Sha1::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha1::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            assert!(fits(secret, code, time), "{time}");
            assert!(!fits(secret, code, time + 90), "{time} is long ago");
        }
    }
}
