//! One mistake is one message, also where two steps make the same one of the same setting.

use super::*;

/// A toy whose work on the cluster fails.
fn failing() -> Toy {
    let fails: toy::OnCluster =
        Box::new(|_| Box::pin(async { Err(Failure::new(Exit::Unusable, Code::Usage, "no token").into()) }));
    Toy { on_cluster: Some(fails), ..Toy::default() }
}

/// The Cluster line of the step before, which has failed.
fn reported(message: &str) -> String {
    let error = json!({"step": "talos-image", "code": "usage", "message": message, "exit": 8});
    head(&["a-1"]).replace(r#""status":{"#, &format!(r#""status":{{"error":{error},"#))
}

/// A failing toy between the first line of its input and the rest.
fn begun() -> (std::sync::mpsc::Sender<String>, Setting) {
    let (sender, input) = Fed::pair();
    sender.send(head(&["a-1"]) + "\n").unwrap();
    (sender, Setting { toy: failing(), input, piped: true, ..Setting::of("") })
}

#[tokio::test]
async fn a_mistake_that_the_step_before_reports_as_well_is_printed_by_that_one_alone() {
    let (sender, setting) = begun();
    let (stdout, begun) = (setting.toy.stdout.clone(), Arc::clone(&setting.toy.begun));
    let running = tokio::spawn(setting.run());
    until(|| begun.load(Ordering::SeqCst) == 1 && stdout.flushed().contains("no token")).await;
    // The step before passes its nodes on at once, and fails only then.
    sender.send([node("a-1"), reported("no token"), END.to_owned()].join("\n") + "\n").unwrap();
    drop(sender);
    let outcome = running.await.unwrap();
    assert_eq!((outcome.exit, outcome.stderr.contains("error:")), (Exit::Unusable, false), "{}", outcome.stderr);
    let error = &outcome.last()["status"]["error"];
    assert_eq!((&error["message"], &error["exit"]), (&json!("no token"), &json!(8)));
}

#[tokio::test]
async fn a_mistake_that_was_reported_before_is_not_printed_again() {
    let input = [reported("no token"), node("a-1"), END.to_owned()].join("\n") + "\n";
    let outcome = Setting { toy: failing(), piped: true, ..Setting::of(input) }.run().await;
    assert_eq!((outcome.exit, outcome.stderr.contains("error:")), (Exit::Unusable, false), "{}", outcome.stderr);
}

#[tokio::test]
async fn another_mistake_of_the_step_before_hides_none() {
    let (sender, setting) = begun();
    sender.send([node("a-1"), reported("no storage"), END.to_owned()].join("\n") + "\n").unwrap();
    drop(sender);
    let outcome = setting.run().await;
    assert_eq!(outcome.stderr.matches("toy error: no token").count(), 1, "{}", outcome.stderr);
    assert_eq!(outcome.exit, Exit::Unusable);
}

#[tokio::test]
async fn a_mistake_that_nobody_else_reports_is_printed_once_however_the_input_goes_on() {
    for rest in [format!("{}\n{END}\n", node("a-1")), "garbage".to_owned(), String::new()] {
        let (sender, setting) = begun();
        sender.send(rest.clone()).unwrap();
        drop(sender);
        let outcome = setting.run().await;
        assert_eq!(outcome.stderr.matches("toy error: no token").count(), 1, "{rest}: {}", outcome.stderr);
    }
    let of_a_file = Setting { toy: failing(), ..Setting::of(stream(&["a-1"])) }.run().await;
    assert_eq!(of_a_file.stderr.matches("toy error: no token").count(), 1, "{}", of_a_file.stderr);
}

#[tokio::test]
async fn a_mistake_is_printed_although_the_step_before_goes_on_and_when_a_signal_ends_it() {
    let (sender, setting) = begun();
    let (stderr, stopping) = (setting.stderr.clone(), setting.stopping.clone());
    let running = tokio::spawn(setting.run());
    until(|| stderr.text().contains("toy error: no token")).await;
    assert!(!running.is_finished());
    stopping.because(Exit::Terminated);
    let outcome = running.await.unwrap();
    drop(sender);
    assert_eq!((outcome.exit, outcome.stderr.matches("no token").count()), (Exit::Terminated, 1), "{}", outcome.stderr);
}

#[tokio::test]
async fn an_empty_file_is_called_so_and_only_a_pipe_has_a_command_before_it() {
    let message = |piped, file| async move {
        let outcome = Setting { piped, file, ..Setting::of("\n") }.run().await;
        assert_eq!((outcome.exit, &outcome.last()["status"]["error"]["code"]), (Exit::Unusable, &json!("no-input")));
        outcome.last()["status"]["error"]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message(false, Some("lab.yaml")).await, "lab.yaml is empty");
    assert_eq!(message(false, None).await, "no input: stdin is empty");
    assert_eq!(message(true, None).await, "no input: the previous command in the pipe wrote nothing");
    assert_eq!(message(true, Some("/dev/fd/63")).await, "no input: the previous command in the pipe wrote nothing");
}
