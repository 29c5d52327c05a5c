//! Where the input comes from.

use std::fs::{File, Metadata};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use record::{Cluster, Code, Exit, Failure, Node};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::flags::Flags;

/// Where a step reads from.
pub enum Source {
    /// `-f`, stdin, or the file that `ICHOR_CLUSTER` names.
    Input,
    /// Records that the program made from its flags.
    Records(Box<Cluster>, Vec<Node>),
}

/// An opened input.
pub(crate) enum Opened {
    /// Bytes to read.
    Bytes {
        reader: Box<dyn Read + Send>,
        /// The folder that files named in a cluster file are relative to.
        base: PathBuf,
        /// Whether another process is writing it: the same input may be complete the next time.
        piped: bool,
        /// The file, as it was named; `None` for stdin.
        file: Option<String>,
    },
    /// Records.
    Records(Box<Cluster>, Vec<Node>),
}

impl Source {
    pub(crate) fn open(self, flags: &Flags, row: &'static str) -> Result<Opened, Failure> {
        match self {
            Self::Records(cluster, nodes) => Ok(Opened::Records(cluster, nodes)),
            Self::Input => input(flags, row),
        }
    }
}

fn input(flags: &Flags, step: &'static str) -> Result<Opened, Failure> {
    let stdin = std::io::stdin();
    match flags.file.as_deref() {
        Some("-" | "/dev/stdin") if stdin.is_terminal() => Err(usage("-f -: stdin is a terminal".to_owned())
            .hint("pipe records or a cluster file into it, or name a file")),
        Some("-" | "/dev/stdin") => open_stdin(),
        Some(path) if stdin_has_data() => {
            Err(usage(format!("-f {path} and a pipe on stdin: only one can be the input"))
                .hint("drop -f to read the pipe, or give the step no input: < /dev/null"))
        }
        Some(path) => open_file(Path::new(path)),
        None if stdin_is_pipe() || stdin_is_file() => open_stdin(),
        None => match crate::variable("ICHOR_CLUSTER") {
            Some(path) => open_file(Path::new(&path)),
            None if stdin.is_terminal() => Err(usage("no input".to_owned())
                .hint(format!("`{step} -f cluster.yaml`, or pipe records into it; `{step} --help` lists the flags"))),
            None => open_stdin(),
        },
    }
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, Code::Usage, message)
}

fn open_stdin() -> Result<Opened, Failure> {
    let base = std::env::current_dir().map_err(|error| usage(format!("the working directory: {error}")))?;
    let same = stat("/dev/stdin").is_some_and(|stdin| stdin.is_file() && is_stdout(&stdin));
    if same {
        return Err(usage("stdin and stdout are the same file".to_owned()).hint("write to another file"));
    }
    Ok(Opened::Bytes { reader: Box::new(std::io::stdin()), base, piped: stdin_is_pipe(), file: None })
}

fn open_file(path: &Path) -> Result<Opened, Failure> {
    let shown = path.display();
    let denied = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => usage(format!("{shown}: no such file")),
        std::io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::NotAllowed, Code::NotAllowed, format!("{shown}: permission denied"))
        }
        _ => Failure::new(Exit::Unusable, Code::UnusableInput, format!("{shown}: {error}")),
    };
    let file = File::open(path).map_err(denied)?;
    let metadata = file.metadata().map_err(denied)?;
    if metadata.is_dir() {
        let failure = Failure::new(Exit::Unusable, Code::UnusableInput, format!("{shown} is a directory"));
        return Err(failure.hint("-f takes a cluster file or saved records"));
    }
    if metadata.is_file() && is_stdout(&metadata) {
        return Err(usage(format!("{shown} is both input and output")).hint("write to another file"));
    }
    // A pipe, such as one that `<(…)` makes, is in no folder.
    let base = match metadata.is_file() {
        true => path.canonicalize().map_err(denied)?.parent().unwrap_or(Path::new("/")).to_owned(),
        false => std::env::current_dir().map_err(denied)?,
    };
    let kind = metadata.file_type();
    let piped = kind.is_fifo() || kind.is_socket();
    Ok(Opened::Bytes { reader: Box::new(file), base, piped, file: Some(shown.to_string()) })
}

fn stat(path: &str) -> Option<Metadata> {
    std::fs::metadata(path).ok()
}

fn is_stdout(input: &Metadata) -> bool {
    stat("/dev/stdout").is_some_and(|stdout| (stdout.dev(), stdout.ino()) == (input.dev(), input.ino()))
}

/// Whether stdin is a pipe or a socket.
pub(crate) fn stdin_is_pipe() -> bool {
    stat("/dev/stdin").is_some_and(|stdin| stdin.file_type().is_fifo() || stdin.file_type().is_socket())
}

/// Whether stdout is a pipe or a socket.
pub(crate) fn stdout_is_pipe() -> bool {
    stat("/dev/stdout").is_some_and(|stdout| stdout.file_type().is_fifo() || stdout.file_type().is_socket())
}

/// Whether stdout is a pipe that nobody reads any more.
pub(crate) fn stdout_reader_is_gone() -> bool {
    let stdout = std::io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    stdout_is_pipe() && poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

fn stdin_is_file() -> bool {
    stat("/dev/stdin").is_some_and(|stdin| stdin.is_file())
}

/// How long a pipe beside `-f` may be silent until it counts as one that nobody writes to.
///
/// An earlier step writes its first line immediately. Some runners give a program a pipe that they neither write to nor
/// close, and some close it only a moment after the program has begun.
const SILENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Whether stdin is a pipe that somebody writes to.
fn stdin_has_data() -> bool {
    if !stdin_is_pipe() {
        return false;
    }
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    poll(&mut fds, Some(&SILENCE)).is_err() || fds[0].revents().contains(PollFlags::IN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_pipe_and_its_folder_is_what_it_names_are_relative_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.yaml");
        std::fs::write(&path, "x").unwrap();
        let Ok(Opened::Bytes { base, piped, .. }) = open_file(&path) else { panic!("it can be opened") };
        assert_eq!((base, piped), (folder.path().canonicalize().unwrap(), false));
    }

    #[test]
    fn a_device_is_no_pipe() {
        let Ok(Opened::Bytes { piped, file, .. }) = open_file(Path::new("/dev/null")) else {
            panic!("it can be opened")
        };
        assert_eq!((piped, file.as_deref()), (false, Some("/dev/null")));
    }

    #[test]
    fn a_named_pipe_is_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let writing = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, "x").unwrap()
        });
        let Ok(Opened::Bytes { mut reader, base, piped, .. }) = open_file(&path) else { panic!("it can be opened") };
        assert_eq!((base, piped), (std::env::current_dir().unwrap(), true));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        writing.join().unwrap();
        assert_eq!(text, "x");
    }

    #[test]
    fn what_is_no_input_says_so_with_its_status() {
        let refused = |path: &Path| open_file(path).err().map(|failure| failure.exit);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(refused(folder.path()), Some(Exit::Unusable));
        assert_eq!(refused(&folder.path().join("absent")), Some(Exit::Usage));
    }
}
