//! Something in the way that answers in the factory's place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lab::Lab;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{AGENT, lock, start, stderr};

/// What is answered in place of the image, the first `times`.
struct Pretended {
    /// To this machine only, or to whoever asks.
    to_us_only: bool,
    times: u32,
    /// Head and body, made from the real answer.
    answer: fn(&[u8]) -> Vec<u8>,
}

/// A proxy in front of the lab's factory.
async fn proxy(lab: &Lab, pretended: Pretended) -> String {
    let factory = lab.factory().endpoint().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (pretended, count) = (Arc::new(pretended), Arc::new(AtomicU32::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, factory.clone(), Arc::clone(&pretended), Arc::clone(&count)));
        }
    });
    url
}

async fn serve(mut stream: TcpStream, factory: String, pretended: Arc<Pretended>, count: Arc<AtomicU32>) {
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut asked).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let text = String::from_utf8_lossy(&asked).to_lowercase();
    let (is_image, is_ours) = (text.starts_with("get /image/"), text.contains("user-agent: ichor/"));
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let body = asked.len() - asked.windows(4).position(|end| end == b"\r\n\r\n").unwrap() - 4;
    for _ in body..length.unwrap_or_default() {
        asked.push(stream.read_u8().await.unwrap());
    }
    let mut real = TcpStream::connect(&factory).await.unwrap();
    let at = asked.windows(2).position(|end| end == b"\r\n").unwrap();
    asked.splice(at..at, *b"\r\nconnection: close");
    real.write_all(&asked).await.unwrap();
    let mut answer = Vec::new();
    real.read_to_end(&mut answer).await.unwrap();
    let applies = is_image && (is_ours || !pretended.to_us_only);
    if applies && count.fetch_add(1, Ordering::Relaxed) < pretended.times {
        answer = (pretended.answer)(&answer);
    }
    let head = String::from_utf8_lossy(&answer[..answer.len().min(15)]).into_owned();
    assert!(head.starts_with("HTTP/1.1 "), "{head}");
    let _gone = stream.write_all(&answer).await;
}

fn page(_: &[u8]) -> Vec<u8> {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 20\r\nconnection: close\r\n\r\n";
    [&head[..], b"<html>log in</html>\n"].concat()
}

fn null(_: &[u8]) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnull".to_vec()
}

fn nothing(_: &[u8]) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec()
}

/// An image of the right format and size, but another one.
fn other_image(answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    let last = answer.len() - 1;
    answer[last] ^= 1;
    answer
}

/// The start of what a real image begins with, and the rest of something else.
fn cut_image(answer: &[u8]) -> Vec<u8> {
    let at = answer.windows(4).position(|mark| mark == b"QFI\xfb").unwrap();
    let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    [head, &answer[at..at + 1000]].concat()
}

async fn run(lab: &Lab, factory: &str) -> std::process::Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_talos-image"));
    let text = std::fs::read_to_string(lab.cluster_file()).unwrap();
    let text = text.replace(&lab.factory().endpoint(), factory);
    std::fs::write(lab.cluster_file(), text).unwrap();
    command.env_clear().envs(lab.env()).env("ICHOR_FACTORY", factory).stdin(std::process::Stdio::null());
    command.output().await.unwrap()
}

fn upload(lab: &Lab) {
    let text = std::fs::read_to_string(lab.cluster_file()).unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with("images:")).unwrap();
    std::fs::write(lab.cluster_file(), text.replace(line, "    images: {storage: local, via: upload}")).unwrap();
}

/// The digests in ichor.lock.
fn digests(lab: &Lab) -> Vec<String> {
    let text = std::fs::read_to_string(lock(lab)).unwrap_or_else(|_| "{}".into());
    let lock: serde_json::Value = serde_json::from_str(&text).unwrap();
    let images = lock["images"].as_object().cloned().unwrap_or_default();
    images.values().map(|digest| digest.as_str().unwrap().to_owned()).collect()
}

const ALWAYS: u32 = u32::MAX;

/// Seen: the digest of a page came into ichor.lock and stayed there, and the factory was called untrustworthy.
#[tokio::test(flavor = "multi_thread")]
async fn what_answers_once_in_the_factorys_place_is_not_locked_and_the_run_succeeds() {
    for answer in [page, null, nothing, cut_image] {
        for uploads in [false, true] {
            let lab = start().await;
            if uploads {
                upload(&lab);
            }
            let factory = proxy(&lab, Pretended { to_us_only: true, times: 1, answer }).await;

            let output = run(&lab, &factory).await;

            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            let volume = format!("local:import/talos-v1.13.9-{AGENT}-nocloud-amd64.qcow2");
            assert_eq!(lab.pve().volumes("pve1", "local"), [volume]);
            assert_eq!(digests(&lab).len(), 1);
            assert_eq!(run(&lab, &factory).await.status.code(), Some(0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_always_answers_in_the_factorys_place_is_named_and_nothing_is_locked() {
    for (answer, said) in
        [(page as fn(&[u8]) -> _, "text/html"), (null, "it has 4 bytes, and "), (nothing, "it has 0 bytes")]
    {
        let lab = start().await;
        let factory = proxy(&lab, Pretended { to_us_only: false, times: ALWAYS, answer }).await;

        let output = run(&lab, &factory).await;

        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(said) && stderr(&output).contains("a login page"), "{}", stderr(&output));
        assert!(digests(&lab).is_empty() && lab.pve().volumes("pve1", "local").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_locked_only_once_a_host_took_the_image_by_it() {
    for times in [1, ALWAYS] {
        let lab = start().await;
        let factory = proxy(&lab, Pretended { to_us_only: true, times, answer: other_image }).await;

        let output = run(&lab, &factory).await;

        assert!(stderr(&output).contains("pve1 got another file from "), "{}", stderr(&output));
        match times {
            1 => assert_eq!((output.status.code(), digests(&lab).len()), (Some(0), 1), "{}", stderr(&output)),
            _ => assert_eq!((output.status.code(), digests(&lab).len()), (Some(1), 0), "{}", stderr(&output)),
        }
    }
}

/// Seen: with the image on the storage already, the digest of anything was locked, with exit 0.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_there_already_is_not_judged_by_what_answers_in_the_factorys_place() {
    let lab = start().await;
    let direct = lab.factory().endpoint();
    assert_eq!(run(&lab, &direct).await.status.code(), Some(0));
    let right = digests(&lab);

    for times in [1, ALWAYS] {
        std::fs::remove_file(lock(&lab)).unwrap();
        let factory = proxy(&lab, Pretended { to_us_only: true, times, answer: other_image }).await;
        let output = run(&lab, &factory).await;
        match times {
            1 => assert_eq!((output.status.code(), digests(&lab)), (Some(0), right.clone()), "{}", stderr(&output)),
            _ => {
                assert_eq!((output.status.code(), digests(&lab).len()), (Some(7), 0), "{}", stderr(&output));
                assert!(stderr(&output).contains("differs from that of the image that this machine read"));
            }
        }
    }
}
