//! Documents of volumes.

use super::shared::{ENCRYPTION_KEY_NODE_ID, TEN_SECONDS};
use crate::shape::Type::{self, Bool, ByteSize, Duration, Enum, Expression, List, Size, Struct, Text, Word};
use crate::shape::{Shape, must, opt, ptr};

/// Talos's names of filesystems; a document takes some of them only.
const FILESYSTEMS: [&str; 8] = ["none", "xfs", "vfat", "ext4", "iso9660", "swap", "virtiofs", "btrfs"];

pub(super) static ENCRYPTION: Shape = Shape::new(
    "EncryptionSpec",
    &[
        must("provider", Enum(&["none", "luks2"])),
        must("keys", List(&Struct(&ENCRYPTION_KEY))),
        opt("cipher", Text),
        opt("keySize", Type::U64),
        opt("blockSize", Type::U64),
        opt("options", List(&Text)),
        ptr("allowDiscards", Bool).since(14),
    ],
)
.nothing_without(&["provider", "keys"]);

pub(super) static ENCRYPTION_KEY: Shape = Shape::new(
    "EncryptionKey",
    &[
        must("slot", Type::INT),
        ptr("static", Struct(&ENCRYPTION_KEY_STATIC)),
        ptr("nodeID", Struct(&ENCRYPTION_KEY_NODE_ID)),
        ptr("kms", Struct(&ENCRYPTION_KEY_KMS)),
        ptr("tpm", Struct(&ENCRYPTION_KEY_TPM)),
        ptr("lockToState", Bool).since(11),
    ],
);

pub(super) static ENCRYPTION_KEY_STATIC: Shape = Shape::new("EncryptionKeyStatic", &[opt("passphrase", Text).secret()]);

pub(super) static ENCRYPTION_KEY_KMS: Shape = Shape::new("EncryptionKeyKMS", &[must("endpoint", Text)]);

pub(super) static ENCRYPTION_KEY_TPM: Shape = Shape::new(
    "EncryptionKeyTPM",
    &[ptr("options", Struct(&ENCRYPTION_KEY_TPM_OPTIONS)).since(12), ptr("checkSecurebootStatusOnEnroll", Bool)],
);

pub(super) static ENCRYPTION_KEY_TPM_OPTIONS: Shape =
    Shape::new("EncryptionKeyTPMOptions", &[opt("pcrs", List(&Type::INT))]);

pub(super) static EXISTING_VOLUME: Shape = Shape::new(
    "ExistingVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        opt("discovery", Struct(&VOLUME_DISCOVERY)),
        opt("mount", Struct(&EXISTING_MOUNT)),
        ptr("trim", Struct(&TRIM)).since(14),
        ptr("scrub", Struct(&SCRUB)).since(14),
    ],
);

pub(super) static VOLUME_DISCOVERY: Shape =
    Shape::new("VolumeDiscoverySpec", &[opt("volumeSelector", Struct(&VOLUME_SELECTOR))]);

pub(super) static VOLUME_SELECTOR: Shape =
    Shape::new("VolumeSelector", &[opt("match", Expression).required("volume selector is required")]);

pub(super) static EXISTING_MOUNT: Shape = Shape::new(
    "ExistingMountSpec",
    &[ptr("readOnly", Bool), ptr("disableAccessTime", Bool).since(13), ptr("secure", Bool).since(13)],
);

pub(super) static EXTERNAL_VOLUME: Shape = Shape::new(
    "ExternalVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        must("filesystemType", Enum(&FILESYSTEMS)),
        opt("mount", Struct(&EXTERNAL_MOUNT)),
    ],
);

pub(super) static EXTERNAL_MOUNT: Shape = Shape::new(
    "ExternalMountSpec",
    &[
        ptr("readOnly", Bool),
        ptr("disableAccessTime", Bool),
        ptr("secure", Bool),
        ptr("virtiofs", Struct(&VIRTIOFS_MOUNT)),
    ],
);

pub(super) static VIRTIOFS_MOUNT: Shape = Shape::new("VirtiofsMountSpec", &[must("tag", Text)]);

