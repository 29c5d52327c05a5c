//! Secret detection in texts whose field isn't a secret: passwords in URLs, tokens in variables, keys in files.

use redaction::{
    REDACTED, has_secret_query, is_value, names_a_secret, without_password, without_query, without_secret_query,
};

/// How a text may carry a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// It is one.
    Secret,
    /// Its key is the name of a secret.
    Named,
    /// It is the content of a file: not shown, and a secret if it looks like one.
    File,
    /// It is a URL.
    Url,
    /// It is any other text.
    Text,
}

impl Carrier {
    /// The text as it may be shown.
    pub(crate) fn shown(self, text: &str) -> String {
        match self {
            _ if text.is_empty() => String::new(),
            Self::Secret | Self::Named | Self::File => REDACTED.to_owned(),
            Self::Url => without_query(&without_password(text)),
            Self::Text => shown_text(text),
        }
    }

    /// Whether the text is or holds a secret.
    pub(crate) fn is_secret(self, text: &str) -> bool {
        match self {
            Self::Secret => !text.is_empty() && text != REDACTED,
            Self::Named => is_value(text),
            Self::File | Self::Text => shown_text(text) != text,
            Self::Url => without_password(text) != text || has_secret_query(text),
        }
    }
}

fn shown_text(text: &str) -> String {
    if is_document_of_secrets(text) {
        return REDACTED.to_owned();
    }
    let lines: Vec<String> =
        text.split('\n').map(|line| without_secret_query(&without_password(&without_assigned(line)))).collect();
    lines.join("\n")
}

/// A private key or a Secret of Kubernetes, of which no line is shown.
fn is_document_of_secrets(text: &str) -> bool {
    let is_secret = |line: &str| line.split_whitespace().eq(["kind:", "Secret"]);
    text.contains("PRIVATE KEY-----") || text.lines().any(is_secret)
}

/// A line without the value that is assigned to the name of a secret, as in `TOKEN=x`, `password: x` or `?token=x`.
fn without_assigned(line: &str) -> String {
    let Some((name, value)) = line.split_once(['=', ':']) else { return line.to_owned() };
    if names_a_secret(name) && is_value(value) {
        let kept = line.len() - value.trim_start().len();
        return format!("{}{REDACTED}", &line[..kept]);
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_their_secrets_and_nothing_else() {
        for (text, shown) in [
            ("TS_AUTHKEY=hush", "TS_AUTHKEY=******"),
            ("get https://a/b?x=1&token=hush now", "get https://a/b?x=1&token=****** now"),
            ("http://u:hush@proxy:3128/x", "http://******@proxy:3128/x"),
            ("a: b\npassword: hush\nc: d", "a: b\npassword: ******\nc: d"),
            ("apiVersion: v1\nkind: Secret\ndata: {a: hush}", "******"),
            ("-----BEGIN RSA PRIVATE KEY-----\nhush", "******"),
        ] {
            assert_eq!(Carrier::Text.shown(text), shown);
            assert!(Carrier::Text.is_secret(text), "{text}");
            assert!(!Carrier::Text.is_secret(shown), "{shown}");
        }
        for text in [
            "- key: node-role.kubernetes.io/control-plane",
            "automountServiceAccountToken: false",
            "tls-private-key: /etc/a.key",
            "PATH=/bin",
            "https://a/b?c=d",
            "TOKEN=$TOKEN",
            "publicKey: abc",
        ] {
            assert!(!Carrier::Text.is_secret(text), "{text}");
        }
    }

    #[test]
    fn a_urls_query_is_not_shown_and_is_a_secret_where_it_says_so() {
        assert_eq!(Carrier::Url.shown("https://a/?jointoken=hush"), "https://a/?******");
        assert!(Carrier::Url.is_secret("https://a/?x=1&jointoken=hush"));
        assert!(!Carrier::Url.is_secret("https://a/?ref=main"));
    }
}
