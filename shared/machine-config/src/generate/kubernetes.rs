//! Documents of Kubernetes, from contract 1.14 on.

use go_yaml::{Map, Value, map};

use super::legacy::{NO_LOAD_BALANCER, POD_SECURITY, audit_policy, pod_security};
use super::{Authority, Input, KUBEPRISM_PORT, document};
use crate::config::{Document, MachineType};

/// Marks control planes, as a label and as a taint.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

pub(super) fn documents(input: &Input<'_>, machine: MachineType) -> Vec<Document> {
    let mut out = vec![
        document("KubeClusterConfig", [("clusterName", input.cluster.into()), ("endpoint", input.endpoint.into())]),
        node(input, machine),
        document(
            "KubeletConfig",
            [("image", input.kubelet_image()), ("defaultRuntimeSeccompProfileEnabled", true.into())],
        ),
        network(input),
        api_server_ca(input, machine),
        document("KubePrismConfig", [("port", KUBEPRISM_PORT.into())]),
    ];
    if machine == MachineType::ControlPlane {
        out.extend(access(input));
        out.extend(components(input));
        out.extend(addons(input));
    }
    out
}

fn node(input: &Input<'_>, machine: MachineType) -> Document {
    let mut document = document("KubeNodeConfig", []);
    if machine == MachineType::ControlPlane {
        document.fields.set("labels", map! { CONTROL_PLANE => "", NO_LOAD_BALANCER => "" });
        if !input.options.schedule_on_control_planes {
            document.fields.set("taints", map! { CONTROL_PLANE => "NoSchedule" });
        }
    }
    document
}

fn network(input: &Input<'_>) -> Document {
    let options = &input.options;
    document(
        "KubeNetworkConfig",
        [
            ("dnsDomain", options.dns_domain.as_str().into()),
            ("podSubnets", options.pod_subnets.clone().into()),
            ("serviceSubnets", options.service_subnets.clone().into()),
        ],
    )
}

fn pair(authority: Authority<'_>) -> Value {
    map! { "cert" => authority.crt, "key" => authority.key }
}

fn api_server_ca(input: &Input<'_>, machine: MachineType) -> Document {
    let authority = input.secrets.kubernetes;
    let field = match machine {
        MachineType::ControlPlane => ("issuingCA", pair(authority)),
        MachineType::Worker => ("acceptedCAs", vec![authority.crt].into()),
    };
    document("KubeAPIServerCAConfig", [field])
}

/// Who may do what: CAs, admission, audit, authentication, authorization, encryption, service accounts.
fn access(input: &Input<'_>) -> Vec<Document> {
    vec![
        document("KubeAggregatorCAConfig", [("issuingCA", pair(input.secrets.aggregator))]),
        document("KubeAdmissionControlConfig", [("name", POD_SECURITY.into()), ("configuration", pod_security())]),
        document("KubeAuditPolicyConfig", [("configuration", audit_policy())]),
        document("KubeAuthenticationConfig", [("configuration", authentication())]),
        authorizer("node", "Node"),
        authorizer("rbac", "RBAC"),
        document("KubeEtcdEncryptionConfig", [("config", encryption(input))]),
        document("KubeServiceAccountConfig", [("issuer", issuer(input))]),
    ]
}

fn authorizer(name: &str, kind: &str) -> Document {
    document("KubeAuthorizerConfig", [("name", name.into()), ("type", kind.into())])
}

/// Health checks need no credentials; everything else does.
fn authentication() -> Value {
    let conditions: Vec<Value> = ["/livez", "/readyz", "/healthz"].map(|path| map! { "path" => path }).into();
    map! {
        "anonymous" => map! { "enabled" => true, "conditions" => conditions },
        "jwt" => Vec::<Value>::new(),
    }
}

/// Both keys are written as `secretbox` providers, as Talos itself does.
fn encryption(input: &Input<'_>) -> Value {
    let keys = [("key2", input.secrets.secretbox), ("key1", input.secrets.aescbc)];
    let providers: Vec<Value> = keys
        .into_iter()
        .filter_map(|(name, secret)| {
            let key = map! { "name" => name, "secret" => secret? };
            Some(map! { "secretbox" => map! { "keys" => vec![key] } })
        })
        .collect();
    map! { "resources" => vec![map! { "providers" => providers, "resources" => vec!["secrets"] }] }
}

fn issuer(input: &Input<'_>) -> Value {
    map! { "privateKey" => input.secrets.service_account, "issuerURL" => input.endpoint }
}

fn components(input: &Input<'_>) -> Vec<Document> {
    let image = |component| ("image", input.image(component));
    let mut api_server = document("KubeAPIServerConfig", [image("kube-apiserver")]);
    if let Some(port) = input.options.api_port {
        api_server.fields.set("apiPort", u32::from(port));
    }
    if !input.options.sans.is_empty() {
        api_server.fields.set("certExtraSANs", input.options.sans.clone());
    }
    vec![
        api_server,
        document("KubeControllerManagerConfig", [image("kube-controller-manager")]),
        document("KubeSchedulerConfig", [image("kube-scheduler"), ("config", Map::new().into())]),
        document("KubeProxyConfig", [image("kube-proxy"), ("config", Map::new().into())]),
    ]
}

fn addons(input: &Input<'_>) -> Vec<Document> {
    let dns = document("KubeCoreDNSConfig", [("enabled", true.into())]);
    match &input.options.cni {
        None => {
            vec![document("KubeFlannelCNIConfig", [("backendType", "vxlan".into()), ("backendPort", 4789.into())]), dns]
        }
        Some(manifest) => {
            vec![dns, document("KubeExternalManifestConfig", [("name", "custom-cni".into()), ("url", manifest.into())])]
        }
    }
}
