//! Reboot, shutdown, reset.

use talos_proto::machine::{
    Reboot, RebootRequest, RebootResponse, Reset, ResetRequest, ResetResponse, Shutdown, ShutdownRequest,
    ShutdownResponse, reset_request::WipeMode,
};
use tonic::Status;

use super::Call;
use crate::talos::world::{Down, Wipe};

pub(super) fn reboot(call: &Call<'_>, _: &RebootRequest) -> Result<RebootResponse, Status> {
    let actor_id = call.act(|world, id| world.go_down(id, Down::Reboot));
    Ok(RebootResponse { messages: vec![Reboot { metadata: None, actor_id }] })
}

pub(super) fn shutdown(call: &Call<'_>, _: &ShutdownRequest) -> Result<ShutdownResponse, Status> {
    let actor_id = call.act(|world, id| world.go_down(id, Down::PowerOff));
    Ok(ShutdownResponse { messages: vec![Shutdown { metadata: None, actor_id }] })
}

pub(super) fn reset(call: &Call<'_>, request: &ResetRequest) -> Result<ResetResponse, Status> {
    if let Some(disk) = request.user_disks_to_wipe.first() {
        return Err(Status::unknown(format!("reset user disk failed: device {disk} wasn't found")));
    }
    let labels = request.system_partitions_to_wipe.iter();
    let labels: Vec<String> = labels.filter(|spec| spec.wipe).map(|spec| spec.label.clone()).collect();
    const LABELS: [&str; 8] = ["EFI", "BIOS", "BOOT", "META", "STATE", "EPHEMERAL", "ETCD", "LOG"];
    if let Some(label) = labels.iter().find(|label| !LABELS.contains(&label.as_str())) {
        let text = format!("failed to get volume status with label \"{label}\": resource doesn't exist");
        return Err(Status::unknown(text));
    }
    let user_disks_only = request.mode == WipeMode::UserDisks as i32;
    let wipe = Wipe { labels, user_disks_only };
    let down = if request.reboot { Down::Reset } else { Down::ResetAndPowerOff };
    let actor_id = call.act(|world, id| {
        world.wipe(id, request.graceful, &wipe);
        world.go_down(id, down)
    });
    Ok(ResetResponse { messages: vec![Reset { metadata: None, actor_id }] })
}
