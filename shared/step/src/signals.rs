//! SIGINT and SIGTERM.

use std::sync::{Arc, OnceLock};

use record::Exit;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Whether the program was asked to stop, and why.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stopping {
    /// Cancelled once nothing new may be started.
    pub(crate) token: CancellationToken,
    reason: Arc<OnceLock<Exit>>,
}

impl Stopping {
    /// Asks to stop; the first reason is kept.
    pub(crate) fn because(&self, exit: Exit) {
        let _ = self.reason.set(exit);
        self.token.cancel();
    }

    /// Why it was asked to stop.
    pub(crate) fn reason(&self) -> Option<Exit> {
        self.reason.get().copied()
    }
}

/// The signals that ask a program to stop.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Held so that SIGXFSZ does not kill: the write that is too large fails with an error that can be reported.
    _file_size: Option<Signal>,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        let file_size = rustix::process::Signal::XFSZ.as_raw();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_size: signal(SignalKind::from_raw(file_size)).ok(),
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}
