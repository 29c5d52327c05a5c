//! Control planes are changed one after the other.

use step::{Claim, Run, Stop};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::Halted;

/// Which control plane may be changed next. If one isn't healthy after its change, no other is changed.
#[derive(Debug, Default)]
pub struct Queue {
    unhealthy: Mutex<Option<String>>,
    /// Whether it also waits for other runs, which needs the cluster's folder.
    apart: bool,
}

/// The right to change one control plane.
#[derive(Debug)]
pub struct Permit<'a> {
    unhealthy: MutexGuard<'a, Option<String>>,
    _claim: Option<Claim>,
}

impl Queue {
    /// The queue in a stream: it also waits for another run's talos-apply.
    pub fn of_stream() -> Self {
        Self { apart: true, ..Self::default() }
    }

    /// Waits for the permit; first come, first served.
    ///
    /// # Errors
    /// A control plane isn't healthy after its change, another run doesn't end in time, or the step was asked to stop.
    pub async fn wait(&self, run: &Run) -> Result<Permit<'_>, Stop> {
        let stopping = run.stopping();
        let unhealthy = tokio::select! {
            unhealthy = self.unhealthy.lock() => unhealthy,
            () = stopping.cancelled() => return Err(record::Failure::interrupted().into()),
        };
        match unhealthy.as_ref() {
            Some(name) => Err(Halted(name.clone()).into()),
            None => {
                let claim = if self.apart { Some(run.claim().await?) } else { None };
                Ok(Permit { unhealthy, _claim: claim })
            }
        }
    }
}

impl Permit<'_> {
    /// From the moment at which the node is changed until it is healthy again, it counts as unhealthy.
    pub fn begin(&mut self, name: &str) {
        *self.unhealthy = Some(name.to_owned());
    }

    /// The node is healthy again.
    pub fn recovered(&mut self) {
        *self.unhealthy = None;
    }
}
