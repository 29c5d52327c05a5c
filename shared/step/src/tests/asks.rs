//! What a task asks of its run, and when it gets it.

use record::status::{Image, Kubeconfig};
use record::{Effect, Node};

use super::*;
use crate::{ClusterDir, Need, Written};

/// The digest that a toy which does something of its own left on a node.
fn digest<'a>(outcome: &'a Outcome, name: &str) -> &'a str {
    outcome.node(name)["status"]["config"]["sha256"].as_str().unwrap()
}

fn names(nodes: &[Arc<Node>]) -> String {
    nodes.iter().map(|node| node.name()).collect::<Vec<_>>().join(",")
}

/// A toy whose input comes piece by piece, and how far it is.
struct Running {
    input: std::sync::mpsc::Sender<String>,
    stdout: toy::Sink,
    begun: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Outcome>,
}

impl Running {
    fn of(toy: Toy, first: String) -> Self {
        let (input, reader) = Fed::pair();
        let (stdout, begun) = (toy.stdout.clone(), Arc::clone(&toy.begun));
        let task = tokio::spawn(Setting { toy, input: reader, ..Setting::of("") }.run());
        let running = Self { input, stdout, begun, task };
        running.send(first);
        running
    }

    fn send(&self, lines: String) {
        self.input.send(lines + "\n").unwrap();
    }

    /// Waits until so many tasks have begun. They have then run until they had to wait.
    async fn begun(&self, count: usize) {
        until(|| self.begun.load(Ordering::SeqCst) == count).await;
    }

    async fn printed(&self, text: &str) {
        until(|| self.stdout.flushed().contains(text)).await;
    }

    async fn end(self) -> Outcome {
        drop(self.input);
        self.task.await.unwrap()
    }
}

