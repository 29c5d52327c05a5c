//! What a stream runs between.

use std::io::Write;
use std::path::PathBuf;

use crate::console::Console;
use crate::flags::Flags;
use crate::output::Layout;
use crate::source::Opened;

/// What a stream runs between.
pub(crate) struct Pipes {
    pub(crate) flags: Flags,
    pub(crate) input: Opened,
    pub(crate) output: Box<dyn Write + Send>,
    pub(crate) layout: Layout,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) console: Console,
    pub(crate) place: Place,
}

/// Where in a shell's pipe the program stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// No pipe leads to it or from it.
    Alone,
    /// It is the last one.
    Last,
    /// Another program reads its output.
    Within,
}

impl Place {
    pub(crate) fn of(stdin_is_pipe: bool, stdout_is_pipe: bool) -> Self {
        match (stdin_is_pipe, stdout_is_pipe) {
            (_, true) => Self::Within,
            (true, false) => Self::Last,
            (false, false) => Self::Alone,
        }
    }
}
