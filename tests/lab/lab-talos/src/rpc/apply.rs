//! ApplyConfiguration.

use std::time::Duration;

use talos_proto::machine::{ApplyConfiguration, ApplyConfigurationRequest, ApplyConfigurationResponse};
use tonic::Status;

use super::Call;
use crate::world::{Apply, Mode};

pub(super) fn apply(
    call: &Call<'_>,
    request: &ApplyConfigurationRequest,
) -> Result<ApplyConfigurationResponse, Status> {
    let Some(mode) = Mode::from_number(request.mode) else {
        let text = format!("incorrect mode '{}' specified for the apply config call", request.mode);
        return Err(Status::invalid_argument(text));
    };
    let timeout = request.try_mode_timeout.as_ref().filter(|t| t.seconds > 0 || t.nanos > 0);
    let apply = Apply {
        data: request.data.clone(),
        mode,
        dry_run: request.dry_run,
        try_timeout: timeout.map(|t| Duration::new(t.seconds.unsigned_abs(), t.nanos.unsigned_abs())),
        admin: call.is_admin(),
    };
    let mut applied = call.act(|world, id| world.apply(id, &apply))?;
    if let Some(says) = call.see(|node| node.faults.says.clone()) {
        applied.details.push_str(&says);
        applied.warnings.push(says);
    }
    Ok(ApplyConfigurationResponse {
        messages: vec![ApplyConfiguration {
            metadata: None,
            warnings: applied.warnings,
            mode: applied.mode as i32,
            mode_details: applied.details,
        }],
    })
}
