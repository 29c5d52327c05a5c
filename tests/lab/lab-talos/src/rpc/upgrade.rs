//! Installing, upgrading and going back: the old calls and the lifecycle service.

use talos_proto::machine::lifecycle_service_install_progress::Response;
use talos_proto::machine::{
    LifecycleServiceInstallProgress, LifecycleServiceInstallRequest, LifecycleServiceInstallResponse,
    LifecycleServiceUpgradeRequest, LifecycleServiceUpgradeResponse, MetaDelete, MetaDeleteRequest, MetaDeleteResponse,
    MetaWrite, MetaWriteRequest, MetaWriteResponse, Rollback, RollbackRequest, RollbackResponse, Upgrade,
    UpgradeRequest, UpgradeResponse,
};
use tonic::Status;

use super::Call;
use crate::world::{Down, World};

/// The legacy call: pulls, checks, acknowledges, and reboots into the new system.
pub(super) fn upgrade(call: &Call<'_>, request: &UpgradeRequest) -> Result<UpgradeResponse, Status> {
    if !call.ask(World::is_installed) {
        return Err(Status::failed_precondition("Talos is not installed"));
    }
    let image = &request.image;
    if World::installer(image).is_none() {
        return Err(Status::unknown(format!("error validating installer image \"{image}\": invalid reference format")));
    }
    if !request.preserve && !request.force {
        call.ask(World::may_lose_member)
            .map_err(|why| Status::unknown(format!("error validating etcd for upgrade: {why}")))?;
    }
    let actor_id = call.act(|world, id| {
        world.change_system(id, image);
        world.take_down(id, Down::Upgrade)
    });
    let message = Upgrade { metadata: None, ack: "Upgrade request received".to_owned(), actor_id };
    Ok(UpgradeResponse { messages: vec![message] })
}

/// Boots the system from before the last upgrade.
pub(super) fn rollback(call: &Call<'_>, _: &RollbackRequest) -> Result<RollbackResponse, Status> {
    if !call.act(World::roll_back) {
        return Err(Status::unknown("failed to revert bootloader: no previous entry found"));
    }
    Ok(RollbackResponse { messages: vec![Rollback::default()] })
}

fn progress(response: Response) -> Option<LifecycleServiceInstallProgress> {
    Some(LifecycleServiceInstallProgress { response: Some(response) })
}

/// The upgrade of 1.13 and later: reports its progress, and leaves the reboot to the caller.
pub(super) fn lifecycle_upgrade(
    call: &Call<'_>,
    request: &LifecycleServiceUpgradeRequest,
) -> Result<Vec<LifecycleServiceUpgradeResponse>, Status> {
    if !call.ask(World::is_installed) {
        return Err(Status::failed_precondition("machine is not installed"));
    }
    let image = pulled(call, request.source.as_ref().map(|source| source.image_name.as_str()))?;
    call.act(|world, id| world.change_system(id, &image));
    let lines = [format!("running Talos installer {image}"), "updating META".to_owned()].map(Response::Message);
    let responses = lines.into_iter().chain([Response::ExitCode(0)]);
    Ok(responses.map(|response| LifecycleServiceUpgradeResponse { progress: progress(response) }).collect())
}

/// Installs to a disk, which only a machine that runs from an ISO needs.
pub(super) fn lifecycle_install(
    call: &Call<'_>,
    request: &LifecycleServiceInstallRequest,
) -> Result<Vec<LifecycleServiceInstallResponse>, Status> {
    if call.ask(World::is_installed) {
        return Err(Status::already_exists("machine is already installed"));
    }
    let image = pulled(call, request.source.as_ref().map(|source| source.image_name.as_str()))?;
    let disk = request.destination.as_ref().map(|destination| destination.disk.as_str()).unwrap_or_default();
    match disk {
        "" => return Err(Status::invalid_argument("destination disk is required")),
        "/dev/sda" => {}
        disk => {
            let text = format!("invalid disk path: lstat {disk}: no such file or directory");
            return Err(Status::invalid_argument(text));
        }
    }
    call.act(|world, id| world.change_system(id, &image));
    let lines = [format!("running Talos installer {image}"), format!("installing to {disk}")].map(Response::Message);
    let responses = lines.into_iter().chain([Response::ExitCode(0)]);
    Ok(responses.map(|response| LifecycleServiceInstallResponse { progress: progress(response) }).collect())
}

fn pulled(call: &Call<'_>, image: Option<&str>) -> Result<String, Status> {
    let image = image.filter(|image| !image.is_empty());
    let image = image.ok_or_else(|| Status::invalid_argument("installer image name is required"))?;
    match call.see(|node| node.pulled.contains(image)) && World::installer(image).is_some() {
        true => Ok(image.to_owned()),
        false => Err(Status::internal(format!("upgrade failed: image \"{image}\": not found"))),
    }
}

fn key(number: u32) -> Result<u8, Status> {
    u8::try_from(number).map_err(|_| Status::invalid_argument("key must be a uint8"))
}

pub(super) fn write_meta(call: &Call<'_>, request: &MetaWriteRequest) -> Result<MetaWriteResponse, Status> {
    let key = key(request.key)?;
    let value = String::from_utf8_lossy(&request.value).into_owned();
    call.act(|world, id| {
        world.disk_mut(id).meta.insert(key, value);
        world.touch(id);
    });
    Ok(MetaWriteResponse { messages: vec![MetaWrite::default()] })
}

pub(super) fn delete_meta(call: &Call<'_>, request: &MetaDeleteRequest) -> Result<MetaDeleteResponse, Status> {
    let key = key(request.key)?;
    let removed = call.act(|world, id| {
        world.touch(id);
        world.disk_mut(id).meta.remove(&key)
    });
    match removed {
        Some(_) => Ok(MetaDeleteResponse { messages: vec![MetaDelete::default()] }),
        None => Err(Status::not_found("meta key not found")),
    }
}
