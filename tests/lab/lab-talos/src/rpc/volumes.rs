//! LVM and software RAID, of which the machines of a lab have none (internal/app/lvmd and mdd at v1.14.0-rc.1).

use talos_proto::machine::{
    LvmServiceLogicalVolumeRemoveRequest, LvmServicePhysicalVolumeRemoveRequest, LvmServiceVolumeGroupRemoveRequest,
    MdDestroyRequest,
};
use tonic::Status;

use super::Call;

/// Nothing is found by any name, but it must have one.
fn missing(names: &[&str], unnamed: &str) -> Result<(), Status> {
    match names.contains(&"") {
        true => Err(Status::invalid_argument(unnamed)),
        false => Err(Status::not_found("lvm: resource not found")),
    }
}

pub(super) fn logical(_: &Call<'_>, request: &LvmServiceLogicalVolumeRemoveRequest) -> Result<(), Status> {
    missing(&[&request.volume_group, &request.logical_volume], "volume_group and logical_volume must be set")
}

pub(super) fn group(_: &Call<'_>, request: &LvmServiceVolumeGroupRemoveRequest) -> Result<(), Status> {
    missing(&[&request.volume_group], "volume_group must be set")
}

pub(super) fn physical(_: &Call<'_>, request: &LvmServicePhysicalVolumeRemoveRequest) -> Result<(), Status> {
    missing(&[&request.device], "device must be set")
}

pub(super) fn array(_: &Call<'_>, request: &MdDestroyRequest) -> Result<(), Status> {
    match request.device.as_str() {
        "" => Err(Status::invalid_argument("device must be set")),
        device if !device.starts_with("/dev/") => Err(Status::invalid_argument("device must be a full /dev path")),
        _ => Err(Status::not_found("md: array not found")),
    }
}
