//! Uploads: a form with fields first and the file last, read as it streams in.

use anyhow::{Context, ensure};
use axum::extract::{FromRequest, Multipart};
use http::Request;
use hyper::body::Incoming;

use super::state::Config;
use lab_core::disk_image::{Found, Reader};

/// Reads an upload; fields after the file are ignored, as the real server does.
pub(crate) async fn read(request: Request<Incoming>) -> anyhow::Result<(Config, Found)> {
    let known = request.headers().contains_key(http::header::CONTENT_LENGTH);
    ensure!(known, "chunked transfer encoding not supported");
    let mut form = Multipart::from_request(request.map(axum::body::Body::new), &()).await?;
    let mut params = Config::new();
    while let Some(mut field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "filename" {
            let file = field.file_name().context("the file has no name")?.to_owned();
            params.insert(name, file);
            let mut reader = Reader::default();
            while let Some(bytes) = field.chunk().await? {
                reader.write(&bytes);
            }
            return Ok((params, reader.finish()));
        }
        params.insert(name, field.text().await?);
    }
    anyhow::bail!("no file in the upload")
}
