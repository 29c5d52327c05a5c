//! Failures of the whole step: of its work on the cluster, or because of its input.

use std::sync::Arc;
use std::time::Duration;

use record::{Cluster, Code, Exit, Failure, Unusable};
use tokio::time::Instant;

use super::Engine;
use super::events::shown;
use super::shared::Shared;
use crate::{Step, Stop, secrets};

/// A failure of the step's work that isn't printed yet: the step before reads the same settings, and may be about to
/// report the same mistake.
pub(super) struct Unsaid {
    failure: Failure,
    /// When it is printed in any case.
    pub(super) until: Instant,
}

/// How long a step leaves it to the one before to report a mistake.
const SAME_MISTAKE: Duration = Duration::from_secs(2);

impl<S: Step> Engine<S> {
    pub(super) fn whole_done(&mut self, result: Result<Result<(), Stop>, tokio::task::JoinError>) {
        self.whole = None;
        match result {
            Ok(Ok(()) | Err(Stop::Explained)) => {}
            Ok(Err(Stop::Failed(failure))) => {
                let failure = self.signed(failure);
                self.say_unless_said_before(&failure);
                self.keep(failure);
            }
            Err(error) => {
                self.shared.send_replace(Shared::Never);
                self.fail_whole(Failure::new(Exit::Failed, Code::Internal, format!("the task failed: {error}")));
            }
        }
        for node in std::mem::take(&mut self.held) {
            self.emit(Box::new(node), "skipped");
        }
    }

    /// A failure of the whole step: printed once, and put into the Cluster so that the tasks and later steps see it
    /// before the nodes that it explains.
    pub(super) fn fail_whole(&mut self, failure: Failure) {
        let failure = self.signed(failure);
        self.say(&failure);
        self.keep(failure);
    }

    fn signed(&self, failure: Failure) -> Failure {
        let mut failure = secrets::redacted_failure(failure);
        self.run.context.row.name.clone_into(&mut failure.step);
        failure
    }

    fn say(&self, failure: &Failure) {
        if !failure.is(Code::Interrupted) {
            self.run.context.console.failure(None, failure);
        }
    }

    fn keep(&mut self, failure: Failure) {
        self.run.context.world.send_modify(|world| Arc::make_mut(&mut world.cluster).set_error(&failure));
        self.gave_up |= !self.run.context.stopping.token.is_cancelled();
        self.failure.get_or_insert(failure);
        if self.begun {
            self.output.cluster(self.run.cluster());
        }
    }

    /// Prints a failure, but not one that the step before has reported; while that one may still do so, it is kept back.
    fn say_unless_said_before(&mut self, failure: &Failure) {
        let (said, ended) = {
            let world = self.run.context.world.borrow();
            (world.cluster.error().is_some_and(|said| is_same(&said, failure)), world.ended)
        };
        if said {
            return;
        }
        if self.piped && !ended {
            self.unsaid = Some(Unsaid { failure: failure.clone(), until: Instant::now() + SAME_MISTAKE });
        } else {
            self.say(failure);
        }
    }

    /// Drops the failure that isn't printed yet if this Cluster of the step before carries the same one.
    pub(super) fn was_said_before(&mut self, newer: &Cluster) {
        let unsaid = self.unsaid.as_ref().zip(newer.error());
        if unsaid.is_some_and(|(unsaid, said)| is_same(&said, &unsaid.failure)) {
            self.unsaid = None;
        }
    }

    /// Prints the failure that isn't printed yet: nobody else has reported it.
    pub(super) fn say_unsaid(&mut self) {
        if let Some(unsaid) = self.unsaid.take() {
            self.say(&unsaid.failure);
        }
    }

    /// The input has ended as it should; missing listed nodes are an error unless another error explains them.
    pub(super) fn input_ended(&mut self, missing: &[String]) {
        self.say_unsaid();
        if !missing.is_empty() && self.run.flags().allow_missing {
            self.run.context.world.send_modify(|world| {
                let cluster = Arc::make_mut(&mut world.cluster);
                let fewer = cluster.roster().map(|roster| Arc::new(roster.without(missing)));
                fewer.into_iter().for_each(|roster| cluster.set_roster(roster));
            });
        } else if !missing.is_empty() && self.run.cluster().error().is_none() {
            let names = shown(missing);
            let message = format!("listed in the cluster but missing from the input: {names}");
            let failure = Failure::new(Exit::Unusable, Code::MissingNode, message);
            self.fail_whole(failure.hint("a filter in the pipe may have dropped them; --allow-missing accepts that"));
        }
        self.run.context.world.send_modify(|world| world.ended = true);
    }

    /// The input cannot be used from here on. One that was cut while somebody wrote it may be complete the next time;
    /// reading a file again gives the same. A pipe whose reader has left is being taken down: that its input is cut, too,
    /// is no news, and nothing is concluded from it.
    pub(super) fn broken(&mut self, error: Unusable) {
        let mut failure = Failure::from(error);
        if failure.is(Code::Cut) && (self.reader_is_gone)() {
            self.run.context.stopping.because(Exit::PipeClosed);
            return;
        }
        if failure.is(Code::Cut) && self.piped {
            failure.exit = Exit::Unreachable;
        }
        if failure.is(Code::NoInput) && !self.piped {
            failure = nothing_in(self.file.as_deref());
        }
        self.say_unsaid();
        self.fail_whole(failure);
        self.gave_up = true;
        self.run.context.world.send_modify(|world| world.ended = true);
    }
}

/// The failure of an input that is empty and no pipe.
fn nothing_in(file: Option<&str>) -> Failure {
    let message = file.map_or_else(|| "no input: stdin is empty".to_owned(), |file| format!("{file} is empty"));
    Failure::new(Exit::Unusable, Code::NoInput, message)
        .hint("name a cluster file or saved records with -f, or pipe records into it")
}

/// Whether two steps report one mistake.
fn is_same(one: &Failure, other: &Failure) -> bool {
    (&one.code, &one.message) == (&other.code, &other.message)
}
