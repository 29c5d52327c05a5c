//! Reboot, shutdown, reset.

use talos_proto::machine::{
    Reboot, RebootRequest, RebootResponse, Reset, ResetRequest, ResetResponse, Shutdown, ShutdownRequest,
    ShutdownResponse,
};
use tonic::Status;

use super::Call;
use crate::talos::world::Down;

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
    let down = if request.reboot { Down::Reboot } else { Down::PowerOff };
    let actor_id = call.act(|world, id| {
        world.wipe(id, request.graceful);
        world.go_down(id, down)
    });
    Ok(ResetResponse { messages: vec![Reset { metadata: None, actor_id }] })
}
