//! Uploading a file: a form whose last part is streamed, so that its size costs no memory.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::stream::{Stream, unfold};
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use tokio::{fs::File, io::AsyncReadExt, time::Instant};
use transport::Cause;

use crate::{
    Client, Error, Upid,
    client::received,
    request::{self, StoredFile},
};

/// How much is read and sent at once.
const PIECE: u64 = 256 << 10;
/// How long nothing may be taken from us while the file is being sent.
const STALL: Duration = Duration::from_secs(60);
/// How long the reply may take after that: for another host, the one that was asked prepares its storage first.
const REPLY: Duration = Duration::from_secs(5 * 60);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How many bytes of a file were sent so far. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicU64>);

impl Sent {
    /// Bytes.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Asked before the last piece of a file is sent: an error leaves the file unsent, and the server throws away what it has.
type Gate = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A file on its way.
pub struct Upload<'a> {
    /// Where it goes.
    pub to: StoredFile<'a>,
    /// The file, to be read from its beginning.
    pub source: File,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, hexadecimal: the server compares it before it puts the file in its place.
    pub sha256: &'a str,
    /// Counts what was sent.
    pub sent: Sent,
}

impl Client {
    /// Uploads a file and returns the task that puts it in its place; an older file of the name is replaced by it. Without
    /// the last piece the server keeps nothing, so the upload is given up by dropping this, and `before_the_end` decides
    /// whether that piece is sent.
    ///
    /// # Errors
    /// As [`Self::ask`]; also that the server takes no more, or that `before_the_end` said no.
    pub async fn upload(
        &self,
        upload: Upload<'_>,
        before_the_end: impl Future<Output = io::Result<()>> + Send + 'static,
    ) -> Result<Upid, Error> {
        let request = request::upload(&upload.to);
        let (sent, size) = (upload.sent.clone(), upload.size);
        let sending = self.http.post(self.url(&request)).multipart(form(upload, Box::pin(before_the_end)));
        tokio::select! {
            biased;
            reply = async { received(sending.send().await?).await } => self.read(&request, &reply.map_err(|error| self.failure(&error))?),
            source = stalled(&sent, size) => {
                Err(Error::Unreachable { endpoint: self.endpoint().clone(), source })
            }
        }
    }
}

/// The fields in the order in which the server reads them: another order drops some.
fn form(upload: Upload<'_>, gate: Gate) -> Form {
    let file = upload.to.file.to_owned();
    let (content, sha256, size) = (upload.to.content.to_owned(), upload.sha256.to_owned(), upload.size);
    let body = Body::wrap_stream(pieces(upload.source, size, upload.sent, gate));
    Form::new()
        .text("content", content)
        .text("checksum-algorithm", "sha256")
        .text("checksum", sha256)
        .part("filename", Part::stream_with_length(body, size).file_name(file))
}

struct Reading {
    source: File,
    left: u64,
    sent: Sent,
    gate: Option<Gate>,
}

impl Reading {
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.left.min(PIECE)).unwrap_or_default();
        let mut piece = vec![0; length];
        self.source.read_exact(&mut piece).await?;
        self.left -= length as u64;
        if self.left == 0
            && let Some(gate) = self.gate.take()
        {
            gate.await?;
        }
        self.sent.0.fetch_add(length as u64, Ordering::Relaxed);
        Ok(piece)
    }
}

fn pieces(source: File, size: u64, sent: Sent, gate: Gate) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    let reading = Reading { source, left: size, sent, gate: Some(gate) };
    unfold(Some(reading), |reading| async move {
        let mut reading = reading.filter(|reading| reading.left > 0)?;
        match reading.next().await {
            Ok(piece) => Some((Ok(piece), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// Ends when the server has taken nothing for too long.
async fn stalled(sent: &Sent, size: u64) -> Cause {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        tokio::time::sleep(LOOK).await;
        let now = sent.bytes();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        let limit = if seen < size { STALL } else { REPLY };
        if since.elapsed() >= limit {
            return Cause(format!("nothing happened for {}s after {seen} of {size} bytes", limit.as_secs()));
        }
    }
}
