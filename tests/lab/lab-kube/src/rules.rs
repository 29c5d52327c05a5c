//! What the API refuses of the kinds that are built in: the faults that manifests have most often.

use serde_json::{Value, json};

use super::controllers::text;
use super::resources::Resource;
use super::schema::Fault;
use super::selector;

/// What is wrong with an object; `before` is how it was.
pub(super) fn faults(resource: &Resource, object: &Value, before: Option<&Value>) -> Vec<Fault> {
    let mut found = Vec::new();
    if resource.definition.is_some() {
        return found;
    }
    match resource.kind.as_str() {
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => set(resource, object, &mut found),
        "Job" => work(object, "", &mut found),
        "CronJob" => cron(object, &mut found),
        "Pod" => pod(&object["spec"], "spec", &[], &mut found),
        "Service" => service(&object["spec"], &mut found),
        "Ingress" => ingress(&object["spec"], &mut found),
        "PersistentVolumeClaim" => claim(&object["spec"], &mut found),
        _ => {}
    }
    if let Some(before) = before {
        changes(resource, before, object, &mut found);
    }
    found
}

fn add(found: &mut Vec<Fault>, field: &str, text: impl Into<String>) {
    found.push((field.to_owned(), text.into()));
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value == &json!({}) || value == &json!([]) || value == ""
}

fn set(resource: &Resource, object: &Value, found: &mut Vec<Fault>) {
    let (wanted, template) = (&object["spec"]["selector"], &object["spec"]["template"]);
    if wanted.is_null() {
        add(found, "spec.selector", "Required value");
    } else if is_empty(&wanted["matchLabels"]) && is_empty(&wanted["matchExpressions"]) {
        let text = format!("Invalid value: {wanted}: empty selector is invalid for {}", resource.singular);
        add(found, "spec.selector", text);
    } else if !selector::selects(wanted, template) {
        let labels =
            if template["metadata"]["labels"].is_null() { &json!({}) } else { &template["metadata"]["labels"] };
        let text = format!("Invalid value: {labels}: `selector` does not match template `labels`");
        add(found, "spec.template.metadata.labels", text);
    }
    let policy = text(template, "/spec/restartPolicy");
    if !matches!(policy, "" | "Always") {
        let text = format!("Unsupported value: {policy:?}: supported values: \"Always\"");
        add(found, "spec.template.spec.restartPolicy", text);
    }
    let claims = object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
    let claims: Vec<&str> = claims.map(|claim| text(claim, "/metadata/name")).collect();
    pod(&template["spec"], "spec.template.spec", &claims, found);
}

/// The pods of a job; `above` is where the job is.
fn work(job: &Value, above: &str, found: &mut Vec<Fault>) {
    let spec = &job["spec"]["template"]["spec"];
    if matches!(text(spec, "/restartPolicy"), "" | "Always") {
        let field = format!("{above}spec.template.spec.restartPolicy");
        add(found, &field, "Required value: valid values: \"OnFailure\", \"Never\"");
    }
    pod(spec, &format!("{above}spec.template.spec"), &[], found);
}

fn cron(object: &Value, found: &mut Vec<Fault>) {
    let schedule = text(object, "/spec/schedule");
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    if schedule.is_empty() {
        add(found, "spec.schedule", "Required value");
    } else if parts.len() != 5 && !schedule.starts_with('@') {
        let list = parts.join(" ");
        let text = format!("expected exactly 5 fields, found {}: [{list}]", parts.len());
        add(found, "spec.schedule", format!("Invalid value: {schedule:?}: {text}"));
    }
    work(&object["spec"]["jobTemplate"], "spec.jobTemplate.", found);
}

