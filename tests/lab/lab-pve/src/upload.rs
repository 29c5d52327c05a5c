//! Uploads: a form with fields first and the file last, read as it streams in.

use anyhow::{Context, ensure};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use http::Request;
use hyper::body::Incoming;

use super::state::Config;
use lab_core::disk_image::{Found, Reader};

/// What is wrong with an upload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// The digest comes before its algorithm.
    #[error("Bad Request")]
    Order,
    /// Anything else.
    #[error("{0:#}")]
    Broken(#[from] anyhow::Error),
}

/// Reads an upload of any size; fields after the file are ignored, as the real server does.
pub(crate) async fn read(request: Request<Incoming>) -> Result<(Config, Found), Unread> {
    form(request).await?.context("no file in the upload").map_err(Unread::Broken)
}

async fn form(request: Request<Incoming>) -> Result<Option<(Config, Found)>, Unread> {
    let mut form = opened(request).await?;
    let mut params = Config::new();
    while let Some(mut field) = form.next_field().await.context("the form breaks off")? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "filename" {
            let file = field.file_name().context("the file has no name")?.to_owned();
            params.insert(name, file);
            let mut reader = Reader::default();
            while let Some(bytes) = field.chunk().await.context("the file breaks off")? {
                reader.write(&bytes);
            }
            return Ok(Some((params, reader.finish())));
        }
        if name == "checksum" && !params.contains_key("checksum-algorithm") {
            return Err(Unread::Order);
        }
        params.insert(name, field.text().await.context("a field breaks off")?);
    }
    Ok(None)
}

async fn opened(request: Request<Incoming>) -> anyhow::Result<Multipart> {
    let known = request.headers().contains_key(http::header::CONTENT_LENGTH);
    ensure!(known, "chunked transfer encoding not supported");
    let mut request = request.map(axum::body::Body::new);
    DefaultBodyLimit::disable().apply(&mut request);
    Ok(Multipart::from_request(request, &()).await?)
}
