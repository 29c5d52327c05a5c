//! Documents of Kubernetes components.

use super::shared::PEM_PAIR;
use crate::schema::Type::{self, Argument, Bool, Free, List, Map, Prefix, Struct, Text, Url};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static KUBE_ADMISSION_CONTROL: Schema = Schema::new(
    "KubeAdmissionControlConfig",
    &[must("name", Text).required("admission control plugin name is required"), must("configuration", Free)],
);

pub(super) static KUBE_AGGREGATOR_CA: Schema = Schema::new(
    "KubeAggregatorCAConfig",
    &[ptr("issuingCA", Struct(&PEM_PAIR)).required("issuing CA is not set"), opt("acceptedCAs", List(&Text))],
);

pub(super) static KUBE_API_SERVER: Schema = Schema::new(
    "KubeAPIServerConfig",
    &[
        must("image", Text).required("kube-apiserver image cannot be empty"),
        opt("extraArgs", Map(&Argument)),
        opt("env", Map(&Text)),
        opt("resources", Struct(&RESOURCES)),
        ptr("apiPort", Type::INT),
        opt("certExtraSANs", List(&Text)),
        ptr("startupProbes", Bool),
    ],
);

pub(super) static KUBE_API_SERVER_CA: Schema =
    Schema::new("KubeAPIServerCAConfig", &[ptr("issuingCA", Struct(&PEM_PAIR)), opt("acceptedCAs", List(&Text))]);

pub(super) static KUBE_AUDIT_POLICY: Schema =
    Schema::new("KubeAuditPolicyConfig", &[must("configuration", Free).replace()]);

pub(super) static KUBE_AUTHENTICATION: Schema =
    Schema::new("KubeAuthenticationConfig", &[must("configuration", Free).replace()]);

pub(super) static KUBE_AUTHORIZER: Schema = Schema::new(
    "KubeAuthorizerConfig",
    &[
        must("name", Text).required("authorizer name is required"),
        must("type", Text).required("authorizer type is required"),
        opt("webhook", Free),
    ],
);

pub(super) static KUBE_CLUSTER: Schema = Schema::new(
    "KubeClusterConfig",
    &[
        must("clusterName", Text).required("clusterName must be specified"),
        must("endpoint", Url).required("endpoint must be specified"),
    ],
);

pub(super) static RESOURCES: Schema = Schema::new("ResourcesConfig", &[opt("requests", Free), opt("limits", Free)]);

pub(super) static KUBE_CONTROLLER_MANAGER: Schema = Schema::new(
    "KubeControllerManagerConfig",
    &[
        ptr("enabled", Bool),
        must("image", Text),
        opt("extraArgs", Map(&Argument)),
        opt("env", Map(&Text)),
        opt("resources", Struct(&RESOURCES)),
    ],
);

pub(super) static KUBE_CORE_DNS: Schema = Schema::new("KubeCoreDNSConfig", &[ptr("enabled", Bool), opt("image", Text)]);

pub(super) static KUBE_CREDENTIAL_PROVIDER: Schema =
    Schema::new("KubeCredentialProviderConfig", &[must("configuration", Free).replace()]);

pub(super) static KUBE_ETCD_ENCRYPTION: Schema = Schema::new(
    "KubeEtcdEncryptionConfig",
    &[must("config", Free).required("etcd encryption config is required").secret()],
);

pub(super) static KUBE_EXTERNAL_MANIFEST: Schema = Schema::new(
    "KubeExternalManifestConfig",
    &[
        must("name", Text).required("manifest name is required"),
        opt("headers", Map(&Text)).secret(),
        must("url", Url).required("manifest URL is required"),
    ],
);

pub(super) static KUBE_FLANNEL_CNI: Schema = Schema::new(
    "KubeFlannelCNIConfig",
    &[
        must("backendType", Text).required("flannel backend type must be specified"),
        opt("backendPort", Type::U16),
        opt("backendMTU", Type::U32),
        opt("backendExtraConfig", Free),
        opt("resources", Struct(&RESOURCES)),
        opt("extraArgs", List(&Text)),
        ptr("kubeNetworkPoliciesEnabled", Bool),
    ],
);

