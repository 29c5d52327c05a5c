//! The fields of a machine config that the simulator acts on.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;
use sha2::{Digest, Sha256};

use super::{Document, Network, Refusal};

/// What a machine is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    ControlPlane,
    Worker,
}

/// A certificate authority as a config holds it: PEM texts.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Authority {
    /// Certificate.
    pub(crate) certificate: String,
    /// Private key; empty on workers.
    pub(crate) key: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A complete machine config.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// The text as it was applied.
    pub(crate) text: String,
    pub(crate) documents: Vec<Document>,
    pub(crate) role: Role,
    /// Token that trustd asks for.
    pub(crate) token: String,
    pub(crate) authority: Authority,
    pub(crate) accepted: Vec<String>,
    pub(crate) certificate_names: Vec<String>,
    pub(crate) cluster_name: String,
    pub(crate) cluster_id: String,
    /// URL of the Kubernetes API, verbatim.
    pub(crate) endpoint: String,
    pub(crate) kubernetes: Authority,
    pub(crate) etcd: Authority,
    /// Whether etcd advertises, and listens on, the addresses of certain networks only.
    pub(crate) etcd_subnets: bool,
    pub(crate) server_names: Vec<String>,
    /// Port of the Kubernetes API on a control plane.
    pub(crate) server_port: u16,
    pub(crate) kubelet_image: String,
    pub(crate) server_image: String,
    /// Those of the controller manager, the scheduler and the proxy; empty where the config leaves them out.
    pub(crate) manager_image: String,
    pub(crate) scheduler_image: String,
    pub(crate) proxy_image: String,
    pub(crate) install_image: String,
    pub(crate) install_disk: String,
    /// Whether a controller installs while the boot continues, instead of a sequence of its own (1.14).
    pub(crate) unattended_install: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// Key to `value:Effect` or `Effect`.
    pub(crate) taints: BTreeMap<String, String>,
    /// Parameters of the kernel.
    pub(crate) sysctls: BTreeMap<String, String>,
    pub(crate) network: Network,
    keys: Keys,
}

/// What machines must have in common to work together, as digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Keys {
    trust: u64,
    etcd: u64,
    kubernetes: u64,
}

impl Config {
    /// Equal for machines of which one signs certificates for the other.
    pub(crate) fn trust_key(&self) -> u64 {
        self.keys.trust
    }

    /// Equal for control planes that form one etcd.
    pub(crate) fn etcd_key(&self) -> u64 {
        self.keys.etcd
    }

    /// Equal for machines that belong to one Kubernetes.
    pub(crate) fn kubernetes_key(&self) -> u64 {
        self.keys.kubernetes
    }

    fn with_keys(mut self) -> Self {
        let authority = self.accepted.first().filter(|_| self.authority.certificate.is_empty());
        let authority = authority.unwrap_or(&self.authority.certificate);
        self.keys = Keys {
            trust: digest(&[authority, &self.token]),
            etcd: digest(&[&self.etcd.certificate, &self.cluster_id]),
            kubernetes: digest(&[&self.kubernetes.certificate, &self.endpoint]),
        };
        self
    }
}

fn digest(parts: &[&str]) -> u64 {
    let digest = Sha256::digest(parts.join("\0").as_bytes());
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// The v1alpha1 document and those beside it.
pub(super) struct Parts<'a> {
    pub(super) body: &'a Value,
    pub(super) documents: &'a [Document],
}

impl<'a> Parts<'a> {
    pub(super) fn of(documents: &'a [Document]) -> Option<Self> {
        let body = documents.iter().find(|d| d.is_v1alpha1())?;
        Some(Self { body: &body.value, documents })
    }

    /// A value of the v1alpha1 document.
    pub(super) fn at(&self, path: &str) -> Option<&'a Value> {
        at(self.body, path)
    }

    /// A text of the v1alpha1 document; empty if it isn't there.
    pub(super) fn text(&self, path: &str) -> String {
        self.at(path).map(text).unwrap_or_default()
    }

    /// The documents of a kind.
    pub(super) fn kind(&self, kind: &'static str) -> impl Iterator<Item = &'a Document> {
        self.documents.iter().filter(move |d| d.kind == kind)
    }

    /// A text of the first document of a kind, else of the v1alpha1 document.
    pub(super) fn either(&self, kind: &'static str, field: &str, path: &str) -> String {
        match self.kind(kind).next().and_then(|d| at(&d.value, field)) {
            Some(value) => text(value),
            None => self.text(path),
        }
    }

    fn map(&self, field: &str, path: &str) -> BTreeMap<String, String> {
        let document = self.kind("KubeNodeConfig").next().and_then(|d| at(&d.value, field));
        document.or_else(|| self.at(path)).map(texts).unwrap_or_default()
    }
}

/// The value at a path with dots.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| value.get(key)).filter(|value| !value.is_null())
}

/// A scalar as text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

/// The items of a sequence of scalars.
pub(super) fn list(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_sequence).into_iter().flatten().map(text).collect()
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_mapping().into_iter().flatten();
    pairs.map(|(key, value)| (text(key), text(value))).collect()
}

fn pem(encoded: &str, field: &str) -> Result<String, Refusal> {
    let bad = || Refusal::parse(format!("error decoding {field}: illegal base64 data"));
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| bad())?;
    String::from_utf8(bytes).map_err(|_| bad())
}

