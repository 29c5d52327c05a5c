//! Reboot, shutdown, reset.

use talos_proto::machine::{
    Reboot, RebootRequest, RebootResponse, Reset, ResetRequest, ResetResponse, Shutdown, ShutdownRequest,
    ShutdownResponse, reset_request::WipeMode,
};
use tonic::Status;

use super::Call;
use crate::world::{Down, Wipe, World};

pub(super) fn reboot(call: &Call<'_>, _: &RebootRequest) -> Result<RebootResponse, Status> {
    let actor_id = call.act(|world, id| world.take_down(id, Down::Reboot));
    Ok(RebootResponse { messages: vec![Reboot { metadata: None, actor_id }] })
}

pub(super) fn shutdown(call: &Call<'_>, _: &ShutdownRequest) -> Result<ShutdownResponse, Status> {
    let actor_id = call.act(|world, id| world.take_down(id, Down::PowerOff));
    Ok(ShutdownResponse { messages: vec![Shutdown { metadata: None, actor_id }] })
}

/// Refuses a reset of what isn't there.
fn check(call: &Call<'_>, request: &ResetRequest) -> Result<(), Status> {
    let refused = |text: String| Err(Status::unknown(text));
    let (disks, mode) = (&request.user_disks_to_wipe, request.mode());
    if !disks.is_empty() && mode == WipeMode::SystemDisk {
        let text = "reset failed: invalid input, wipe mode SYSTEM_DISK doesn't support UserDisksToWipe parameter";
        return refused(text.to_owned());
    }
    if let Some(disk) = disks.first() {
        return refused(match disk == "/dev/sda" {
            true if call.ask(World::is_installed) => {
                format!("reset user disk failed: device {disk} is the system disk")
            }
            true => return Ok(()),
            false => format!("reset user disk failed: device {disk} wasn't found"),
        });
    }
    if !request.system_partitions_to_wipe.is_empty() && mode == WipeMode::UserDisks {
        let text = "reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter";
        return refused(text.to_owned());
    }
    const LABELS: [&str; 3] = ["META", "STATE", "EPHEMERAL"];
    match request.system_partitions_to_wipe.iter().find(|spec| !LABELS.contains(&spec.label.as_str())) {
        Some(spec) => refused(format!(
            "failed to get volume status with label \"{0}\": resource VolumeStatuses.block.talos.dev(runtime/{0}@undefined) \
             doesn't exist",
            spec.label
        )),
        None => Ok(()),
    }
}

pub(super) fn reset(call: &Call<'_>, request: &ResetRequest) -> Result<ResetResponse, Status> {
    check(call, request)?;
    let labels = request.system_partitions_to_wipe.iter();
    let labels: Vec<String> = labels.filter(|spec| spec.wipe).map(|spec| spec.label.clone()).collect();
    let user_disks_only = request.mode == WipeMode::UserDisks as i32;
    let wipe = Wipe { labels, user_disks_only };
    let down = Down::Reset { graceful: request.graceful, reboot: request.reboot };
    let actor_id = call.act(|world, id| {
        world.wipe(id, request.graceful, &wipe);
        world.take_down(id, down)
    });
    Ok(ResetResponse { messages: vec![Reset { metadata: None, actor_id }] })
}
