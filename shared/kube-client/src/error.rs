//! What can go wrong between a call and its result.

use transport::Cause;

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
        /// The path of the call.
        path: &'static str,
        /// HTTP status.
        status: u16,
        /// Its message.
        #[source]
        source: Cause,
    },
}
