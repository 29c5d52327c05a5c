//! The talosconfig: which clusters a person can reach, and with which credentials.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use go_yaml::{Dialect, Map, Node, Value};
use time::OffsetDateTime;

use crate::{PemError, Secret, certificate, key};

/// Why a talosconfig can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not YAML.
    #[error("the talosconfig isn't usable as YAML")]
    Yaml(#[from] go_yaml::Error),
    /// The file is empty.
    #[error("talos config file is empty")]
    Empty,
    /// No such context.
    #[error("context {0:?} not found in config")]
    NoContext(String),
    /// A part of a context that is missing or isn't base64.
    #[error("{0} of the talosconfig's context isn't PEM in base64")]
    Part(&'static str),
    /// A certificate or key that can't be read.
    #[error("the talosconfig's credentials can't be used")]
    Credentials(#[from] PemError),
}

/// A talosconfig.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Talosconfig {
    /// The name of the current context.
    pub context: String,
    /// The contexts by name.
    pub contexts: Vec<(String, Context)>,
}

/// A cluster and a person's credentials for it. Credentials stand in base64, as in the file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Context {
    /// Where the API is reached.
    pub endpoints: Vec<String>,
    /// Which nodes are asked by default.
    pub nodes: Vec<String>,
    /// The Talos CA's certificate.
    pub ca: String,
    /// The client's certificate.
    pub crt: String,
    /// The client's key.
    pub key: Secret,
    /// Name of the cluster behind a proxy; empty for none.
    pub cluster: String,
    /// URL of a proxy; empty for none.
    pub proxy_url: String,
    /// Other ways to authenticate, kept unchanged.
    pub auth: Option<Value>,
}

/// What a TLS client needs: PEM texts, the key under the label that TLS libraries know.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The client's certificate.
    pub crt: String,
    /// The client's key.
    pub key: Secret,
}

impl Talosconfig {
    /// A talosconfig with one context, which is the current one.
    pub fn of(name: &str, context: Context) -> Self {
        Self { context: name.to_owned(), contexts: vec![(name.to_owned(), context)] }
    }

    /// Reads a talosconfig; unknown keys are ignored.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let documents = go_yaml::read(text)?;
        documents.first().filter(|root| !root.is_null()).map(Self::of_node).ok_or(Error::Empty)
    }

    pub(crate) fn of_node(root: &Node) -> Self {
        let pairs = root.get("contexts").and_then(Node::pairs).unwrap_or_default();
        let contexts = pairs.iter().map(|(key, node)| (key.text.clone(), Context::read(node)));
        Self { context: text_of(root, "context"), contexts: contexts.collect() }
    }

    /// The text, as the talosctl that writes in this dialect does.
    pub fn emit(&self, dialect: Dialect) -> Secret {
        let mut contexts: Vec<_> = self.contexts.iter().collect();
        contexts.sort_by(|a, b| go_yaml::natural_order(&a.0, &b.0));
        let contexts: Map = contexts.into_iter().map(|(name, context)| (name, context.written())).collect();
        let mut root = Map::new();
        root.set("context", self.context.as_str());
        root.set("contexts", contexts);
        Secret::new(go_yaml::write(&root.into(), dialect))
    }

    /// A context by name; an empty name means the current one.
    pub fn context(&self, name: &str) -> Result<&Context, Error> {
        let name = if name.is_empty() { &self.context } else { name };
        if self.contexts.is_empty() {
            return Err(Error::Empty);
        }
        let found = self.contexts.iter().find(|(known, _)| known == name);
        found.map(|(_, context)| context).ok_or_else(|| Error::NoContext(name.to_owned()))
    }

    /// Sets a context, in place where it exists.
    pub fn set(&mut self, name: &str, context: Context) {
        match self.contexts.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = context,
            None => self.contexts.push((name.to_owned(), context)),
        }
    }
}

fn text_of(node: &Node, key: &str) -> String {
    node.get(key).and_then(Node::text).unwrap_or_default().to_owned()
}

fn list_of(node: &Node, key: &str) -> Vec<String> {
    let items = node.get(key).and_then(Node::items).unwrap_or_default();
    items.iter().filter_map(Node::text).map(str::to_owned).collect()
}

impl Context {
    fn read(node: &Node) -> Self {
        let mut endpoints = list_of(node, "endpoints");
        // An old name for a single endpoint.
        endpoints.extend(Some(text_of(node, "target")).filter(|target| !target.is_empty()));
        Self {
            endpoints,
            nodes: list_of(node, "nodes"),
            ca: text_of(node, "ca"),
            crt: text_of(node, "crt"),
            key: text_of(node, "key").into(),
            cluster: text_of(node, "cluster"),
            proxy_url: text_of(node, "proxy-url"),
            auth: node.get("auth").filter(|auth| !auth.is_null()).map(go_yaml::free_value),
        }
    }

    pub(crate) fn written(&self) -> Map {
        let mut out = Map::new();
        out.set("endpoints", self.endpoints.clone());
        if !self.nodes.is_empty() {
            out.set("nodes", self.nodes.clone());
        }
        for (key, text) in [("ca", &*self.ca), ("crt", &*self.crt), ("key", self.key.expose())] {
            if !text.is_empty() {
                out.set(key, text);
            }
        }
        if let Some(auth) = &self.auth {
            out.set("auth", auth.clone());
        }
        for (key, text) in [("cluster", &self.cluster), ("proxy-url", &self.proxy_url)] {
            if !text.is_empty() {
                out.set(key, text);
            }
        }
        out
    }

    /// The client's certificate, PEM.
    ///
    /// # Errors
    /// It is missing, or not base64.
    pub fn crt_pem(&self) -> Result<String, Error> {
        decode(&self.crt, "the certificate").map(|pem| pem.expose().to_owned())
    }

    /// The client's key, PEM as in the file.
    ///
    /// # Errors
    /// It is missing, or not base64.
    pub fn key_pem(&self) -> Result<Secret, Error> {
        decode(self.key.expose(), "the key")
    }

    /// The Talos CA's certificate, PEM.
    pub fn ca_pem(&self) -> Result<String, Error> {
        decode(&self.ca, "the CA").map(|pem| pem.expose().to_owned())
    }

    /// The client's certificate and key, ready for a TLS library.
    pub fn identity(&self) -> Result<Identity, Error> {
        Ok(Identity { crt: self.crt_pem()?, key: key::relabelled(self.key_pem()?.expose())? })
    }

    /// When the client's certificate expires.
    pub fn not_after(&self) -> Result<OffsetDateTime, Error> {
        Ok(certificate::not_after(&self.crt_pem()?)?)
    }

    /// SHA-256 of the CA's DER in hexadecimal.
    pub fn ca256(&self) -> Result<String, Error> {
        Ok(certificate::ca256(&self.ca_pem()?)?)
    }
}

fn decode(text: &str, part: &'static str) -> Result<Secret, Error> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| Error::Part(part))?;
    let text = String::from_utf8(bytes).map_err(|_| Error::Part(part))?;
    if text.is_empty() { Err(Error::Part(part)) } else { Ok(Secret::new(text)) }
}
