//! Nodes as Kubernetes sees them.

use serde_json::Value;

/// The prefix of the labels that name a node's roles.
const ROLE: &str = "node-role.kubernetes.io/";

/// A node of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name in Kubernetes.
    pub name: String,
    /// Whether its kubelet reports it ready.
    pub ready: bool,
    /// Why it isn't ready, in the kubelet's words.
    pub reason: Option<String>,
    /// Version of its kubelet: `v1.36.3`.
    pub version: String,
    /// Its internal addresses.
    pub addresses: Vec<String>,
    /// Its roles: `control-plane`.
    pub roles: Vec<String>,
}

impl Node {
    /// Reads an item of a NodeList.
    pub(crate) fn read(item: &Value) -> Option<Self> {
        let name = item.pointer("/metadata/name")?.as_str()?.to_owned();
        let list =
            |pointer: &str| item.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let condition = list("/status/conditions").iter().find(|condition| condition["type"] == "Ready");
        let ready = condition.is_some_and(|condition| condition["status"] == "True");
        let internal = |address: &&Value| address["type"] == "InternalIP";
        let labels = item.pointer("/metadata/labels").and_then(Value::as_object);
        Some(Self {
            name,
            ready,
            reason: condition.filter(|_| !ready).and_then(|condition| text(condition, "message")),
            version: item.pointer("/status/nodeInfo").and_then(|info| text(info, "kubeletVersion")).unwrap_or_default(),
            addresses: list("/status/addresses").iter().filter(internal).filter_map(|it| text(it, "address")).collect(),
            roles: labels
                .into_iter()
                .flatten()
                .filter_map(|(label, _)| Some(label.strip_prefix(ROLE)?.into()))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_read_from_a_list_item() {
        let item = json!({
            "metadata": {"name": "cp-1", "labels": {"node-role.kubernetes.io/control-plane": "", "a": "b"}},
            "status": {
                "conditions": [{"type": "MemoryPressure", "status": "False"},
                               {"type": "Ready", "status": "False", "message": "cni plugin not initialized"}],
                "addresses": [{"type": "Hostname", "address": "cp-1"}, {"type": "InternalIP", "address": "10.0.0.11"}],
                "nodeInfo": {"kubeletVersion": "v1.36.3"}
            }
        });

        let node = Node::read(&item).unwrap();

        assert_eq!((node.name.as_str(), node.ready, node.version.as_str()), ("cp-1", false, "v1.36.3"));
        assert_eq!(node.reason.as_deref(), Some("cni plugin not initialized"));
        assert_eq!((node.addresses, node.roles), (vec!["10.0.0.11".to_owned()], vec!["control-plane".to_owned()]));
    }

    #[test]
    fn a_node_that_has_reported_nothing_yet_is_not_ready() {
        let node = Node::read(&json!({"metadata": {"name": "w-1"}})).unwrap();
        assert_eq!(node, Node { name: "w-1".into(), ..Node::default() });
        assert_eq!(Node::read(&json!({})), None);
    }
}