#[tokio::test]
async fn all_listed_control_planes_are_waited_for_and_come_in_file_order() {
    let toy = Toy::doing(|run, _| async move { found(names(&run.control_planes().await?)) });
    let running = Running::of(toy, [head(&["cp-1", "cp-2", "w-1"]), node("cp-2"), node("w-1")].join("\n"));
    running.begun(3).await;
    running.send(node("cp-1"));
    running.printed(r#""name":"w-1","cluster""#).await;
    running.send(END.to_owned());
    assert_eq!(digest(&running.end().await, "w-1"), "cp-1,cp-2");
}

#[tokio::test]
async fn one_control_plane_of_the_kind_that_is_wanted_is_enough() {
    let work =
        |run: crate::Run, _| async move { found(names(&run.some_control_plane(|node| node.name() == "cp-2").await?)) };
    let first = [head(&["cp-1", "cp-2", "cp-3", "w-1"]), node("cp-1"), node("w-1")].join("\n");
    let running = Running::of(Toy::doing(work), first);
    running.begun(3).await;
    running.send(node("cp-2"));
    running.printed(r#""name":"w-1","cluster""#).await;
    running.send(format!("{}\n{END}", node("cp-3")));
    assert_eq!(digest(&running.end().await, "w-1"), "cp-1,cp-2");
}

#[tokio::test]
async fn what_the_cluster_needs_is_waited_for_and_no_longer_than_until_it_is_there() {
    let without = head(&["a-1"]).replace("image", "picture");
    let running = Running::of(Toy::default(), without);
    running.begun(1).await;
    running.send(format!("{}\n{}", head(&["a-1"]), node("a-1")));
    running.printed(r#""name":"a-1","cluster""#).await;
    running.send(END.to_owned());
    assert_eq!(digest(&running.end().await, "a-1"), "v1");
}

#[tokio::test]
async fn what_an_error_explains_is_not_waited_for() {
    let failed = failed_stream(&["a-1"], "talos-image", 5).replace(END, "");
    let running = Running::of(Toy::default(), failed.trim_end().to_owned());
    running.printed(r#""name":"a-1","cluster""#).await;
    running.send(END.to_owned());
    let outcome = running.end().await;
    assert_eq!((outcome.exit, outcome.stderr.contains("error:")), (Exit::Unreachable, false), "{}", outcome.stderr);
}

#[tokio::test]
async fn a_lack_of_the_cluster_is_explained_by_a_control_plane_that_failed() {
    let error = json!({"step": "pve-vm", "code": "x", "message": "m", "exit": 5});
    let failed = node("cp-1").replace(r#""spec""#, &format!(r#""status":{{"error":{error}}},"spec""#));
    let input = format!("{}\n{failed}\n{END}\n", head(&["cp-1"]).replace("image", "picture"));
    let outcome = run(input, &[]).await;
    assert_eq!((outcome.exit, outcome.last()["status"].get("error")), (Exit::Unreachable, None));
}

#[tokio::test]
async fn what_the_cluster_may_have_is_waited_for_until_it_is_there_or_the_input_has_ended() {
    let toy = || {
        Toy::doing(|run, _| async move {
            found(run.cluster_want::<Image>().await?.map_or("none".to_owned(), |image| image.version))
        })
    };
    let without = [head(&["a-1"]).replace("image", "picture"), node("a-1")].join("\n");
    let running = Running::of(toy(), without.clone());
    running.begun(2).await;
    running.send(head(&["a-1"]));
    running.printed(r#""name":"a-1","cluster""#).await;
    running.send(END.to_owned());
    assert_eq!(digest(&running.end().await, "a-1"), "v1");
    let never = Setting { toy: toy(), ..Setting::of(format!("{without}\n{END}\n")) }.run().await;
    assert_eq!(digest(&never, "a-1"), "none");
}

#[tokio::test]
async fn a_step_learns_what_is_only_planned() {
    let toy = Toy::doing(|run, node| async move {
        found(match run.need::<Vm>(&node)? {
            Need::Here(_) => "here",
            Need::Planned(_) => "planned",
        })
    });
    let planned = node_with("a-1", &Vm::default()).replace(r#""vm":{"#, r#""vm":{"pending":true,"#);
    let input = format!("{}\n{}\n{planned}\n{END}\n", head(&["a-1", "b-1"]), node_with("b-1", &Vm::default()));
    let outcome = Setting { toy, flags: vec!["--dry-run"], ..Setting::of(input) }.run().await;
    assert_eq!([digest(&outcome, "a-1"), digest(&outcome, "b-1")], ["planned", "here"]);
}

#[tokio::test]
async fn a_missing_address_is_an_error_unless_one_of_the_cluster_explains_it() {
    let asking = |input: String| {
        let toy = Toy::doing(|run, node| async move { found(run.address(&node)?) });
        Setting { toy, ..Setting::of(input) }.run()
    };
    let alone = asking(stream(&["a-1"])).await;
    assert_eq!((alone.exit, &alone.node("a-1")["status"]["error"]["code"]), (Exit::Unusable, &json!("no-address")));
    let explained = asking(failed_stream(&["a-1"], "pve-vm", 5)).await;
    assert_eq!((explained.exit, &explained.node("a-1")["status"]), (Exit::Unreachable, &json!({})));
    assert!(explained.stderr.contains("1 skipped"), "{}", explained.stderr);
}

#[tokio::test]
async fn a_folder_that_nobody_names_is_unusable_input() {
    let toy = Toy::doing(|run, _| async move { found(run.dir()?.path("x").display().to_string()) });
    let outcome = Setting { toy, ..Setting::of(stream(&["a-1"]).replace(r#""dir":"/nowhere","#, "")) }.run().await;
    assert_eq!(
        (outcome.exit, &outcome.node("a-1")["status"]["error"]["code"]),
        (Exit::Unusable, &json!("missing-input"))
    );
}

#[tokio::test]
async fn what_a_task_writes_into_the_cluster_is_marked_and_counted() {
    let work = |run: crate::Run, _| async move {
        let kubeconfig = Kubeconfig { context: "c".to_owned(), ..Kubeconfig::default() };
        run.write_cluster(&kubeconfig, Effect::Pending, Vec::new());
        Ok(Written::nothing())
    };
    let outcome = Setting { toy: Toy::doing(work), ..Setting::of(stream(&["a-1"])) }.run().await;
    let marks = |line: &Value| (line["status"]["kubeconfig"]["pending"].clone(), line.get("end").is_some());
    assert!(outcome.lines.iter().any(|line| marks(line) == (json!(true), false)), "it leaves before the last line");
    assert_eq!((outcome.exit, marks(outcome.last())), (Exit::Pending, (json!(true), true)));
}

#[tokio::test]
async fn a_claim_waits_for_the_other_run_of_the_step_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let claiming = |flags: Vec<&'static str>| {
        let toy = Toy::doing(|run, _| async move {
            let _claim = run.claim().await?;
            found("claimed")
        });
        let input = stream(&["a-1"]).replace("/nowhere", &folder.path().display().to_string());
        Setting { toy, flags, ..Setting::of(input) }
    };
    let other = ClusterDir::new(folder.path().to_owned(), "lab").claim("talos-gen").unwrap();
    let busy = claiming(vec!["--wait-timeout", "1ms"]).run().await;
    assert_eq!((busy.exit, &busy.node("a-1")["status"]["error"]["code"]), (Exit::Unreachable, &json!("busy")));
    let patient = claiming(vec![]);
    let stderr = patient.stderr.clone();
    let running = tokio::spawn(patient.run());
    until(|| stderr.text().contains("waiting: another run")).await;
    drop(other);
    assert_eq!(digest(&running.await.unwrap(), "a-1"), "claimed");
}

#[tokio::test]
async fn work_that_says_how_far_it_is_stands_in_the_line_about_waits_until_it_is_over() {
    let toy = Toy::doing(|run, _| async move {
        let line = || run.context.waits.line(tokio::time::Instant::now()).unwrap_or_default();
        let progress = run.progress(None, "uploading x to pve1");
        let begun = line();
        progress.percent(15, Some("38.5MB/s"));
        let later = line();
        drop(progress);
        found(format!("{begun}|{later}|{}", line()))
    });
    let outcome = Setting { toy, ..Setting::of(stream(&["a-1"])) }.run().await;
    let said: Vec<_> = digest(&outcome, "a-1").split('|').map(str::to_owned).collect();
    assert!(said[0].contains("uploading x to pve1 (0 s)"), "{said:?}");
    assert!(said[1].contains("uploading x to pve1: 15%, 38.5MB/s (0 s)"), "{said:?}");
    assert!(!said[2].contains("uploading"), "{said:?}");
}

#[tokio::test]
async fn the_places_to_work_at_are_counted_and_control_planes_get_them_first() {
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (release, begun) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::clone(&order));
    let held = Arc::clone(&release);
    let toy = Toy::doing(move |run, node| {
        let (order, release) = (Arc::clone(&order), Arc::clone(&release));
        async move {
            let _slot = run.slot(&node).await?;
            order.lock().unwrap().push(node.name().to_owned());
            release.acquire().await.unwrap().forget();
            found("")
        }
    });
    let (stopping, stderr) = (Stopping::default(), toy::Sink::default());
    let input = [head(&["w-0", "w-1", "cp-1"]), node("w-0")].join("\n") + "\n";
    let (sender, reader) = Fed::pair();
    let count = Arc::clone(&toy.begun);
    let setting = Setting { toy, input: reader, flags: vec!["--parallel", "1"], stopping, stderr, ..Setting::of("") };
    let running = tokio::spawn(setting.run());
    sender.send(input).unwrap();
    until(|| begun.lock().unwrap().len() == 1).await;
    sender.send(format!("{}\n{}\n{END}\n", node("w-1"), node("cp-1"))).unwrap();
    until(|| count.load(Ordering::SeqCst) == 4).await;
    // Both wait in the queue only once they were polled a second time: a worker lets others go first.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*begun.lock().unwrap(), ["w-0"], "there is one place");
    held.add_permits(3);
    drop(sender);
    running.await.unwrap();
    assert_eq!(*begun.lock().unwrap(), ["w-0", "cp-1", "w-1"]);
}

#[tokio::test]
async fn a_wait_ends_when_its_time_is_up_and_says_what_was_missing() {
    let outcome = run(stream(&["waiting-1"]), &["--wait-timeout", "1ms"]).await;
    let error = &outcome.node("waiting-1")["status"]["error"];
    assert_eq!((outcome.exit, &error["code"]), (Exit::Unreachable, &json!("timeout")));
    assert!(error["message"].as_str().unwrap().contains("it never comes"), "{error}");
}
