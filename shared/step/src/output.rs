//! Writes records in a thread of its own, so that a slow reader never holds up the work.

use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use record::{Cluster, Code, Exit, Failure, Node};
use tokio::sync::oneshot;

use crate::console::one_line;
use crate::flags::Format;
use crate::signals::Stopping;

enum Line {
    Cluster(Arc<Cluster>),
    Node(Box<Node>, &'static str),
    Bytes(Vec<u8>),
    Flushed(oneshot::Sender<()>),
}

/// The output of a step.
pub(crate) struct Output {
    lines: Sender<Line>,
    format: Layout,
    /// Whether it is a terminal: what an earlier step put in with `--inline` isn't shown there.
    terminal: bool,
    stopping: Stopping,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Output {
    /// Writes to `target`; when its reader goes away, `stopping` is cancelled.
    pub(crate) fn new(
        target: Box<dyn Write + Send>,
        format: Layout,
        detail: fn(&Node) -> String,
        stopping: Stopping,
    ) -> Self {
        let (lines, receiver) = channel();
        let stop = stopping.clone();
        let work = move || {
            let result = Writer { target: BufWriter::with_capacity(1 << 16, target), format, detail, rows: Vec::new() }
                .run(&receiver);
            match result {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    stop.because(Exit::PipeClosed);
                    Ok(())
                }
                Err(error) => {
                    stop.token.cancel();
                    Err(Failure::new(Exit::Failed, Code::Output, format!("the output cannot be written: {error}")))
                }
            }
        };
        let thread = std::thread::Builder::new().name("output".into()).spawn(work).expect("a thread can be started");
        Self { lines, format, terminal: std::io::stdout().is_terminal(), stopping, thread }
    }

    /// Queues a Cluster line.
    pub(crate) fn cluster(&self, mut cluster: Arc<Cluster>) {
        if self.terminal {
            Arc::make_mut(&mut cluster).hide_inline();
        }
        self.send(Line::Cluster(cluster));
    }

    /// Queues a Node line; `what` is its outcome in a word.
    ///
    /// With a slow reader, many nodes may wait here. As text, each takes a fifth of the memory of its tree.
    pub(crate) fn node(&self, mut node: Box<Node>, what: &'static str) {
        if self.terminal {
            node.hide_inline();
        }
        if self.format == Layout::Records(Format::Jsonl) {
            let mut line = serde_json::to_vec(&*node).expect("a record is plain data");
            line.push(b'\n');
            line.shrink_to_fit();
            self.send(Line::Bytes(line));
        } else {
            self.send(Line::Node(node, what));
        }
    }

    /// Queues text that is not a record.
    pub(crate) fn text(&self, text: String) {
        self.send(Line::Bytes(text.into_bytes()));
    }

    /// Waits until everything queued so far has been written, or cannot be.
    pub(crate) async fn flushed(&self) {
        let (sender, receiver) = oneshot::channel();
        self.send(Line::Flushed(sender));
        if receiver.await.is_err() {
            // The writer has failed, and is about to cancel: nothing may begin before it has.
            self.stopping.token.cancelled().await;
        }
    }

    /// Queues a line; if the writer has given up, it is dropped.
    fn send(&self, line: Line) {
        let _ = self.lines.send(line);
    }

    /// Ends the output.
    ///
    /// # Errors
    /// Why it could not be written.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        drop(self.lines);
        self.thread.join().unwrap_or_else(|_| Err(Failure::new(Exit::Failed, Code::Output, "the output thread failed")))
    }
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Records.
    Records(Format),
    /// Only what `--raw` asks for.
    Raw,
}

impl Layout {
    /// Whether a program reads it: records, and not a table of them.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Records(Format::Jsonl | Format::Yaml))
    }
}

struct Writer {
    target: BufWriter<Box<dyn Write + Send>>,
    format: Layout,
    detail: fn(&Node) -> String,
    rows: Vec<[String; 5]>,
}

