//! What the work on the whole cluster hands to the work on each node.

use std::sync::Arc;

use record::Failure;
use tokio::sync::watch;

use crate::{Run, Stop};

/// Where the work on the whole cluster stands, on which the nodes wait.
pub(super) enum Shared<T> {
    NotYet,
    Ready(Arc<T>),
    /// It failed, or was never begun: there is nothing that a node could be worked on with.
    Never,
}

/// What the nodes are worked on with, once it is there.
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
