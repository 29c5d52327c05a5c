//! Documents of LVM and RAID.

use crate::schema::Type::{self, ByteSize, Enum, Expression, Size, Struct, Text};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static LVM_LOGICAL_VOLUME: Schema = Schema::new(
    "LVMLogicalVolumeConfig",
    &[
        must("name", Text).required("name is required"),
        must("type", Enum(&["linear", "raid0", "raid1", "raid10"])),
        ptr("mirrors", Type::U32),
        ptr("stripes", Type::U32),
        must("provisioning", Struct(&LVM_LOGICAL_VOLUME_PROVISIONING)),
    ],
);

pub(super) static LVM_LOGICAL_VOLUME_PROVISIONING: Schema = Schema::new(
    "LVMLogicalVolumeProvisioningSpec",
    &[
        must("volumeGroup", Text).required("provisioning.volumeGroup is required"),
        opt("minSize", ByteSize),
        opt("maxSize", Size).required("provisioning.maxSize is required"),
    ],
);

pub(super) static LVM_VOLUME_GROUP: Schema = Schema::new(
    "LVMVolumeGroupConfig",
    &[must("name", Text).required("name is required"), must("provisioning", Struct(&PROVISIONING))],
);

pub(super) static PROVISIONING: Schema =
    Schema::new("ProvisioningSpec", &[opt("volumeSelector", Struct(&LVM_VOLUME_SELECTOR))]);

pub(super) static LVM_VOLUME_SELECTOR: Schema = Schema::new(
    "LVMVolumeSelectorSpec",
    &[opt("match", Expression).required("provisioning.volumeSelector.match is required")],
);

pub(super) static RAID_ARRAY: Schema = Schema::new(
    "RAIDArrayConfig",
    &[
        must("name", Text).required("name is required"),
        must("level", Enum(&["raid1"])),
        opt("metadata", Enum(&["1.0", "1.2"])),
        must("provisioning", Struct(&RAID_PROVISIONING)),
    ],
);

pub(super) static RAID_PROVISIONING: Schema =
    Schema::new("RAIDProvisioningSpec", &[must("volumeSelector", Struct(&RAID_VOLUME_SELECTOR))]);

pub(super) static RAID_VOLUME_SELECTOR: Schema = Schema::new(
    "RAIDVolumeSelector",
    &[opt("match", Expression).required("provisioning.volumeSelector.match is required")],
);
