//! The legacy cluster section.

use super::shared::{CERTIFICATE, CERTIFICATE_AND_KEY, KEY};
use crate::schema::Type::{self, Argument, Bool, Duration, Free, List, Map, Pointer, Struct, Text, Trimmed, Url};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static CLUSTER: Schema = Schema::new(
    "ClusterConfig",
    &[
        opt("id", Text).deprecated(14, "DiscoveryIdentityConfig"),
        opt("secret", Text).secret().deprecated(14, "DiscoveryIdentityConfig"),
        ptr("controlPlane", Struct(&CONTROL_PLANE)).once_always().deprecated(14, "KubeClusterConfig"),
        opt("clusterName", Text).deprecated(14, "KubeClusterConfig"),
        ptr("network", Struct(&CLUSTER_NETWORK)).deprecated(14, "KubeNetworkConfig and KubeFlannelCNIConfig"),
        opt("token", Text).secret(),
        opt("aescbcEncryptionSecret", Text).secret().deprecated(14, "KubeEtcdEncryptionConfig"),
        opt("secretboxEncryptionSecret", Text).secret().deprecated(14, "KubeEtcdEncryptionConfig"),
        ptr("ca", Struct(&CERTIFICATE_AND_KEY)).deprecated(14, "KubeAPIServerCAConfig"),
        opt("acceptedCAs", List(&Pointer(&Struct(&CERTIFICATE)))).since(7).deprecated(14, "KubeAPIServerCAConfig"),
        ptr("aggregatorCA", Struct(&CERTIFICATE_AND_KEY)).deprecated(14, "KubeAggregatorCAConfig"),
        ptr("serviceAccount", Struct(&KEY)).deprecated(14, "KubeServiceAccountConfig"),
        ptr("apiServer", Struct(&API_SERVER)).deprecated(14, "KubeAPIServerConfig"),
        ptr("controllerManager", Struct(&CONTROLLER_MANAGER)).deprecated(14, "KubeControllerManagerConfig"),
        ptr("proxy", Struct(&PROXY)).deprecated(14, "KubeProxyConfig"),
        ptr("scheduler", Struct(&SCHEDULER)).deprecated(14, "KubeSchedulerConfig"),
        ptr("discovery", Struct(&CLUSTER_DISCOVERY)).deprecated(14, "DiscoveryServiceConfig"),
        ptr("etcd", Struct(&ETCD)),
        ptr("coreDNS", Struct(&CORE_DNS)).deprecated(14, "KubeCoreDNSConfig"),
        ptr("externalCloudProvider", Struct(&EXTERNAL_CLOUD_PROVIDER)),
        opt("extraManifests", List(&Text)).deprecated(14, "KubeExternalManifestConfig"),
        opt("extraManifestHeaders", Map(&Text)).secret().deprecated(14, "KubeExternalManifestConfig"),
        opt("inlineManifests", List(&Struct(&CLUSTER_INLINE_MANIFEST))).deprecated(14, "KubeInlineManifestConfig"),
        ptr("adminKubeconfig", Struct(&ADMIN_KUBECONFIG)),
        ptr("allowSchedulingOnMasters", Bool).deprecated(0, "KubeNodeConfig"),
        ptr("allowSchedulingOnControlPlanes", Bool).deprecated(14, "KubeNodeConfig"),
    ],
);

pub(super) static CORE_DNS: Schema = Schema::new("CoreDNS", &[ptr("disabled", Bool), opt("image", Text)]);

pub(super) static CONTROL_PLANE: Schema = Schema::new(
    "ControlPlaneConfig",
    &[must("endpoint", Url).optional(), opt("localAPIServerPort", Type::INT).deprecated(14, "KubeAPIServerConfig")],
);

pub(super) static API_SERVER: Schema = Schema::new(
    "APIServerConfig",
    &[
        opt("image", Text),
        opt("extraArgs", Map(&Argument)),
        opt("extraVolumes", List(&Struct(&VOLUME_MOUNT))),
        opt("env", Map(&Text)),
        opt("certSANs", List(&Text)),
        ptr("disablePodSecurityPolicy", Bool),
        opt("admissionControl", List(&Pointer(&Struct(&ADMISSION_PLUGIN))))
            .by(&["name"])
            .deprecated(14, "KubeAdmissionControlConfig"),
        opt("auditPolicy", Free).replace().deprecated(14, "KubeAuditPolicyConfig"),
        ptr("resources", Struct(&RESOURCES)).since(5),
        opt("authorizationConfig", List(&Pointer(&Struct(&AUTHORIZATION_CONFIG_AUTHORIZER))))
            .since(9)
            .deprecated(14, "KubeAuthorizerConfig"),
    ],
);

