//! The input and output of a stream.

use std::io::Write;
use std::path::PathBuf;

use crate::console::Console;
use crate::flags::Flags;
use crate::output::Layout;
use crate::source::Opened;

/// The input and output of a stream.
pub(crate) struct Pipes {
    pub(crate) flags: Flags,
    pub(crate) input: Opened,
    pub(crate) output: Box<dyn Write + Send>,
    pub(crate) layout: Layout,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) console: Console,
    pub(crate) place: Place,
    /// Whether nobody can read the output any more. Asking costs a system call.
    pub(crate) reader_is_gone: fn() -> bool,
}

/// The program's place in a shell's pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Neither its input nor its output is a pipe.
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