fn pod(spec: &Value, path: &str, claims: &[&str], found: &mut Vec<Fault>) {
    if is_empty(&spec["containers"]) {
        add(found, &format!("{path}.containers"), "Required value");
    }
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let volumes: Vec<&str> = volumes.map(|volume| text(volume, "/name")).chain(claims.iter().copied()).collect();
    let mut names: Vec<&str> = Vec::new();
    for list in ["initContainers", "containers"] {
        for (place, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("{path}.{list}[{place}]");
            let name = text(container, "/name");
            for field in ["name", "image"].into_iter().filter(|field| is_empty(&container[*field])) {
                add(found, &format!("{path}.{field}"), "Required value");
            }
            if names.contains(&name) {
                add(found, &format!("{path}.name"), format!("Duplicate value: {name:?}"));
            }
            names.push(name);
            mounts(container, &path, &volumes, found);
        }
    }
}

fn mounts(container: &Value, path: &str, volumes: &[&str], found: &mut Vec<Fault>) {
    for (place, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let name = text(mount, "/name");
        if !volumes.contains(&name) {
            add(found, &format!("{path}.volumeMounts[{place}].name"), format!("Not found: {name:?}"));
        }
    }
    for (place, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let number = port["containerPort"].as_i64().unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            let text = format!("Invalid value: {number}: must be between 1 and 65535, inclusive");
            add(found, &format!("{path}.ports[{place}].containerPort"), text);
        }
    }
}

fn service(spec: &Value, found: &mut Vec<Fault>) {
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    if ports.is_empty() && spec["clusterIP"] != "None" && spec["type"] != "ExternalName" {
        add(found, "spec.ports", "Required value");
    }
    let nameless = ports.iter().enumerate().filter(|(_, port)| ports.len() > 1 && is_empty(&port["name"]));
    for (place, _) in nameless {
        add(found, &format!("spec.ports[{place}].name"), "Required value");
    }
}

fn ingress(spec: &Value, found: &mut Vec<Fault>) {
    for (rule, of) in spec["rules"].as_array().into_iter().flatten().enumerate() {
        for (place, path) in of["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            if is_empty(&path["pathType"]) {
                let field = format!("spec.rules[{rule}].http.paths[{place}].pathType");
                add(found, &field, "Required value: pathType must be specified");
            }
        }
    }
}

fn claim(spec: &Value, found: &mut Vec<Fault>) {
    if is_empty(&spec["accessModes"]) {
        add(found, "spec.accessModes", "Required value: at least 1 access mode is required");
    }
    if is_empty(&spec["resources"]["requests"]["storage"]) {
        add(found, "spec.resources[storage]", "Required value");
    }
}

/// What may be changed of a stateful set.
const CHANGEABLE: &[&str] = &[
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// A value without some of its fields.
fn without(value: &Value, fields: &[&str]) -> Value {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.retain(|name, _| !fields.contains(&name.as_str()));
    }
    value
}

