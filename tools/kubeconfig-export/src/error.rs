//! Errors of `kubeconfig-export`.

use std::path::PathBuf;

use record::{Classify, Code, Exit, Facts};

/// One variant for each problem that users solve differently.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{} can't be read", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{} can't be written", file.display())]
    Write { file: PathBuf, source: std::io::Error },
    #[error("{} is not a kubeconfig that can be kept: {why}", file.display())]
    NotKubeconfig { file: PathBuf, why: String },
    #[error("{} exists and is not a kubeconfig of this cluster", file.display())]
    OtherCluster { file: PathBuf },
    #[error("the kubeconfig from the node can't be used: {0}")]
    Made(String),
    #[error("$KUBECONFIG names several files")]
    SeveralFiles,
    #[error("no home folder is known")]
    NoHome,
}

impl Classify for Error {
    fn facts(&self) -> Facts {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Facts::new(of_file(source), Code::File),
            Self::OtherCluster { .. } => {
                Facts::new(Exit::Guard, Code::OtherCluster).hint("use --merge to add to it, or --force to replace it")
            }
            Self::NotKubeconfig { file, .. } => Facts::new(Exit::Unusable, Code::Kubeconfig)
                .hint(format!("correct it there, move {} away, or name another file with --to", file.display())),
            Self::Made(_) => Facts::new(Exit::Failed, Code::Kubeconfig),
            Self::SeveralFiles | Self::NoHome => Facts::new(Exit::Usage, Code::Usage).hint("name the file with --to"),
        }
    }
}

fn of_file(error: &std::io::Error) -> Exit {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => Exit::NotAllowed,
        _ => Exit::Failed,
    }
}
