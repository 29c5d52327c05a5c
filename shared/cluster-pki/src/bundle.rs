//! The secrets bundle: `secrets.yaml`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use go_yaml::{Dialect, Map, Value};
use machine_config::generate::{Authority as Pair, Secrets};
use machine_config::{Contract, Gate};
use time::OffsetDateTime;

use crate::keys::{self, Algorithm};
use crate::random::{self, Random};
use crate::{Authority, Secret};

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

    /// Makes a bundle with an existing key for the service account.
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

    /// The text of `secrets.yaml`, byte for byte as talosctl writes it.
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

    /// SHA-256 of the Talos CA's DER in hexadecimal; records identify the cluster by it.
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
