//! Calls to the Kubernetes API.

use std::time::Duration;

use rustls::ClientConfig;
use serde_json::Value;
use transport::{Cause, Timeouts, body};

use crate::{Error, Kubeconfig};

/// Bytes of the largest reply: a node has some 100 KiB.
const LARGEST: usize = 8 << 20;
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), call: Duration::from_secs(15) };

/// A connection to one API server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
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
            .connect_timeout(TIMEOUTS.connect)
            .timeout(TIMEOUTS.call)
            .build()
            .expect("a client with TLS already set up");
        Ok(Self { http, server })
    }

    /// Whether the API is ready to serve.
    ///
    /// # Errors
    /// No answer, or a refusal with what isn't ready yet.
    pub async fn ready(&self) -> Result<(), Error> {
        let body = self.ask("/readyz").await?;
        // Anything in between may answer with a page and status 200; the API server answers with one word.
        if body.trim_ascii() == b"ok" {
            return Ok(());
        }
        let source = Cause("what answers there is not the Kubernetes API".to_owned());
        Err(Error::Unreachable { server: self.server.clone(), source })
    }

    /// Why Kubernetes doesn't report a node Ready: the message of its condition. `None` if it is Ready, or says nothing.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn why_not_ready(&self, node: &str) -> Result<Option<String>, Error> {
        let body = self.get(&format!("/api/v1/nodes/{node}"), "/api/v1/nodes").await?;
        Ok(why_not_ready(&body))
    }

    async fn ask(&self, path: &'static str) -> Result<Vec<u8>, Error> {
        self.get(path, path).await
    }

    /// Gets a path; an error calls it by the second one.
    async fn get(&self, path: &str, called: &'static str) -> Result<Vec<u8>, Error> {
        let unreachable = |error: reqwest::Error| {
            let (timed_out, connecting) = (error.is_timeout(), error.is_connect());
            let source = TIMEOUTS.unanswered(&error.without_url(), timed_out, connecting);
            Error::Unreachable { server: self.server.clone(), source }
        };
        let request = self.http.get(format!("{}{path}", self.server)).header("accept", "application/json, */*");
        let mut reply = request.send().await.map_err(unreachable)?;
        let status = reply.status();
        let Some(body) = body(&mut reply, LARGEST).await.map_err(unreachable)? else {
            let source = Cause(format!("its reply has more than {} MiB", LARGEST >> 20));
            return Err(Error::Unreachable { server: self.server.clone(), source });
        };
        if status.is_success() {
            return Ok(body);
        }
        let source = Cause(said(&body, status.canonical_reason().unwrap_or("no reason")));
        Err(Error::Refused { server: self.server.clone(), path: called, status: status.as_u16(), source })
    }
}

fn tls(kubeconfig: &Kubeconfig) -> Result<ClientConfig, rustls::Error> {
    transport::builder()
        .with_webpki_verifier(transport::authorities(kubeconfig.authorities.iter().cloned())?)
        .with_client_auth_cert(kubeconfig.certificates.clone(), kubeconfig.key.clone_key())
}

/// The message of a node's condition `Ready`, unless that is true.
fn why_not_ready(node: &[u8]) -> Option<String> {
    let node: Value = serde_json::from_slice(node).ok()?;
    let conditions = node.get("status")?.get("conditions")?.as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready" && condition["status"] != "True")?;
    ready["message"].as_str().filter(|message| !message.is_empty()).map(str::to_owned)
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
    fn a_node_that_is_not_ready_says_why() {
        let node = |status: &str| {
            let ready = format!(r#"{{"type":"Ready","status":"{status}","message":"cni plugin not initialized"}}"#);
            format!(r#"{{"status":{{"conditions":[{{"type":"DiskPressure","status":"False"}},{ready}]}}}}"#)
        };
        assert_eq!(why_not_ready(node("False").as_bytes()).as_deref(), Some("cni plugin not initialized"));
        assert_eq!(why_not_ready(node("Unknown").as_bytes()).as_deref(), Some("cni plugin not initialized"));
        assert_eq!(why_not_ready(node("True").as_bytes()), None);
        assert_eq!(why_not_ready(b"no JSON"), None);
    }

    #[test]
    fn refusals_are_told_in_the_servers_words() {
        let status = br#"{"kind":"Status","message":"nodes is forbidden","code":403}"#;
        assert_eq!(said(status, "Forbidden"), "nodes is forbidden");
        let health = b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n";
        assert_eq!(said(health, "Internal Server Error"), "[-]etcd failed: reason withheld");
        assert_eq!(said(b"", "Bad Gateway"), "Bad Gateway");
    }
}
