//! Logs of pods: a few lines of a container that has started and runs.

use serde_json::Value;

use super::answer::Answer;
use super::request::Request;
use super::status;
use super::store::Store;

/// `GET pods/{name}/log`.
pub(super) fn answer(store: &Store, pod: &Value, request: &Request) -> Answer {
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = containers.iter().filter_map(|container| container["name"].as_str()).collect();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let container = match (request.text("container"), names.as_slice()) {
        (None, [only]) => *only,
        (None, all) => {
            let list = all.join(" ");
            let text = format!("a container name must be specified for pod {name}, choose one of: [{list}]");
            return status::bad_request(&text);
        }
        (Some(wanted), all) if !all.contains(&wanted) => {
            return status::bad_request(&format!("container {wanted} is not valid for pod {name}"));
        }
        (Some(wanted), _) => wanted,
    };
    if request.flag("previous") {
        let text = format!("previous terminated container \"{container}\" in pod \"{name}\" not found");
        return status::bad_request(&text);
    }
    if !matches!(pod["status"]["phase"].as_str(), Some("Running" | "Succeeded")) {
        let text = format!("container \"{container}\" in pod \"{name}\" is waiting to start: ContainerCreating");
        return status::bad_request(&text);
    }
    let image = containers
        .iter()
        .find(|known| known["name"] == container)
        .map_or("", |known| known["image"].as_str().unwrap_or_default());
    let all = lines(store, pod, container, image);
    let tail = request.text("tailLines").and_then(|count| count.parse().ok()).unwrap_or(all.len()).min(all.len());
    let started = pod["status"]["startTime"].as_str().unwrap_or_default();
    let stamped = request.flag("timestamps");
    let stamp = |line: &String| if stamped { format!("{started} {line}\n") } else { format!("{line}\n") };
    let text: String = all[all.len() - tail..].iter().map(stamp).collect();
    if request.flag("follow") && pod["status"]["phase"] == "Running" {
        return Answer::Log { text, uid: pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned() };
    }
    Answer::Whole { code: 200, content_type: "text/plain", body: text.into_bytes() }
}

/// `I1127 14:05:09.000000       1 main.go:1] …` from the time at which the pod was started.
fn line(started: &str, place: &str, text: &str) -> String {
    let (date, time) = started.trim_end_matches('Z').split_once('T').unwrap_or(("1970-01-01", "00:00:00"));
    let day: String = date.split('-').skip(1).collect();
    format!("I{day} {time}.000000       1 {place}] {text}")
}

fn lines(store: &Store, pod: &Value, container: &str, image: &str) -> Vec<String> {
    let started = pod["status"]["startTime"].as_str().unwrap_or_default();
    let version = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    let nodes = store.list("nodes", None).filter_map(|node| node["metadata"]["name"].as_str());
    let mut said = vec![line(started, "server.go:1", &format!("Version: {version}"))];
    match container {
        "kube-apiserver" => said.push(line(started, "secure_serving.go:1", "Serving securely on [::]:6443")),
        "kube-controller-manager" => {
            said.push(line(
                started,
                "leaderelection.go:1",
                "successfully acquired lease kube-system/kube-controller-manager",
            ));
            let text = |node: &str| {
                line(
                    started,
                    "node_lifecycle_controller.go:1",
                    &format!("Sending event RegisteredNode for node {node}"),
                )
            };
            said.extend(nodes.map(text));
        }
        "kube-scheduler" => {
            said.push(line(started, "leaderelection.go:1", "successfully acquired lease kube-system/kube-scheduler"));
        }
        "coredns" => return vec![".:53".to_owned(), format!("CoreDNS-{}", version.trim_start_matches('v'))],
        _ => said.push(line(started, "main.go:1", &format!("{container} runs on {}", pod["spec"]["nodeName"]))),
    }
    said
}
