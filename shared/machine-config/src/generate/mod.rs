//! New machine configs, as `talosctl gen config` makes them for a version contract.

mod documents;
mod expression;
mod kubernetes;
mod legacy;

use go_yaml::Value;
use talos_releases::Gate;

use crate::config::{Config, Document, MachineType};
use crate::contract::Contract;
use crate::kinds;

pub use expression::quoted;
pub use legacy::{POD_SECURITY, endpoint_host};

/// A certificate authority: PEM texts.
#[derive(Clone, Copy)]
pub struct Authority<'a> {
    /// The certificate.
    pub crt: &'a str,
    /// The private key.
    pub key: &'a str,
}

/// The secrets that a config holds, borrowed from a bundle. PEM is text here, base64 only where it is written.
#[derive(Clone, Copy)]
pub struct Secrets<'a> {
    /// Identity of the cluster at the discovery service.
    pub cluster_id: &'a str,
    /// Key that members share at the discovery service, in base64.
    pub cluster_secret: &'a str,
    /// Token with which kubelets join.
    pub bootstrap_token: &'a str,
    /// Token with which machines join.
    pub machine_token: &'a str,
    /// Key for secrets in etcd, in base64, from contract 1.3 on.
    pub secretbox: Option<&'a str>,
    /// Key for secrets in etcd, in base64, of older clusters.
    pub aescbc: Option<&'a str>,
    /// CA of the Talos API.
    pub talos: Authority<'a>,
    /// CA of Kubernetes.
    pub kubernetes: Authority<'a>,
    /// CA of the aggregation layer.
    pub aggregator: Authority<'a>,
    /// CA of etcd.
    pub etcd: Authority<'a>,
    /// Key that signs service account tokens.
    pub service_account: &'a str,
}

/// What a generated config depends on.
#[derive(Clone)]
pub struct Input<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// URL of the Kubernetes API.
    pub endpoint: &'a str,
    /// The Talos minor that the config is for.
    pub contract: Contract,
    /// Kubernetes version without `v`.
    pub kubernetes: &'a str,
    /// The cluster's secrets.
    pub secrets: Secrets<'a>,
    /// Everything that has a default.
    pub options: Options,
}

/// The options of `talosctl gen config`, with its defaults but for the install disk and image, which have none.
#[derive(Clone, Debug)]
pub struct Options {
    /// Disk to install to; empty for none.
    pub install_disk: String,
    /// Image to install with; empty for none.
    pub install_image: String,
    /// Kernel arguments of the installed system.
    pub kernel_args: Vec<String>,
    /// Further names in the certificates of the Talos and the Kubernetes API.
    pub sans: Vec<String>,
    /// DNS domain of the cluster.
    pub dns_domain: String,
    /// Networks of pods.
    pub pod_subnets: Vec<String>,
    /// Networks of services.
    pub service_subnets: Vec<String>,
    /// Whether control planes run users' pods.
    pub schedule_on_control_planes: bool,
    /// Port of the API server on each control plane, where it isn't 6443.
    pub api_port: Option<u16>,
    /// Kernel parameters.
    pub sysctls: Vec<(String, String)>,
    /// Manifest of another network plugin than flannel.
    pub cni: Option<String>,
    /// Mirrors of registries: host and URLs.
    pub mirrors: Vec<(String, Vec<String>)>,
    /// Whether members find each other by the discovery service.
    pub discovery: bool,
    /// Whether members talk through KubeSpan.
    pub kubespan: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            install_disk: String::new(),
            install_image: String::new(),
            kernel_args: Vec::new(),
            sans: Vec::new(),
            dns_domain: "cluster.local".to_owned(),
            pod_subnets: vec!["10.244.0.0/16".to_owned()],
            service_subnets: vec!["10.96.0.0/12".to_owned()],
            schedule_on_control_planes: false,
            api_port: None,
            sysctls: Vec::new(),
            cni: None,
            mirrors: Vec::new(),
            discovery: true,
            kubespan: false,
        }
    }
}

/// Port on which each machine reaches the API servers.
const KUBEPRISM_PORT: u32 = 7445;

/// Generates the config of a machine.
pub fn generate(input: &Input<'_>, machine: MachineType) -> Config {
    let mut documents = vec![legacy::document(input, machine)];
    if input.contract.has(Gate::Documents) {
        documents.extend(documents::system(input));
    }
    if input.contract.has(Gate::NetworkDocuments) {
        documents.extend(documents::registries(&input.options));
        documents.push(document("HostnameConfig", [("auto", "stable".into())]));
    }
    if input.options.kubespan && input.contract.has(Gate::KubeSpanDocument) {
        documents.push(document("KubeSpanConfig", [("enabled", true.into())]));
    }
    if input.contract.has(Gate::Documents) {
        documents.extend(kubernetes::documents(input, machine));
    }
    Config::new(documents)
}

/// A document of a kind that is known to be in the table.
pub(crate) fn document<const N: usize>(kind: &str, fields: [(&str, Value); N]) -> Document {
    let kind = kinds::kind(kind).expect("generated kinds stand in the table, which tests hold");
    Document::new(kind, Value::Map(fields.into_iter().collect()))
}

impl Input<'_> {
    /// The reference of a Kubernetes component's image.
    fn image(&self, component: &str) -> Value {
        format!("registry.k8s.io/{component}:v{}", self.kubernetes).into()
    }

    fn kubelet_image(&self) -> Value {
        format!("ghcr.io/siderolabs/kubelet:v{}", self.kubernetes).into()
    }
}