fn changes(resource: &Resource, before: &Value, object: &Value, found: &mut Vec<Fault>) {
    let (old, new) = (&before["spec"], &object["spec"]);
    let mut fixed = |field: &str, same: bool, value: &Value, why: &str| {
        if !same {
            add(found, field, format!("Invalid value: {value}: {why}"));
        }
    };
    match resource.kind.as_str() {
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            let (old, new) = (&old["selector"], &new["selector"]);
            fixed("spec.selector", old == new, new, "field is immutable");
        }
        "Job" => {
            for name in ["completions", "selector", "template"] {
                let same = old[name] == new[name] || old["selector"].is_null();
                fixed(&format!("spec.{name}"), same, &new[name], "field is immutable");
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let (old, new) = (&before["roleRef"], &object["roleRef"]);
            fixed("roleRef", old == new, new, "cannot change roleRef");
        }
        "Service" => {
            let given = !is_empty(&old["clusterIP"]) && old["type"] == new["type"];
            let same = !given || old["clusterIP"] == new["clusterIP"];
            fixed("spec.clusterIPs[0]", same, &new["clusterIPs"], "may not change once set");
        }
        "StatefulSet" if without(old, CHANGEABLE) != without(new, CHANGEABLE) => {
            let (last, first) = (CHANGEABLE.len() - 1, &CHANGEABLE[..CHANGEABLE.len() - 1]);
            let list: Vec<String> = first.iter().map(|name| format!("'{name}'")).collect();
            let list = format!("{} and '{}'", list.join(", "), CHANGEABLE[last]);
            add(
                found,
                "spec",
                format!("Forbidden: updates to statefulset spec for fields other than {list} are forbidden"),
            );
        }
        "ConfigMap" | "Secret" if before["immutable"] == json!(true) && before["data"] != object["data"] => {
            add(found, "data", "Forbidden: field is immutable when `immutable` is set");
        }
        "StorageClass" => {
            for field in ["parameters", "provisioner", "reclaimPolicy"] {
                if before[field] != object[field] {
                    add(found, field, format!("Forbidden: updates to {field} are forbidden."));
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources::built_in;
    use super::*;

    fn said(group: &str, plural: &str, object: &Value, before: Option<&Value>) -> Vec<String> {
        let kind = built_in(group, "v1", plural).unwrap();
        faults(&kind, object, before).into_iter().map(|(field, text)| format!("{field}: {text}")).collect()
    }

    fn deployment(app: &str, containers: &Value) -> Value {
        let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": containers}});
        json!({"spec": {"selector": {"matchLabels": {"app": app}}, "template": template}})
    }

    #[test]
    fn pods_need_containers_with_names_images_and_volumes() {
        let containers = json!([
            {"name": "a", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]},
            {"name": "a", "ports": [{"containerPort": 0}]},
        ]);
        assert_eq!(
            said("apps", "deployments", &deployment("x", &containers), None),
            [
                "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
                "spec.template.spec.containers[1].image: Required value",
                "spec.template.spec.containers[1].name: Duplicate value: \"a\"",
                "spec.template.spec.containers[1].ports[0].containerPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ]
        );
        let none = said("", "pods", &json!({"spec": {}}), None);
        assert_eq!(none, ["spec.containers: Required value"]);
    }

    #[test]
    fn selectors_fit_their_templates_and_stay_as_they_are() {
        let good = deployment("x", &json!([{"name": "a", "image": "i"}]));
        assert!(said("apps", "deployments", &good, None).is_empty());
        let other = deployment("y", &json!([{"name": "a", "image": "i"}]));
        assert_eq!(
            said("apps", "deployments", &other, Some(&good)),
            [
                "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`",
                "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"y\"}}: field is immutable",
            ]
        );
        let mut service = good.clone();
        service["spec"]["serviceName"] = json!("s");
        assert_eq!(
            said("apps", "statefulsets", &service, Some(&good)),
            [
                "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            ]
        );
    }

    #[test]
    fn jobs_end_and_schedules_have_five_fields() {
        let template = json!({"spec": {"restartPolicy": "Always", "containers": [{"name": "a", "image": "i"}]}});
        let cron = json!({"spec": {"schedule": "* *", "jobTemplate": {"spec": {"template": template}}}});
        assert_eq!(
            said("batch", "cronjobs", &cron, None),
            [
                "spec.schedule: Invalid value: \"* *\": expected exactly 5 fields, found 2: [* *]",
                "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ]
        );
    }

    #[test]
    fn services_claims_and_ingresses_say_what_they_need() {
        let ports = json!({"spec": {"ports": [{"port": 1}, {"port": 2, "name": "b"}]}});
        assert_eq!(said("", "services", &ports, None), ["spec.ports[0].name: Required value"]);
        assert_eq!(said("", "persistentvolumeclaims", &json!({}), None).len(), 2);
        let paths = json!({"spec": {"rules": [{"http": {"paths": [{"path": "/"}]}}]}});
        assert_eq!(
            said("networking.k8s.io", "ingresses", &paths, None),
            ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",]
        );
    }
}
