//! Services: their addresses and ports, and the pods behind them.

use serde_json::{Value, json};

use super::controllers::text;
use super::pods;
use super::store::{Key, Store};

/// Whether plain labels are among those of an object; none select nothing.
fn among(labels: &Value, object: &Value) -> bool {
    let wanted = labels.as_object().filter(|labels| !labels.is_empty());
    wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| &object["metadata"]["labels"][key] == value))
}

/// Notes the services and the budgets that a pod concerns.
pub(super) fn selected(store: &mut Store, key: &Key, pod: &Value) {
    if key.0 != "pods" {
        return;
    }
    let services = store.list("services", Some(&key.1)).filter(|service| among(&service["spec"]["selector"], pod));
    let services = services.map(|service| ("services", service));
    let budgets = store.list("poddisruptionbudgets", Some(&key.1));
    let budgets = budgets.filter(|budget| super::selector::selects(&budget["spec"]["selector"], pod));
    let budgets = budgets.map(|budget| ("poddisruptionbudgets", budget));
    let concerned = services.chain(budgets);
    let keys = concerned.map(|(plural, o)| (plural.to_owned(), key.1.clone(), text(o, "/metadata/name").to_owned()));
    for key in keys.collect::<Vec<_>>() {
        store.queue().look(key);
    }
}

/// Gives a service the addresses and ports that it wants and does not name; `before` is how it was.
pub(super) fn allocate(store: &Store, service: &mut Value, before: Option<&Value>) {
    let kind = text(service, "/spec/type").to_owned();
    if kind == "ExternalName" {
        return;
    }
    let keeps = before.map(|before| before["spec"]["clusterIP"].clone()).filter(Value::is_string);
    if text(service, "/spec/clusterIP").is_empty() {
        service["spec"]["clusterIP"] = keeps.unwrap_or_else(|| free_address(store).into());
    }
    service["spec"]["clusterIPs"] = json!([service["spec"]["clusterIP"]]);
    if !matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        return;
    }
    let own = text(service, "/metadata/uid").to_owned();
    let others = store.list("services", None).filter(|other| text(other, "/metadata/uid") != own);
    let ports = others.flat_map(|other| other["spec"]["ports"].as_array().into_iter().flatten());
    let mut used: Vec<u64> = ports.filter_map(|port| port["nodePort"].as_u64()).collect();
    let known = before.map(|before| before["spec"]["ports"].clone()).unwrap_or_default();
    for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let same = known.as_array().into_iter().flatten().find(|known| known["port"] == port["port"]);
        if let Some(same) = same
            && port["nodePort"].is_null()
        {
            port["nodePort"] = same["nodePort"].clone();
        }
        if port["nodePort"].is_null() {
            let mixed = store.version.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let free = (0..2768).map(|step| 30_000 + (mixed + step) % 2768).find(|port| !used.contains(port));
            port["nodePort"] = free.into();
        }
        used.extend(port["nodePort"].as_u64());
    }
}

fn free_address(store: &Store) -> String {
    let used: Vec<&str> = store.list("services", None).map(|service| text(service, "/spec/clusterIP")).collect();
    let first = store.version.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    let all =
        (0..1_u64 << 20).map(|step| (first + step) % (1 << 20)).filter(|number| (1..255).contains(&(number % 256)));
    let mut addresses = all.map(|number| format!("10.{}.{}.{}", 96 + (number >> 16), number >> 8 & 255, number & 255));
    addresses.find(|address| !used.contains(&address.as_str())).unwrap_or_default()
}

