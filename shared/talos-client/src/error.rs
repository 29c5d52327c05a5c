//! Errors between us and a node, distinguished as a user would.

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
        /// The address.
        address: Address,
    },
    /// No route to it, or no such name.
    #[error("{address} can't be reached")]
    Unreachable {
        /// The address.
        address: Address,
        /// The error of the operating system.
        #[source]
        source: Arc<io::Error>,
    },
    /// No answer to a connection attempt.
    #[error("{address} does not answer (waited {limit:?})")]
    Silent {
        /// The address.
        address: Address,
        /// The time limit.
        limit: Duration,
    },
    /// The connection is open, but no reply comes.
    #[error("{address} accepts connections but does not answer {call} within {limit:?}")]
    Hanging {
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
        /// The time limit.
        limit: Duration,
    },
    /// The connection ended before a reply came; whether the call was carried out is unknown.
    #[error("{address} closed the connection during {call}")]
    Lost {
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
        /// What ended it.
        #[source]
        source: Option<Cause>,
    },
    /// What came back is not gRPC: something else answered. Whether the call was carried out is unknown.
    #[error("what came back to {call} from {address} is not gRPC")]
    Garbled {
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
    },
    /// The other side doesn't speak TLS, or not as a node does.
    #[error("{address} does not speak TLS as a Talos node does")]
    NotTalos {
        /// The address.
        address: Address,
        /// The TLS error.
        #[source]
        source: Arc<io::Error>,
    },
    /// A node in maintenance mode shows another certificate than the pinned one.
    #[error("{address} has the certificate fingerprint {seen}, which differs from those given")]
    OtherFingerprint {
        /// The address.
        address: Address,
        /// Its fingerprint.
        seen: Fingerprint,
    },
    /// A configured node, and we have no client certificate.
    #[error("{address} is configured and requires a client certificate")]
    WantsCertificate {
        /// The address.
        address: Address,
    },
    /// A node in maintenance mode where a configured one was expected.
    #[error("{address} is in maintenance mode: it has no machine config yet")]
    InMaintenance {
        /// The address.
        address: Address,
    },
    /// A certificate signed by another authority.
    #[error("{address} belongs to another cluster: its certificate is not signed by this cluster's authority")]
    Foreign {
        /// The address.
        address: Address,
        /// Its fingerprint.
        seen: Fingerprint,
    },
    /// A certificate signed by our authority, for other addresses.
    #[error("{address} belongs to this cluster, but its certificate is not valid for this address")]
    OtherName {
        /// The address.
        address: Address,
    },
    /// A certificate signed by our authority that isn't valid by our clock.
    #[error("{address} belongs to this cluster, but its certificate is not valid at this machine's time")]
    OtherTime {
        /// The address.
        address: Address,
    },
    /// The node doesn't accept our certificate.
    #[error("{address} does not accept our client certificate ({alert:?})")]
    CertificateRefused {
        /// The address.
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
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
    },
    /// The node doesn't have the call, the service or the resource, or not in its present state.
    #[error("{address} does not offer {call}: {message}")]
    NotOffered {
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
        /// Its message.
        message: String,
    },
    /// The node can't do it yet.
    #[error("{address} is not ready for {call}: {message}")]
    NotYet {
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
        /// Its message.
        message: String,
    },
    /// The node refuses what it was sent.
    #[error("{address} refuses {call}: {message}")]
    Invalid {
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
        /// Its message.
        message: String,
    },
    /// The node failed in any other way.
    #[error("{call} failed on {address} ({code:?}): {message}")]
    Failed {
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
        /// The code of gRPC.
        code: Code,
        /// Its message.
        message: String,
    },
    /// The answer can't be read.
    #[error("the response of {address} to {call} can't be read: {why}")]
    Unreadable {
        /// The address.
        address: Address,
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// An error of a lower layer, kept for its text.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

/// What an error means to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Trying again later may help.
    Retry,
    /// Other credentials are needed.
    Forbidden,
    /// It is the wrong machine; a person should look.
    WrongMachine,
    /// Trying again won't help.
    Final,
}

impl Error {
    /// What it means to a caller.
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Hanging { .. }
            | Self::Lost { .. }
            | Self::Garbled { .. }
            | Self::InMaintenance { .. }
            | Self::OtherTime { .. }
            | Self::NotYet { .. } => Class::Retry,
            Self::WantsCertificate { .. }
            | Self::CertificateRefused { .. }
            | Self::Identity(_)
            | Self::NotAuthorized { .. } => Class::Forbidden,
            Self::OtherFingerprint { .. } | Self::Foreign { .. } => Class::WrongMachine,
            Self::Failed { code, .. } => of_code(*code),
            Self::NotTalos { .. }
            | Self::OtherName { .. }
            | Self::NotOffered { .. }
            | Self::Invalid { .. }
            | Self::Unreadable { .. } => Class::Final,
        }
    }

    /// Whether what came back to a look says so little that it may be another answer a moment later.
    pub(crate) fn may_be_a_glitch(&self) -> bool {
        match self {
            Self::Failed { code, .. } => matches!(code, Code::Unknown | Code::Internal | Code::DataLoss),
            Self::Garbled { .. } => true,
            _ => false,
        }
    }

    /// The node's own message, if it sent one.
    pub fn message(&self) -> Option<&str> {
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

    /// The error for a failed dial.
    pub(crate) fn of_dial(address: &Address, error: io::Error) -> Self {
        let address = address.clone();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { address },
            _ => Self::Unreachable { address, source: Arc::new(error) },
        }
    }

    /// The error for a failed call: the node's refusal, or the end of the connection.
    pub(crate) fn of_status(address: &Address, call: &'static str, status: &Status) -> Self {
        if let Some(source) = std::error::Error::source(status) {
            return Self::of_transport(address, call, source);
        }
        let (address, message) = (address.clone(), status.message().to_owned());
        match status.code() {
            // The text is tonic's (codec/decode.rs): what came back is not gRPC.
            Code::Internal if message.starts_with("protocol error: ") => Self::Garbled { address, call },
            Code::PermissionDenied if message == "not authorized" => Self::NotAuthorized { address, call },
            Code::PermissionDenied | Code::Unimplemented => Self::NotOffered { address, call, message },
            Code::FailedPrecondition => Self::NotYet { address, call, message },
            Code::InvalidArgument => Self::Invalid { address, call, message },
            code => Self::Failed { address, call, code, message },
        }
    }

    /// The error for the end of a connection. Its outermost text is only "transport error", so the causes are searched;
    /// an alert of the node about our certificate comes here too, because with TLS 1.3 it arrives after the handshake.
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

/// The text of the innermost cause, which describes what happened.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests;
