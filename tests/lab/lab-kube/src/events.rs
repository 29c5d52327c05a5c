//! Events: what the parts of Kubernetes report about their actions.

use serde_json::{Value, json};

use super::store::Store;

/// Events that are kept; older ones go.
const KEPT: usize = 1000;

/// Something that happened to an object.
pub(super) struct Event<'a> {
    /// The object's kind, namespace and name.
    pub(super) of: (&'a str, &'a str, &'a str),
    /// `Normal` or `Warning`.
    pub(super) kind: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: String,
    /// The reporting component.
    pub(super) source: &'a str,
}

impl Store {
    /// Keeps an event.
    pub(super) fn record(&mut self, occurrence: &Event<'_>, at: &str) {
        let (kind, namespace, name) = occurrence.of;
        let place = if namespace.is_empty() { "default" } else { namespace };
        let event = json!({
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": format!("{name}.{:016x}", self.next_event()), "namespace": place},
            "involvedObject": involved(self, kind, namespace, name),
            "reason": occurrence.reason,
            "message": occurrence.message,
            "source": {"component": occurrence.source, "host": if kind == "Node" { name } else { "" }},
            "reportingComponent": occurrence.source,
            "reportingInstance": name,
            "type": occurrence.kind,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "eventTime": null,
            "count": 1,
        });
        self.keep_event(event, KEPT, at);
    }
}

fn involved(store: &Store, kind: &str, namespace: &str, name: &str) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    let uid = match kind {
        // Kubelets name their nodes where others have an identity.
        "Node" => json!(name),
        _ => store.get(&plural, namespace, name).map_or(Value::Null, |object| object["metadata"]["uid"].clone()),
    };
    let mut involved = json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid});
    if !namespace.is_empty() {
        involved["namespace"] = namespace.into();
    }
    involved
}