/// Looks at a service: its endpoints are the pods that it selects.
pub(super) fn look(store: &mut Store, key: &Key, at: &str) {
    let Some(service) = store.at(key).filter(|service| !pods::leaves(service)).cloned() else {
        store.remove("endpoints", &key.1, &key.2);
        return;
    };
    if service["spec"]["selector"].as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    let running = |pod: &&Value| among(&service["spec"]["selector"], pod) && pod["status"]["phase"] == "Running";
    let behind: Vec<Value> = store.list("pods", Some(&key.1)).filter(running).cloned().collect();
    let labels = &service["metadata"]["labels"];
    let mut endpoints = json!({
        "kind": "Endpoints", "apiVersion": "v1", "metadata": {"name": key.2, "namespace": key.1},
    });
    if !labels.is_null() {
        endpoints["metadata"]["labels"] = labels.clone();
    }
    if let Some(first) = behind.first() {
        let mut subset = json!({"ports": ports(&service, first)});
        let (ready, other): (Vec<&Value>, Vec<&Value>) = behind.iter().partition(|pod| pods::is_ready(pod));
        for (name, pods) in [("addresses", ready), ("notReadyAddresses", other)] {
            if !pods.is_empty() {
                subset[name] = pods.into_iter().map(address).collect();
            }
        }
        endpoints["subsets"] = json!([subset]);
    }
    store.put("endpoints", endpoints, at);
    slice(store, &service, &behind, at);
}

fn target(pod: &Value) -> Value {
    json!({
        "kind": "Pod", "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
    })
}

fn address(pod: &Value) -> Value {
    json!({"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod)})
}

/// The ports of a service as they are on a pod.
fn ports(service: &Value, pod: &Value) -> Value {
    let containers = pod["spec"]["containers"].as_array();
    let named = |name: &str| {
        let mut ports = containers.into_iter().flatten().flat_map(|c| c["ports"].as_array().into_iter().flatten());
        ports.find(|port| port["name"] == name).map(|port| port["containerPort"].clone())
    };
    let port = |port: &Value| {
        let number = match &port["targetPort"] {
            Value::String(name) => named(name)?,
            Value::Null => port["port"].clone(),
            number => number.clone(),
        };
        let mut all = json!({"port": number, "protocol": port["protocol"].as_str().unwrap_or("TCP")});
        if port["name"].is_string() {
            all["name"] = port["name"].clone();
        }
        Some(all)
    };
    service["spec"]["ports"].as_array().into_iter().flatten().filter_map(port).collect()
}

fn slice(store: &mut Store, service: &Value, behind: &[Value], at: &str) {
    let (namespace, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
    let known = pods::controlled(store, "endpointslices", service).into_iter().next();
    let mut slice = known.unwrap_or_else(|| {
        json!({
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {
                "name": format!("{name}-{}", store.suffix()), "namespace": namespace, "generateName": format!("{name}-"),
                "labels": {
                    "kubernetes.io/service-name": name,
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
                "ownerReferences": pods::controller("Service", "v1", service),
            },
            "addressType": "IPv4",
        })
    });
    let endpoint = |pod: &Value| {
        let ready = pods::is_ready(pod);
        json!({
            "addresses": [pod["status"]["podIP"]], "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod),
            "conditions": {"ready": ready, "serving": true, "terminating": pods::leaves(pod)},
        })
    };
    slice["endpoints"] = behind.iter().map(endpoint).collect();
    slice["ports"] = behind.first().map_or(Value::Null, |pod| ports(service, pod));
    store.put("endpointslices", slice, at);
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn pods_that_are_not_ready_are_told_apart_from_those_that_are() {
        let mut store = Store::new(1);
        let spec = json!({"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": 8080}]});
        store.put("services", json!({"metadata": {"name": "s", "namespace": "default"}, "spec": spec}), AT);
        for (name, ready) in [("a", "True"), ("b", "False")] {
            let metadata = json!({"name": name, "namespace": "default", "labels": {"app": "x"}});
            let conditions = json!([{"type": "Ready", "status": ready}]);
            let status = json!({"phase": "Running", "podIP": name, "conditions": conditions});
            store.put("pods", json!({"metadata": metadata, "spec": {"nodeName": "n"}, "status": status}), AT);
        }
        store.reconcile(AT);
        let endpoints = store.get("endpoints", "default", "s").unwrap();
        let ip = |list: &str| endpoints["subsets"][0][list][0]["ip"].clone();
        assert_eq!((ip("addresses"), ip("notReadyAddresses")), (json!("a"), json!("b")));
        let slice = store.list("endpointslices", Some("default")).next().unwrap();
        let ready: Vec<&Value> =
            slice["endpoints"].as_array().unwrap().iter().map(|endpoint| &endpoint["conditions"]["ready"]).collect();
        assert_eq!(ready, [true, false]);
    }
}
