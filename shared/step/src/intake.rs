//! Reads the input in a thread of its own and hands records to the engine.

use std::io::Read;
use std::path::{Path, PathBuf};

use record::document::{self, Exploded, MAX_DOCUMENT};
use record::stream::{Item, Stream};
use record::{Cluster, Code, Framer, Map, Node, Unusable};
use tokio::sync::mpsc;

/// What the engine receives from the input.
#[derive(Debug)]
pub(crate) enum Received {
    /// A record that keeps the contract.
    Item(Item),
    /// The input is a cluster file: this is the first step.
    File,
    /// A warning to print.
    Warning(String),
    /// The input has ended as it should; these listed nodes are missing.
    End(Vec<String>),
    /// The input cannot be used from here on; the rest of it is read and dropped.
    Broken(Unusable),
}

/// How many records may wait between reading and working. The engine never makes them wait for work or for the output.
const AHEAD: usize = 1024;

/// How to read the input.
pub(crate) struct Intake {
    pub(crate) stream: Stream,
    /// Folder that files named in a cluster file are relative to.
    pub(crate) base: PathBuf,
    /// `--dir`, absolute.
    pub(crate) dir: Option<PathBuf>,
}

impl Intake {
    /// Reads bytes: a stream of records, or a cluster file.
    pub(crate) fn read(self, mut reader: Box<dyn Read + Send>) -> mpsc::Receiver<Received> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let work = move || {
            let mut reading = Reader { intake: self, framer: Framer::default(), sender };
            if let Err(error) = reading.run(&mut reader) {
                reading.send(Received::Broken(error));
                // The previous step must not be stopped because we don't read.
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
            }
        };
        std::thread::Builder::new().name("intake".into()).spawn(work).expect("a thread can be started");
        receiver
    }

    /// Takes records that the program made itself.
    pub(crate) fn take(self, cluster: Cluster, nodes: Vec<Node>) -> mpsc::Receiver<Received> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let work = move || {
            let mut reading = Reader { intake: self, framer: Framer::default(), sender };
            if let Err(error) = reading.records(cluster, nodes) {
                reading.send(Received::Broken(error));
            }
        };
        std::thread::Builder::new().name("intake".into()).spawn(work).expect("a thread can be started");
        receiver
    }
}

struct Reader {
    intake: Intake,
    framer: Framer,
    sender: mpsc::Sender<Received>,
}

impl Reader {
    /// Sends something to the engine; if it has ended, nobody needs it.
    fn send(&self, received: Received) {
        let _ = self.sender.blocking_send(received);
    }

    fn run(&mut self, reader: &mut dyn Read) -> Result<(), Unusable> {
        let mut chunk = vec![0; 1 << 16];
        let mut head = Vec::new();
        let first = loop {
            let count = fill(reader, &mut chunk)?;
            head.extend_from_slice(&chunk[..count]);
            let begin = begin(&head);
            if begin.is_some() || count == 0 {
                break begin;
            }
        };
        match first {
            Some(b'{') => self.json_values(head, reader, &mut chunk),
            Some(_) => self.yaml(head, reader),
            None => self.end(),
        }
    }

    /// Records as JSON, or a cluster file as JSON: the first value decides.
    fn json_values(&mut self, head: Vec<u8>, reader: &mut dyn Read, chunk: &mut [u8]) -> Result<(), Unusable> {
        let mut first = true;
        let mut file = None;
        let mut pending = head;
        loop {
            let mut frames = Vec::new();
            let pushed = self.framer.push(&pending, |frame| frames.push(frame));
            for frame in frames {
                if std::mem::take(&mut first) {
                    file = json_document(&frame.json);
                    if file.is_some() {
                        continue;
                    }
                }
                if file.is_some() {
                    let message = format!("line {}: something follows the cluster file", frame.line);
                    return Err(Unusable::new(message).hint("one file describes one cluster"));
                }
                let item = self.intake.stream.accept(&frame.json, frame.line)?;
                self.send(Received::Item(item));
            }
            pushed?;
            let count = fill(reader, chunk)?;
            if count == 0 {
                break;
            }
            pending.clear();
            pending.extend_from_slice(&chunk[..count]);
        }
        // What is cut after the end of a stream is a second stream: running again doesn't help.
        let ended = self.intake.stream.is_ended();
        self.framer.finish().map_err(|error| if ended { error.code(Code::UnusableInput) } else { error })?;
        match file {
            Some(document) => self.explode(&document),
            None => self.end(),
        }
    }