pub(super) static FILESYSTEM_TRIM: Shape =
    Shape::new("FilesystemTrimConfig", &[opt("interval", Duration).not_negative("interval cannot be negative")]);

pub(super) static FILESYSTEM_SCRUB: Shape = Shape::new(
    "FilesystemScrubConfig",
    &[opt("interval", Duration).at_least(TEN_SECONDS, "scrub interval: minimum value is 10s")],
);

pub(super) static RAW_VOLUME: Shape = Shape::new(
    "RawVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        opt("provisioning", Struct(&PROVISIONING)),
        opt("encryption", Struct(&ENCRYPTION)),
    ],
);

pub(super) static SCRUB: Shape = Shape::new(
    "ScrubConfig",
    &[ptr("enabled", Bool), opt("interval", Duration).at_least(TEN_SECONDS, "scrub interval: minimum value is 10s")],
);

pub(super) static SWAP_VOLUME: Shape = Shape::new(
    "SwapVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        opt("provisioning", Struct(&PROVISIONING)),
        opt("encryption", Struct(&ENCRYPTION)),
    ],
);

pub(super) static TRIM: Shape = Shape::new(
    "TrimConfig",
    &[ptr("enabled", Bool), opt("interval", Duration).not_negative("trim interval cannot be negative")],
);

pub(super) static USER_VOLUME: Shape = Shape::new(
    "UserVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        ptr("volumeType", Word(&["directory", "disk", "partition"])).since(12),
        opt("provisioning", Struct(&PROVISIONING)),
        opt("filesystem", Struct(&FILESYSTEM)),
        opt("encryption", Struct(&ENCRYPTION)),
        opt("mount", Struct(&USER_MOUNT)).since(13),
        ptr("trim", Struct(&TRIM)).since(14),
        ptr("scrub", Struct(&SCRUB)).since(14),
    ],
);

pub(super) static USER_MOUNT: Shape =
    Shape::new("UserMountSpec", &[ptr("disableAccessTime", Bool), ptr("secure", Bool)]);

pub(super) static FILESYSTEM: Shape = Shape::new(
    "FilesystemSpec",
    &[opt("type", Enum(&FILESYSTEMS)), ptr("projectQuotaSupport", Bool).since(11), ptr("xfs", Struct(&XFS)).since(14)],
);

pub(super) static XFS: Shape = Shape::new("XFSSpec", &[opt("minAllocationGroupSize", ByteSize)]);

pub(super) static VOLUME: Shape = Shape::new(
    "VolumeConfig",
    &[
        must("name", Text),
        opt("provisioning", Struct(&PROVISIONING)),
        opt("filesystem", Struct(&SYSTEM_VOLUME_FILESYSTEM)).since(14),
        opt("encryption", Struct(&ENCRYPTION)).since(11),
        opt("mount", Struct(&MOUNT)).since(13),
        ptr("trim", Struct(&TRIM)).since(14),
        ptr("scrub", Struct(&SCRUB)).since(14),
    ],
);

pub(super) static SYSTEM_VOLUME_FILESYSTEM: Shape =
    Shape::new("SystemVolumeFilesystemSpec", &[ptr("xfs", Struct(&XFS))]);

pub(super) static MOUNT: Shape =
    Shape::new("MountSpec", &[ptr("secure", Bool), ptr("disableAccessTime", Bool).since(14)]);

pub(super) static PROVISIONING: Shape = Shape::new(
    "ProvisioningSpec",
    &[opt("diskSelector", Struct(&DISK_SELECTOR)), ptr("grow", Bool), opt("minSize", ByteSize), opt("maxSize", Size)],
);

pub(super) static DISK_SELECTOR: Shape = Shape::new("DiskSelector", &[opt("match", Expression)]);

pub(super) static ZSWAP: Shape = Shape::new(
    "ZswapConfig",
    &[
        ptr("maxPoolPercent", Type::INT).within(0, 100, "maxPoolPercent must be between 0 and 100"),
        ptr("shrinkerEnabled", Bool),
    ],
);
