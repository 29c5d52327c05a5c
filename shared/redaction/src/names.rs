//! Names of secrets, and what their values can be.

use crate::REDACTED;

/// Whether a name is that of a secret. `key` alone names too many other things.
#[must_use]
pub fn names_a_secret(name: &str) -> bool {
    let plain = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '-');
    let name = name.trim_matches(plain).to_ascii_lowercase();
    let ends = ["secret", "password", "passphrase", "token", "key"];
    name != "key" && !name.contains("public") && ends.iter().any(|word| name.ends_with(word))
}

/// Whether a value can be a secret: no switch, number, path or variable.
#[must_use]
pub fn is_value(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','));
    let switch = matches!(text, "" | "true" | "false" | "null" | "|" | "{" | "[" | REDACTED);
    !switch && !text.starts_with(['/', '$']) && text.parse::<f64>().is_err()
}
