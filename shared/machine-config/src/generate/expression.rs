//! Texts within expressions.

/// A text as Talos writes it into an expression.
pub fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        let code = u32::from(c);
        let escape = match c {
            '"' | '\\' => format!("\\{c}"),
            '\u{7}'..='\u{d}' => format!("\\{}", ["a", "b", "t", "n", "v", "f", "r"][code as usize - 7]),
            _ if c.is_ascii_control() => format!("\\x{code:02x}"),
            // Other characters that can't be seen; those that only add to the one before can.
            _ if !c.is_ascii() && c.escape_debug().len() > 1 && format!("a{c}").escape_debug().count() > 2 => {
                match code {
                    ..0x1_0000 => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                }
            }
            _ => c.to_string(),
        };
        out.push_str(&escape);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_does() {
        for (text, wanted) in [
            ("/dev/sda", r#""/dev/sda""#),
            ("\"\\\u{7}\n\0\u{7f}", r#""\"\\\a\n\x00\x7f""#),
            ("é\u{a0}e\u{301}\u{200b}\u{1f600}\u{e0001}", "\"é\\u00a0e\u{301}\\u200b\u{1f600}\\U000e0001\""),
        ] {
            assert_eq!(quoted(text), wanted);
        }
    }
}
