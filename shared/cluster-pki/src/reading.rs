//! Bundles of existing clusters: from `secrets.yaml`, from a control plane's config, from a Kubernetes cluster.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use go_yaml::{Node, Value};
use machine_config::{Config, Contract};
use time::OffsetDateTime;

use crate::random::Random;
use crate::{Authority, Bundle, Secret, validate};

/// Why a bundle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not YAML.
    #[error("the secrets bundle isn't usable as YAML")]
    Yaml(#[from] go_yaml::Error),
    /// A value that isn't base64, at its path.
    #[error("{0} isn't base64")]
    Base64(String),
    /// Parts that are missing or unreadable, in Talos's words.
    #[error("the secrets bundle is incomplete: {}", .0.join("; "))]
    Invalid(Vec<String>),
    /// No bundle can be taken from this config.
    #[error("the machine config isn't a control plane's")]
    NotAControlPlane,
}

impl Bundle {
    /// Reads `secrets.yaml`; unknown keys are ignored, missing and unreadable parts are refused.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        let documents = go_yaml::read(text)?;
        let nothing = Node { place: go_yaml::Place::default(), data: go_yaml::Data::Map(Vec::new()) };
        let file = File(documents.first().filter(|root| !root.is_null()).unwrap_or(&nothing));
        let bundle = Self {
            cluster_id: file.text(&["cluster", "id"]),
            cluster_secret: file.text(&["cluster", "secret"]).into(),
            bootstrap_token: file.text(&["secrets", "bootstraptoken"]).into(),
            aescbc: file.optional(&["secrets", "aescbcencryptionsecret"]),
            secretbox: file.optional(&["secrets", "secretboxencryptionsecret"]),
            machine_token: file.text(&["trustdinfo", "token"]).into(),
            etcd: file.authority("etcd")?,
            kubernetes: file.authority("k8s")?,
            aggregator: file.authority("k8saggregator")?,
            service_account: file.decoded(&["certs", "k8sserviceaccount", "key"])?.into(),
            talos: file.authority("os")?,
        };
        let sections = SECTIONS.into_iter().filter(|name| !file.has(name));
        bundle.checked_without(&sections.collect::<Vec<_>>())
    }

    /// Makes a Talos bundle from the authorities and the service account's key of an existing Kubernetes cluster. What
    /// Talos adds is generated, and so is a bootstrap token if there is none.
    pub fn around_kubernetes(
        contract: Contract,
        kubernetes: Kubernetes,
        now: OffsetDateTime,
        rng: &mut dyn Random,
    ) -> Result<Self, Error> {
        let made = Self::generate_around(contract, kubernetes.service_account, now, rng);
        let made = made.map_err(|error| Error::Invalid(vec![error.to_string()]))?;
        let bootstrap_token = kubernetes.bootstrap_token.unwrap_or(made.bootstrap_token);
        let (kubernetes, etcd, aggregator) = (kubernetes.authority, kubernetes.etcd, kubernetes.aggregator);
        Self { bootstrap_token, kubernetes, etcd, aggregator, ..made }.checked()
    }

    /// Extracts the bundle from a control plane's config.
    pub fn from_config(config: &Config) -> Result<Self, Error> {
        extract(config)?.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        self.checked_without(&[])
    }

    /// Checks the bundle; a missing section is reported once, not field by field.
    fn checked_without(self, sections: &[&str]) -> Result<Self, Error> {
        let problems = validate::problems(&self, sections);
        if problems.is_empty() { Ok(self) } else { Err(Error::Invalid(problems)) }
    }
}

/// The keys of a Kubernetes cluster that is moved to Talos.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    /// CA of Kubernetes.
    pub authority: Authority,
    /// CA of etcd.
    pub etcd: Authority,
    /// CA of the aggregation layer.
    pub aggregator: Authority,
    /// Key that signs service account tokens, PEM.
    pub service_account: Secret,
    /// Token with which kubelets join, if there is one.
    pub bootstrap_token: Option<Secret>,
}

/// The file's sections.
const SECTIONS: [&str; 4] = ["cluster", "secrets", "trustdinfo", "certs"];

/// The content of the file, not checked yet.
struct File<'a>(&'a Node);

