//! What the work on the whole cluster hands to the work on each node.

use std::sync::Arc;

use record::Failure;
use tokio::sync::watch;

use crate::{Run, Stop};

/// The state of the work on the whole cluster, which the nodes wait for.
pub(super) enum Shared<T> {
    NotYet,
    Ready(Arc<T>),
    /// It failed, or was never begun: the nodes can't be processed.
    Never,
}

/// What the work on each node gets, once it is ready.
pub(super) async fn ready<T>(mut shared: watch::Receiver<Shared<T>>, run: &Run) -> Result<Arc<T>, Stop> {
    let stopping = run.stopping();
    tokio::select! {
        biased;
        state = shared.wait_for(|state| !matches!(state, Shared::NotYet)) => match state.as_deref() {
            Ok(Shared::Ready(found)) => Ok(Arc::clone(found)),
            Ok(Shared::NotYet | Shared::Never) | Err(_) => Err(Stop::Explained),
        },
        () = stopping.cancelled() => Err(Failure::interrupted().into()),
    }
}
