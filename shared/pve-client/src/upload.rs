//! A file on its way to a storage.

use std::path::PathBuf;

use reqwest::{
    Body,
    multipart::{Form, Part},
};
use tokio_util::io::ReaderStream;

use crate::Error;

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

/// A disk image to be stored as content `import`. It is streamed: memory does not grow with its size.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The local file.
    pub file: PathBuf,
    /// Its name on the storage, ending in `.qcow2`, `.raw` or `.vmdk`. One of that name is overwritten.
    pub name: String,
    /// Its SHA-256, hexadecimal, for the server to check.
    pub sha256: Option<String>,
}

impl Upload {
    /// The body. The server reads fields only in this order, and only with a length known beforehand.
    pub(crate) async fn form(&self) -> Result<Form, Error> {
        let unreadable = |source| Error::File { file: self.file.display().to_string(), source };
        let file = tokio::fs::File::open(&self.file).await.map_err(unreadable)?;
        let length = file.metadata().await.map_err(unreadable)?.len();
        let body = Body::wrap_stream(ReaderStream::with_capacity(file, PIECE));
        let part = Part::stream_with_length(body, length).file_name(self.name.clone());
        let form = Form::new().text("content", "import");
        let form = match &self.sha256 {
            Some(digest) => form.text("checksum-algorithm", "sha256").text("checksum", digest.clone()),
            None => form,
        };
        Ok(form.part("filename", part))
    }
}
