//! The legacy machine section.

use super::cluster::CLUSTER;
use super::machine_network::NETWORK;
use super::shared::{CERTIFICATE, CERTIFICATE_AND_KEY, ENCRYPTION_KEY_NODE_ID};
use crate::schema::Type::{
    self, Argument, Bool, Bytes, DiskCondition, DiskSize, Duration, Free, List, Map, Mode, Pointer, Struct, Text, Url,
};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static CONFIG: Schema = Schema::new(
    "Config",
    &[
        must("version", Text),
        ptr("debug", Bool),
        ptr("persist", Bool).deprecated(6, "nothing: it is always on"),
        must("machine", Struct(&MACHINE)).optional(),
        must("cluster", Struct(&CLUSTER)).optional(),
    ],
);

pub(super) static MACHINE: Schema = Schema::new(
    "MachineConfig",
    &[
        must("type", Text),
        must("token", Text).secret(),
        ptr("ca", Struct(&CERTIFICATE_AND_KEY)),
        opt("acceptedCAs", List(&Pointer(&Struct(&CERTIFICATE)))).since(7),
        must("certSANs", List(&Text)),
        ptr("controlPlane", Struct(&MACHINE_CONTROL_PLANE))
            .deprecated(14, "KubeControllerManagerConfig and KubeSchedulerConfig"),
        ptr("kubelet", Struct(&KUBELET)).deprecated(14, "KubeletConfig"),
        opt("pods", List(&Free)).deprecated(14, "KubeStaticPodConfig"),
        ptr("network", Struct(&NETWORK)).deprecated(13, "the network documents, such as LinkConfig and HostnameConfig"),
        opt("disks", List(&Pointer(&Struct(&MACHINE_DISK)))).deprecated(10, "UserVolumeConfig"),
        ptr("install", Struct(&INSTALL)).deprecated(14, "UnattendedInstallConfig"),
        opt("files", List(&Pointer(&Struct(&MACHINE_FILE)))).deprecated(14, "EtcFileConfig and CRICustomizationConfig"),
        opt("env", Map(&Text)).deprecated(13, "EnvironmentConfig"),
        ptr("time", Struct(&TIME)).deprecated(12, "TimeSyncConfig"),
        opt("sysctls", Map(&Text)).deprecated(14, "SysctlConfig"),
        opt("sysfs", Map(&Text)).deprecated(14, "SysfsConfig"),
        opt("registries", Struct(&REGISTRIES))
            .deprecated(12, "RegistryMirrorConfig, RegistryTLSConfig and RegistryAuthConfig"),
        ptr("systemDiskEncryption", Struct(&SYSTEM_DISK_ENCRYPTION)).deprecated(11, "VolumeConfig"),
        ptr("features", Struct(&FEATURES)),
        ptr("udev", Struct(&UDEV)).deprecated(14, "UdevRulesConfig"),
        ptr("logging", Struct(&LOGGING)),
        ptr("kernel", Struct(&KERNEL)).deprecated(14, "KernelModuleConfig"),
        opt("seccompProfiles", List(&Pointer(&Struct(&MACHINE_SECCOMP_PROFILE)))),
        opt("baseRuntimeSpecOverrides", Free).since(9).deprecated(14, "CRIBaseRuntimeSpecConfig"),
        opt("nodeLabels", Map(&Text)).deprecated(14, "KubeNodeConfig"),
        opt("nodeAnnotations", Map(&Text)).since(8).deprecated(14, "KubeNodeConfig"),
        opt("nodeTaints", Map(&Text)).since(6).deprecated(14, "KubeNodeConfig"),
    ],
);

pub(super) static MACHINE_SECCOMP_PROFILE: Schema =
    Schema::new("MachineSeccompProfile", &[must("name", Text), must("value", Free)]);

pub(super) static LINUX_ID_MAPPING: Schema = Schema::new(
    "LinuxIDMapping",
    &[must("containerID", Type::U32), must("hostID", Type::U32), must("size", Type::U32)],
);

pub(super) static EXTRA_MOUNT: Schema = Schema::new(
    "ExtraMount",
    &[
        must("destination", Text),
        opt("type", Text),
        opt("source", Text),
        opt("options", List(&Text)),
        opt("uidMappings", List(&Struct(&LINUX_ID_MAPPING))).since(6),
        opt("gidMappings", List(&Struct(&LINUX_ID_MAPPING))).since(6),
    ],
);

pub(super) static MACHINE_CONTROL_PLANE: Schema = Schema::new(
    "MachineControlPlaneConfig",
    &[
        ptr("controllerManager", Struct(&MACHINE_CONTROLLER_MANAGER)).deprecated(14, "KubeControllerManagerConfig"),
        ptr("scheduler", Struct(&MACHINE_SCHEDULER)).deprecated(14, "KubeSchedulerConfig"),
    ],
);