pub(super) static KUBE_INLINE_MANIFEST: Schema = Schema::new(
    "KubeInlineManifestConfig",
    &[must("name", Text).required("manifest name is required"), must("manifest", Text)],
);

pub(super) static KUBELET: Schema = Schema::new(
    "KubeletConfig",
    &[
        must("image", Text).required("kubelet image cannot be empty"),
        must("config", Free),
        opt("extraArgs", Map(&Argument)),
        opt("clusterDNS", List(&Text)),
        ptr("defaultRuntimeSeccompProfileEnabled", Bool),
    ],
);

pub(super) static KUBE_PRISM: Schema = Schema::new(
    "KubePrismConfig",
    &[
        must("port", Type::INT).within(1, 65535, "invalid port {}: must be in range 1-65535"),
        opt("tlsServerName", Text),
    ],
);

pub(super) static KUBE_NETWORK: Schema = Schema::new(
    "KubeNetworkConfig",
    &[
        must("dnsDomain", Text),
        must("podSubnets", List(&Prefix)).replace(),
        must("serviceSubnets", List(&Prefix)).replace(),
        opt("nodeCIDRMaskSizeIPv4", Type::INT).within(0, 32, "nodeCIDRMaskSizeIPv4 must be between 1 and 32"),
        opt("nodeCIDRMaskSizeIPv6", Type::INT).within(0, 128, "nodeCIDRMaskSizeIPv6 must be between 1 and 128"),
    ],
);

pub(super) static KUBE_NODE: Schema = Schema::new(
    "KubeNodeConfig",
    &[
        ptr("skipNodeRegistration", Bool),
        ptr("registerWithFQDN", Bool),
        must("nodeIP", Struct(&NODE_IP)),
        opt("labels", Map(&Text)),
        opt("annotations", Map(&Text)),
        opt("taints", Map(&Text)),
    ],
);

pub(super) static NODE_IP: Schema = Schema::new("NodeIPConfig", &[opt("validSubnets", List(&Text))]);

pub(super) static KUBE_PROXY: Schema = Schema::new(
    "KubeProxyConfig",
    &[
        ptr("enabled", Bool),
        opt("image", Text),
        opt("mode", Text),
        must("config", Free),
        opt("extraArgs", Map(&Argument)),
        opt("resources", Struct(&RESOURCES)),
    ],
);

pub(super) static KUBE_SCHEDULER: Schema = Schema::new(
    "KubeSchedulerConfig",
    &[
        ptr("enabled", Bool),
        must("image", Text),
        must("config", Free),
        opt("extraArgs", Map(&Argument)),
        opt("env", Map(&Text)),
        opt("resources", Struct(&RESOURCES)),
    ],
);

pub(super) static KUBE_SERVICE_ACCOUNT: Schema = Schema::new(
    "KubeServiceAccountConfig",
    &[must("issuer", Struct(&ISSUER_SERVICE_ACCOUNT)), opt("accepted", Struct(&ACCEPTED_SERVICE_ACCOUNT))],
);

pub(super) static ISSUER_SERVICE_ACCOUNT: Schema = Schema::new(
    "IssuerServiceAccountConfig",
    &[
        must("privateKey", Text).required("service issuer private key is required").secret(),
        must("issuerURL", Url).required("service issuer URL is required"),
    ],
);

pub(super) static ACCEPTED_SERVICE_ACCOUNT: Schema = Schema::new(
    "AcceptedServiceAccountConfig",
    &[opt("publicKeys", List(&Text)), opt("issuers", List(&Url)), opt("audiences", List(&Text))],
);

pub(super) static KUBE_STATIC_POD: Schema = Schema::new(
    "KubeStaticPodConfig",
    &[
        must("name", Text).required("static pod name is required"),
        must("pod", Free).required("static pod spec is required").replace(),
    ],
);

pub(super) static KUBE_TALOS_API_ACCESS: Schema = Schema::new(
    "KubeTalosAPIAccessConfig",
    &[opt("allowedRoles", List(&Text)), opt("allowedKubernetesNamespaces", List(&Text))],
);