impl File<'_> {
    fn has(&self, section: &str) -> bool {
        self.0.get(section).is_some_and(|node| !node.is_null())
    }

    fn text(&self, path: &[&str]) -> String {
        let node = path.iter().try_fold(self.0, |node, key| node.get(key));
        node.and_then(Node::text).unwrap_or_default().to_owned()
    }

    fn optional(&self, path: &[&str]) -> Option<Secret> {
        Some(self.text(path)).filter(|text| !text.is_empty()).map(Secret::new)
    }

    fn decoded(&self, path: &[&str]) -> Result<String, Error> {
        decode(&self.text(path)).ok_or_else(|| Error::Base64(path.join(".")))
    }

    fn authority(&self, name: &str) -> Result<Authority, Error> {
        Ok(Authority {
            crt: self.decoded(&["certs", name, "crt"])?,
            key: self.decoded(&["certs", name, "key"])?.into(),
        })
    }
}

fn decode(text: &str) -> Option<String> {
    let joined: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    String::from_utf8(STANDARD.decode(joined).ok()?).ok()
}

/// Extracts the bundle from a control plane's config, in either generation of documents.
fn extract(config: &Config) -> Result<Bundle, Error> {
    if config.machine_type() != Some(machine_config::MachineType::ControlPlane) {
        return Err(Error::NotAControlPlane);
    }
    let legacy = |path: &[&str]| config.legacy(path).and_then(Value::as_text).unwrap_or_default();
    let secret = |path: &[&str]| Secret::new(legacy(path));
    let optional = |path: &[&str]| Some(secret(path)).filter(|secret| !secret.is_empty());
    let identity = config.find("DiscoveryIdentityConfig");
    let of_identity = |key: &str, path: &[&str]| {
        let newer = identity.and_then(|fields| fields.get(key)).and_then(Value::as_text);
        newer.unwrap_or_else(|| legacy(path)).to_owned()
    };
    Ok(Bundle {
        cluster_id: of_identity("clusterID", &["cluster", "id"]),
        cluster_secret: of_identity("clusterSecret", &["cluster", "secret"]).into(),
        bootstrap_token: secret(&["cluster", "token"]),
        aescbc: optional(&["cluster", "aescbcEncryptionSecret"]),
        secretbox: optional(&["cluster", "secretboxEncryptionSecret"]).or_else(|| secretbox(config)),
        machine_token: secret(&["machine", "token"]),
        etcd: authority(config, None, &["cluster", "etcd", "ca"])?,
        kubernetes: authority(config, Some("KubeAPIServerCAConfig"), &["cluster", "ca"])?,
        aggregator: authority(config, Some("KubeAggregatorCAConfig"), &["cluster", "aggregatorCA"])?,
        service_account: service_account(config)?,
        talos: authority(config, None, &["machine", "ca"])?,
    })
}

fn authority(config: &Config, kind: Option<&str>, path: &[&str]) -> Result<Authority, Error> {
    let newer = kind.and_then(|kind| config.find(kind)?.get("issuingCA"));
    if let Some(pair) = newer {
        let text = |key: &str| pair.text_at(&[key]).unwrap_or_default().to_owned();
        return Ok(Authority { crt: text("cert"), key: text("key").into() });
    }
    let part = |key: &str| {
        let text = config.legacy(path).and_then(|pair| pair.text_at(&[key])).unwrap_or_default();
        decode(text).ok_or_else(|| Error::Base64(format!("{}.{key}", path.join("."))))
    };
    Ok(Authority { crt: part("crt")?, key: part("key")?.into() })
}

fn service_account(config: &Config) -> Result<Secret, Error> {
    let newer = config.find("KubeServiceAccountConfig").and_then(|fields| fields.get("issuer"));
    if let Some(key) = newer.and_then(|issuer| issuer.text_at(&["privateKey"])) {
        return Ok(Secret::new(key));
    }
    let path = ["cluster", "serviceAccount", "key"];
    let text = config.legacy(&path).and_then(Value::as_text).unwrap_or_default();
    decode(text).map(Secret::new).ok_or_else(|| Error::Base64(path.join(".")))
}

/// The secretbox key of the newer document, nested in Kubernetes's own format.
fn secretbox(config: &Config) -> Option<Secret> {
    let resources = config.find("KubeEtcdEncryptionConfig")?.get("config")?.at(&["resources"])?;
    let providers = resources.as_list()?.first()?.at(&["providers"])?.as_list()?;
    let keys = providers.first()?.at(&["secretbox", "keys"])?.as_list()?;
    keys.first()?.text_at(&["secret"]).map(Secret::new)
}
