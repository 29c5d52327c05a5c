//! Calls that move VMs and disks.

use super::{Method, Request, vm};
use crate::Upid;

/// `POST /nodes/{node}/qemu/{vmid}/migrate`: moves the VM with its local disks, while it runs or off. Needs VM.Migrate. With
/// high availability, the task only requests it. `storage` is where local disks go on the target; their own by default.
pub fn migrate(node: &str, vmid: u32, target: &str, online: bool, storage: Option<&str>) -> Request<Upid> {
    let request = vm(Method::Post, node, vmid, &["migrate"])
        .with("target", target)
        .with("online", u8::from(online))
        .with("with-local-disks", 1);
    match storage {
        Some(storage) => request.with("targetstorage", storage),
        None => request,
    }
}

/// `POST /nodes/{node}/qemu/{vmid}/move_disk`: moves a disk to another storage, also while the VM runs, and removes the old
/// volume.
pub fn move_disk(node: &str, vmid: u32, disk: &str, storage: &str, digest: Option<&str>) -> Request<Upid> {
    let request =
        vm(Method::Post, node, vmid, &["move_disk"]).with("disk", disk).with("storage", storage).with("delete", 1);
    match digest {
        Some(digest) => request.with("digest", digest),
        None => request,
    }
}