pub(super) static ADMISSION_PLUGIN: Schema =
    Schema::new("AdmissionPluginConfig", &[must("name", Text), must("configuration", Free)]);

pub(super) static AUTHORIZATION_CONFIG_AUTHORIZER: Schema =
    Schema::new("AuthorizationConfigAuthorizerConfig", &[must("type", Text), must("name", Text), opt("webhook", Free)]);

pub(super) static CONTROLLER_MANAGER: Schema = Schema::new(
    "ControllerManagerConfig",
    &[
        opt("image", Text),
        opt("extraArgs", Map(&Argument)),
        opt("extraVolumes", List(&Struct(&VOLUME_MOUNT))),
        opt("env", Map(&Text)),
        ptr("resources", Struct(&RESOURCES)).since(5),
    ],
);

pub(super) static PROXY: Schema = Schema::new(
    "ProxyConfig",
    &[ptr("disabled", Bool), opt("image", Text), opt("mode", Text), opt("extraArgs", Map(&Argument))],
);

pub(super) static SCHEDULER: Schema = Schema::new(
    "SchedulerConfig",
    &[
        opt("image", Text),
        opt("extraArgs", Map(&Argument)),
        opt("extraVolumes", List(&Struct(&VOLUME_MOUNT))),
        opt("env", Map(&Text)),
        ptr("resources", Struct(&RESOURCES)).since(5),
        opt("config", Free).since(6),
    ],
);

pub(super) static ETCD: Schema = Schema::new(
    "EtcdConfig",
    &[
        opt("image", Text),
        must("ca", Struct(&CERTIFICATE_AND_KEY)).optional(),
        opt("extraArgs", Map(&Argument)),
        opt("subnet", Text).deprecated(0, "advertisedSubnets"),
        opt("advertisedSubnets", List(&Text)),
        opt("listenSubnets", List(&Text)),
    ],
);

pub(super) static CLUSTER_NETWORK: Schema = Schema::new(
    "ClusterNetworkConfig",
    &[
        ptr("cni", Struct(&CNI)),
        must("dnsDomain", Text),
        must("podSubnets", List(&Text)).replace(),
        must("serviceSubnets", List(&Text)).replace(),
    ],
);

pub(super) static CNI: Schema = Schema::new(
    "CNIConfig",
    &[opt("name", Text), opt("urls", List(&Text)), ptr("flannel", Struct(&FLANNEL_CNI)).since(6)],
);

pub(super) static FLANNEL_CNI: Schema = Schema::new(
    "FlannelCNIConfig",
    &[opt("extraArgs", List(&Text)), ptr("kubeNetworkPoliciesEnabled", Bool).since(13)],
);

pub(super) static EXTERNAL_CLOUD_PROVIDER: Schema =
    Schema::new("ExternalCloudProviderConfig", &[ptr("enabled", Bool), opt("manifests", List(&Text))]);

pub(super) static ADMIN_KUBECONFIG: Schema = Schema::new("AdminKubeconfigConfig", &[opt("certLifetime", Duration)]);

pub(super) static RESOURCES: Schema = Schema::new("ResourcesConfig", &[opt("requests", Free), opt("limits", Free)]);

pub(super) static VOLUME_MOUNT: Schema =
    Schema::new("VolumeMountConfig", &[must("hostPath", Text), must("mountPath", Text), opt("readonly", Bool)]);

pub(super) static CLUSTER_INLINE_MANIFEST: Schema =
    Schema::new("ClusterInlineManifest", &[must("name", Text), must("contents", Trimmed)]);

pub(super) static CLUSTER_DISCOVERY: Schema = Schema::new(
    "ClusterDiscoveryConfig",
    &[
        ptr("enabled", Bool).deprecated(14, "DiscoveryServiceConfig"),
        must("registries", Struct(&DISCOVERY_REGISTRIES)).deprecated(14, "DiscoveryServiceConfig"),
    ],
);

pub(super) static DISCOVERY_REGISTRIES: Schema = Schema::new(
    "DiscoveryRegistriesConfig",
    &[
        must("kubernetes", Struct(&REGISTRY_KUBERNETES)).deprecated(14, "DiscoveryServiceConfig"),
        must("service", Struct(&REGISTRY_SERVICE)).deprecated(14, "DiscoveryServiceConfig"),
    ],
);

pub(super) static REGISTRY_KUBERNETES: Schema = Schema::new("RegistryKubernetesConfig", &[ptr("disabled", Bool)]);

pub(super) static REGISTRY_SERVICE: Schema = Schema::new(
    "RegistryServiceConfig",
    &[
        ptr("disabled", Bool).deprecated(14, "DiscoveryServiceConfig"),
        opt("endpoint", Text).deprecated(14, "DiscoveryServiceConfig"),
    ],
);
