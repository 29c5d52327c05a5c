//! Replies that were recorded from a real server are read as what they are.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]

use std::path::Path;

use pve_client::{
    Kind, Upid,
    request::{self, Fault, Reply},
};
use serde_json::Value;

/// The recorded exchanges; `None` where the recordings are not at hand, unless `CI=true` says they must be.
fn exchanges() -> Option<Vec<Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/pve");
    let must_exist = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(folder.exists() || !must_exist, "no recordings at {}", folder.display());
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let lines =
        folder.exists().then(|| text("transcript-9.2.jsonl") + "\n" + &text("transcript-9.2-import-locks.jsonl"))?;
    let values = lines.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap());
    Some(values.filter(|value: &Value| value.get("status").is_some()).collect())
}

fn reply(exchange: &Value) -> Reply {
    let body = match &exchange["body"] {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    Reply {
        status: exchange["status"].to_string().parse().unwrap(),
        reason: exchange["reason"].as_str().map(Into::into),
        content_type: exchange["ctype"].as_str().map(Into::into),
        body: body.into_bytes(),
        ..Reply::default()
    }
}

fn method(exchange: &Value) -> &str {
    exchange["method"].as_str().unwrap()
}

fn path(exchange: &Value) -> &str {
    exchange["path"].as_str().unwrap().trim_start_matches("/api2/json").split('?').next().unwrap()
}

/// Reads a reply as what its call promises; how many items it holds, or why it can't be read.
fn read(exchange: &Value) -> Option<Result<usize, Fault>> {
    let reply = reply(exchange);
    let upid = Upid::parse("UPID:pve1:00000000:00000000:00000000:a:1:b:").unwrap();
    let segments: Vec<&str> = path(exchange).split('/').skip(1).collect();
    Some(match (method(exchange), segments.as_slice()) {
        ("GET", ["version"]) => request::version().read(&reply).map(|_| 1),
        ("GET", ["access", "permissions"]) => request::permissions().read(&reply).map(|found| found.len()),
        ("GET", ["nodes"]) => request::nodes().read(&reply).map(|found| found.len()),
        ("GET", ["cluster", "status"]) => request::cluster_status().read(&reply).map(|found| found.len()),
        ("GET", ["cluster", "resources"]) => request::guests().read(&reply).map(|found| found.len()),
        ("GET", ["cluster", "nextid"]) => request::next_id().read(&reply).map(|_| 1),
        ("GET", ["nodes", _, "qemu"]) => request::vms("n").read(&reply).map(|found| found.len()),
        ("GET", ["nodes", _, "qemu", _, "config"]) => {
            request::config("n", 1).read(&reply).map(|found| found.values().count())
        }
        ("GET", ["nodes", _, "qemu", _, "status", "current"]) => request::power("n", 1).read(&reply).map(|_| 1),
        ("GET", ["nodes", _, "qemu", _, "agent", "network-get-interfaces"]) => {
            request::nics("n", 1).read(&reply).map(|found| found.0.len())
        }
        ("GET", ["nodes", _, "storage"]) => request::storages("n").read(&reply).map(|found| found.len()),
        ("GET", ["nodes", _, "storage", _, "content"]) => {
            request::contents("n", "s", "import").read(&reply).map(|found| found.len())
        }
        ("GET", ["nodes", _, "tasks", _, "status"]) => request::task(&upid).read(&reply).map(|_| 1),
        ("GET", ["nodes", _, "tasks", _, "log"]) => request::task_log(&upid).read(&reply).map(|found| found.len()),
        ("POST", ["nodes", _, "qemu"]) => request::create("n", 1, Vec::new()).read(&reply).map(|_| 1),
        ("POST", ["nodes", _, "qemu", _, "config"]) => {
            request::set_config("n", 1, None, Vec::new()).read(&reply).map(|_| 1)
        }
        ("POST", ["nodes", _, "qemu", _, "status", "start"]) => request::start("n", 1).read(&reply).map(|_| 1),
        ("PUT", ["nodes", _, "qemu", _, "resize"]) => request::grow("n", 1, "scsi0", "1G").read(&reply).map(|_| 1),
        ("DELETE", ["nodes", _, "qemu", _]) => request::destroy("n", 1, true).read(&reply).map(|_| 1),
        _ => return None,
    })
}

#[test]
fn every_recorded_success_is_read_and_every_recorded_error_is_a_refusal() {
    let Some(exchanges) = exchanges() else { return };
    let mut seen = 0;
    for exchange in &exchanges {
        let status = reply(exchange).status;
        match read(exchange) {
            Some(Ok(_)) => assert_eq!(status, 200, "{exchange}"),
            Some(Err(Fault::Refused(refusal))) => assert_eq!(refusal.status, status, "{exchange}"),
            Some(Err(other)) => panic!("{other:?} from {exchange}"),
            None => continue,
        }
        seen += 1;
    }
    assert!(seen > 300, "only {seen} exchanges were read");
}

#[test]
fn recorded_refusals_are_classified() {
    let Some(exchanges) = exchanges() else { return };
    let refusals = exchanges.iter().filter_map(|exchange| match request::version().read(&reply(exchange)) {
        Err(Fault::Refused(refusal)) => Some((path(exchange).to_owned(), refusal)),
        _ => None,
    });
    let unknown: Vec<_> = refusals.filter(|(_, refusal)| refusal.kind == Kind::Other).collect();
    // What is left are refusals that mean nothing but "no": each of them is told with the server's own words.
    assert!(unknown.len() < 10, "{unknown:#?}");
}
