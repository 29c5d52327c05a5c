//! What the server adds to an object of its own accord.

use serde_json::{Value, json};

use super::controllers::text;
use super::resources::Resource;
use super::store::Store;
use super::{custom, network};

/// Sets what is not there.
fn set(place: &mut Value, value: Value) {
    if place.is_null() {
        *place = value;
    }
}

fn all(object: &mut Value, values: Value) {
    if let Value::Object(values) = values {
        for (name, value) in values {
            set(&mut object[name], value);
        }
    }
}

/// Adds to an object what its kind has by default; `before` is how it was.
pub(super) fn complete(store: &Store, object: &mut Value, resource: &Resource, before: Option<&Value>) {
    match resource.kind.as_str() {
        _ if resource.definition.is_some() => {}
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            set(&mut object["spec"]["finalizers"], json!(["kubernetes"]));
            set(&mut object["status"]["phase"], json!("Active"));
        }
        "Secret" => secret(object),
        "Service" => service(store, object, before),
        "Deployment" => {
            all(
                &mut object["spec"],
                json!({
                    "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                    "strategy": {"type": "RollingUpdate"},
                }),
            );
            if object["spec"]["strategy"]["type"] == "RollingUpdate" {
                let limits = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
                all(&mut object["spec"]["strategy"]["rollingUpdate"], limits);
            }
        }
        "ReplicaSet" | "ReplicationController" => set(&mut object["spec"]["replicas"], json!(1)),
        "StatefulSet" => all(
            &mut object["spec"],
            json!({
                "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            }),
        ),
        "DaemonSet" => all(
            &mut object["spec"],
            json!({
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            }),
        ),
        "Job" => job(&mut object["spec"]),
        "CronJob" => {
            all(
                &mut object["spec"],
                json!({
                    "concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3,
                    "failedJobsHistoryLimit": 1,
                }),
            );
            job(&mut object["spec"]["jobTemplate"]["spec"]);
        }
        "Pod" => {
            set(&mut object["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
            pod(&mut object["spec"]);
        }
        "PersistentVolumeClaim" => set(&mut object["spec"]["volumeMode"], json!("Filesystem")),
        "PersistentVolume" => all(
            &mut object["spec"],
            json!({
                "volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain",
            }),
        ),
        "StorageClass" => all(object, json!({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})),
        "PriorityClass" => set(&mut object["preemptionPolicy"], json!("PreemptLowerPriority")),
        "CustomResourceDefinition" => custom::complete(object),
        _ => {}
    }
    for path in ["/spec/template", "/spec/jobTemplate/spec/template"] {
        let template = if resource.definition.is_some() { None } else { object.pointer_mut(path) };
        if let Some(template) = template.filter(|template| template["spec"].is_object()) {
            let metadata = template["metadata"].as_object_mut();
            metadata.map(|metadata| metadata.remove("creationTimestamp"));
            pod(&mut template["spec"]);
        }
    }
}

/// Texts become data.
fn secret(object: &mut Value) {
    use base64::Engine as _;
    set(&mut object["type"], json!("Opaque"));
    let texts = object.as_object_mut().and_then(|object| object.remove("stringData"));
    for (name, value) in texts.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let encoded = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
        object["data"][name] = encoded.into();
    }
}

fn service(store: &Store, object: &mut Value, before: Option<&Value>) {
    all(
        &mut object["spec"],
        json!({
            "type": "ClusterIP", "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        }),
    );
    for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let number = port["port"].clone();
        all(port, json!({"protocol": "TCP", "targetPort": number}));
    }
    if matches!(text(object, "/spec/type"), "NodePort" | "LoadBalancer") {
        set(&mut object["spec"]["externalTrafficPolicy"], json!("Cluster"));
    }
    if text(object, "/spec/type") == "LoadBalancer" {
        set(&mut object["spec"]["allocateLoadBalancerNodePorts"], json!(true));
    }
    set(&mut object["status"]["loadBalancer"], json!({}));
    network::allocate(store, object, before);
}

fn job(spec: &mut Value) {
    all(
        spec,
        json!({
            "parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false,
        }),
    );
}

fn pod(spec: &mut Value) {
    if !spec["containers"].is_array() {
        return;
    }
    unset(spec, &["hostIPC", "hostNetwork", "hostPID"]);
    all(
        spec,
        json!({
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "schedulerName": "default-scheduler",
        }),
    );
    if spec["serviceAccountName"].is_string() {
        let name = spec["serviceAccountName"].clone();
        set(&mut spec["serviceAccount"], name);
    }
    for list in ["containers", "initContainers"] {
        if let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) {
            containers.iter_mut().for_each(container);
        }
    }
}

/// Takes away what says no where that is said by saying nothing: some clients write it, others do not.
fn unset(object: &mut Value, fields: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, value| !fields.contains(&name.as_str()) || value != &json!(false));
    }
}

fn container(container: &mut Value) {
    unset(container, &["stdin", "stdinOnce", "tty"]);
    let image = text(container, "/image");
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    let policy = if matches!(tag, None | Some("latest")) && !image.contains('@') { "Always" } else { "IfNotPresent" };
    all(
        container,
        json!({
            "imagePullPolicy": policy, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "resources": {},
        }),
    );
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        set(&mut port["protocol"], json!("TCP"));
    }
}

/// Kinds that count the changes of what is wanted of them.
const COUNTED: &[&str] = &["Ingress", "NetworkPolicy", "PodDisruptionBudget", "CustomResourceDefinition", "Pod"];

/// Whether a kind counts the changes of what is wanted of it.
pub(super) fn counts(resource: &Resource) -> bool {
    resource.definition.is_some()
        || matches!(resource.group.as_str(), "apps" | "batch" | "admissionregistration.k8s.io")
        || COUNTED.contains(&resource.kind.as_str())
}
