//! The secrets bundle: `secrets.yaml`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use go_yaml::{Dialect, Map, Node, Value};
use machine_config::generate::{Authority as Pair, Secrets};
use machine_config::{Config, Contract, Gate};
use time::OffsetDateTime;

use crate::keys::{self, Algorithm};
use crate::random::{self, Random};
use crate::{Authority, Secret, validate};

/// Why a bundle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No YAML.
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

/// Everything secret that a cluster is made of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Bundle {
    /// Identity of the cluster at the discovery service.
    pub cluster_id: String,
    /// Key that members share at the discovery service, in base64.
    pub cluster_secret: Secret,
    /// Token with which kubelets join.
    pub bootstrap_token: Secret,
    /// Key for secrets in etcd, in base64, of clusters made before Talos 1.3.
    pub aescbc: Option<Secret>,
    /// Key for secrets in etcd, in base64.
    pub secretbox: Option<Secret>,
    /// Token with which machines join.
    pub machine_token: Secret,
    /// CA of etcd.
    pub etcd: Authority,
    /// CA of Kubernetes.
    pub kubernetes: Authority,
    /// CA of the aggregation layer.
    pub aggregator: Authority,
    /// Key that signs service account tokens, PEM.
    pub service_account: Secret,
    /// CA of the Talos API.
    pub talos: Authority,
}

impl Bundle {
    /// Makes a bundle; the search for the service account's key takes up to seconds.
    pub fn generate(contract: Contract, now: OffsetDateTime, rng: &mut dyn Random) -> Result<Self, crate::Error> {
        let service_account = keys::service_account(contract, rng)?;
        Self::generate_around(contract, service_account, now, rng)
    }

    /// Makes a bundle around a service account's key that is there already.
    pub fn generate_around(
        contract: Contract,
        service_account: Secret,
        now: OffsetDateTime,
        rng: &mut dyn Random,
    ) -> Result<Self, crate::Error> {
        let standard = contract.has(Gate::NewerYaml);
        Ok(Self {
            cluster_id: if standard { random::key(rng).expose().to_owned() } else { random::url_key(rng) },
            cluster_secret: random::key(rng),
            bootstrap_token: random::token(rng),
            aescbc: None,
            secretbox: Some(random::key(rng)),
            machine_token: random::token(rng),
            etcd: Authority::new(Algorithm::P256, "etcd", now, rng)?,
            kubernetes: Authority::new(Algorithm::P256, "kubernetes", now, rng)?,
            aggregator: Authority::new(Algorithm::P256, "", now, rng)?,
            service_account,
            talos: Authority::new(Algorithm::Ed25519, "talos", now, rng)?,
        })
    }

    /// Reads `secrets.yaml`: unknown keys don't matter, missing and unreadable parts do.
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

    /// Makes a Talos bundle around what an existing Kubernetes cluster has: its authorities and the service account's
    /// key. What Talos adds, and a bootstrap token if there is none, are made.
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

    /// Takes the bundle out of a control plane's config.
    pub fn from_config(config: &Config) -> Result<Self, Error> {
        extract(config)?.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        self.checked_without(&[])
    }

    /// Checks; of sections that are missing as a whole, only that is said.
    fn checked_without(self, sections: &[&str]) -> Result<Self, Error> {
        let problems = validate::problems(&self, sections);
        if problems.is_empty() { Ok(self) } else { Err(Error::Invalid(problems)) }
    }

    /// The text of `secrets.yaml`, to the byte as talosctl writes it.
    pub fn to_yaml(&self) -> Secret {
        let cluster = map([("id", self.cluster_id.as_str().into()), ("secret", self.cluster_secret.expose().into())]);
        let mut secrets = map([("bootstraptoken", self.bootstrap_token.expose().into())]);
        for (key, secret) in [("aescbcencryptionsecret", &self.aescbc), ("secretboxencryptionsecret", &self.secretbox)]
        {
            if let Some(secret) = secret {
                secrets.set(key, secret.expose());
            }
        }
        let service_account = encoded(self.service_account.expose());
        let certs = map([
            ("etcd", pair(&self.etcd)),
            ("k8s", pair(&self.kubernetes)),
            ("k8saggregator", pair(&self.aggregator)),
            ("k8sserviceaccount", map([("key", service_account)]).into()),
            ("os", pair(&self.talos)),
        ]);
        let root = map([
            ("cluster", cluster.into()),
            ("secrets", secrets.into()),
            ("trustdinfo", map([("token", self.machine_token.expose().into())]).into()),
            ("certs", certs.into()),
        ]);
        Secret::new(go_yaml::write(&root.into(), Dialect::V3))
    }

    /// What a machine config is generated from.
    pub fn secrets(&self) -> Secrets<'_> {
        let pair = |authority| pair_of(authority);
        Secrets {
            cluster_id: &self.cluster_id,
            cluster_secret: self.cluster_secret.expose(),
            bootstrap_token: self.bootstrap_token.expose(),
            machine_token: self.machine_token.expose(),
            secretbox: self.secretbox.as_ref().map(Secret::expose),
            aescbc: self.aescbc.as_ref().map(Secret::expose),
            talos: pair(&self.talos),
            kubernetes: pair(&self.kubernetes),
            aggregator: pair(&self.aggregator),
            etcd: pair(&self.etcd),
            service_account: self.service_account.expose(),
        }
    }

    /// SHA-256 of the Talos CA's DER in hexadecimal, by which records name the cluster.
    pub fn ca256(&self) -> Result<String, crate::Error> {
        Ok(talosconfig::ca256(&self.talos.crt)?)
    }
}

fn pair_of(authority: &Authority) -> Pair<'_> {
    Pair { crt: &authority.crt, key: authority.key.expose() }
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Map {
    pairs.into_iter().collect()
}

fn encoded(text: &str) -> Value {
    STANDARD.encode(text).into()
}

fn pair(authority: &Authority) -> Value {
    map([("crt", encoded(&authority.crt)), ("key", encoded(authority.key.expose()))]).into()
}

/// What a Kubernetes cluster that is to become Talos's has.
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
    /// Token with which kubelets join, if one is kept.
    pub bootstrap_token: Option<Secret>,
}

/// The file's sections.
const SECTIONS: [&str; 4] = ["cluster", "secrets", "trustdinfo", "certs"];

/// The file as it stands, read loosely.
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

/// What a control plane's config tells of the bundle, in either generation of documents.
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

/// The secretbox key of the newer document, which lies deep in Kubernetes's own form.
fn secretbox(config: &Config) -> Option<Secret> {
    let resources = config.find("KubeEtcdEncryptionConfig")?.get("config")?.at(&["resources"])?;
    let providers = resources.as_list()?.first()?.at(&["providers"])?.as_list()?;
    let keys = providers.first()?.at(&["secretbox", "keys"])?.as_list()?;
    keys.first()?.text_at(&["secret"]).map(Secret::new)
}
