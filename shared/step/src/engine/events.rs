//! What the engine waits for: at its input, at its output, and from its tasks.

use std::path::PathBuf;

use record::Exit;
use record::stream::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::whole::Unsaid;
use crate::intake::{Intake, Received};
use crate::source::Opened;
use crate::{Run, Stop};

/// Waits until nobody reads our output any more; then the rest of the input does not matter. It has not ended for all
/// that: who waits for more of it is interrupted, and never takes what came for all there is.
pub(super) async fn reader_gone(run: &Run) {
    let stopping = &run.context.stopping;
    stopping.token.cancelled().await;
    if stopping.reason().is_some_and(|reason| reason != Exit::PipeClosed) {
        std::future::pending::<()>().await;
    }
}

/// The time at which a failure is printed that the step before hasn't reported; never, if there is none.
pub(super) async fn due(unsaid: Option<&Unsaid>) {
    match unsaid {
        Some(unsaid) => tokio::time::sleep_until(unsaid.until).await,
        None => std::future::pending().await,
    }
}

/// Waits until a signal asks the step to stop.
pub(super) async fn signalled(run: &Run) {
    let stopping = &run.context.stopping;
    stopping.token.cancelled().await;
    if stopping.reason().is_none_or(|reason| reason == Exit::PipeClosed) {
        std::future::pending::<()>().await;
    }
}

/// The end of the task for the whole cluster; never, if there is none.
pub(super) async fn joined(
    whole: &mut Option<JoinHandle<Result<(), Stop>>>,
) -> Result<Result<(), Stop>, tokio::task::JoinError> {
    match whole {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

pub(super) fn listen(input: Opened, stream: Stream, dir: Option<PathBuf>) -> mpsc::Receiver<Received> {
    match input {
        Opened::Bytes { reader, base, .. } => Intake { stream, base, dir }.read(reader),
        Opened::Records(cluster, nodes) => Intake { stream, base: PathBuf::new(), dir }.take(*cluster, nodes),
    }
}

/// A few of the names, and the number of the others.
pub(super) fn shown(names: &[String]) -> String {
    const FEW: usize = 5;
    let few = names[..names.len().min(FEW)].join(", ");
    if names.len() > FEW { format!("{few} and {} more", names.len() - FEW) } else { few }
}