fn authority(parts: &Parts<'_>, path: &str) -> Result<Authority, Refusal> {
    let half = |name| pem(&parts.text(&format!("{path}.{name}")), &format!("{path}.{name}"));
    Ok(Authority { certificate: half("crt")?, key: half("key")? })
}

/// From 1.14 the authority of the Kubernetes API has a document of its own, in plain PEM.
fn kubernetes_authority(parts: &Parts<'_>) -> Result<Authority, Refusal> {
    let Some(document) = parts.kind("KubeAPIServerCAConfig").next() else {
        return authority(parts, "cluster.ca");
    };
    let field = |path| at(&document.value, path).map(text).unwrap_or_default();
    let accepted = list(document.value.get("acceptedCAs")).into_iter().next().unwrap_or_default();
    let certificate = Some(field("issuingCA.cert")).filter(|c| !c.is_empty()).unwrap_or(accepted);
    Ok(Authority { certificate, key: field("issuingCA.key") })
}

fn accepted(parts: &Parts<'_>) -> Result<Vec<String>, Refusal> {
    let entries = parts.at("machine.acceptedCAs").and_then(Value::as_sequence);
    let entries = entries.into_iter().flatten().filter_map(|entry| entry.get("crt"));
    entries.map(|crt| pem(&text(crt), "machine.acceptedCAs")).collect()
}

fn role(parts: &Parts<'_>) -> Role {
    match parts.text("machine.type").as_str() {
        "controlplane" | "init" => Role::ControlPlane,
        _ => Role::Worker,
    }
}

fn port(parts: &Parts<'_>) -> u16 {
    let port = parts.either("KubeAPIServerConfig", "apiPort", "cluster.controlPlane.localAPIServerPort");
    port.parse().ok().filter(|port| *port != 0).unwrap_or(6443)
}

fn taints(parts: &Parts<'_>, role: Role) -> BTreeMap<String, String> {
    let mut taints = parts.map("taints", "machine.nodeTaints");
    let allowed = ["cluster.allowSchedulingOnControlPlanes", "cluster.allowSchedulingOnMasters"];
    let allowed = allowed.iter().any(|path| parts.text(path) == "true");
    let legacy = parts.kind("KubeNodeConfig").next().is_none();
    if role == Role::ControlPlane && legacy && !allowed {
        taints.insert("node-role.kubernetes.io/control-plane".to_owned(), "NoSchedule".to_owned());
    }
    taints
}

fn labels(parts: &Parts<'_>, role: Role) -> BTreeMap<String, String> {
    let mut labels = parts.map("labels", "machine.nodeLabels");
    if role == Role::ControlPlane {
        labels.insert("node-role.kubernetes.io/control-plane".to_owned(), String::new());
    }
    labels
}

/// Reads the fields of documents that passed the checks.
pub(super) fn read(text: &str, documents: Vec<Document>) -> Result<Config, Refusal> {
    let parts = Parts::of(&documents).ok_or_else(|| Refusal::parse("the config holds no v1alpha1 document"))?;
    let role = role(&parts);
    let config = Config {
        text: text.to_owned(),
        documents: Vec::new(),
        role,
        token: parts.text("machine.token"),
        authority: authority(&parts, "machine.ca")?,
        accepted: accepted(&parts)?,
        certificate_names: list(parts.at("machine.certSANs")),
        cluster_name: parts.either("KubeClusterConfig", "clusterName", "cluster.clusterName"),
        cluster_id: parts.either("DiscoveryIdentityConfig", "clusterID", "cluster.id"),
        endpoint: parts.either("KubeClusterConfig", "endpoint", "cluster.controlPlane.endpoint"),
        kubernetes: kubernetes_authority(&parts)?,
        etcd: authority(&parts, "cluster.etcd.ca")?,
        etcd_subnets: !list(parts.at("cluster.etcd.advertisedSubnets")).is_empty(),
        server_names: server_names(&parts),
        server_port: port(&parts),
        kubelet_image: parts.either("KubeletConfig", "image", "machine.kubelet.image"),
        server_image: parts.either("KubeAPIServerConfig", "image", "cluster.apiServer.image"),
        manager_image: parts.either("KubeControllerManagerConfig", "image", "cluster.controllerManager.image"),
        scheduler_image: parts.either("KubeSchedulerConfig", "image", "cluster.scheduler.image"),
        proxy_image: parts.either("KubeProxyConfig", "image", "cluster.proxy.image"),
        install_image: parts.either("UnattendedInstallConfig", "installer.image", "machine.install.image"),
        install_disk: parts.text("machine.install.disk"),
        unattended_install: parts.kind("UnattendedInstallConfig").next().is_some(),
        labels: labels(&parts, role),
        annotations: parts.map("annotations", "machine.nodeAnnotations"),
        taints: taints(&parts, role),
        sysctls: parts.at("machine.sysctls").map(texts).unwrap_or_default(),
        network: super::network::read(&parts),
        keys: Keys::default(),
    };
    Ok(Config { documents, ..config.with_keys() })
}

fn server_names(parts: &Parts<'_>) -> Vec<String> {
    let document = parts.kind("KubeAPIServerConfig").next();
    let document = document.and_then(|d| d.value.get("certExtraSANs"));
    list(document.or_else(|| parts.at("cluster.apiServer.certSANs")))
}
