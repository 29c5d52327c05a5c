//! What can go wrong between a call and its result.

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credentials are not usable.
    #[error("the kubeconfig's credentials for {server} can't be used")]
    Credentials {
        /// URL of the API server.
        server: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The API server could not be reached, or isn't the one that the kubeconfig is for.
    #[error("no answer from the Kubernetes API at {server}")]
    Unreachable {
        /// URL of the API server.
        server: String,
        /// The innermost reason.
        #[source]
        source: Cause,
    },
    /// The API server refused.
    #[error("the Kubernetes API at {server} answered {path} with status {status}")]
    Refused {
        /// URL of the API server.
        server: String,
        /// What was asked.
        path: &'static str,
        /// HTTP status.
        status: u16,
        /// Its words.
        #[source]
        source: Cause,
    },
    /// The answer is no Kubernetes API's.
    #[error("what answers at {server} is not the Kubernetes API")]
    Foreign {
        /// URL of the API server.
        server: String,
        /// How its answer differs.
        #[source]
        source: Cause,
    },
}

/// The innermost reason of a failure that other layers only pass on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(pub String);

impl Cause {
    /// The last error of the chain that begins with `error`.
    pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut last = error;
        while let Some(source) = last.source() {
            last = source;
        }
        Self(last.to_string())
    }
}

impl Error {
    /// Whether the same call may succeed later: the API is starting, or can't be reached.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => matches!(status, 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the API doesn't let these credentials do this.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }
}
