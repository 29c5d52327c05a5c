//! What people see: one line for each event on stderr, each line in one write.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use record::{Code, Exit, Failure};
use tokio::time::Instant;

use crate::secrets;

/// The terminal, or a replacement for it. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    program: &'static str,
    bar: Arc<OnceLock<ProgressBar>>,
    stderr: Arc<Mutex<Stderr>>,
}

struct Stderr {
    to: Box<dyn Write + Send>,
    printed: Option<Instant>,
}

impl Console {
    /// The console of this program, without a bar.
    #[must_use]
    pub fn new(program: &'static str) -> Self {
        Self::writing_to(program, Box::new(std::io::stderr()))
    }

    /// The console of this program, with something else in place of stderr.
    pub(crate) fn writing_to(program: &'static str, to: Box<dyn Write + Send>) -> Self {
        Self { program, bar: Arc::default(), stderr: Arc::new(Mutex::new(Stderr { to, printed: None })) }
    }

    /// When a line was last printed.
    pub(crate) fn printed(&self) -> Option<Instant> {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).printed
    }

    /// Shows a bar, if the step is alone on a terminal: neither stdin nor stdout is a pipe.
    pub(crate) fn start_bar(&self, nodes: usize) {
        let alone =
            std::io::stdout().is_terminal() && std::io::stderr().is_terminal() && !crate::source::stdin_is_pipe();
        if alone && nodes > 1 {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} nodes");
            let bar = ProgressBar::new(nodes as u64).with_message(self.program);
            bar.set_style(style.expect("the template is a constant"));
            self.bar.get_or_init(|| bar);
        }
    }

    /// The line at the end.
    pub(crate) fn summary(&self, text: &str) {
        self.print(&[format!("{}: {text}", self.program)]);
    }

    /// Prints what happened, to a node or in general.
    pub fn say(&self, node: Option<&str>, what: &str) {
        self.print(&[format!("{}{} {what}", self.program, who(node))]);
    }

    /// Warns of something doubtful.
    pub fn warn(&self, what: &str) {
        self.print(&[format!("{} warning: {what}", self.program)]);
    }

    /// Prints a failure with its hint.
    pub fn failure(&self, node: Option<&str>, failure: &Failure) {
        let mut lines = vec![format!("{}{} error: {}", self.program, who(node), failure.message)];
        lines.extend(failure.hint.iter().map(|hint| format!("{}{} hint: {hint}", self.program, who(node))));
        self.print(&lines);
    }

    /// Prints lines that belong together in one write.
    fn print(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| one_line(&secrets::redacted(line)) + "\n").collect();
        let write = || {
            let mut stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
            stderr.printed = Some(Instant::now());
            // If stderr is closed, there is nowhere to report that.
            let _ = stderr.to.write_all(text.as_bytes());
        };
        match self.bar.get() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Counts one more node as done on the bar.
    pub(crate) fn advance(&self) {
        if let Some(bar) = self.bar.get() {
            bar.inc(1);
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }

    /// Writes a result to stdout; returns the exit status of the program if nothing else goes wrong.
    #[must_use]
    pub fn out(&self, bytes: &[u8]) -> Exit {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => Exit::Done,
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::PipeClosed,
            Err(error) => {
                self.failure(None, &Failure::new(Exit::Failed, Code::Output, format!("stdout: {error}")));
                Exit::Failed
            }
        }
    }

    /// Whether stdout is a terminal: secrets are not printed there.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Asks a question on the terminal and reads one line; `None` where nobody can answer.
    #[must_use]
    pub fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let _ = std::io::stderr().write_all(question.as_bytes());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    }
}

fn who(node: Option<&str>) -> String {
    node.map(|node| format!(" {node}")).unwrap_or_default()
}

/// The text on one line: its lines follow one another, without what they are indented by. Other control characters are
/// made visible: what others send must not move the cursor.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for part in text.split('\n').map(str::trim).filter(|part| !part.is_empty()) {
        // A list of Go's begins with "2 errors occurred:".
        let between = match line.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) => "; ",
        };
        line.push_str(between);
        line.extend(part.chars().map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        }));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_others_never_reach_the_terminal() {
        let sent = "refused\x1b[2J\r\u{9b}31m\x07: no\nwhy\n";
        assert_eq!(one_line(sent), "refused\u{fffd}[2J\u{fffd}\u{fffd}31m\u{fffd}: no; why");
        assert_eq!(one_line("Zürich → 東京"), "Zürich → 東京");
    }

    /// Go's multierror, as a node of Talos 1.13.9 writes it.
    #[test]
    fn a_refusal_over_several_lines_with_tabs_is_shown_readable_on_one() {
        let sent = "the node refuses the config: 1 error occurred:\n\t* v1alpha1.Config: 2 errors occurred:\n\t* kubelet image is empty\n\t* a\tb\n\n\n\n";
        assert_eq!(
            one_line(sent),
            "the node refuses the config: 1 error occurred: * v1alpha1.Config: 2 errors occurred: * kubelet image is empty; * a b"
        );
        assert_eq!(one_line("\n\t\r\n"), "");
    }

    #[test]
    fn a_line_that_is_printed_counts_for_the_silence() {
        let console = Console::writing_to("toy", Box::new(std::io::sink()));
        assert_eq!(console.printed(), None);
        console.say(None, "begun");
        assert!(console.printed().is_some());
    }
}
