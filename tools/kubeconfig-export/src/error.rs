//! Why there is no kubeconfig.

use std::path::PathBuf;

use record::{Exit, Failure};

/// What the reader would handle differently.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{} can't be read", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{} can't be written", file.display())]
    Write { file: PathBuf, source: std::io::Error },
    #[error("{} is not a kubeconfig: {why}", file.display())]
    NotKubeconfig { file: PathBuf, why: String },
    #[error("{} is there, and it is not a kubeconfig of this cluster", file.display())]
    OtherCluster { file: PathBuf },
    #[error("the kubeconfig that the node made can't be used: {0}")]
    Made(String),
    #[error("$KUBECONFIG names several files")]
    SeveralFiles,
    #[error("no home folder is known")]
    NoHome,
}

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => Exit::NotAllowed,
                _ => Exit::Failed,
            },
            Self::OtherCluster { .. } => Exit::Guard,
            Self::NotKubeconfig { .. } => Exit::Unusable,
            Self::Made(_) => Exit::Failed,
            Self::SeveralFiles | Self::NoHome => Exit::Usage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Write { .. } => "file",
            Self::OtherCluster { .. } => "other-cluster",
            Self::NotKubeconfig { .. } | Self::Made(_) => "not-a-kubeconfig",
            Self::SeveralFiles | Self::NoHome => "usage",
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherCluster { .. } => Some("--merge adds to it, --force replaces it"),
            Self::SeveralFiles | Self::NoHome => Some("--to names the file"),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::new(error.exit(), error.code(), format!("{error}{cause}")).maybe_hint(error.hint())
    }
}
