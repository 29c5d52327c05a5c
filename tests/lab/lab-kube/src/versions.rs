//! Objects as the versions of their kinds show them: they are kept in one, and read and written in each.

use serde_json::{Value, json};

use super::resources::Resource;

/// An object as a version of its kind shows it.
pub(super) fn shown(kind: &Resource, mut object: Value) -> Value {
    if is_old_autoscaler(kind) {
        let metrics = object["spec"].as_object_mut().and_then(|spec| spec.remove("metrics")).unwrap_or_default();
        let load = metrics.as_array().into_iter().flatten().find(|metric| metric["resource"]["name"] == "cpu");
        if let Some(metric) = load {
            object["spec"][LOAD] = metric["resource"]["target"]["averageUtilization"].clone();
        }
    }
    if kind.definition.is_some() || is_old_autoscaler(kind) {
        object["apiVersion"] = kind.group_version().into();
    }
    object
}

/// An object that was written in a version of its kind as it is kept.
pub(super) fn kept(kind: &Resource, mut object: Value) -> Value {
    if is_old_autoscaler(kind) {
        let load = object["spec"].as_object_mut().and_then(|spec| spec.remove(LOAD)).unwrap_or_default();
        if !load.is_null() {
            let target = json!({"type": "Utilization", "averageUtilization": load});
            object["spec"]["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
        }
        object["apiVersion"] = json!("autoscaling/v2");
    }
    object
}

/// The one load that the first version knew.
const LOAD: &str = "targetCPUUtilizationPercentage";

fn is_old_autoscaler(kind: &Resource) -> bool {
    kind.group == "autoscaling" && kind.version == "v1"
}

#[cfg(test)]
mod tests {
    use super::super::resources::built_in;
    use super::*;

    #[test]
    fn an_autoscaler_of_the_first_version_is_kept_in_the_second_and_shown_as_it_was() {
        let kind = built_in("autoscaling", "v1", "horizontalpodautoscalers").unwrap();
        let written = json!({"apiVersion": "autoscaling/v1", "spec": {"maxReplicas": 3, LOAD: 80}});
        let inside = kept(&kind, written.clone());
        assert_eq!(inside["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
        assert_eq!(inside["apiVersion"], "autoscaling/v2");
        assert_eq!(shown(&kind, inside), written);
    }
}
