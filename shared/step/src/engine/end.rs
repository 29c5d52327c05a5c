//! The end of a run: the last line, the summary, the exit status.

use std::ffi::OsString;
use std::sync::Arc;

use record::{Cluster, Exit};

use super::Engine;
use crate::Step;
use crate::arguments::again;
use crate::output::Layout;
use crate::pipes::Place;

impl<S: Step> Engine<S> {
    /// Writes the last line, and reports the outcome.
    pub(super) async fn end(mut self, argv: &[OsString], place: Place) -> Exit {
        if let Some(cluster) = self.failed_before.take() {
            return self.pass_on(cluster).await;
        }
        let cluster = self.run.cluster();
        self.tally.see_cluster(&cluster);
        self.failure.iter().for_each(|failure| self.tally.see_failure(failure.exit));
        let mut own_exit = None;
        if self.begun {
            if self.layout == Layout::Raw && self.tally.exit() == Exit::Done {
                match self.step.result(&self.run, &cluster) {
                    Ok(text) => self.output.text(text),
                    Err(failure) => {
                        self.run.context.console.failure(None, &failure);
                        own_exit = Some(failure.exit);
                    }
                }
            }
            self.output.cluster(Arc::new((*cluster).clone().ended()));
        } else if let Some(failure) = self.failure.as_ref().filter(|_| self.layout.is_stream()) {
            self.output.cluster(Arc::new(Cluster::failed(failure)));
        }
        self.output.flushed().await;
        let written = self.output.finish();
        let console = &self.run.context.console;
        console.finish();
        if let Err(failure) = &written {
            console.failure(None, failure);
            return failure.exit;
        }
        let exit = self.run.context.stopping.reason().or(own_exit).unwrap_or_else(|| self.tally.exit());
        if self.begun && exit != Exit::PipeClosed {
            console.summary(&self.tally.to_string());
        }
        // In a pipe, the last step reports it for all.
        if exit.is_retryable() && exit != Exit::PipeClosed && place != Place::Within {
            console.summary(&again(argv, place == Place::Last));
        }
        exit
    }

    /// Passes on the stream of a step that failed before its first line, and exits by it: one mistake is one message.
    async fn pass_on(self, cluster: Cluster) -> Exit {
        let exit = cluster.error().map_or(Exit::Failed, |failure| failure.exit);
        if self.layout.is_stream() {
            self.output.cluster(Arc::new(cluster));
        }
        self.output.flushed().await;
        match self.output.finish() {
            Ok(()) if matches!(exit, Exit::Done | Exit::Pending) => Exit::Failed,
            Ok(()) => self.run.context.stopping.reason().unwrap_or(exit),
            Err(failure) => {
                self.run.context.console.failure(None, &failure);
                failure.exit
            }
        }
    }
}
