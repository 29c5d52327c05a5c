//! One control plane after the other.

use step::{Claim, Run, Stop};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::Error;

/// Who may be changed next. Once a node isn't healthy after its change, nobody else may be.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    unhealthy: Mutex<Option<String>>,
    /// Whether runs at the same time are kept apart, which takes a folder that they share.
    apart: bool,
}

/// The right to change one control plane.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    unhealthy: MutexGuard<'a, Option<String>>,
    _claim: Option<Claim>,
}

impl Queue {
    /// Queue in a stream: also another run's talos-apply has to wait for its turn.
    pub(crate) fn of_stream() -> Self {
        Self { apart: true, ..Self::default() }
    }

    /// Waits for the permit; first come, first served.
    pub(crate) async fn wait(&self, run: &Run) -> Result<Permit<'_>, Stop> {
        let stopping = run.stopping();
        let unhealthy = tokio::select! {
            unhealthy = self.unhealthy.lock() => unhealthy,
            () = stopping.cancelled() => return Err(record::Failure::interrupted().into()),
        };
        match unhealthy.as_ref() {
            Some(name) => Err(Error::Halted(name.clone()).into()),
            None => {
                let claim = if self.apart { Some(run.claim().await?) } else { None };
                Ok(Permit { unhealthy, _claim: claim })
            }
        }
    }
}

impl Permit<'_> {
    /// From the moment at which the node is changed until it is healthy again, it counts as unhealthy.
    pub(crate) fn begin(&mut self, name: &str) {
        *self.unhealthy = Some(name.to_owned());
    }

    /// The node is healthy again.
    pub(crate) fn recovered(&mut self) {
        *self.unhealthy = None;
    }
}
