//! Documents of system containers.

use crate::schema::Type::{self, Bool, List, Struct, Text};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static CONTAINER: Schema = Schema::new(
    "ContainerConfig",
    &[
        must("name", Text).required("name is required"),
        must("image", Text).required("image is required"),
        opt("entrypoint", List(&Text)),
        opt("args", List(&Text)),
        opt("workingDir", Text),
        ptr("runAs", Struct(&CONTAINER_RUN_AS)),
        opt("environment", List(&Text)),
        opt("mounts", List(&Struct(&CONTAINER_MOUNT))),
        ptr("security", Struct(&CONTAINER_SECURITY)),
        ptr("network", Struct(&CONTAINER_NETWORK)),
        ptr("resources", Struct(&CONTAINER_RESOURCES)),
        ptr("dependsOn", Struct(&CONTAINER_DEPENDS_ON)),
    ],
);

pub(super) static CONTAINER_MOUNT: Schema = Schema::new(
    "ContainerMount",
    &[
        ptr("userVolume", Struct(&USER_VOLUME_MOUNT)),
        ptr("tmpfs", Struct(&TMPFS_MOUNT)),
        ptr("hostPath", Struct(&HOST_PATH_MOUNT)),
    ],
);

pub(super) static USER_VOLUME_MOUNT: Schema =
    Schema::new("UserVolumeMount", &[must("name", Text), must("destination", Text), opt("options", List(&Text))]);

pub(super) static TMPFS_MOUNT: Schema =
    Schema::new("TmpfsMount", &[must("destination", Text), opt("size", Text), opt("options", List(&Text))]);

pub(super) static HOST_PATH_MOUNT: Schema =
    Schema::new("HostPathMount", &[must("source", Text), must("destination", Text), opt("options", List(&Text))]);

pub(super) static CONTAINER_RUN_AS: Schema = Schema::new(
    "ContainerRunAs",
    &[
        ptr("uid", Type::I32).not_negative("runAs.uid must be non-negative, got {}"),
        ptr("gid", Type::I32).not_negative("runAs.gid must be non-negative, got {}"),
    ],
);

pub(super) static CONTAINER_NETWORK: Schema = Schema::new("ContainerNetwork", &[opt("mode", Text)]);

pub(super) static CONTAINER_RESOURCES: Schema =
    Schema::new("ContainerResources", &[ptr("limits", Struct(&CONTAINER_RESOURCE_LIMITS))]);

pub(super) static CONTAINER_RESOURCE_LIMITS: Schema =
    Schema::new("ContainerResourceLimits", &[opt("cpu", Text), opt("memory", Text)]);

pub(super) static CONTAINER_DEPENDS_ON: Schema = Schema::new(
    "ContainerDependsOn",
    &[opt("paths", List(&Text)), opt("networks", List(&Text)), ptr("time", Bool), opt("containers", List(&Text))],
);

pub(super) static CONTAINER_SECURITY: Schema = Schema::new(
    "ContainerSecurity",
    &[opt("profile", Text), ptr("capabilities", Struct(&CONTAINER_CAPABILITIES)), opt("machinedAccess", Bool)],
);

pub(super) static CONTAINER_CAPABILITIES: Schema =
    Schema::new("ContainerCapabilities", &[opt("add", List(&Text)), opt("drop", List(&Text))]);
