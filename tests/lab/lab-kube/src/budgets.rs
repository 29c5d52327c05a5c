//! Budgets of disruptions: how many pods may be away at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::controllers::{patched_status, text};
use super::deployments::{share, wanted};
use super::pods;
use super::selector;
use super::store::{Key, Store};

const PLURAL: &str = "poddisruptionbudgets";

/// How many pods there should be: what their controllers want, or as many as there are.
fn expected(store: &Store, selected: &[&Value]) -> usize {
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in selected {
        let owner = &pod["metadata"]["ownerReferences"][0];
        let plural = match owner["kind"].as_str() {
            Some("ReplicaSet") => "replicasets",
            Some("StatefulSet") => "statefulsets",
            _ => "",
        };
        let found = store.get(plural, text(pod, "/metadata/namespace"), text(owner, "/name"));
        let own = text(pod, "/metadata/uid");
        let (name, count) = found.map_or((own, 1), |owner| (text(owner, "/metadata/uid"), wanted(owner)));
        owners.insert(name, count);
    }
    owners.values().sum()
}

/// Looks at a budget: how many of its pods may go.
pub(super) fn look(store: &mut Store, key: &Key, at: &str) {
    let Some(budget) = store.at(key).filter(|budget| !pods::leaves(budget)) else { return };
    let selected = store.list("pods", Some(&key.1)).filter(|pod| selector::selects(&budget["spec"]["selector"], pod));
    let selected: Vec<&Value> = selected.collect();
    let healthy = selected.iter().filter(|pod| pods::is_ready(pod)).count();
    let expected = expected(store, &selected);
    let desired = match (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]) {
        (Value::Null, Value::Null) => 1,
        (Value::Null, most) => expected.saturating_sub(share(most, expected, true)),
        (least, _) => share(least, expected, true),
    };
    let allowed = if expected == 0 { 0 } else { healthy.saturating_sub(desired) };
    let (yes, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let status = json!({
        "observedGeneration": budget["metadata"]["generation"], "currentHealthy": healthy, "desiredHealthy": desired,
        "expectedPods": expected, "disruptionsAllowed": allowed,
        "conditions": [{
            "type": "DisruptionAllowed", "status": yes, "reason": reason, "message": "",
            "observedGeneration": budget["metadata"]["generation"],
        }],
    });
    patched_status(store, key, status, at);
}

/// The budget that forbids to evict a pod: its name, how many pods it needs, and how many are well.
pub(super) fn forbids(store: &Store, pod: &Value) -> Option<(String, u64, u64)> {
    let status = |budget: &Value, field: &str| budget["status"][field].as_u64().unwrap_or(0);
    let mut budgets = store.list(PLURAL, pod["metadata"]["namespace"].as_str());
    let strict = budgets.find(|budget| {
        selector::selects(&budget["spec"]["selector"], pod) && status(budget, "disruptionsAllowed") == 0
    })?;
    let ready = pods::is_ready(pod);
    let name = text(strict, "/metadata/name").to_owned();
    ready.then(|| (name, status(strict, "desiredHealthy"), status(strict, "currentHealthy")))
}
