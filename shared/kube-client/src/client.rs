//! Asks the Kubernetes API.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use serde_json::Value;

use crate::{Cause, Error, Kubeconfig, Node};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(15);

/// A connection to one API server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
}

/// The one cryptography provider.
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// Certificates or a key that can't be used.
    pub fn new(kubeconfig: &Kubeconfig) -> Result<Self, Error> {
        let server = kubeconfig.server.clone();
        let tls = tls(kubeconfig)
            .map_err(|error| Error::Credentials { server: server.clone(), source: Cause::innermost(&error) })?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(CALL)
            .build()
            .expect("a client with TLS already set up");
        Ok(Self { http, server })
    }

    /// The same credentials at another address: `https://10.0.0.11:6443`.
    #[must_use]
    pub fn at(&self, server: &str) -> Self {
        Self { http: self.http.clone(), server: server.trim_end_matches('/').to_owned() }
    }

    /// Whether the API is ready to serve.
    ///
    /// # Errors
    /// No answer, or a refusal with what isn't ready yet.
    pub async fn ready(&self) -> Result<(), Error> {
        self.ask("/readyz").await.map(drop)
    }

    /// Version of the API server: `v1.36.3`.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn version(&self) -> Result<String, Error> {
        let body = self.json("/version").await?;
        let version = body.get("gitVersion").and_then(Value::as_str);
        version.map(str::to_owned).ok_or_else(|| self.foreign("no gitVersion in /version"))
    }

    /// The nodes that have registered.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn nodes(&self) -> Result<Vec<Node>, Error> {
        let body = self.json("/api/v1/nodes").await?;
        let items = body.get("items").and_then(Value::as_array);
        let items = items.ok_or_else(|| self.foreign("no items in /api/v1/nodes"))?;
        Ok(items.iter().filter_map(Node::read).collect())
    }

    async fn json(&self, path: &'static str) -> Result<Value, Error> {
        let body = self.ask(path).await?;
        serde_json::from_slice(&body).map_err(|error| self.foreign(&format!("{path} is not JSON: {error}")))
    }

    async fn ask(&self, path: &'static str) -> Result<Vec<u8>, Error> {
        let unreachable = |error: reqwest::Error| Error::Unreachable {
            server: self.server.clone(),
            source: Cause::innermost(&error.without_url()),
        };
        let request = self.http.get(format!("{}{path}", self.server)).header("accept", "application/json, */*");
        let reply = request.send().await.map_err(unreachable)?;
        let status = reply.status();
        let body = reply.bytes().await.map_err(unreachable)?.to_vec();
        if status.is_success() {
            return Ok(body);
        }
        let source = Cause(said(&body, status.canonical_reason().unwrap_or("no reason")));
        Err(Error::Refused { server: self.server.clone(), path, status: status.as_u16(), source })
    }

    fn foreign(&self, what: &str) -> Error {
        Error::Foreign { server: self.server.clone(), source: Cause(what.into()) }
    }
}

fn tls(kubeconfig: &Kubeconfig) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in &kubeconfig.authorities {
        roots.add(authority.clone())?;
    }
    ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(kubeconfig.certificates.clone(), kubeconfig.key.clone_key())
}

/// The message of a Status object, else the lines of a health check that failed, else the status' own name.
fn said(body: &[u8], reason: &str) -> String {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    if let Some(message) = status.as_ref().and_then(|status| status.get("message")?.as_str()) {
        return message.into();
    }
    let text = String::from_utf8_lossy(body);
    let failed: Vec<&str> = text.lines().filter(|line| line.starts_with("[-]")).collect();
    if failed.is_empty() { reason.into() } else { failed.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_the_servers_words() {
        let status = br#"{"kind":"Status","message":"nodes is forbidden","code":403}"#;
        assert_eq!(said(status, "Forbidden"), "nodes is forbidden");
        let health = b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n";
        assert_eq!(said(health, "Internal Server Error"), "[-]etcd failed: reason withheld");
        assert_eq!(said(b"", "Bad Gateway"), "Bad Gateway");
    }
}