pub(super) static MACHINE_CONTROLLER_MANAGER: Schema =
    Schema::new("MachineControllerManagerConfig", &[ptr("disabled", Bool)]);

pub(super) static MACHINE_SCHEDULER: Schema = Schema::new("MachineSchedulerConfig", &[ptr("disabled", Bool)]);

pub(super) static KUBELET: Schema = Schema::new(
    "KubeletConfig",
    &[
        opt("image", Text).deprecated(14, "KubeletConfig"),
        opt("clusterDNS", List(&Text)).deprecated(14, "KubeletConfig"),
        opt("extraArgs", Map(&Argument)).deprecated(14, "KubeletConfig"),
        opt("extraMounts", List(&Struct(&EXTRA_MOUNT))).deprecated(14, "nothing: it is gone with the documents"),
        opt("extraConfig", Free).deprecated(14, "KubeletConfig"),
        opt("credentialProviderConfig", Free).since(6),
        ptr("defaultRuntimeSeccompProfileEnabled", Bool).deprecated(14, "KubeletConfig"),
        ptr("registerWithFQDN", Bool).deprecated(14, "KubeNodeConfig"),
        ptr("nodeIP", Struct(&KUBELET_NODE_IP)).deprecated(14, "KubeNodeConfig"),
        ptr("skipNodeRegistration", Bool).deprecated(14, "KubeNodeConfig"),
        ptr("disableManifestsDirectory", Bool).deprecated(14, "nothing: it is always on"),
    ],
);

pub(super) static KUBELET_NODE_IP: Schema = Schema::new("KubeletNodeIPConfig", &[opt("validSubnets", List(&Text))]);

pub(super) static INSTALL: Schema = Schema::new(
    "InstallConfig",
    &[
        opt("disk", Text),
        ptr("diskSelector", Struct(&INSTALL_DISK_SELECTOR)),
        opt("extraKernelArgs", List(&Text)).deprecated(12, "an installer of the Image Factory"),
        opt("image", Text),
        opt("extensions", List(&Struct(&INSTALL_EXTENSION))).deprecated(10, "an installer of the Image Factory"),
        ptr("bootloader", Bool).deprecated(6, "nothing: it never had an effect"),
        must("wipe", Bool).optional(),
        ptr("legacyBIOSSupport", Bool),
        ptr("grubUseUKICmdline", Bool).since(12),
    ],
);

pub(super) static INSTALL_DISK_SELECTOR: Schema = Schema::new(
    "InstallDiskSelector",
    &[
        ptr("size", DiskCondition),
        opt("name", Text),
        opt("model", Text),
        opt("serial", Text),
        opt("modalias", Text),
        opt("uuid", Text),
        opt("wwid", Text),
        opt("type", Text),
        opt("busPath", Text),
    ],
);

pub(super) static INSTALL_EXTENSION: Schema = Schema::new("InstallExtensionConfig", &[must("image", Text)]);

pub(super) static TIME: Schema =
    Schema::new("TimeConfig", &[ptr("disabled", Bool), opt("servers", List(&Text)), opt("bootTimeout", Duration)]);

pub(super) static REGISTRIES: Schema = Schema::new(
    "RegistriesConfig",
    &[opt("mirrors", Map(&Struct(&REGISTRY_MIRROR))), opt("config", Map(&Struct(&REGISTRY)))],
);

pub(super) static MACHINE_DISK: Schema =
    Schema::new("MachineDisk", &[opt("device", Text), opt("partitions", List(&Pointer(&Struct(&DISK_PARTITION))))]);

pub(super) static DISK_PARTITION: Schema =
    Schema::new("DiskPartition", &[opt("size", DiskSize), opt("mountpoint", Text)]);

pub(super) static ENCRYPTION: Schema = Schema::new(
    "EncryptionConfig",
    &[
        must("provider", Text),
        must("keys", List(&Pointer(&Struct(&ENCRYPTION_KEY)))),
        opt("cipher", Text),
        opt("keySize", Type::U64),
        opt("blockSize", Type::U64),
        opt("options", List(&Text)),
    ],
);

pub(super) static ENCRYPTION_KEY: Schema = Schema::new(
    "EncryptionKey",
    &[
        ptr("static", Struct(&ENCRYPTION_KEY_STATIC)),
        ptr("nodeID", Struct(&ENCRYPTION_KEY_NODE_ID)),
        ptr("kms", Struct(&ENCRYPTION_KEY_KMS)).since(5),
        must("slot", Type::INT),
        ptr("tpm", Struct(&ENCRYPTION_KEY_TPM)).since(5),
    ],
);

pub(super) static ENCRYPTION_KEY_STATIC: Schema =
    Schema::new("EncryptionKeyStatic", &[opt("passphrase", Text).secret()]);

