//! The Node object as a kubelet of Talos reports it.

use lab_core::kubernetes::Report;
use serde_json::{Map, Value, json};

const OWNED_LABELS: &str = "talos.dev/owned-labels";

/// Labels of the config that the API server lets the node have.
fn own_labels(report: &Report) -> impl Iterator<Item = (&String, &String)> {
    report.labels.iter().filter(|(label, _)| report.control_plane || allowed_label(label))
}

/// Whether the admission plugin NodeRestriction lets a kubelet give itself a label.
fn allowed_label(label: &str) -> bool {
    let Some((domain, name)) = label.split_once('/') else { return true };
    let kubernetes = ["kubernetes.io", "k8s.io"].iter().any(|d| domain == *d || domain.ends_with(&format!(".{d}")));
    if domain == "node-restriction.kubernetes.io" || domain.ends_with(".node-restriction.kubernetes.io") {
        return false;
    }
    let allowed = match domain {
        "kubernetes.io" => ["hostname", "arch", "os"].contains(&name),
        "beta.kubernetes.io" => ["arch", "os", "instance-type"].contains(&name),
        "topology.kubernetes.io" | "failure-domain.beta.kubernetes.io" => ["region", "zone"].contains(&name),
        "node.kubernetes.io" | "kubelet.kubernetes.io" => true,
        other => other.ends_with(".node.kubernetes.io") || other.ends_with(".kubelet.kubernetes.io"),
    };
    !kubernetes || allowed
}

/// The object for a report; what others wrote to it before stays.
pub(super) fn object(report: &Report, before: Option<&Value>, ready: bool) -> Value {
    let mut object = before.cloned().unwrap_or_else(|| json!({"kind": "Node", "apiVersion": "v1"}));
    object["metadata"]["name"] = json!(report.name);
    merge_labels(&mut object, report);
    merge(&mut object["metadata"]["annotations"], annotations(report));
    let pods = format!("10.{}.{}.0/24", 244 + report.place / 256, report.place % 256);
    object["spec"]["podCIDR"] = json!(pods);
    object["spec"]["podCIDRs"] = json!([pods]);
    let mut taints = taints(report);
    if object["spec"]["unschedulable"] == json!(true) {
        taints.push(json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}));
    }
    set_taints(&mut object, taints);
    object["status"] = status(report);
    with_ready(&object, ready, &report.at)
}

/// Labels that the config no longer names go, if the node itself had set them.
fn merge_labels(object: &mut Value, report: &Report) {
    let owned = object["metadata"]["annotations"][OWNED_LABELS].as_str().unwrap_or("[]").to_owned();
    let owned: Vec<String> = serde_json::from_str(&owned).unwrap_or_default();
    if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
        labels.retain(|key, _| !owned.contains(key));
    }
    merge(&mut object["metadata"]["labels"], labels(report));
}

fn merge(target: &mut Value, pairs: Vec<(String, String)>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in pairs {
        target[key] = json!(value);
    }
}

fn labels(report: &Report) -> Vec<(String, String)> {
    let fixed = [
        ("beta.kubernetes.io/arch", "amd64"),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/hostname", &report.name),
    ];
    let fixed = fixed.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let extensions = report.extensions.iter().filter_map(|name| name.strip_prefix("siderolabs/"));
    let extensions = extensions.map(|name| (format!("extensions.talos.dev/{name}"), report.talos.clone()));
    let own = own_labels(report).map(|(key, value)| (key.clone(), value.clone()));
    fixed.chain(extensions).chain(own).collect()
}

fn annotations(report: &Report) -> Vec<(String, String)> {
    let owned: Vec<&String> = own_labels(report).map(|(key, _)| key).collect();
    let own = report.annotations.iter().map(|(key, value)| (key.clone(), value.clone()));
    let fixed = [
        (OWNED_LABELS.to_owned(), json!(owned).to_string()),
        ("flannel.alpha.coreos.com/public-ip".to_owned(), report.address.clone()),
        ("node.alpha.kubernetes.io/ttl".to_owned(), "0".to_owned()),
        ("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned()),
    ];
    own.chain(fixed).collect()
}

fn taints(report: &Report) -> Vec<Value> {
    let taint = |(key, text): (&String, &String)| match text.split_once(':') {
        Some((value, effect)) => json!({"key": key, "value": value, "effect": effect}),
        None => json!({"key": key, "effect": text}),
    };
    report.taints.iter().map(taint).collect()
}

fn set_taints(object: &mut Value, taints: Vec<Value>) {
    match taints.is_empty() {
        true => {
            if let Some(spec) = object["spec"].as_object_mut() {
                spec.remove("taints");
            }
        }
        false => object["spec"]["taints"] = Value::Array(taints),
    }
}

fn status(report: &Report) -> Value {
    let capacity = |reserved_cores: u64, reserved: u64| {
        let milli = u64::from(report.cores) * 1000 - reserved_cores;
        let cpu = if reserved_cores == 0 { report.cores.to_string() } else { format!("{milli}m") };
        let memory = (report.memory * 1024).saturating_sub(reserved);
        json!({"cpu": cpu, "ephemeral-storage": "17613Mi", "memory": format!("{memory}Ki"), "pods": "110"})
    };
    json!({
        "capacity": capacity(0, 90_112),
        "allocatable": capacity(50, 622_592),
        "addresses": [
            {"type": "InternalIP", "address": report.address},
            {"type": "Hostname", "address": report.hostname},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": node_info(report),
    })
}

fn node_info(report: &Report) -> Value {
    json!({
        "machineID": report.uuid.replace('-', ""),
        "systemUUID": report.uuid,
        "bootID": report.boot_id,
        "kernelVersion": report.kernel,
        "osImage": format!("Talos ({})", report.talos),
        "containerRuntimeVersion": runtime(&report.talos),
        "kubeletVersion": report.kubelet,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    })
}

fn runtime(talos: &str) -> &'static str {
    match talos.split('.').nth(1) {
        Some("12") => "containerd://2.1.5",
        _ => "containerd://2.2.3",
    }
}

/// The object with another readiness; conditions that stay the same keep their time.
pub(super) fn with_ready(object: &Value, ready: bool, at: &str) -> Value {
    let mut object = object.clone();
    let pressure =
        |kind: &str, reason: &str, message: &str| (kind.to_owned(), "False", reason.to_owned(), message.to_owned());
    let state = match ready {
        true => ("Ready".to_owned(), "True", "KubeletReady".to_owned(), "kubelet is posting ready status".to_owned()),
        false => (
            "Ready".to_owned(),
            "False",
            "KubeletNotReady".to_owned(),
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized".to_owned(),
        ),
    };
    let wanted = [
        pressure("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        pressure("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        pressure("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        state,
    ];
    let old = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let conditions = wanted.into_iter().map(|(kind, status, reason, message)| {
        let before = old.iter().find(|c| c["type"] == json!(kind) && c["status"] == json!(status));
        let since = before.map_or_else(|| json!(at), |c| c["lastTransitionTime"].clone());
        json!({
            "type": kind,
            "status": status,
            "lastHeartbeatTime": at,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        })
    });
    object["status"]["conditions"] = conditions.collect();
    object
}

pub(super) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == json!("Ready") && c["status"] == json!("True"))
}