impl Writer {
    fn run(mut self, lines: &Receiver<Line>) -> std::io::Result<()> {
        loop {
            // A line is flushed as soon as no other one waits, so that later steps never wait for our buffer.
            let line = match lines.try_recv() {
                Ok(line) => line,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.target.flush()?;
                    match lines.recv() {
                        Ok(line) => line,
                        Err(_) => break,
                    }
                }
            };
            self.line(line)?;
        }
        self.table()?;
        self.target.flush()
    }

    fn line(&mut self, line: Line) -> std::io::Result<()> {
        match (line, self.format) {
            (Line::Flushed(sender), _) => {
                self.target.flush()?;
                let _ = sender.send(());
            }
            (Line::Bytes(bytes), _) => self.target.write_all(&bytes)?,
            (Line::Cluster(cluster), Layout::Records(Format::Jsonl)) => self.json(&*cluster)?,
            (Line::Cluster(cluster), Layout::Records(Format::Yaml)) => self.yaml(&*cluster)?,
            (Line::Node(node, _), Layout::Records(Format::Yaml)) => self.yaml(&*node)?,
            (Line::Node(node, what), Layout::Records(Format::Table)) => self.rows.push(row(&node, what, self.detail)),
            // Nodes as JSON come as bytes.
            (Line::Node(..), Layout::Records(Format::Jsonl)) => {}
            (Line::Cluster(_), Layout::Records(Format::Table)) | (Line::Cluster(_) | Line::Node(..), Layout::Raw) => {}
        }
        Ok(())
    }

    fn json<T: serde::Serialize>(&mut self, record: &T) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.target, record)?;
        self.target.write_all(b"\n")
    }

    fn yaml<T: serde::Serialize>(&mut self, record: &T) -> std::io::Result<()> {
        // By way of JSON, because numbers are held as written.
        let value = serde_json::to_value(record)?;
        let text = serde_yaml::to_string(&Plain(&value)).map_err(std::io::Error::other)?;
        write!(self.target, "---\n{text}")
    }

    fn table(&mut self) -> std::io::Result<()> {
        if self.format != Layout::Records(Format::Table) || self.rows.is_empty() {
            return Ok(());
        }
        let head = ["NAME", "ROLE", "ADDRESS", "STATE", "DETAIL"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..4).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}   "));
            }
            line.push_str(&row[4]);
            writeln!(self.target, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn row(node: &Node, what: &str, detail: fn(&Node) -> String) -> [String; 5] {
    let role = if node.is_control_plane() { "controlplane" } else { "worker" };
    let failed = |failure: Failure| format!("{}: {}", failure.step, failure.message);
    let detail = node.error().map_or_else(|| detail(node), failed);
    [node.name(), role, node.address().unwrap_or("-"), what, &detail].map(one_line)
}

/// A JSON value for the YAML writer: numbers as numbers.
struct Plain<'a>(&'a serde_json::Value);

impl serde::Serialize for Plain<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde_json::Value;
        match self.0 {
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(whole), ..) => serializer.serialize_i64(whole),
                (_, Some(whole), _) => serializer.serialize_u64(whole),
                (_, _, Some(float)) => serializer.serialize_f64(float),
                _ => serializer.serialize_str(&number.to_string()),
            },
            Value::Array(items) => serializer.collect_seq(items.iter().map(Plain)),
            Value::Object(map) => serializer.collect_map(map.iter().map(|(key, value)| (key, Plain(value)))),
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Bytes(Arc<Mutex<Vec<u8>>>);

    impl Write for Bytes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flush_is_reported_after_it_and_not_before() {
        let bytes = Bytes::default();
        let target = BufWriter::new(Box::new(bytes.clone()) as Box<dyn Write + Send>);
        let format = Layout::Records(Format::Jsonl);
        let mut writer = Writer { target, format, detail: |_| String::new(), rows: Vec::new() };
        let written = || bytes.0.lock().unwrap().len();
        let (sender, mut done) = oneshot::channel();
        writer.line(Line::Bytes(b"{}\n".to_vec())).unwrap();
        assert_eq!((done.try_recv().is_ok(), written()), (false, 0));
        writer.line(Line::Flushed(sender)).unwrap();
        assert_eq!((done.try_recv().is_ok(), written()), (true, 3));
    }
}
