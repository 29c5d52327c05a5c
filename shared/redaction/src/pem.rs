//! PEM blocks: keys, and certificates beside them.

use crate::REDACTED;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
/// How long the label after `-----END ` may be.
const LABEL: usize = 64;

/// The text without its PEM blocks; one that was cut is hidden to the end of the text.
pub(crate) fn hide(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        out.push_str(&rest[..begin]);
        out.push_str(REDACTED);
        rest = after(&rest[begin..]);
    }
    out + rest
}

/// What follows the block at the beginning of this text.
fn after(block: &str) -> &str {
    let Some(end) = block.find(END) else { return "" };
    let label = &block[end + END.len()..];
    match label.bytes().take(LABEL).collect::<Vec<_>>().windows(5).position(|five| five == b"-----") {
        Some(dashes) => &label[dashes + 5..],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::hide;

    #[test]
    fn a_block_is_hidden_in_any_layout_and_also_when_it_was_cut() {
        for text in [
            "-----BEGIN ED25519 PRIVATE KEY-----\nMC4CAQ\n-----END ED25519 PRIVATE KEY-----",
            r"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\n+    MIIB\n-    MIIC\n     -----END CERTIFICATE-----",
        ] {
            assert_eq!(hide(&format!("why: {text}, and {text}.")), "why: ******, and ******.");
        }
        assert_eq!(hide("why: -----BEGIN EC PRIVATE KEY-----\nMC4C"), "why: ******");
        assert_eq!(hide("why: -----BEGIN EC PRIVATE KEY-----\nMC4C\n-----END EC"), "why: ******");
    }
}
