//! What can go wrong between a call and its result.

use schematic::FactoryUrl;
use transport::Cause;

use crate::Refusal;

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system has no certificate authorities to check the factory's certificate against.
    #[error("the certificate of {base} can't be checked on this system")]
    NoRoots {
        /// The factory's URL.
        base: FactoryUrl,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The factory could not be reached, or stopped responding.
    #[error("no answer from the Image Factory at {base}")]
    Unreachable {
        /// The factory's URL.
        base: FactoryUrl,
        /// The innermost reason.
        #[source]
        source: Cause,
    },
    /// The factory's certificate isn't trusted here.
    #[error("the certificate of {base} is not trusted")]
    Untrusted {
        /// The factory's URL.
        base: FactoryUrl,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The factory refused.
    #[error("the Image Factory refused {call}")]
    Refused {
        /// Method and path.
        call: String,
        /// Its message.
        #[source]
        source: Refusal,
    },
    /// Something responds there, but it isn't an Image Factory.
    #[error("{base} is not an Image Factory ({what})")]
    Foreign {
        /// The factory's URL.
        base: FactoryUrl,
        /// What it returned.
        what: String,
    },
    /// Something else came in place of an image.
    #[error("{url} is not the image ({what})")]
    NotTheImage {
        /// What was read.
        url: String,
        /// What it is instead.
        what: String,
    },
    /// A download ended before its end.
    #[error("{url} was cut off after {received} bytes")]
    Cut {
        /// What was read.
        url: String,
        /// How much of it came.
        received: u64,
        /// Why.
        #[source]
        source: Cause,
    },
    /// What was downloaded can't be kept.
    #[error("the image can't be written to this machine")]
    Unwritten {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// The factory's refusal.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Cut { .. } => true,
            _ => self.refusal().is_some_and(Refusal::is_transient),
        }
    }

    /// Whether the same call may have another answer next time: also what answers in the factory's place may do so only
    /// for a moment.
    pub fn is_worth_repeating(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::NotTheImage { .. }) || self.is_transient()
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRoots { .. } => Some("install the system's ca-certificates, or set SSL_CERT_FILE".into()),
            Self::Untrusted { .. } => {
                Some("add its authority to the system's certificates, or name it in SSL_CERT_FILE".into())
            }
            Self::Foreign { .. } | Self::NotTheImage { .. } => Some(
                "something between this machine and the factory answers in its place, such as a proxy or a login page; nothing of it was kept"
                    .into(),
            ),
            Self::Unwritten { .. } => {
                Some("free space in the cluster's folder: the whole image is kept there while it is uploaded".into())
            }
            _ => self.refusal().and_then(Refusal::hint),
        }
    }
}
