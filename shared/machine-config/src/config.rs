//! A machine config: its documents, and access to common values.

use go_yaml::{Dialect, Map, Value, write_documents};

use crate::decode::Error as DecodeError;
use crate::encode;
use crate::kinds::{Kind, LEGACY};

/// One document of a config.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it is.
    pub kind: &'static Kind,
    /// Its fields, as far as they are set, without `apiVersion` and `kind`.
    pub fields: Map,
    /// The first date without quotes in place of a text, or null in place of an item: Talos refuses both from 1.14 on.
    pub(crate) later: Option<Box<DecodeError>>,
}

/// What identifies a document: its kind and, for named kinds, its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The kind's name.
    pub kind: &'static str,
    /// The document's name, empty for kinds without one.
    pub name: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(self.kind),
            name => write!(f, "{}/{name}", self.kind),
        }
    }
}

impl Document {
    /// A document with these fields.
    pub fn new(kind: &'static Kind, fields: Value) -> Self {
        let fields = match fields {
            Value::Map(map) => map,
            _ => Map::new(),
        };
        Self { kind, fields, later: None }
    }

    /// Its identity.
    pub fn identity(&self) -> Identity {
        let name = match self.fields.get("name") {
            Some(Value::Text(name)) if self.kind.named => name.clone(),
            _ => String::new(),
        };
        Identity { kind: self.kind.name, name }
    }

    /// The first date without quotes in place of a text, or null in place of an item: Talos refuses both from 1.14 on.
    pub fn refused_later(&self) -> Option<&DecodeError> {
        self.later.as_deref()
    }

    /// The document as the newest Talos writes it.
    pub fn written(&self) -> Value {
        self.written_in(Dialect::V4)
    }

    /// The document as Talos of a dialect writes it.
    pub(crate) fn written_in(&self, dialect: Dialect) -> Value {
        let fields = encode::structure(&self.fields, self.kind.schema, dialect);
        if self.kind.is_legacy() {
            return Value::Map(fields);
        }
        let mut out = Map::new();
        out.set("apiVersion", "v1alpha1");
        out.set("kind", self.kind.name);
        fields.into_iter().for_each(|(key, value)| out.push(key, value));
        Value::Map(out)
    }
}

/// A machine config: the legacy document first, then the others in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub(crate) documents: Vec<Document>,
}

/// The role of a machine in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineType {
    /// Runs etcd and the control plane of Kubernetes.
    ControlPlane,
    /// Runs what users run.
    Worker,
}

impl MachineType {
    /// The word in a config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "controlplane",
            Self::Worker => "worker",
        }
    }

    /// The type of a word, Talos's old ones included.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "controlplane" | "init" => Some(Self::ControlPlane),
            "worker" | "join" => Some(Self::Worker),
            _ => None,
        }
    }
}

impl std::fmt::Display for MachineType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Config {
    /// The config of these documents; the legacy one moves to the front.
    pub fn new(mut documents: Vec<Document>) -> Self {
        documents.sort_by_key(|document| !document.kind.is_legacy());
        Self { documents }
    }

    /// The documents.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The text as Talos's tools write it without comments.
    pub fn text(&self, dialect: Dialect) -> String {
        let written: Vec<Value> = self.documents.iter().map(|document| document.written_in(dialect)).collect();
        write_documents(&written, dialect)
    }

    /// The document of a kind without name.
    pub fn find(&self, kind: &str) -> Option<&Map> {
        self.documents.iter().find(|doc| doc.kind.name == kind).map(|doc| &doc.fields)
    }

    /// All documents of a kind.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Map> {
        self.documents.iter().filter(move |doc| doc.kind.name == kind).map(|doc| &doc.fields)
    }

    /// A value of the legacy document.
    pub fn legacy(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        self.find(LEGACY.name)?.get(first)?.at(rest)
    }

    fn legacy_text(&self, path: &[&str]) -> Option<&str> {
        self.legacy(path)?.as_text().filter(|text| !text.is_empty())
    }

    fn text_of(&self, kind: &str, path: &[&str]) -> Option<&str> {
        let (first, rest) = path.split_first()?;
        self.find(kind)?.get(first)?.text_at(rest).filter(|text| !text.is_empty())
    }

    /// What the machine is; `None` for a word that Talos doesn't know.
    pub fn machine_type(&self) -> Option<MachineType> {
        MachineType::parse(self.legacy_text(&["machine", "type"]).unwrap_or("worker"))
    }

    /// The cluster's name.
    pub fn cluster_name(&self) -> Option<&str> {
        self.text_of("KubeClusterConfig", &["clusterName"]).or_else(|| self.legacy_text(&["cluster", "clusterName"]))
    }

    /// The URL of the Kubernetes API.
    pub fn endpoint(&self) -> Option<&str> {
        self.text_of("KubeClusterConfig", &["endpoint"])
            .or_else(|| self.legacy_text(&["cluster", "controlPlane", "endpoint"]))
    }

    /// The host name that the config sets.
    pub fn hostname(&self) -> Option<&str> {
        self.text_of("HostnameConfig", &["hostname"]).or_else(|| self.legacy_text(&["machine", "network", "hostname"]))
    }

    /// The kubelet's image.
    pub fn kubelet_image(&self) -> Option<&str> {
        self.text_of("KubeletConfig", &["image"]).or_else(|| self.legacy_text(&["machine", "kubelet", "image"]))
    }

    /// The Kubernetes version, with its `v`, by the kubelet's image.
    pub fn kubernetes_version(&self) -> Option<&str> {
        tag(self.kubelet_image()?)
    }

    /// The installer's image.
    pub fn install_image(&self) -> Option<&str> {
        self.text_of("UnattendedInstallConfig", &["installer", "image"])
            .or_else(|| self.legacy_text(&["machine", "install", "image"]))
    }

    /// The Talos version, with its `v`, by the installer's image.
    pub fn talos_version(&self) -> Option<&str> {
        tag(self.install_image()?)
    }
}

/// The tag of an image reference; a digest or a registry's port isn't one.
fn tag(image: &str) -> Option<&str> {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let (_, tag) = name.rsplit_once(':')?;
    (!tag.contains('/') && !tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn tags_are_told_from_ports_and_digests() {
        assert_eq!(tag("ghcr.io/siderolabs/kubelet:v1.36.3"), Some("v1.36.3"));
        assert_eq!(tag("localhost:5000/kubelet"), None);
        assert_eq!(tag("r:5000/k:v1@sha256:ab"), Some("v1"));
    }
}
