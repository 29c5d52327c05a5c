//! Public keys of SSH, as far as `ssh-keygen` looks at them.

/// Checks `sshkeys`: URL-encoded lines of which one at least must be a key.
pub(crate) fn check(encoded: &str) -> Result<(), String> {
    let text = super::form::decode(encoded);
    match text.trim().is_empty() || text.lines().any(is_key) {
        true => Ok(()),
        false => Err("SSH public key validation error".to_owned()),
    }
}

/// `[options] type base64 [comment]`.
fn is_key(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).any(|pair| decoded(pair[1]).is_some_and(|blob| is_blob(pair[0], &blob)))
}

/// Fields with their lengths before them, the first of which is the type, and nothing left over.
fn is_blob(kind: &str, blob: &[u8]) -> bool {
    let (mut rest, mut fields) = (blob, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((field, left)) = after.split_at_checked(length) else { return false };
        fields.push(field);
        rest = left;
    }
    rest.is_empty() && fields.len() > 1 && fields.first().is_some_and(|first| *first == kind.as_bytes())
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = (bits << 6 | u32::try_from(value).ok()?) & 0x3fff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_cut_off_or_of_another_type_is_none() {
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIPxZ3Y3GWR6uKq0F4E1dYJ7dPYKzqgJYYVqkxkSQ0pTw";
        for good in [format!("ssh-ed25519 {key} me"), format!("# note\nno-pty ssh-ed25519 {key}"), String::new()] {
            assert_eq!(check(&good.replace(' ', "%20").replace('\n', "%0A")), Ok(()), "{good}");
        }
        for bad in ["ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIJ0%20x", "nonsense"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&format!("ssh-rsa%20{key}")).is_err());
    }
}
