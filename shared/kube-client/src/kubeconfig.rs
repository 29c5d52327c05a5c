//! The credentials of one context of a kubeconfig.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use serde_yaml::Value;

/// An API server's URL, the authority to trust, and client credentials.
pub struct Kubeconfig {
    /// URL of the API server.
    pub server: String,
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Text that is no kubeconfig with embedded certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKubeconfig {
    /// Not YAML.
    #[error("the kubeconfig is not YAML: {0}")]
    Yaml(String),
    /// Something is missing; the error names its path.
    #[error("the kubeconfig has no {0}")]
    Missing(String),
    /// A value can't be read; the error doesn't repeat it.
    #[error("{0} of the kubeconfig can't be read: it is not {1}")]
    Unreadable(&'static str, &'static str),
}

impl Kubeconfig {
    /// Reads the current context, or the one named.
    ///
    /// # Errors
    /// Text that isn't a kubeconfig, or one whose certificates and key are not in it.
    pub fn parse(text: &str, context: Option<&str>) -> Result<Self, BadKubeconfig> {
        let file: Value = serde_yaml::from_str(text).map_err(|error| BadKubeconfig::Yaml(place(&error)))?;
        let current = || text_at(&file, "current-context").filter(|name| !name.is_empty());
        let context = context.or_else(current).ok_or_else(|| BadKubeconfig::Missing("current-context".into()))?;
        let context = entry(&file, "contexts", "context", context)?;
        let name = |key: &str| text_at(context, key).ok_or_else(|| BadKubeconfig::Missing(format!("context.{key}")));
        let cluster = entry(&file, "clusters", "cluster", name("cluster")?)?;
        let user = entry(&file, "users", "user", name("user")?)?;
        let server = text_at(cluster, "server").ok_or_else(|| BadKubeconfig::Missing("cluster.server".into()))?;
        Ok(Self {
            server: server.trim_end_matches('/').to_owned(),
            authorities: certificates(cluster, "certificate-authority-data")?,
            certificates: certificates(user, "client-certificate-data")?,
            key: key(user, "client-key-data")?,
        })
    }
}

impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kubeconfig({}, …)", self.server)
    }
}

/// Where the YAML is wrong; the text of the error could repeat a key's contents.
fn place(error: &serde_yaml::Error) -> String {
    match error.location() {
        Some(location) => format!("line {} column {}", location.line(), location.column()),
        None => "at its end".into(),
    }
}

fn text_at<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// The `inner` of the item called `name` in `list`.
fn entry<'a>(file: &'a Value, list: &str, inner: &str, name: &str) -> Result<&'a Value, BadKubeconfig> {
    let items = file.get(list).and_then(Value::as_sequence).map(Vec::as_slice).unwrap_or_default();
    let found = items.iter().find(|item| text_at(item, "name") == Some(name)).and_then(|item| item.get(inner));
    found.ok_or_else(|| BadKubeconfig::Missing(format!("{inner} {name:?}")))
}

fn decoded(value: &Value, key: &'static str) -> Result<Vec<pem::Pem>, BadKubeconfig> {
    let text = text_at(value, key).ok_or_else(|| BadKubeconfig::Missing(key.into()))?;
    let joined: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(joined).map_err(|_| BadKubeconfig::Unreadable(key, "base64"))?;
    pem::parse_many(bytes).map_err(|_| BadKubeconfig::Unreadable(key, "PEM"))
}

fn certificates(value: &Value, key: &'static str) -> Result<Vec<CertificateDer<'static>>, BadKubeconfig> {
    let blocks = decoded(value, key)?.into_iter().filter(|block| block.tag() == "CERTIFICATE");
    let certificates: Vec<_> = blocks.map(|block| CertificateDer::from(block.into_contents())).collect();
    if certificates.is_empty() { Err(BadKubeconfig::Unreadable(key, "a certificate")) } else { Ok(certificates) }
}

/// The key, which Talos writes in SEC1 form for EC and PKCS#1 for RSA.
fn key(value: &Value, key: &'static str) -> Result<PrivateKeyDer<'static>, BadKubeconfig> {
    let mut keys = decoded(value, key)?.into_iter().filter_map(|block| {
        Some(match block.tag() {
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(block.into_contents()).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(block.into_contents()).into(),
            "PRIVATE KEY" | "ED25519 PRIVATE KEY" => PrivatePkcs8KeyDer::from(block.into_contents()).into(),
            _ => return None,
        })
    });
    keys.next_back().ok_or(BadKubeconfig::Unreadable(key, "a private key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> BadKubeconfig {
        Kubeconfig::parse(text, None).unwrap_err()
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(error("{}"), BadKubeconfig::Missing("current-context".into()));
        assert_eq!(error("current-context: a@b"), BadKubeconfig::Missing("context \"a@b\"".into()));
        let context = "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n";
        assert_eq!(error(context), BadKubeconfig::Missing("cluster \"c\"".into()));
        let cluster = format!(
            "{context}clusters: [{{name: c, cluster: {{server: 'https://x'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        );
        assert_eq!(error(&cluster), BadKubeconfig::Missing("certificate-authority-data".into()));
    }

    #[test]
    fn secrets_are_not_repeated_in_errors() {
        let text = "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n\
                    clusters: [{name: c, cluster: {server: 'https://x', certificate-authority-data: s3cret!}}]\n\
                    users: [{name: u, user: {}}]\n";
        assert_eq!(error(text), BadKubeconfig::Unreadable("certificate-authority-data", "base64"));
        assert!(!error("client-key-data: [s3cret").to_string().contains("s3cret"));
    }
}
