//! What can go wrong between us and a node, told apart as a reader would.

use std::{io, sync::Arc, time::Duration};

use rustls::AlertDescription;
use tonic::{Code, Status};

use crate::{Address, Fingerprint};

/// Why a node couldn't be reached or didn't do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nothing listens.
    #[error("{address} refuses connections")]
    Refused {
        /// Where it was tried.
        address: Address,
    },
    /// No way to it, or no such name.
    #[error("{address} can't be reached")]
    Unreachable {
        /// Where it was tried.
        address: Address,
        /// What the operating system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// No answer to a connection attempt.
    #[error("{address} does not answer (waited {limit:?})")]
    Silent {
        /// Where it was tried.
        address: Address,
        /// How long it was given.
        limit: Duration,
    },
    /// The connection is there, but no answer comes.
    #[error("{address} accepts connections but does not answer {call} within {limit:?}")]
    Hanging {
        /// Where it was tried.
        address: Address,
        /// What it was asked.
        call: &'static str,
        /// How long it was given.
        limit: Duration,
    },
    /// The connection ended before an answer came; whether the call was carried out is unknown.
    #[error("{address} closed the connection during {call}")]
    Lost {
        /// Where it was tried.
        address: Address,
        /// What it was asked.
        call: &'static str,
        /// What ended it.
        #[source]
        source: Option<Cause>,
    },
    /// The other side doesn't speak TLS, or not as a node does.
    #[error("{address} does not speak TLS as a Talos node does")]
    NotTalos {
        /// Where it was tried.
        address: Address,
        /// What TLS says.
        #[source]
        source: Arc<io::Error>,
    },
    /// A node in maintenance shows another certificate than it was pinned to.
    #[error("{address} has the certificate fingerprint {seen}, which differs from those given")]
    OtherFingerprint {
        /// Where it was tried.
        address: Address,
        /// What it showed.
        seen: Fingerprint,
    },
    /// A configured node, and we have nothing to show to it.
    #[error("{address} is configured and requires a client certificate")]
    WantsCertificate {
        /// Where it was tried.
        address: Address,
    },
    /// A node in maintenance where a configured one was expected.
    #[error("{address} is in maintenance mode: it has no machine config yet")]
    InMaintenance {
        /// Where it was tried.
        address: Address,
    },
    /// A certificate of another authority.
    #[error("{address} belongs to another cluster: its certificate is not signed by this cluster's authority")]
    Foreign {
        /// Where it was tried.
        address: Address,
        /// What it showed.
        seen: Fingerprint,
    },
    /// A certificate of our authority for other addresses.
    #[error("{address} belongs to this cluster, but its certificate is not valid for this address")]
    OtherName {
        /// Where it was tried.
        address: Address,
    },
    /// A certificate of our authority that isn't valid by our clock.
    #[error("{address} belongs to this cluster, but its certificate is not valid at this machine's time")]
    OtherTime {
        /// Where it was tried.
        address: Address,
    },
    /// The node doesn't accept our certificate.
    #[error("{address} does not accept our client certificate ({alert:?})")]
    CertificateRefused {
        /// Where it was tried.
        address: Address,
        /// The TLS alert that it sent.
        alert: AlertDescription,
    },
    /// Our own identity can't be used.
    #[error("the client certificate or its key can't be used")]
    Identity(#[source] rustls::Error),
    /// Our role doesn't allow the call.
    #[error("{address} does not allow {call} with these credentials")]
    NotAuthorized {
        /// Where it was tried.
        address: Address,
        /// What it was asked.
        call: &'static str,
    },
    /// The node doesn't know the call, the service or the resource, or not in its present state.
    #[error("{address} does not offer {call}: {message}")]
    NotOffered {
        /// Where it was tried.
        address: Address,
        /// What it was asked.
        call: &'static str,
        /// Its own words.
        message: String,
    },
    /// The node can't do it yet.
    #[error("{address} is not ready for {call}: {message}")]
    NotYet {
        /// Where it was tried.
        address: Address,
        /// What it was asked.
        call: &'static str,
        /// Its own words.
        message: String,
    },
    /// The node refuses what it was sent.
    #[error("{address} refuses {call}: {message}")]
    Invalid {
        /// Where it was tried.
        address: Address,
        /// What it was asked.
        call: &'static str,
        /// Its own words.
        message: String,
    },
    /// The node failed in any other way.
    #[error("{call} failed on {address} ({code:?}): {message}")]
    Failed {
        /// Where it was tried.
        address: Address,
        /// What it was asked.
        call: &'static str,
        /// The code of gRPC.
        code: Code,
        /// Its own words.
        message: String,
    },
    /// The answer can't be read.
    #[error("the response of {address} to {call} can't be read: {why}")]
    Unreadable {
        /// Where it was tried.
        address: Address,
        /// What it was asked.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// An error of a lower layer, kept for its text.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

/// What a caller should make of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Asking again later may help.
    Retry,
    /// Other credentials are needed.
    Forbidden,
    /// It isn't the machine that was meant; a person should look.
    Stranger,
    /// Asking again won't help.
    Final,
}

impl Error {
    /// What a caller should make of it.
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Hanging { .. }
            | Self::Lost { .. }
            | Self::InMaintenance { .. }
            | Self::OtherTime { .. }
            | Self::NotYet { .. } => Class::Retry,
            Self::WantsCertificate { .. }
            | Self::CertificateRefused { .. }
            | Self::Identity(_)
            | Self::NotAuthorized { .. } => Class::Forbidden,
            Self::OtherFingerprint { .. } | Self::Foreign { .. } => Class::Stranger,
            Self::Failed { code, .. } => of_code(*code),
            Self::NotTalos { .. }
            | Self::OtherName { .. }
            | Self::NotOffered { .. }
            | Self::Invalid { .. }
            | Self::Unreadable { .. } => Class::Final,
        }
    }

    /// What the node's own words are, if it gave any.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::NotOffered { message, .. }
            | Self::NotYet { message, .. }
            | Self::Invalid { message, .. }
            | Self::Failed { message, .. } => Some(message),
            _ => None,
        }
    }

    /// The error and its causes in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }

    /// What a failed dial means.
    pub(crate) fn of_dial(address: &Address, error: io::Error) -> Self {
        let address = address.clone();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { address },
            _ => Self::Unreachable { address, source: Arc::new(error) },
        }
    }

    /// What a failed call means: the reply of the node, or the end of the connection.
    pub(crate) fn of_status(address: &Address, call: &'static str, status: &Status) -> Self {
        if let Some(source) = std::error::Error::source(status) {
            return Self::of_transport(address, call, source);
        }
        let (address, message) = (address.clone(), status.message().to_owned());
        match status.code() {
            Code::PermissionDenied if message == "not authorized" => Self::NotAuthorized { address, call },
            Code::PermissionDenied | Code::Unimplemented => Self::NotOffered { address, call, message },
            Code::FailedPrecondition => Self::NotYet { address, call, message },
            Code::InvalidArgument => Self::Invalid { address, call, message },
            code => Self::Failed { address, call, code, message },
        }
    }

    /// What the end of a connection means. Its top says only "transport error", so the causes are walked; an alert of
    /// the node about our certificate comes here too, for with TLS 1.3 it arrives after the handshake.
    fn of_transport(address: &Address, call: &'static str, source: &(dyn std::error::Error + 'static)) -> Self {
        let address = address.clone();
        match alert(source) {
            Some(AlertDescription::CertificateRequired) => Self::WantsCertificate { address },
            Some(alert) if about_certificate(alert) => Self::CertificateRefused { address, alert },
            _ => Self::Lost { address, call, source: Some(Cause(deepest(source))) },
        }
    }
}

fn of_code(code: Code) -> Class {
    match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted | Code::ResourceExhausted => {
            Class::Retry
        }
        Code::Unauthenticated | Code::PermissionDenied => Class::Forbidden,
        _ => Class::Final,
    }
}

pub(crate) fn about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

/// The TLS alert among the causes of `error`. An `io::Error` hides the error that it holds from `source`.
pub(crate) fn alert(error: &(dyn std::error::Error + 'static)) -> Option<AlertDescription> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::AlertReceived(alert)) = error.downcast_ref() {
            return Some(*alert);
        }
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(alert) = held.and_then(alert_in) {
            return Some(alert);
        }
        next = error.source();
    }
    None
}

fn alert_in(held: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<AlertDescription> {
    alert(held as &(dyn std::error::Error + 'static))
}

/// The text of the last cause: the one that says what happened.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests;