pub(super) static ENCRYPTION_KEY_KMS: Schema = Schema::new("EncryptionKeyKMS", &[must("endpoint", Text)]);

pub(super) static ENCRYPTION_KEY_TPM: Schema =
    Schema::new("EncryptionKeyTPM", &[ptr("checkSecurebootStatusOnEnroll", Bool).since(6)]);

pub(super) static MACHINE_FILE: Schema = Schema::new(
    "MachineFile",
    &[must("content", Text).file(), must("permissions", Mode), must("path", Text), must("op", Text)],
);

pub(super) static REGISTRY_MIRROR: Schema = Schema::new(
    "RegistryMirrorConfig",
    &[must("endpoints", List(&Text)), ptr("overridePath", Bool), ptr("skipFallback", Bool).since(9)],
);

pub(super) static REGISTRY: Schema =
    Schema::new("RegistryConfig", &[ptr("tls", Struct(&REGISTRY_TLS)), ptr("auth", Struct(&REGISTRY_AUTH))]);

pub(super) static REGISTRY_AUTH: Schema = Schema::new(
    "RegistryAuthConfig",
    &[
        opt("username", Text),
        opt("password", Text).secret(),
        opt("auth", Text).secret(),
        opt("identityToken", Text).secret(),
    ],
);

pub(super) static REGISTRY_TLS: Schema = Schema::new(
    "RegistryTLSConfig",
    &[ptr("clientIdentity", Struct(&CERTIFICATE_AND_KEY)), opt("ca", Bytes), ptr("insecureSkipVerify", Bool)],
);

pub(super) static SYSTEM_DISK_ENCRYPTION: Schema = Schema::new(
    "SystemDiskEncryptionConfig",
    &[ptr("state", Struct(&ENCRYPTION)), ptr("ephemeral", Struct(&ENCRYPTION))],
);

pub(super) static FEATURES: Schema = Schema::new(
    "FeaturesConfig",
    &[
        ptr("rbac", Bool),
        ptr("stableHostname", Bool).deprecated(12, "HostnameConfig"),
        ptr("kubernetesTalosAPIAccess", Struct(&KUBERNETES_TALOS_API_ACCESS))
            .deprecated(14, "KubeTalosAPIAccessConfig"),
        ptr("apidCheckExtKeyUsage", Bool),
        ptr("diskQuotaSupport", Bool).since(5),
        ptr("kubePrism", Struct(&KUBE_PRISM)).since(5).deprecated(14, "KubePrismConfig"),
        ptr("hostDNS", Struct(&HOST_DNS)).since(7).deprecated(14, "ResolverConfig"),
        ptr("imageCache", Struct(&IMAGE_CACHE)).since(9).deprecated(14, "ImageCacheConfig"),
        opt("nodeAddressSortAlgorithm", Text).since(9),
    ],
);

pub(super) static KUBE_PRISM: Schema = Schema::new("KubePrism", &[ptr("enabled", Bool), opt("port", Type::INT)]);

pub(super) static IMAGE_CACHE: Schema = Schema::new("ImageCacheConfig", &[ptr("localEnabled", Bool)]);

pub(super) static KUBERNETES_TALOS_API_ACCESS: Schema = Schema::new(
    "KubernetesTalosAPIAccessConfig",
    &[ptr("enabled", Bool), opt("allowedRoles", List(&Text)), opt("allowedKubernetesNamespaces", List(&Text))],
);

pub(super) static HOST_DNS: Schema = Schema::new(
    "HostDNSConfig",
    &[ptr("enabled", Bool), ptr("forwardKubeDNSToHost", Bool), ptr("resolveMemberNames", Bool)],
);

pub(super) static UDEV: Schema =
    Schema::new("UdevConfig", &[opt("rules", List(&Text)).deprecated(14, "UdevRulesConfig")]);

pub(super) static LOGGING: Schema =
    Schema::new("LoggingConfig", &[must("destinations", List(&Struct(&LOGGING_DESTINATION)))]);

pub(super) static LOGGING_DESTINATION: Schema = Schema::new(
    "LoggingDestination",
    &[must("endpoint", Url).optional(), must("format", Text), opt("extraTags", Map(&Text)).since(7)],
);

pub(super) static KERNEL: Schema = Schema::new(
    "KernelConfig",
    &[opt("modules", List(&Pointer(&Struct(&KERNEL_MODULE)))).deprecated(14, "KernelModuleConfig")],
);

pub(super) static KERNEL_MODULE: Schema = Schema::new(
    "KernelModuleConfig",
    &[
        must("name", Text).deprecated(14, "KernelModuleConfig"),
        opt("parameters", List(&Text)).deprecated(14, "KernelModuleConfig"),
    ],
);
