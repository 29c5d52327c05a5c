//! What people see: one line for each event on stderr, each line in one write.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use indicatif::{ProgressBar, ProgressStyle};
use record::{Exit, Failure};

/// The terminal, or what stands for it. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    step: &'static str,
    bar: Arc<OnceLock<ProgressBar>>,
}

impl Console {
    /// The console of this step, without a bar.
    #[must_use]
    pub fn new(step: &'static str) -> Self {
        Self { step, bar: Arc::default() }
    }

    /// Shows a bar, if the step is alone on a terminal: neither stdin nor stdout is a pipe.
    pub(crate) fn start_bar(&self, nodes: usize) {
        let alone =
            std::io::stdout().is_terminal() && std::io::stderr().is_terminal() && !crate::source::stdin_is_pipe();
        if alone && nodes > 1 {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} nodes");
            let bar = ProgressBar::new(nodes as u64).with_message(self.step);
            bar.set_style(style.expect("the template is a constant"));
            self.bar.get_or_init(|| bar);
        }
    }

    /// The line at the end.
    pub(crate) fn sum_up(&self, text: &str) {
        self.line(&format!("{}: {text}", self.step));
    }

    /// Says what happened, to a node or in general.
    pub fn say(&self, node: Option<&str>, what: &str) {
        let who = node.map(|node| format!(" {node}")).unwrap_or_default();
        self.line(&format!("{}{who} {what}", self.step));
    }

    /// Warns of something doubtful.
    pub fn warn(&self, what: &str) {
        self.line(&format!("{} warning: {what}", self.step));
    }

    /// Prints a failure with its hint.
    pub fn failure(&self, node: Option<&str>, failure: &Failure) {
        let who = node.map(|node| format!(" {node}")).unwrap_or_default();
        let mut text = format!("{}{who} error: {}", self.step, one_line(&failure.message));
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("\n{}{who} hint: {}", self.step, one_line(hint)));
        }
        self.line(&text);
    }

    /// A line (or a few that belong together) in one write.
    fn line(&self, text: &str) {
        let write = || {
            // Nobody can be told that stderr is gone.
            let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
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

    /// Writes a product to stdout; says with which status the program ends if nothing else goes wrong.
    #[must_use]
    pub fn out(&self, bytes: &[u8]) -> Exit {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => Exit::Done,
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::PipeClosed,
            Err(error) => {
                self.failure(None, &Failure::new(Exit::Failed, "output", format!("stdout: {error}")));
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

/// The text with its control characters made visible: what others sent must not move the cursor.
fn one_line(text: &str) -> String {
    let text = text.trim_end().replace('\n', "; ");
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
