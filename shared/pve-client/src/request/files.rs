//! Calls that bring files onto storages, and those that show how far such a task is.

use super::{Method, Request};
use crate::{
    Upid,
    answer::{AtWork, LogLine},
};

/// A file on a storage of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredFile<'a> {
    /// The host.
    pub node: &'a str,
    /// The storage.
    pub storage: &'a str,
    /// The content that it is: `import` or `iso`.
    pub content: &'a str,
    /// Its name.
    pub file: &'a str,
}

impl StoredFile<'_> {
    fn post<T>(&self, call: &str) -> Request<T> {
        Request::new(Method::Post, &["nodes", self.node, "storage", self.storage, call])
    }
}

/// `POST /nodes/{node}/storage/{storage}/download-url`: the host itself fetches `url` and checks the SHA-256. A file that
/// is there is compared with the SHA-256 and never replaced; then nothing is fetched.
pub fn download(file: &StoredFile<'_>, url: &str, sha256: Option<&str>) -> Request<Upid> {
    let request = file.post("download-url").with("content", file.content).with("filename", file.file).with("url", url);
    match sha256 {
        Some(digest) => request.with("checksum", digest).with("checksum-algorithm", "sha256"),
        None => request,
    }
}

/// `POST /nodes/{node}/storage/{storage}/upload`: the body is sent by [`crate::Client::upload`].
pub fn upload(file: &StoredFile<'_>) -> Request<Upid> {
    file.post("upload")
}

/// `GET /cluster/tasks`: the latest tasks of all hosts; those of others show only with Sys.Audit. Which file the task of
/// an upload (`imgcopy`) is about, it doesn't say.
pub fn copying() -> Request<Vec<AtWork>> {
    Request::new(Method::Get, &["cluster", "tasks"])
}

/// `GET /nodes/{node}/tasks/{upid}/log`, without the first lines.
pub fn task_log_from(upid: &Upid, start: usize) -> Request<Vec<LogLine>> {
    Request::new(Method::Get, &["nodes", upid.node(), "tasks", &upid.to_string(), "log"])
        .with("start", start)
        .with("limit", 5000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_names_content_and_digest_and_an_upload_has_them_in_its_body() {
        let file = StoredFile { node: "pve1", storage: "local", content: "iso", file: "talos.iso" };

        let wanted = download(&file, "https://f/x.iso", Some("ab"));
        let body = "content=iso&filename=talos.iso&url=https%3A%2F%2Ff%2Fx.iso&checksum=ab&checksum-algorithm=sha256";
        assert_eq!(wanted.target(), "/nodes/pve1/storage/local/download-url");
        assert_eq!(wanted.body().as_deref(), Some(body));
        assert_eq!(upload(&file).target(), "/nodes/pve1/storage/local/upload");
    }
}
