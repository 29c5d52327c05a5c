//! The engine with a toy step, between bytes in memory.

use std::io::{Cursor, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use record::table::Row;
use record::{Change, Exit, Failure, Node};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::launch::Pipes;
use crate::output::Layout;
use crate::signals::Stopping;
use crate::source::Opened;
use crate::{Flags, Format, Job, Run, Step, Stop, Written};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Does what the node's name says: `bad-…` fails for good, `mute-…` does not answer, `slow-…` waits for the others,
/// `idle-…` has nothing to do because of the cluster's error.
struct Toy {
    fast_ones: tokio::sync::Semaphore,
}

impl Default for Toy {
    fn default() -> Self {
        Self { fast_ones: tokio::sync::Semaphore::new(0) }
    }
}

impl Step for Toy {
    type Args = Args;

    fn row() -> &'static Row {
        record::table::row("talos-gen").unwrap()
    }

    fn flags(args: &Args) -> &Flags {
        &args.flags
    }

    fn prepare(_: Args) -> Result<Job<Self>, Failure> {
        unreachable!("the tests start the engine themselves")
    }

    async fn cluster(&self, run: Run) -> Result<(), Stop> {
        let image: Value = run.cluster_need("image").await?.value();
        run.write_cluster("access", &json!({"ca256": image["version"]}), Change::Changed);
        Ok(())
    }

    async fn node(&self, run: Run, node: &Node) -> Result<Written, Stop> {
        let _slot = run.slot(node).await?;
        match node.name().split('-').next() {
            Some("bad") => Err(Failure::new(Exit::Failed, "bad", "it is bad").into()),
            Some("mute") => Err(Failure::new(Exit::Unreachable, "mute", "no answer").into()),
            Some("slow") => {
                self.fast_ones.acquire().await.unwrap().forget();
                Ok(Written::field("config", &json!({"sha256": "s"}), Change::Unchanged))
            }
            Some("idle") => Err(Stop::Explained),
            Some("needy") => {
                run.need::<Value>(node, "vm")?;
                Ok(Written::nothing())
            }
            _ => {
                self.fast_ones.add_permits(1);
                Ok(Written::field("config", &json!({"sha256": "f"}), Change::Changed))
            }
        }
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Outcome {
    exit: Exit,
    lines: Vec<Value>,
}

impl Outcome {
    fn names(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| line["kind"] == "Node").map(|line| line["name"].as_str().unwrap()).collect()
    }

    fn node(&self, name: &str) -> &Value {
        self.lines.iter().find(|line| line["kind"] == "Node" && line["name"] == name).unwrap()
    }

    fn last(&self) -> &Value {
        self.lines.last().unwrap()
    }
}

fn head(names: &[&str]) -> String {
    let nodes: Vec<_> = names.iter().map(|name| json!({"name": name, "role": "worker"})).collect();
    let status = json!({"nodes": nodes, "dir": "/nowhere", "image": {"version": "v1"}});
    json!({"apiVersion": "ichor/v1", "kind": "Cluster", "name": "lab", "spec": {}, "status": status}).to_string()
}

fn node(name: &str) -> String {
    json!({"apiVersion": "ichor/v1", "kind": "Node", "name": name, "cluster": "lab", "spec": {"role": "worker"}})
        .to_string()
}

const END: &str = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"lab","end":true}"#;

fn stream(names: &[&str]) -> String {
    let nodes: String = names.iter().map(|name| node(name) + "\n").collect();
    format!("{}\n{nodes}{END}\n", head(names))
}

async fn run_with(input: Box<dyn Read + Send>, flags: &[&str], stopping: Stopping) -> Outcome {
    let flags = Args::parse_from([&["toy"], flags].concat()).flags;
    let sink = Sink::default();
    let pipes = Pipes {
        flags,
        input: Opened::Bytes { reader: input, base: "/base".into() },
        output: Box::new(sink.clone()),
        layout: Layout::Records(Format::Jsonl),
        dir: None,
    };
    let run = Engine::run(Toy::default(), pipes, stopping, &[]);
    let exit = tokio::time::timeout(Duration::from_secs(20), run).await.expect("the step does not end");
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    Outcome { exit, lines: text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() }
}

async fn run(input: String, flags: &[&str]) -> Outcome {
    run_with(Box::new(Cursor::new(input)), flags, Stopping::default()).await
}

#[tokio::test]
async fn nodes_leave_as_soon_as_they_are_ready() {
    let outcome = run(stream(&["slow-1", "a-1"]), &[]).await;
    assert_eq!(outcome.names(), ["a-1", "slow-1"]);
    assert_eq!(outcome.node("a-1")["status"]["config"], json!({"sha256": "f", "changed": true}));
    assert_eq!(outcome.node("slow-1")["status"]["config"], json!({"sha256": "s", "changed": false}));
    assert_eq!((outcome.exit, &outcome.last()["end"]), (Exit::Done, &json!(true)));
}

