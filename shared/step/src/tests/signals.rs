//! What a signal ends, and what it doesn't; and a reader that goes away.

use super::*;

/// An input that stays open.
fn open(toy: Toy, first: String) -> (std::sync::mpsc::Sender<String>, Setting) {
    let (sender, input) = Fed::pair();
    sender.send(first).unwrap();
    (sender, Setting { toy, input, piped: true, ..Setting::of("") })
}

#[tokio::test]
async fn after_a_signal_the_records_that_still_come_are_passed_on() {
    // The work on the cluster waits when the signal comes: that it ends is no failure that gives the input up.
    for image in ["image", "picture"] {
        let (sender, setting) = open(Toy::default(), head(&["a-1"]).replace("image", image) + "\n");
        let (stopping, begun, stdout) =
            (setting.stopping.clone(), Arc::clone(&setting.toy.begun), setting.toy.stdout.clone());
        let running = tokio::spawn(setting.run());
        until(|| begun.load(Ordering::SeqCst) == 1 && stdout.flushed().contains("lab")).await;
        stopping.because(Exit::Terminated);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        sender.send(format!("{}\n{END}\n", node("a-1"))).unwrap();
        drop(sender);
        let outcome = running.await.unwrap();
        assert_eq!((outcome.exit, outcome.names()), (Exit::Terminated, vec!["a-1"]), "{image}");
        assert_eq!(outcome.node("a-1")["status"]["error"]["code"], "interrupted", "{image}");
        assert_eq!(outcome.last()["end"], true);
    }
}

#[tokio::test]
async fn a_step_that_failed_as_a_whole_ends_on_the_first_signal_although_its_input_never_ends() {
    let toy = Toy { row: &table::PVE_VM_DESTROY, ..Toy::default() };
    let (sender, setting) = open(toy, head(&["a-1"]) + "\n");
    let (stopping, stderr) = (setting.stopping.clone(), setting.stderr.clone());
    let running = tokio::spawn(setting.run());
    until(|| stderr.text().contains("error:")).await;
    stopping.because(Exit::Interrupted);
    assert_eq!(running.await.unwrap().exit, Exit::Interrupted);
    drop(sender);
}

#[tokio::test]
async fn a_signal_says_what_is_waited_for_if_anything_is_in_hand() {
    let (sender, setting) = open(Toy::default(), format!("{}\n{}\n", head(&["slow-1"]), node("slow-1")));
    let Setting { stopping, stderr, .. } = &setting;
    let (stopping, stderr, working) = (stopping.clone(), stderr.clone(), Arc::clone(&setting.toy.working));
    let running = tokio::spawn(setting.run());
    until(|| working.load(Ordering::SeqCst) == 1).await;
    stopping.because(Exit::Interrupted);
    until(|| stderr.text().lines().any(|line| line.starts_with("toy: stopping") && line.contains(" 1 "))).await;
    running.abort();
    drop(sender);

    let (sender, setting) = open(Toy::default(), head(&["slow-1"]) + "\n");
    let (stopping, begun) = (setting.stopping.clone(), Arc::clone(&setting.toy.begun));
    let running = tokio::spawn(setting.run());
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    stopping.because(Exit::Interrupted);
    sender.send(format!("{}\n{END}\n", node("slow-1"))).unwrap();
    drop(sender);
    assert!(!running.await.unwrap().stderr.contains("stopping"), "nothing is in hand");
}