    /// A cluster file, or records, as YAML.
    fn yaml(&mut self, mut text: Vec<u8>, reader: &mut dyn Read) -> Result<(), Unusable> {
        let limit = (MAX_DOCUMENT - text.len().min(MAX_DOCUMENT)) as u64 + 1;
        reader.take(limit).read_to_end(&mut text).map_err(|error| unreadable(&error))?;
        if text.len() > MAX_DOCUMENT {
            let limit = MAX_DOCUMENT >> 20;
            return Err(Unusable::new(format!("the input is larger than {limit} MiB and not a stream of records")));
        }
        let text = String::from_utf8(text).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
            Unusable::new(format!("invalid UTF-8 on line {line}"))
        })?;
        let documents = document::read_yaml(&text)?;
        match documents.as_slice() {
            [] => self.end(),
            [first, ..] if first.get("end").is_some() || first.get("status").is_some() => self.yaml_records(&documents),
            [document] => self.explode(document),
            [first, second, ..] => {
                // If the first document isn't a cluster file, that is the error to report.
                document::explode(first, &self.intake.base)?;
                let kind = second.get("kind").map(ToString::to_string).unwrap_or_default();
                Err(Unusable::new(format!(
                    "{} documents in one cluster file (the second: kind {kind})",
                    documents.len()
                ))
                .hint("one file describes one cluster"))
            }
        }
    }

    fn yaml_records(&mut self, documents: &[Map]) -> Result<(), Unusable> {
        for (at, document) in documents.iter().enumerate() {
            let json = serde_json::to_vec(document).expect("a map of JSON values");
            let item = self.intake.stream.accept(&json, at as u64 + 1)?;
            self.send(Received::Item(item));
        }
        self.end()
    }

    fn explode(&mut self, document: &Map) -> Result<(), Unusable> {
        let Exploded { mut cluster, nodes, warnings } = document::explode(document, &self.intake.base)?;
        self.send(Received::File);
        warnings.into_iter().for_each(|warning| self.send(Received::Warning(warning)));
        let beside = self.intake.base.join(cluster.name());
        cluster.set_dir(self.intake.dir.as_deref().unwrap_or(&beside));
        self.records(cluster, nodes)
    }

    fn records(&mut self, cluster: Cluster, nodes: Vec<Node>) -> Result<(), Unusable> {
        let begin = self.intake.stream.accept(&json(&cluster), 1)?;
        self.send(Received::Item(begin));
        for (at, node) in nodes.into_iter().enumerate() {
            let item = self.intake.stream.accept(&json(&node), at as u64 + 2)?;
            self.send(Received::Item(item));
        }
        let end = self.intake.stream.accept(&json(&cluster.ended()), 0)?;
        self.send(Received::Item(end));
        self.end()
    }

    fn end(&mut self) -> Result<(), Unusable> {
        let missing = self.intake.stream.finish()?;
        self.send(Received::End(missing));
        Ok(())
    }
}

fn json<T: serde::Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record is plain data")
}

/// The first byte that is not white space or a byte order mark.
fn begin(text: &[u8]) -> Option<u8> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// A cluster file in JSON, if that is what the value is (and not a record, whose list of nodes may be long).
fn json_document(json: &[u8]) -> Option<Map> {
    #[derive(serde::Deserialize)]
    struct Shape {
        nodes: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Shape>(json).ok()?.nodes?;
    let map: Map = serde_json::from_slice(json).ok()?;
    document::is_document(&map).then_some(map)
}

fn fill(reader: &mut dyn Read, chunk: &mut [u8]) -> Result<usize, Unusable> {
    loop {
        match reader.read(chunk) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
}

fn unreadable(error: &std::io::Error) -> Unusable {
    Unusable::new(format!("the input cannot be read: {error}"))
}

/// `--dir` as an absolute path.
pub(crate) fn absolute(dir: Option<&Path>) -> std::io::Result<Option<PathBuf>> {
    dir.map(std::path::absolute).transpose()
}