#[tokio::test]
async fn the_cluster_comes_first_again_when_it_has_grown_and_last() {
    let outcome = run(stream(&["a-1"]), &[]).await;
    assert_eq!(outcome.lines[0]["kind"], "Cluster");
    assert_eq!(outcome.lines[0]["status"].get("access"), None, "nothing was done before the first line");
    assert!(outcome.lines.iter().any(|line| line["status"]["access"]["changed"] == true && line.get("end").is_none()));
    assert_eq!(outcome.last()["status"]["access"]["ca256"], "v1");
}

#[tokio::test]
async fn a_failed_node_carries_the_signed_error_and_the_others_go_on() {
    let outcome = run(stream(&["mute-1", "a-1"]), &[]).await;
    let error = &outcome.node("mute-1")["status"]["error"];
    assert_eq!(*error, json!({"step": "talos-gen", "code": "mute", "message": "no answer", "exit": 5}));
    assert_eq!(outcome.node("mute-1")["status"].get("config"), None);
    assert_eq!(outcome.exit, Exit::Partial);
}

#[tokio::test]
async fn a_record_with_an_error_of_an_earlier_step_is_passed_on_untouched() {
    let error = json!({"step": "pve-vm", "code": "x", "message": "m", "exit": 1});
    let failed = node("a-1").replace(r#""spec""#, &format!(r#""status":{{"error":{error}}},"spec""#));
    let outcome = run(format!("{}\n{failed}\n{END}\n", head(&["a-1"])), &[]).await;
    assert_eq!(outcome.node("a-1")["status"], json!({"error": error}));
    assert_eq!(outcome.exit, Exit::Failed);
}

#[tokio::test]
async fn a_missing_need_names_the_field_and_the_step_that_writes_it() {
    let outcome = run(stream(&["needy-1"]), &[]).await;
    let message = outcome.node("needy-1")["status"]["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "node needy-1: status.vm is missing; pve-vm writes it");
    assert_eq!(outcome.exit, Exit::Unusable);
}

#[tokio::test]
async fn a_need_of_the_cluster_that_never_comes_is_an_error_of_the_step() {
    let outcome = run(stream(&["a-1"]).replace("image", "picture"), &[]).await;
    let error = &outcome.last()["status"]["error"];
    assert_eq!(error["message"], "cluster lab: status.image is missing; talos-image writes it");
    assert_eq!(outcome.exit, Exit::Unusable);
}

#[tokio::test]
async fn a_failure_of_the_whole_step_leaves_before_the_nodes_that_it_explains() {
    let outcome = run(stream(&["idle-1"]).replace("image", "picture"), &[]).await;
    let at = |so: &dyn Fn(&Value) -> bool| outcome.lines.iter().position(so).expect("such a line");
    let error = at(&|line| line["status"]["error"]["step"] == "talos-gen" && line.get("end").is_none());
    assert!(error < at(&|line| line["kind"] == "Node"));
    assert_eq!(outcome.node("idle-1")["status"], json!({}));
}

#[tokio::test]
async fn an_input_that_was_cut_is_never_mistaken_for_success() {
    let outcome = run(stream(&["a-1"]).replace(END, ""), &[]).await;
    assert_eq!(outcome.exit, Exit::Unusable);
    assert_eq!(outcome.names(), ["a-1"], "what came is passed on");
    assert_eq!(outcome.last()["status"]["error"]["exit"], 8);
}

#[tokio::test]
async fn an_input_that_is_cut_after_an_error_is_unusable_all_the_same() {
    let error = json!({"step": "talos-image", "code": "x", "message": "m", "exit": 5});
    let head = head(&["a-1"]).replace(r#""dir":"#, &format!(r#""error":{error},"dir":"#));
    for rest in ["", "garbage"] {
        let outcome = run(format!("{head}\n{rest}"), &[]).await;
        assert_eq!((outcome.exit, &outcome.last()["status"]["error"]["exit"]), (Exit::Unusable, &json!(8)), "{rest}");
    }
}

#[tokio::test]
async fn what_follows_a_cluster_file_in_json_is_refused() {
    let file = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"home","spec":{"talos":{"version":"v1.13.9"}},"nodes":[{"name":"a-1","role":"controlplane","address":"10.0.0.1/24"}]}"#;
    assert_eq!(run(format!("{file}\n"), &[]).await.names(), ["a-1"]);
    let outcome = run(format!("{file}\n{file}\n"), &[]).await;
    assert_eq!((outcome.exit, outcome.lines.len()), (Exit::Unusable, 0));
}

#[tokio::test]
async fn a_listed_node_that_never_comes_is_an_error_unless_allowed() {
    let input = stream(&["a-1", "a-2"]).replace(&node("a-2"), "");
    let strict = run(input.clone(), &[]).await;
    assert_eq!(strict.exit, Exit::Unusable);
    assert_eq!(strict.last()["status"]["error"]["message"], "listed, but never came: a-2");
    let lenient = run(input, &["--allow-missing"]).await;
    assert_eq!(lenient.exit, Exit::Done);
    assert_eq!(lenient.last()["status"]["nodes"], json!([{"name": "a-1", "role": "worker"}]));
}

#[tokio::test]
async fn a_dry_run_travels_and_pending_fields_are_refused_without_it() {
    let dry = run(stream(&["a-1"]), &["--dry-run"]).await;
    assert_eq!(dry.lines[0]["status"]["dryRun"], true);
    let pending = stream(&["a-1"]).replace(r#""version":"v1""#, r#""version":"v1","pending":true"#);
    let outcome = run(pending, &[]).await;
    let error = &outcome.last()["status"]["error"];
    assert_eq!((outcome.exit, &error["code"]), (Exit::Unusable, &json!("pending-need")));
}

#[tokio::test]
async fn after_a_signal_nothing_is_started_and_records_are_passed_on_to_the_end() {
    let stopping = Stopping::default();
    stopping.because(Exit::Interrupted);
    let outcome = run_with(Box::new(Cursor::new(stream(&["a-1", "a-2"]))), &[], stopping).await;
    assert_eq!(outcome.exit, Exit::Interrupted);
    assert_eq!(outcome.node("a-2")["status"]["error"]["code"], "interrupted");
    assert_eq!(outcome.last()["end"], true);
}

#[tokio::test]
async fn nodes_that_are_not_selected_are_untouched() {
    let outcome = run(stream(&["a-1", "bad-1"]), &["--only", "a-1"]).await;
    assert_eq!(outcome.node("bad-1")["status"], json!({}));
    assert_eq!(outcome.exit, Exit::Done);
}

#[tokio::test]
async fn a_cluster_file_is_exploded_with_a_folder_beside_it() {
    let file = "apiVersion: ichor/v1\nkind: Cluster\nname: home\nspec: {talos: {version: v1.13.9}}\nnodes:\n- {name: a-1, role: controlplane, address: 10.0.0.1/24}\n";
    let outcome = run(file.to_owned(), &[]).await;
    assert_eq!(outcome.lines[0]["status"]["dir"], "/base/home");
    assert_eq!(outcome.names(), ["a-1"]);
}

#[tokio::test]
async fn unusable_bytes_end_with_one_clear_message() {
    let big = format!("{}{}", r#"{"apiVersion":"ichor/v1","x":""#, "x".repeat(100 << 20));
    let table: [(Vec<u8>, &str); 6] = [
        (b"".to_vec(), "the input is empty"),
        (b"\xEF\xBB\xBF  \r\n".to_vec(), "the input is empty"),
        (b"hello".to_vec(), "not a map"),
        (b"{\"a\":}".to_vec(), "line 1: not JSON"),
        (b"name: \xff".to_vec(), "invalid UTF-8 on line 1"),
        (big.into_bytes(), "a record is larger than 64 MiB"),
    ];
    for (input, expected) in table {
        let mut heard = crate::intake::Intake {
            stream: record::stream::Stream::new(Toy::row(), Vec::new()),
            base: "/".into(),
            dir: None,
        }
        .read(Box::new(Cursor::new(input)));
        let message = match heard.recv().await {
            Some(crate::intake::Heard::Broken(error)) => error.message,
            other => panic!("{other:?}"),
        };
        assert!(message.contains(expected), "{message}");
    }
}

/// A reader that went away.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_started_for_a_reader_that_went_away() {
    let pipes = Pipes {
        flags: Args::parse_from(["toy"]).flags,
        input: Opened::Bytes { reader: Box::new(Cursor::new(stream(&["a-1"]))), base: "/base".into() },
        output: Box::new(Gone),
        layout: Layout::Records(Format::Jsonl),
        dir: None,
    };
    let exit = Engine::run(Toy::default(), pipes, Stopping::default(), &[]).await;
    assert_eq!(exit, Exit::PipeClosed);
}

#[test]
fn the_command_to_run_again_does_not_repeat_a_patch() {
    let words =
        ["talos-apply", "-n", "10.0.0.1", "-p", "machine: {token: abc}", "-p", "@a b.yaml", "--config-patch=x: y"];
    let argv: Vec<_> = words.map(std::ffi::OsString::from).to_vec();
    let text = crate::arguments::again(&argv, false);
    assert_eq!(text, "run again: talos-apply -n 10.0.0.1 -p … -p '@a b.yaml' --config-patch=…");
}
