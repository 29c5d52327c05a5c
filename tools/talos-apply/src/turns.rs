//! One control plane after the other.

use step::{Claim, Run, Stop};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::Error;

/// Whose turn it is to be changed. Once a node didn't get well after its change, nobody else gets a turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    unwell: Mutex<Option<String>>,
    /// Whether runs at the same time are kept apart, which takes a folder that they share.
    apart: bool,
}

/// The right to change one control plane.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    unwell: MutexGuard<'a, Option<String>>,
    _claim: Option<Claim>,
}

impl Turns {
    /// Turns in a stream: also another run's talos-apply has to wait for its turn.
    pub(crate) fn of_stream() -> Self {
        Self { apart: true, ..Self::default() }
    }

    /// Waits for the turn; first come, first served.
    pub(crate) async fn wait(&self, run: &Run) -> Result<Turn<'_>, Stop> {
        let stopping = run.stopping();
        let unwell = tokio::select! {
            unwell = self.unwell.lock() => unwell,
            () = stopping.cancelled() => return Err(record::Failure::interrupted().into()),
        };
        match unwell.as_ref() {
            Some(name) => Err(record::Failure::from(Error::Halted(name.clone())).into()),
            None => {
                let claim = if self.apart { Some(run.claim().await?) } else { None };
                Ok(Turn { unwell, _claim: claim })
            }
        }
    }
}

impl Turn<'_> {
    /// From the moment at which the node is changed until it is well again, it counts as unwell.
    pub(crate) fn begins(&mut self, name: &str) {
        *self.unwell = Some(name.to_owned());
    }

    /// The node is well again.
    pub(crate) fn ends_well(&mut self) {
        *self.unwell = None;
    }
}
