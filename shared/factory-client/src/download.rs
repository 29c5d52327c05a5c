//! Downloads an image, and computes its digest.

use std::time::Duration;

use http::{
    StatusCode,
    header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE},
};
use reqwest::Response;
use schematic::Image;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use transport::Cause;

use crate::{
    Client, Error,
    client::{content_type, length},
    content::{Content, is_message},
};

/// How long a download may bring nothing.
const STALL: Duration = Duration::from_secs(60);
/// Bytes of the largest image, where nobody announced how many it has.
const LARGEST: u64 = 16 << 30;

/// The digest and size of a downloaded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What came so far.
struct Download {
    url: String,
    content: Content,
    digest: Sha256,
    received: u64,
    most: u64,
}

impl Client {
    /// Downloads an image into `sink`, and computes its digest; `size` is what [`Client::prepare`] announced; `moved` gets
    /// how many bytes came, and of how many. A broken download continues where it broke, if the server supports that; this
    /// factory doesn't when it serves the image itself. What isn't an image of this format and size is refused.
    ///
    /// # Errors
    /// No answer, a refusal, something else than the image, a download that was cut off (begin again with an empty sink),
    /// or a sink that can't be written.
    pub async fn fetch(
        &self,
        image: &Image,
        size: Option<u64>,
        sink: &mut (impl AsyncWrite + Unpin),
        moved: impl Fn(u64, Option<u64>),
    ) -> Result<Fetched, Error> {
        let (url, call) = (self.base.image(image), format!("GET {}", image.path()));
        let other = |what: String| Error::NotTheImage { url: url.clone(), what };
        let mut reply = self.ask(&call, || self.http.get(&url)).await?;
        if let Some(kind) = content_type(&reply).filter(|kind| is_message(kind)) {
            return Err(other(format!("it is {kind}")));
        }
        let (etag, whole) = (reply.headers().get(ETAG).cloned(), length(&reply));
        if let (Some(size), Some(whole)) = (size, whole.filter(|whole| Some(*whole) != size)) {
            return Err(other(format!("it has {whole} bytes, and {size} were announced")));
        }
        let whole = whole.or(size);
        let mut download = Download {
            url: url.clone(),
            content: Content::of(&image.format),
            digest: Sha256::new(),
            received: 0,
            most: whole.unwrap_or(LARGEST),
        };
        loop {
            let cause = match download.drain(&mut reply, sink, |so_far| moved(so_far, whole)).await? {
                None if whole.is_none_or(|whole| whole == download.received) => break,
                None => Cause(format!("{} bytes were announced", whole.unwrap_or_default())),
                Some(cause) => cause,
            };
            let received = download.received;
            let cut = || Error::Cut { url: url.clone(), received, source: cause };
            let Some(etag) = etag.as_ref().filter(|_| received > 0) else { return Err(cut()) };
            let rest = self.http.get(&url).header(RANGE, format!("bytes={received}-")).header(IF_RANGE, etag);
            reply = rest.send().await.ok().filter(|reply| continues(reply, received)).ok_or_else(cut)?;
        }
        download.content.finish().map_err(other)?;
        sink.flush().await.map_err(|source| Error::Unwritten { source })?;
        let sha256 = base16ct::lower::encode_string(&download.digest.finalize());
        Ok(Fetched { sha256, bytes: download.received })
    }
}

impl Download {
    /// Reads until the end (`None`) or a break. A server that sends nothing for a while has broken, too.
    async fn drain(
        &mut self,
        reply: &mut Response,
        sink: &mut (impl AsyncWrite + Unpin),
        moved: impl Fn(u64),
    ) -> Result<Option<Cause>, Error> {
        let other = |what: String| Error::NotTheImage { url: self.url.clone(), what };
        loop {
            match tokio::time::timeout(STALL, reply.chunk()).await {
                Ok(Ok(Some(piece))) => {
                    self.content.take(&piece).map_err(other)?;
                    self.received += piece.len() as u64;
                    if self.received > self.most {
                        return Err(other(format!("it has more than {} bytes", self.most)));
                    }
                    self.digest.update(&piece);
                    sink.write_all(&piece).await.map_err(|source| Error::Unwritten { source })?;
                    moved(self.received);
                }
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Ok(Some(Cause::innermost(&error))),
                Err(_) => return Ok(Some(Cause(format!("nothing came for {}s", STALL.as_secs())))),
            }
        }
    }
}

/// Whether a reply continues at `offset`.
fn continues(reply: &Response, offset: u64) -> bool {
    let range = reply.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let from = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
    reply.status() == StatusCode::PARTIAL_CONTENT && from == Some(offset)
}
