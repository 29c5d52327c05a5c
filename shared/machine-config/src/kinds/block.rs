//! Documents of volumes.

use super::shared::{ENCRYPTION_KEY_NODE_ID, TEN_SECONDS};
use crate::schema::Type::{self, Bool, ByteSize, Duration, Enum, Expression, List, Size, Struct, Text, Word};
use crate::schema::{Schema, must, opt, ptr};

/// Talos's names of filesystems; a document takes some of them only.
const FILESYSTEMS: [&str; 8] = ["none", "xfs", "vfat", "ext4", "iso9660", "swap", "virtiofs", "btrfs"];

pub(super) static ENCRYPTION: Schema = Schema::new(
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

pub(super) static ENCRYPTION_KEY: Schema = Schema::new(
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

pub(super) static ENCRYPTION_KEY_STATIC: Schema =
    Schema::new("EncryptionKeyStatic", &[opt("passphrase", Text).secret()]);

pub(super) static ENCRYPTION_KEY_KMS: Schema = Schema::new("EncryptionKeyKMS", &[must("endpoint", Text)]);

pub(super) static ENCRYPTION_KEY_TPM: Schema = Schema::new(
    "EncryptionKeyTPM",
    &[ptr("options", Struct(&ENCRYPTION_KEY_TPM_OPTIONS)).since(12), ptr("checkSecurebootStatusOnEnroll", Bool)],
);

pub(super) static ENCRYPTION_KEY_TPM_OPTIONS: Schema =
    Schema::new("EncryptionKeyTPMOptions", &[opt("pcrs", List(&Type::INT))]);

pub(super) static EXISTING_VOLUME: Schema = Schema::new(
    "ExistingVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        opt("discovery", Struct(&VOLUME_DISCOVERY)),
        opt("mount", Struct(&EXISTING_MOUNT)),
        ptr("trim", Struct(&TRIM)).since(14),
        ptr("scrub", Struct(&SCRUB)).since(14),
    ],
);

pub(super) static VOLUME_DISCOVERY: Schema =
    Schema::new("VolumeDiscoverySpec", &[opt("volumeSelector", Struct(&VOLUME_SELECTOR))]);

pub(super) static VOLUME_SELECTOR: Schema =
    Schema::new("VolumeSelector", &[opt("match", Expression).required("volume selector is required")]);

pub(super) static EXISTING_MOUNT: Schema = Schema::new(
    "ExistingMountSpec",
    &[ptr("readOnly", Bool), ptr("disableAccessTime", Bool).since(13), ptr("secure", Bool).since(13)],
);

pub(super) static EXTERNAL_VOLUME: Schema = Schema::new(
    "ExternalVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        must("filesystemType", Enum(&FILESYSTEMS)),
        opt("mount", Struct(&EXTERNAL_MOUNT)),
    ],
);

pub(super) static EXTERNAL_MOUNT: Schema = Schema::new(
    "ExternalMountSpec",
    &[
        ptr("readOnly", Bool),
        ptr("disableAccessTime", Bool),
        ptr("secure", Bool),
        ptr("virtiofs", Struct(&VIRTIOFS_MOUNT)),
    ],
);

pub(super) static VIRTIOFS_MOUNT: Schema = Schema::new("VirtiofsMountSpec", &[must("tag", Text)]);

pub(super) static FILESYSTEM_TRIM: Schema =
    Schema::new("FilesystemTrimConfig", &[opt("interval", Duration).not_negative("interval cannot be negative")]);

pub(super) static FILESYSTEM_SCRUB: Schema = Schema::new(
    "FilesystemScrubConfig",
    &[opt("interval", Duration).at_least(TEN_SECONDS, "scrub interval: minimum value is 10s")],
);

pub(super) static RAW_VOLUME: Schema = Schema::new(
    "RawVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        opt("provisioning", Struct(&PROVISIONING)),
        opt("encryption", Struct(&ENCRYPTION)),
    ],
);

pub(super) static SCRUB: Schema = Schema::new(
    "ScrubConfig",
    &[ptr("enabled", Bool), opt("interval", Duration).at_least(TEN_SECONDS, "scrub interval: minimum value is 10s")],
);

pub(super) static SWAP_VOLUME: Schema = Schema::new(
    "SwapVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        opt("provisioning", Struct(&PROVISIONING)),
        opt("encryption", Struct(&ENCRYPTION)),
    ],
);

pub(super) static TRIM: Schema = Schema::new(
    "TrimConfig",
    &[ptr("enabled", Bool), opt("interval", Duration).not_negative("trim interval cannot be negative")],
);

pub(super) static USER_VOLUME: Schema = Schema::new(
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

pub(super) static USER_MOUNT: Schema =
    Schema::new("UserMountSpec", &[ptr("disableAccessTime", Bool), ptr("secure", Bool)]);

pub(super) static FILESYSTEM: Schema = Schema::new(
    "FilesystemSpec",
    &[opt("type", Enum(&FILESYSTEMS)), ptr("projectQuotaSupport", Bool).since(11), ptr("xfs", Struct(&XFS)).since(14)],
);

pub(super) static XFS: Schema = Schema::new("XFSSpec", &[opt("minAllocationGroupSize", ByteSize)]);

pub(super) static VOLUME: Schema = Schema::new(
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

pub(super) static SYSTEM_VOLUME_FILESYSTEM: Schema =
    Schema::new("SystemVolumeFilesystemSpec", &[ptr("xfs", Struct(&XFS))]);

pub(super) static MOUNT: Schema =
    Schema::new("MountSpec", &[ptr("secure", Bool), ptr("disableAccessTime", Bool).since(14)]);

pub(super) static PROVISIONING: Schema = Schema::new(
    "ProvisioningSpec",
    &[opt("diskSelector", Struct(&DISK_SELECTOR)), ptr("grow", Bool), opt("minSize", ByteSize), opt("maxSize", Size)],
);

pub(super) static DISK_SELECTOR: Schema = Schema::new("DiskSelector", &[opt("match", Expression)]);

pub(super) static ZSWAP: Schema = Schema::new(
    "ZswapConfig",
    &[
        ptr("maxPoolPercent", Type::INT).within(0, 100, "maxPoolPercent must be between 0 and 100"),
        ptr("shrinkerEnabled", Bool),
    ],
);
