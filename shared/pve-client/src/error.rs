//! What can go wrong between a call and its result.

use std::time::Duration;

use transport::Cause;

use crate::{Endpoint, Kind, Refusal, Untrusted, Upid, advice};

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached, or went silent.
    #[error("no answer from Proxmox VE at {endpoint}")]
    Unreachable {
        /// Who was asked.
        endpoint: Endpoint,
        /// The innermost reason.
        #[source]
        source: Cause,
    },
    /// Nobody vouches for the server's certificate.
    #[error("the certificate of {endpoint} is not trusted")]
    Untrusted {
        /// Who was asked.
        endpoint: Endpoint,
        /// What is wrong with it, and its fingerprint.
        #[source]
        source: Untrusted,
    },
    /// Something answers there, but not Proxmox VE.
    #[error("{endpoint} is not a Proxmox VE API ({what})")]
    Foreign {
        /// Who was asked.
        endpoint: Endpoint,
        /// What it answered.
        what: String,
    },
    /// The server refused the call.
    #[error("Proxmox VE refused {call}")]
    Refused {
        /// Method and path.
        call: String,
        /// Its words.
        #[source]
        source: Refusal,
    },
    /// The reply is JSON of another shape than expected.
    #[error("the reply to {call} can't be read")]
    Misread {
        /// Method and path.
        call: String,
        /// Where it differs.
        #[source]
        source: Cause,
    },
    /// A task failed.
    #[error("task {} of {} on {} failed", .0.upid.kind(), .0.upid.id(), .0.upid.node())]
    Task(#[source] Box<FailedTask>),
    /// A VM's console can't be read.
    #[error("the console of VM {vmid} on {host} can't be read")]
    Console {
        /// The host of the VM.
        host: String,
        /// The VM.
        vmid: u32,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A task did not end in time; it goes on.
    #[error("{}", unended(upid, *waited, unseen.as_deref()))]
    TaskRuns {
        /// Which.
        upid: Box<Upid>,
        /// How long it was waited for.
        waited: Duration,
        /// Why nobody could see at the end whether it runs.
        unseen: Option<String>,
    },
}

fn unended(upid: &Upid, waited: Duration, unseen: Option<&str>) -> String {
    let (task, seconds) = (format!("task {} of {} on {}", upid.kind(), upid.id(), upid.node()), waited.as_secs());
    match unseen {
        None => format!("{task} is still running after {seconds}s"),
        Some(why) => format!("whether {task} has ended can't be seen after {seconds}s: {why}"),
    }
}

/// How a task ended, and what it wrote before.
#[derive(Debug, thiserror::Error)]
#[error("{refusal}")]
pub struct FailedTask {
    /// Which task.
    pub upid: Upid,
    /// Its exit status, classified.
    pub refusal: Refusal,
    /// The last lines of its log.
    pub log: Vec<String>,
}

impl Error {
    /// What the refusal means, of a call or of a task.
    pub fn kind(&self) -> Option<Kind> {
        self.refusal().map(|refusal| refusal.kind)
    }

    /// The server's words, of a call or of a task.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { source, .. } => Some(source),
            Self::Task(task) => Some(&task.refusal),
            _ => None,
        }
    }

    /// Whether the VM that was asked about isn't there: it was destroyed, or is on another host.
    pub fn is_no_vm(&self) -> bool {
        self.refusal().is_some_and(Refusal::is_no_vm)
    }

    /// Whether the same call may succeed later. After it, read what is there before trying again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TaskRuns { .. } => true,
            _ => matches!(self.kind(), Some(Kind::Busy | Kind::NoQuorum | Kind::Locked | Kind::Changed)),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Untrusted { source, .. } => Some(source.hint()),
            Self::Unreachable { endpoint, .. } if endpoint.port() == 443 => {
                Some(format!("a URL without a port means 443; Proxmox VE itself listens on {}:8006", endpoint.host()))
            }
            Self::Foreign { .. } => Some("the endpoint is the host that shows the web interface, port 8006".into()),
            Self::Refused { call, source } => advice::of(source, call),
            Self::Task(task) => advice::of_task(task),
            _ => None,
        }
    }
}
