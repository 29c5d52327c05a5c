//! The pull of a service's image, from the node's own log.

use std::time::Duration;

use talos_proto::{common, machine};
use tokio::time::timeout;

use crate::{Error, Node};

/// What a node does about the image of a service, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImagePull {
    /// It can't be pulled, and is tried again.
    Fails(String),
    /// It is being pulled.
    Runs(String),
}

impl ImagePull {
    /// The node's own words.
    pub fn into_words(self) -> String {
        match self {
            Self::Fails(words) | Self::Runs(words) => words,
        }
    }
}

/// The log of Talos itself: nodes in containers have it too, and no kernel log (seen on 1.13.9).
const LOG: &str = "machined";
/// How many of its last lines are read. The same error is written only once, and each call adds lines of its own.
const LINES: i32 = 2000;
/// How long that may take: it only explains.
const LIMIT: Duration = Duration::from_secs(5);

impl Node {
    /// What the node's log says about the pull of a service's image (`etcd`, `kubelet`), if it says anything.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn image_pull(&self, service: &str) -> Result<Option<ImagePull>, Error> {
        Ok(image_pull(&self.own_log(LINES).await?, service))
    }

    /// The last lines of the log of Talos itself.
    pub(crate) async fn own_log(&self, lines: i32) -> Result<String, Error> {
        let call = "Logs";
        let request = machine::LogsRequest {
            namespace: "system".to_owned(),
            id: LOG.to_owned(),
            driver: common::ContainerDriver::Containerd as i32,
            follow: false,
            tail_lines: lines,
        };
        let reading = self.bytes(call, || async { self.machine().logs(request.clone()).await });
        let address = self.address().clone();
        let hanging = |_| Error::Hanging { address, call, limit: LIMIT };
        let bytes = timeout(LIMIT, reading).await.map_err(hanging)??;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The last thing that a log says about the pull of a service's image. A request to bootstrap begins it again, so for etcd
/// what is older says nothing any more.
fn image_pull(log: &str, service: &str) -> Option<ImagePull> {
    let lines = log.lines().rev();
    let since = lines.take_while(|line| service != "etcd" || !line.ends_with("bootstrap request received"));
    since.into_iter().find_map(|line| failure(line, service).or_else(|| progress(line, service)))
}

fn failure(line: &str, service: &str) -> Option<ImagePull> {
    const FAILED: &str = "failed to pull image \"";
    let why = &line[line.find(FAILED)?..];
    let (image, _) = why[FAILED.len()..].split_once('"')?;
    // A request to bootstrap ends the pull that is under way.
    (is_of(image, service) && !why.contains("context canceled")).then(|| ImagePull::Fails(why.trim().to_owned()))
}

/// A pull that has got something. That it starts is also written each time before it fails as before.
fn progress(line: &str, service: &str) -> Option<ImagePull> {
    const PULLING: &str = "pulling image ";
    let what = &line[line.find(PULLING)?..];
    let (image, state) = what[PULLING.len()..].split_once(": ")?;
    let got = ["downloading ", "extracting"].iter().any(|got| state.starts_with(got));
    (got && is_of(image, service)).then(|| ImagePull::Runs(what.trim().trim_end_matches('.').to_owned()))
}

/// Whether an image is the one of a service, wherever it comes from.
fn is_of(image: &str, service: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split([':', '@']).next() == Some(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in the log `machined` of 1.13.9: the time of the log, then the line as on the console.
    fn log(lines: &[&str]) -> String {
        lines.iter().map(|line| format!("2026/11/30 21:16:20.564996 [talos] 2026/11/30 21:16:20 {line}\n")).collect()
    }

    fn pull(lines: &[&str], service: &str) -> Option<ImagePull> {
        image_pull(&log(lines), service)
    }

    const STARTS: &str = "pulling image registry.k8s.io/etcd:v3.6.12: starting...";
    const FAILS: &str = "retrying error: failed to pull image \"registry.k8s.io/etcd:v3.6.12\": failed to do request";
    const CANCELED: &str = "retrying error: failed to pull image \"registry.k8s.io/etcd:v3.6.12\": context canceled";
    const LOADS: &str = "pulling image registry.k8s.io/etcd:v3.6.12: downloading 1 layers (5.0 MiB/19 MiB) (26.15%)...";
    const ASKED: &str = "bootstrap request received";

    fn fails() -> Option<ImagePull> {
        Some(ImagePull::Fails("failed to pull image \"registry.k8s.io/etcd:v3.6.12\": failed to do request".to_owned()))
    }

    #[test]
    fn the_reason_why_an_image_cannot_be_pulled_is_the_last_one_of_this_image() {
        let other = "retrying error: failed to pull image \"ghcr.io/siderolabs/kubelet@sha256:11\": no";
        assert_eq!(pull(&[&FAILS.replace("request", "x"), FAILS, other], "etcd"), fails());
        let of_kubelet = "failed to pull image \"ghcr.io/siderolabs/kubelet@sha256:11\": no".to_owned();
        assert_eq!(pull(&[FAILS, other, FAILS], "kubelet"), Some(ImagePull::Fails(of_kubelet)));
        assert_eq!(pull(&[STARTS], "etcd"), None);
    }

    /// Seen on 1.13.9: the same error is written once, and that the pull starts each time.
    #[test]
    fn an_error_stands_until_the_pull_has_got_something() {
        assert_eq!(pull(&[FAILS, STARTS, STARTS], "etcd"), fails());
        let words = "pulling image registry.k8s.io/etcd:v3.6.12: downloading 1 layers (5.0 MiB/19 MiB) (26.15%)";
        assert_eq!(pull(&[FAILS, STARTS, LOADS, STARTS], "etcd"), Some(ImagePull::Runs(words.to_owned())));
        assert_eq!(pull(&[FAILS, LOADS, STARTS, FAILS], "etcd"), fails());
    }

    /// Seen on 1.13.9: a Bootstrap ends the pull that is under way, which is written as an error.
    #[test]
    fn what_a_bootstrap_ended_itself_is_no_reason_nor_is_what_came_before_it() {
        assert_eq!(pull(&[FAILS, LOADS, ASKED, CANCELED, STARTS], "etcd"), None);
        assert_eq!(pull(&[LOADS, ASKED, CANCELED, STARTS, FAILS], "etcd"), fails());
        assert!(pull(&[&FAILS.replace("etcd", "kubelet"), ASKED, CANCELED], "kubelet").is_some());
    }
}
