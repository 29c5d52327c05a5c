//! Documents of the system itself: kernel, files, logs, devices, discovery, extensions.

use super::shared::TEN_SECONDS;
use crate::schema::Type::{Bool, Duration, Expression, List, Map, Mode, Struct, Text, Url};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static ENVIRONMENT: Schema = Schema::new("EnvironmentConfig", &[must("variables", Map(&Text))]);

pub(super) static ETC_FILE: Schema =
    Schema::new("EtcFileConfig", &[must("name", Text), must("mode", Mode), must("contents", Text).file()]);

pub(super) static EVENT_SINK: Schema = Schema::new("EventSinkConfig", &[must("endpoint", Text)]);

pub(super) static KERNEL_MODULE: Schema = Schema::new(
    "KernelModuleConfig",
    &[must("name", Text).required("name is required"), opt("parameters", List(&Text))],
);

pub(super) static KMSG_LOG: Schema = Schema::new(
    "KmsgLogConfig",
    &[must("name", Text).required("name is required"), must("url", Url).required("url is required")],
);

pub(super) static OOM: Schema = Schema::new(
    "OOMConfig",
    &[
        opt("triggerExpression", Expression),
        opt("cgroupRankingExpression", Expression),
        ptr("strictCgroupClassOrdering", Bool),
        opt("sampleInterval", Duration).not_negative("OOM sample interval must be longer than 0"),
    ],
);

pub(super) static SECURITY_PROFILE: Schema = Schema::new("SecurityProfileConfig", &[ptr("workloadIsolation", Bool)]);

pub(super) static SYSCTL: Schema = Schema::new("SysctlConfig", &[must("params", Map(&Text))]);

pub(super) static SYSFS: Schema = Schema::new("SysfsConfig", &[must("params", Map(&Text))]);

pub(super) static UDEV_RULES: Schema = Schema::new("UdevRulesConfig", &[opt("rules", List(&Text))]);

pub(super) static UNATTENDED_INSTALL: Schema = Schema::new(
    "UnattendedInstallConfig",
    &[ptr("reboot", Bool), must("installer", Struct(&INSTALLER)), must("provisioning", Struct(&PROVISIONING))],
);

pub(super) static INSTALLER: Schema = Schema::new("InstallerSpec", &[opt("image", Text)]);

pub(super) static PROVISIONING: Schema =
    Schema::new("ProvisioningSpec", &[opt("diskSelector", Struct(&DISK_SELECTOR)), ptr("wipe", Bool)]);

pub(super) static DISK_SELECTOR: Schema = Schema::new(
    "DiskSelectorSpec",
    &[opt("match", Expression).required("provisioning.diskSelector.match is required")],
);

pub(super) static WATCHDOG_TIMER: Schema = Schema::new(
    "WatchdogTimerConfig",
    &[
        must("device", Text).required("watchdog device: empty value"),
        opt("timeout", Duration).at_least(TEN_SECONDS, "watchdog timeout: minimum value is 10s"),
    ],
);

pub(super) static SERVICE: Schema = Schema::new(
    "ExtensionServiceConfig",
    &[
        must("name", Text).required("name is required"),
        opt("configFiles", List(&Struct(&CONFIG_FILE))).by(&["mountPath"]),
        opt("environment", List(&Text)),
    ],
);

pub(super) static CONFIG_FILE: Schema =
    Schema::new("ConfigFile", &[must("content", Text).file(), must("mountPath", Text)]);

pub(super) static CONFIG: Schema = Schema::new(
    "SideroLinkConfig",
    &[must("apiUrl", Url).required("apiUrl is required"), opt("uniqueToken", Text).since(10).secret()],
);

pub(super) static PCI_DRIVER_REBIND: Schema =
    Schema::new("PCIDriverRebindConfig", &[must("name", Text), must("targetDriver", Text)]);

pub(super) static DISCOVERY_IDENTITY: Schema = Schema::new(
    "DiscoveryIdentityConfig",
    &[
        must("clusterID", Text).required("clusterID is required"),
        must("clusterSecret", Text).required("clusterSecret is required").secret(),
    ],
);

pub(super) static DISCOVERY_SERVICE: Schema = Schema::new(
    "DiscoveryServiceConfig",
    &[must("name", Text).required("name is required"), must("endpoint", Url).required("endpoint is required")],
);
