//! Why a call failed, below all layers that only pass it on.

use std::error::Error;
use std::io;

/// The innermost reason of a failure that other layers only pass on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(pub String);

impl Cause {
    /// The last error of the chain that begins with `error`.
    pub fn innermost(error: &(dyn Error + 'static)) -> Self {
        let mut last = error;
        while let Some(source) = last.source() {
            last = source;
        }
        Self(last.to_string())
    }

    /// Whether it is about the certificate of the other side, by rustls's words.
    pub fn is_about_certificate(&self) -> bool {
        self.0.starts_with("invalid peer certificate")
    }
}

/// The first `E` in the chain of errors, also inside of I/O errors, whose `source` skips it.
pub fn found<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(wanted) = error.downcast_ref() {
            return Some(wanted);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    fn outer() -> Outer {
        Outer(io::Error::other(rustls::Error::DecryptError))
    }

    #[test]
    fn the_innermost_error_is_the_cause() {
        assert_eq!(Cause::innermost(&outer()), Cause(rustls::Error::DecryptError.to_string()));
        assert_eq!(Cause::innermost(&io::Error::other("alone")), Cause("alone".into()));
        assert!(Cause("invalid peer certificate: Expired".into()).is_about_certificate());
    }

    #[test]
    fn an_error_is_found_inside_of_an_io_error() {
        assert_eq!(found::<rustls::Error>(&outer()), Some(&rustls::Error::DecryptError));
        assert!(found::<std::fmt::Error>(&outer()).is_none());
    }
}