#[tokio::test]
async fn a_node_that_waits_for_what_the_cluster_finds_out_is_interrupted_although_that_goes_on() {
    let let_go = Arc::new(tokio::sync::Semaphore::new(0));
    let held = Arc::clone(&let_go);
    let slowly: toy::OnCluster = Box::new(move |_| {
        let let_go = Arc::clone(&let_go);
        Box::pin(async move {
            let_go.acquire().await.unwrap().forget();
            Ok(String::new())
        })
    });
    let toy = Toy { on_cluster: Some(slowly), ..Toy::default() };
    // The line after the node shows that the node has been taken.
    let grown = head(&["a-1"]).replace(r#""status":{"#, r#""status":{"grown":1,"#);
    let (sender, setting) = open(toy, [head(&["a-1"]), node("a-1"), grown].join("\n") + "\n");
    let (stopping, stdout, stderr) = (setting.stopping.clone(), setting.toy.stdout.clone(), setting.stderr.clone());
    let running = tokio::spawn(setting.run());
    until(|| stdout.flushed().contains("grown")).await;
    stopping.because(Exit::Interrupted);
    until(|| stdout.flushed().contains("interrupted")).await;
    assert!(!running.is_finished(), "{}", stderr.text());
    held.add_permits(1);
    sender.send(format!("{END}\n")).unwrap();
    drop(sender);
    assert_eq!(running.await.unwrap().exit, Exit::Interrupted);
}

/// A reader that goes away after the first line.
struct Going(toy::Sink);

impl Write for Going {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.flushed().is_empty() { self.0.write(bytes) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[tokio::test]
async fn nothing_more_is_read_or_said_for_a_reader_that_went_away_in_the_middle() {
    let (sender, setting) = open(Toy::default(), head(&["a-1", "b-1"]) + "\n");
    let setting = Setting { output: Some(Box::new(Going(toy::Sink::default()))), place: Place::Last, ..setting };
    let running = tokio::spawn(setting.run());
    sender.send(node("a-1") + "\n").unwrap();
    let outcome = running.await.unwrap();
    drop(sender);
    assert_eq!((outcome.exit, outcome.stderr.as_str()), (Exit::PipeClosed, ""));
}

#[tokio::test]
async fn control_planes_that_have_not_come_when_the_reader_goes_away_are_never_taken_for_missing() {
    let counted = Arc::new(std::sync::Mutex::new(None));
    let count = Arc::clone(&counted);
    let asking: toy::OnCluster = Box::new(move |run| {
        let count = Arc::clone(&count);
        Box::pin(async move {
            run.stopping().cancelled().await;
            // The engine has noticed it, too.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let came = run.control_planes().await.map(|came| came.len()).map_err(|stop| format!("{stop:?}"));
            *count.lock().unwrap() = Some(came);
            Ok(String::new())
        })
    });
    let toy = Toy { on_cluster: Some(asking), ..Toy::default() };
    let (sender, setting) = open(toy, format!("{}\n{}\n", head(&["left-1", "cp-1"]), node("left-1")));
    let setting = Setting { output: Some(Box::new(Going(toy::Sink::default()))), ..setting };
    let outcome = setting.run().await;
    drop(sender);
    let came = counted.lock().unwrap().take().expect("it was asked");
    assert!(came.as_ref().is_err_and(|stop| stop.contains("interrupted")), "{came:?}");
    assert_eq!((outcome.exit, outcome.stderr.as_str()), (Exit::PipeClosed, ""));
}

#[tokio::test]
async fn that_the_input_was_cut_is_not_said_for_a_reader_that_is_gone_and_concludes_nothing() {
    let counting = Toy::doing(|run, _| async move { found(run.control_planes().await?.len().to_string()) });
    let cut = [head(&["cp-1", "a-1"]), node("a-1")].join("\n") + "\n";
    let setting = Setting { toy: counting, piped: true, reader_is_gone: true, ..Setting::of(cut) };
    let outcome = setting.run().await;
    assert_eq!((outcome.exit, outcome.stderr.as_str()), (Exit::PipeClosed, ""));
    let error = &outcome.node("a-1")["status"]["error"];
    assert_eq!(error["code"], "interrupted", "{}", outcome.stdout);
}

#[tokio::test]
async fn a_failed_stream_whose_writer_stays_ends_on_the_first_signal() {
    let mut failure = Failure::new(Exit::Usage, Code::Usage, "a typo");
    failure.step = "talos-image".to_owned();
    let line = serde_json::to_string(&Cluster::failed(&failure)).unwrap() + "\n";
    let (sender, setting) = open(Toy::default(), line);
    let stopping = setting.stopping.clone();
    let running = tokio::spawn(setting.run());
    stopping.because(Exit::Terminated);
    assert_eq!(running.await.unwrap().exit, Exit::Terminated);
    drop(sender);
}

#[tokio::test]
async fn a_signal_is_the_exit_status_also_where_a_failed_stream_is_passed_on() {
    let mut failure = Failure::new(Exit::Usage, Code::Usage, "a typo");
    failure.step = "talos-image".to_owned();
    let line = serde_json::to_string(&Cluster::failed(&failure)).unwrap() + "\n";
    let setting = Setting::of(line);
    setting.stopping.because(Exit::Terminated);
    setting.stopping.because(Exit::Interrupted);
    assert_eq!(setting.run().await.exit, Exit::Terminated, "the first reason counts");
}

#[tokio::test]
async fn who_waits_says_so_every_ten_seconds() {
    let (sender, setting) = open(Toy::default(), format!("{}\n{}\n", head(&["waiting-1"]), node("waiting-1")));
    let (stopping, stderr, working) =
        (setting.stopping.clone(), setting.stderr.clone(), Arc::clone(&setting.toy.working));
    let running = tokio::spawn(setting.run());
    until(|| working.load(Ordering::SeqCst) == 1).await;
    let reports = || stderr.text().matches("waiting: waiting-1 it never comes (").count();
    for count in 1..=2 {
        // While this task is ready to run, the clock stands still except for what is done here.
        tokio::time::pause();
        tokio::time::advance(crate::wait::LOOK * 9).await;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        tokio::time::resume();
        assert_eq!(reports(), count, "{}", stderr.text());
    }
    stopping.because(Exit::Interrupted);
    drop(sender);
    running.await.unwrap();
}

#[tokio::test]
async fn a_signal_ends_what_waits_for_the_input_and_what_waits_for_a_place() {
    let waiting = Toy::doing(|run, _| async move { found(run.control_planes().await?.len().to_string()) });
    let placed = Toy::doing(|run, node| async move {
        let _slot = run.slot(&node).await?;
        std::future::pending().await
    });
    for toy in [waiting, placed] {
        let first = format!("{}\n{}\n{}\n", head(&["cp-1", "a-1", "b-1"]), node("a-1"), node("b-1"));
        let (sender, setting) = open(toy, first);
        let setting = Setting { flags: vec!["--parallel", "1"], ..setting };
        let (stopping, begun, stdout) =
            (setting.stopping.clone(), Arc::clone(&setting.toy.begun), setting.toy.stdout.clone());
        let running = tokio::spawn(setting.run());
        until(|| begun.load(Ordering::SeqCst) == 3).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        stopping.because(Exit::Interrupted);
        // Of the two that are begun only one has a place.
        let interrupted = || stdout.flushed().lines().any(|line| line.contains("Node") && line.contains("interrupted"));
        until(interrupted).await;
        running.abort();
        drop(sender);
    }
}

#[test]
fn the_first_signal_stops_gently_and_the_second_at_once() {
    alone("tests::signals::the_first_signal_stops_gently_and_the_second_at_once", two_signals());
}

async fn two_signals() {
    let (sender, setting) = open(Toy::default(), format!("{}\n{}\n", head(&["slow-1"]), node("slow-1")));
    let (working, stderr) = (Arc::clone(&setting.toy.working), setting.stderr.clone());
    let (toy, pipes) = setting.pipes();
    let running = tokio::spawn(async move { crate::launch::stream(toy, pipes, &["toy".into()]).await });
    // From here on the process obeys signals.
    until(|| working.load(Ordering::SeqCst) == 1).await;
    let signal = || {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
    };
    signal();
    until(|| stderr.text().contains("toy: stopping")).await;
    assert!(!running.is_finished(), "what is in hand goes on");
    signal();
    until(|| running.is_finished()).await;
    assert_eq!(running.await.unwrap(), Exit::Terminated);
    drop(sender);
}
