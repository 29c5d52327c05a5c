//! Uploads, and tasks that say how far they are.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use pve_client::{Error, Progress, Sent, Upid, Upload, request::StoredFile};

use crate::{
    pinned,
    server::{Answer, Server},
};

const UPID: &str = "UPID:pve1:000073B7:0002752E:6B044D6D:imgcopy::talos@pve!cli:";
/// Some pieces, the last of which isn't whole.
const SIZE: usize = 700_000;

fn source() -> tokio::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![b'x'; SIZE]).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    tokio::fs::File::from_std(file)
}

fn upload(sent: &Sent) -> Upload<'static> {
    let to = StoredFile { node: "pve1", storage: "local", content: "import", file: "talos.qcow2" };
    Upload { to, source: source(), size: SIZE as u64, sha256: "abcd", sent: sent.clone() }
}

#[tokio::test]
async fn an_upload_announces_its_length_and_has_its_fields_in_the_order_in_which_they_are_read() {
    let server = Server::start(vec![Answer::json(200, "OK", &format!(r#"{{"data":"{UPID}"}}"#))]).await;
    let sent = Sent::default();

    let upid = pinned(&server).upload(upload(&sent), std::future::ready(Ok(()))).await.unwrap();

    assert_eq!((upid.kind(), upid.id(), sent.bytes()), ("imgcopy", "", SIZE as u64));
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /api2/json/nodes/pve1/storage/local/upload HTTP/1.1"));
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "the server takes no chunks: {head}");
    let fields = ["name=\"content\"", "name=\"checksum-algorithm\"", "name=\"checksum\"", "name=\"filename\""];
    let places: Vec<_> = fields.iter().map(|field| body.find(field).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(body.contains("name=\"filename\"; filename=\"talos.qcow2\""));
    assert_eq!(body.matches('x').count() - "talos.qcow2".matches('x').count(), SIZE);
}

#[tokio::test]
async fn a_last_piece_that_is_held_back_leaves_the_file_unsent() {
    let server = Server::start(vec![]).await;
    let sent = Sent::default();
    let no = async { Err(std::io::Error::other("somebody was faster")) };

    let error = pinned(&server).upload(upload(&sent), no).await.unwrap_err();

    let Error::Unreachable { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "somebody was faster");
    assert!(sent.bytes() < SIZE as u64);
    let whole = |request: &String| request.matches('x').count() >= SIZE;
    assert!(!server.requests().iter().any(whole), "all of it was sent");
}

#[tokio::test]
async fn an_upload_that_is_refused_is_a_refusal() {
    let refused = r#"{"data":null,"message":"storage 'local' does not support 'import' content\n"}"#;
    let server = Server::start(vec![Answer::json(500, "x", refused)]).await;

    let error = pinned(&server).upload(upload(&Sent::default()), std::future::ready(Ok(()))).await.unwrap_err();

    assert_eq!(error.refusal().unwrap().message, "storage 'local' does not support 'import' content");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_task_is_watched_by_its_log_until_it_ends_and_a_log_that_can_not_be_read_is_no_failure() {
    let logs = [
        r#"{"total":1,"data":[{"n":1,"t":"downloading"}]}"#,
        "none",
        r#"{"total":2,"data":[{"n":2,"t":" 32768K ........ ........ ........ ........  15% 38.5M 12s"}]}"#,
    ];
    let (mut logs, mut starts) = (logs.into_iter(), Vec::new());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let server = Server::answering(move |request| {
        let line = request.lines().next().unwrap_or_default().to_owned();
        if !line.contains("/log?") {
            let state = if starts.len() < 3 { "running\"" } else { "stopped\",\"exitstatus\":\"OK\"" };
            return Some(Answer::json(200, "OK", &format!("{{\"data\":{{\"status\":\"{state}}}}}")));
        }
        starts.push(line.clone());
        seen.lock().unwrap().push(line);
        match logs.next() {
            Some("none") => Some(Answer::json(500, "x", r#"{"data":null,"message":"busy"}"#)),
            Some(log) => Some(Answer::json(200, "OK", log)),
            None => Some(Answer::json(200, "OK", r#"{"total":2,"data":[]}"#)),
        }
    })
    .await;
    let (told, upid) = (Mutex::new(Vec::new()), Upid::parse(UPID).unwrap());
    let saw = |progress: Progress| told.lock().unwrap().push(progress);

    let (limit, every) = (Duration::from_secs(30), Duration::from_millis(1));
    pinned(&server).watch(&upid, limit, every, saw).await.unwrap();

    let wanted = Progress { percent: 15, detail: Some("38.5MB/s".into()) };
    assert_eq!(*told.lock().unwrap(), [wanted]);
    let asked = asked.lock().unwrap();
    assert!(asked[0].contains("start=0&") && asked[2].contains("start=1&"), "{asked:?}");
}
