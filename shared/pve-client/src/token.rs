//! The API token.

use std::fmt;

use zeroize::Zeroizing;

/// An API token: `USER@REALM!TOKENID=SECRET`. Its secret shows in no log and no error.
#[derive(Clone)]
pub struct Token {
    id: String,
    secret: Zeroizing<String>,
}

/// Text that is no API token. What was written is not repeated, for it may hold the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Nothing was written.
    #[error("the API token is empty")]
    Empty,
    /// There is no `=`: the part that the server shows once is missing.
    #[error("the API token has no secret: it is written USER@REALM!TOKENID=SECRET")]
    NoSecret,
    /// The part before `=` is not `USER@REALM!TOKENID`.
    #[error("the API token's name is not USER@REALM!TOKENID")]
    Name,
    /// The secret has characters that no header may hold.
    #[error("the API token's secret has blanks or control characters in it")]
    Secret,
}

impl Token {
    /// Reads a token; the `PVEAPIToken=` of the header may stand in front.
    ///
    /// # Errors
    /// Text of another shape.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        let text = text.strip_prefix("PVEAPIToken=").unwrap_or(text);
        if text.is_empty() {
            return Err(BadToken::Empty);
        }
        let (id, secret) = text.split_once('=').ok_or(BadToken::NoSecret)?;
        if secret.is_empty() {
            return Err(BadToken::NoSecret);
        }
        if !named(id) {
            return Err(BadToken::Name);
        }
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadToken::Secret);
        }
        Ok(Self { id: id.into(), secret: Zeroizing::new(secret.into()) })
    }

    /// Who it speaks for: `USER@REALM!TOKENID`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("PVEAPIToken={}={}", self.id, self.secret.as_str()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}=…)", self.id)
    }
}

/// Whether `id` has a user, a realm and a token ID of at least two characters: the server ignores shorter ones.
fn named(id: &str) -> bool {
    let Some((user, token)) = id.split_once('!') else { return false };
    let graphic = id.bytes().all(|byte| byte.is_ascii_graphic());
    let realm = user.rsplit_once('@').is_some_and(|(name, realm)| !name.is_empty() && !realm.is_empty());
    graphic && realm && token.len() >= 2 && token.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_and_without_the_headers_word() {
        for text in ["talos@pve!cli=1111-2222", "PVEAPIToken=talos@pve!cli=1111-2222\n"] {
            let token = Token::parse(text).unwrap();
            assert_eq!(token.id(), "talos@pve!cli");
            assert_eq!(token.header().as_str(), "PVEAPIToken=talos@pve!cli=1111-2222");
        }
    }

    #[test]
    fn a_token_of_another_shape_is_refused_without_repeating_it() {
        let error = |text| Token::parse(text).unwrap_err();

        assert_eq!(error(""), BadToken::Empty);
        assert_eq!(error("talos@pve!cli"), BadToken::NoSecret);
        assert_eq!(error("talos@pve!cli="), BadToken::NoSecret);
        assert_eq!(error("talos!cli=s3cret"), BadToken::Name);
        assert_eq!(error("talos@pve!c=s3cret"), BadToken::Name);
        assert_eq!(error("talos@pve!cli=s3 cret"), BadToken::Secret);
        assert!(!error("talos=s3cret").to_string().contains("s3cret"));
    }

    #[test]
    fn the_secret_is_not_in_the_debug_text() {
        let token = Token::parse("talos@pve!cli=s3cret").unwrap();
        assert_eq!(format!("{token:?}"), "Token(talos@pve!cli=…)");
    }
}
