//! The disks of a machine, in the view of the storage service.

use talos_proto::storage::{
    BlockDeviceWipe, BlockDeviceWipeRequest, BlockDeviceWipeResponse, Disk, Disks, DisksResponse, disk,
};
use tonic::Status;

use super::Call;
use crate::resources;

pub(super) fn disks(call: &Call<'_>, (): &()) -> Result<DisksResponse, Status> {
    let system_disk = call.ask(|world, id| {
        world.nodes[id].machine.image.is_some() || world.disk(id).is_some_and(|disk| disk.installed.is_some())
    });
    let size = call.see(|node| node.machine.disk_size);
    let disk = Disk {
        size,
        model: "QEMU HARDDISK".to_owned(),
        device_name: "/dev/sda".to_owned(),
        r#type: disk::DiskType::Hdd as i32,
        bus_path: "/pci0000:00/0000:00:05.0/0000:01:01.0/virtio1/host2/target2:0:0/2:0:0:0/".to_owned(),
        system_disk,
        subsystem: "/sys/class/block".to_owned(),
        ..Disk::default()
    };
    Ok(DisksResponse { messages: vec![Disks { metadata: None, disks: vec![disk] }] })
}

/// Wipes devices that no volume is on: of a Talos disk nearly none.
pub(super) fn wipe(call: &Call<'_>, request: &BlockDeviceWipeRequest) -> Result<BlockDeviceWipeResponse, Status> {
    let volumes = call.ask(resources::volumes_on_disk);
    let known = call.ask(resources::devices);
    for device in request.devices.iter().map(|device| device.device.as_str()) {
        if !known.iter().any(|known| known == device) {
            return Err(Status::not_found(format!("blockdevice {device:?} not found")));
        }
        let taken = volumes.iter().find(|(_, place)| device == "sda" || place == device);
        if let Some((volume, _)) = taken {
            let text = format!("blockdevice {device:?} is in use by volume {volume:?}");
            return Err(Status::failed_precondition(text));
        }
    }
    Ok(BlockDeviceWipeResponse { messages: vec![BlockDeviceWipe::default()] })
}
