//! What errors of the Image Factory mean to a script.

use verdict::{Classify, Code, Exit, Facts};

use crate::Error;

impl Classify for Error {
    fn facts(&self) -> Facts {
        let (exit, code) = match self {
            Self::Untrusted { .. } => (Exit::NotAllowed, Code::Untrusted),
            Self::Unreachable { .. } | Self::Cut { .. } => (Exit::Unreachable, Code::Unreachable),
            Self::Refused { source, .. } if matches!(source.status, 401..=403) => (Exit::NotAllowed, Code::NotAllowed),
            Self::Refused { source, .. } if source.is_transient() => (Exit::Unreachable, Code::Unreachable),
            Self::Unwritten { .. } => (Exit::Failed, Code::File),
            Self::NoRoots { .. } | Self::Refused { .. } | Self::Foreign { .. } | Self::NotTheImage { .. } => {
                (Exit::Failed, Code::FactoryRefused)
            }
        };
        Facts::new(exit, code).maybe_hint(self.hint())
    }
}
