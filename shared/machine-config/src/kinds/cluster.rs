//! The legacy cluster section.

use super::shared::{CERTIFICATE, CERTIFICATE_AND_KEY, KEY};
use crate::shape::Type::{self, Argument, Bool, Duration, Free, List, Map, Struct, Text, Trimmed, Url};
use crate::shape::{Shape, must, opt, ptr};

pub(super) static CLUSTER: Shape = Shape::new(
    "ClusterConfig",
    &[
        opt("id", Text),
        opt("secret", Text).secret(),
        ptr("controlPlane", Struct(&CONTROL_PLANE)),
        opt("clusterName", Text),
        ptr("network", Struct(&CLUSTER_NETWORK)),
        opt("token", Text).secret(),
        opt("aescbcEncryptionSecret", Text).secret(),
        opt("secretboxEncryptionSecret", Text).secret(),
        ptr("ca", Struct(&CERTIFICATE_AND_KEY)),
        opt("acceptedCAs", List(&Struct(&CERTIFICATE))),
        ptr("aggregatorCA", Struct(&CERTIFICATE_AND_KEY)),
        ptr("serviceAccount", Struct(&KEY)),
        ptr("apiServer", Struct(&API_SERVER)),
        ptr("controllerManager", Struct(&CONTROLLER_MANAGER)),
        ptr("proxy", Struct(&PROXY)),
        ptr("scheduler", Struct(&SCHEDULER)),
        ptr("discovery", Struct(&CLUSTER_DISCOVERY)),
        ptr("etcd", Struct(&ETCD)),
        ptr("coreDNS", Struct(&CORE_DNS)),
        ptr("externalCloudProvider", Struct(&EXTERNAL_CLOUD_PROVIDER)),
        opt("extraManifests", List(&Text)).even_empty(),
        opt("extraManifestHeaders", Map(&Text)),
        opt("inlineManifests", List(&Struct(&CLUSTER_INLINE_MANIFEST))).even_empty(),
        ptr("adminKubeconfig", Struct(&ADMIN_KUBECONFIG)),
        ptr("allowSchedulingOnMasters", Bool),
        ptr("allowSchedulingOnControlPlanes", Bool),
    ],
);

pub(super) static CORE_DNS: Shape = Shape::new("CoreDNS", &[ptr("disabled", Bool), opt("image", Text)]);

pub(super) static CONTROL_PLANE: Shape =
    Shape::new("ControlPlaneConfig", &[must("endpoint", Url).optional(), opt("localAPIServerPort", Type::INT)]);

pub(super) static API_SERVER: Shape = Shape::new(
    "APIServerConfig",
    &[
        opt("image", Text),
        opt("extraArgs", Map(&Argument)),
        opt("extraVolumes", List(&Struct(&VOLUME_MOUNT))),
        opt("env", Map(&Text)),
        opt("certSANs", List(&Text)),
        ptr("disablePodSecurityPolicy", Bool),
        opt("admissionControl", List(&Struct(&ADMISSION_PLUGIN))).by(&["name"]),
        opt("auditPolicy", Free).replace(),
        ptr("resources", Struct(&RESOURCES)),
        opt("authorizationConfig", List(&Struct(&AUTHORIZATION_CONFIG_AUTHORIZER))),
    ],
);

pub(super) static ADMISSION_PLUGIN: Shape =
    Shape::new("AdmissionPluginConfig", &[must("name", Text), must("configuration", Free)]);

pub(super) static AUTHORIZATION_CONFIG_AUTHORIZER: Shape =
    Shape::new("AuthorizationConfigAuthorizerConfig", &[must("type", Text), must("name", Text), opt("webhook", Free)]);

pub(super) static CONTROLLER_MANAGER: Shape = Shape::new(
    "ControllerManagerConfig",
    &[
        opt("image", Text),
        opt("extraArgs", Map(&Argument)),
        opt("extraVolumes", List(&Struct(&VOLUME_MOUNT))),
        opt("env", Map(&Text)),
        ptr("resources", Struct(&RESOURCES)),
    ],
);

pub(super) static PROXY: Shape = Shape::new(
    "ProxyConfig",
    &[ptr("disabled", Bool), opt("image", Text), opt("mode", Text), opt("extraArgs", Map(&Argument))],
);

pub(super) static SCHEDULER: Shape = Shape::new(
    "SchedulerConfig",
    &[
        opt("image", Text),
        opt("extraArgs", Map(&Argument)),
        opt("extraVolumes", List(&Struct(&VOLUME_MOUNT))),
        opt("env", Map(&Text)),
        ptr("resources", Struct(&RESOURCES)),
        opt("config", Free),
    ],
);

pub(super) static ETCD: Shape = Shape::new(
    "EtcdConfig",
    &[
        opt("image", Text),
        must("ca", Struct(&CERTIFICATE_AND_KEY)).optional(),
        opt("extraArgs", Map(&Argument)),
        opt("subnet", Text),
        opt("advertisedSubnets", List(&Text)),
        opt("listenSubnets", List(&Text)),
    ],
);

pub(super) static CLUSTER_NETWORK: Shape = Shape::new(
    "ClusterNetworkConfig",
    &[
        ptr("cni", Struct(&CNI)),
        must("dnsDomain", Text),
        must("podSubnets", List(&Text)).replace(),
        must("serviceSubnets", List(&Text)).replace(),
    ],
);

pub(super) static CNI: Shape =
    Shape::new("CNIConfig", &[opt("name", Text), opt("urls", List(&Text)), ptr("flannel", Struct(&FLANNEL_CNI))]);

pub(super) static FLANNEL_CNI: Shape =
    Shape::new("FlannelCNIConfig", &[opt("extraArgs", List(&Text)), ptr("kubeNetworkPoliciesEnabled", Bool)]);

pub(super) static EXTERNAL_CLOUD_PROVIDER: Shape =
    Shape::new("ExternalCloudProviderConfig", &[ptr("enabled", Bool), opt("manifests", List(&Text))]);

pub(super) static ADMIN_KUBECONFIG: Shape = Shape::new("AdminKubeconfigConfig", &[opt("certLifetime", Duration)]);

pub(super) static RESOURCES: Shape = Shape::new("ResourcesConfig", &[opt("requests", Free), opt("limits", Free)]);

pub(super) static VOLUME_MOUNT: Shape =
    Shape::new("VolumeMountConfig", &[must("hostPath", Text), must("mountPath", Text), opt("readonly", Bool)]);

pub(super) static CLUSTER_INLINE_MANIFEST: Shape =
    Shape::new("ClusterInlineManifest", &[must("name", Text), must("contents", Trimmed)]);

pub(super) static CLUSTER_DISCOVERY: Shape =
    Shape::new("ClusterDiscoveryConfig", &[ptr("enabled", Bool), must("registries", Struct(&DISCOVERY_REGISTRIES))]);

pub(super) static DISCOVERY_REGISTRIES: Shape = Shape::new(
    "DiscoveryRegistriesConfig",
    &[must("kubernetes", Struct(&REGISTRY_KUBERNETES)), must("service", Struct(&REGISTRY_SERVICE))],
);

pub(super) static REGISTRY_KUBERNETES: Shape = Shape::new("RegistryKubernetesConfig", &[ptr("disabled", Bool)]);

pub(super) static REGISTRY_SERVICE: Shape =
    Shape::new("RegistryServiceConfig", &[ptr("disabled", Bool), opt("endpoint", Text)]);
