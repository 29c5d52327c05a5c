//! PEM as Go reads it: only complete blocks; the text around them is ignored.

use crate::checks::base64;

/// A block: its label and what its base64 holds.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    bytes: Vec<u8>,
}

impl Block<'_> {
    /// Whether it holds one ASN.1 sequence and nothing else, as every certificate does.
    pub(crate) fn is_sequence(&self) -> bool {
        let Some((0x30, rest)) = self.bytes.split_first() else { return false };
        let Some((first, rest)) = rest.split_first() else { return false };
        let long = usize::from(first & 0x7f);
        match first {
            ..0x80 => rest.len() == long,
            _ if long > size_of::<usize>() || long > rest.len() => false,
            _ => rest.len() - long == rest[..long].iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)),
        }
    }
}

/// The blocks of a text.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((label, after)) = rest.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")) {
        rest = after;
        let end = format!("-----END {label}-----");
        let Some((body, after)) = rest.split_once(&end) else { continue };
        if let Ok(bytes) = base64(&body.replace([' ', '\t'], "")) {
            out.push(Block { label, bytes });
            rest = after;
        }
    }
    out
}

/// What is wrong with required PEM, of a certain label if one is given.
pub(crate) fn wrong(text: &str, label: Option<&str>) -> Option<String> {
    let blocks = blocks(text);
    if blocks.is_empty() {
        return Some("no PEM blocks found".to_owned());
    }
    let other = blocks.iter().find(|block| label.is_some_and(|label| label != block.label))?;
    Some(format!("unexpected PEM block type {:?}, expected one of [{:?}]", other.label, label.unwrap_or_default()))
}
