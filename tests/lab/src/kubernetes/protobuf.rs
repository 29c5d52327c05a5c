//! Bodies in protobuf, which typed clients send for the kinds that are built in: `kubectl create namespace` and its like.
//!
//! A body is the four bytes `k8s\0`, then a message with the kind and, as bytes, the object. Numbers are those of the
//! published `.proto` files; fields that are not listed here are left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    /// Bytes, which JSON has in base64.
    Bytes,
    Number,
    Truth,
    /// A map of texts to these.
    Map(&'static Holds),
    /// Another message.
    Of(&'static str),
    /// A whole number or a text.
    NumberOrText,
    /// Some of these.
    Many(&'static Holds),
}

use Holds::{Bytes, Many, Number, NumberOrText, Of, Text, Truth};

const TEXTS: Holds = Many(&Text);
const LABELS: Holds = Holds::Map(&Text);

type Message = (&'static str, &'static [(u64, &'static str, Holds)]);

const MESSAGES: &[Message] = &[
    (
        "ConfigMap",
        &[
            (1, "metadata", Of("ObjectMeta")),
            (2, "data", LABELS),
            (3, "binaryData", Holds::Map(&Bytes)),
            (4, "immutable", Truth),
        ],
    ),
    (
        "Secret",
        &[
            (1, "metadata", Of("ObjectMeta")),
            (2, "data", Holds::Map(&Bytes)),
            (3, "type", Text),
            (4, "stringData", LABELS),
            (5, "immutable", Truth),
        ],
    ),
    ("Namespace", &[(1, "metadata", Of("ObjectMeta"))]),
    ("ServiceAccount", &[(1, "metadata", Of("ObjectMeta"))]),
    ("Service", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("ServiceSpec"))]),
    (
        "ServiceSpec",
        &[(1, "ports", Many(&Of("ServicePort"))), (2, "selector", LABELS), (3, "clusterIP", Text), (4, "type", Text)],
    ),
    (
        "ServicePort",
        &[
            (1, "name", Text),
            (2, "protocol", Text),
            (3, "port", Number),
            (4, "targetPort", NumberOrText),
            (5, "nodePort", Number),
        ],
    ),
    ("Pod", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("PodSpec"))]),
    (
        "PodSpec",
        &[
            (2, "containers", Many(&Of("Container"))),
            (3, "restartPolicy", Text),
            (4, "terminationGracePeriodSeconds", Number),
            (6, "dnsPolicy", Text),
            (7, "nodeSelector", LABELS),
            (8, "serviceAccountName", Text),
            (10, "nodeName", Text),
            (11, "hostNetwork", Truth),
            (12, "hostPID", Truth),
            (13, "hostIPC", Truth),
            (19, "schedulerName", Text),
            (20, "initContainers", Many(&Of("Container"))),
            (22, "tolerations", Many(&Of("Toleration"))),
        ],
    ),
    (
        "Container",
        &[
            (1, "name", Text),
            (2, "image", Text),
            (3, "command", TEXTS),
            (4, "args", TEXTS),
            (5, "workingDir", Text),
            (6, "ports", Many(&Of("ContainerPort"))),
            (7, "env", Many(&Of("EnvVar"))),
            (14, "imagePullPolicy", Text),
            (16, "stdin", Truth),
            (18, "tty", Truth),
        ],
    ),
    (
        "ContainerPort",
        &[(1, "name", Text), (2, "hostPort", Number), (3, "containerPort", Number), (4, "protocol", Text)],
    ),
    ("EnvVar", &[(1, "name", Text), (2, "value", Text)]),
    ("Toleration", &[(1, "key", Text), (2, "operator", Text), (3, "value", Text), (4, "effect", Text)]),
    ("Deployment", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("DeploymentSpec"))]),
    (
        "DeploymentSpec",
        &[(1, "replicas", Number), (2, "selector", Of("LabelSelector")), (3, "template", Of("PodTemplateSpec"))],
    ),
    ("LabelSelector", &[(1, "matchLabels", LABELS)]),
    ("PodTemplateSpec", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("PodSpec"))]),
    ("Role", &[(1, "metadata", Of("ObjectMeta")), (2, "rules", Many(&Of("PolicyRule")))]),
    ("ClusterRole", &[(1, "metadata", Of("ObjectMeta")), (2, "rules", Many(&Of("PolicyRule")))]),
    (
        "PolicyRule",
        &[
            (1, "verbs", TEXTS),
            (2, "apiGroups", TEXTS),
            (3, "resources", TEXTS),
            (4, "resourceNames", TEXTS),
            (5, "nonResourceURLs", TEXTS),
        ],
    ),
    ("RoleBinding", BINDING),
    ("ClusterRoleBinding", BINDING),
    ("Subject", &[(1, "kind", Text), (2, "apiGroup", Text), (3, "name", Text), (4, "namespace", Text)]),
    ("RoleRef", &[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)]),
    ("SelfSubjectReview", &[(1, "metadata", Of("ObjectMeta"))]),
    ("SelfSubjectAccessReview", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("AccessSpec"))]),
    (
        "AccessSpec",
        &[
            (1, "resourceAttributes", Of("ResourceAttributes")),
            (2, "nonResourceAttributes", Of("NonResourceAttributes")),
        ],
    ),
    (
        "ResourceAttributes",
        &[
            (1, "namespace", Text),
            (2, "verb", Text),
            (3, "group", Text),
            (4, "version", Text),
            (5, "resource", Text),
            (6, "subresource", Text),
            (7, "name", Text),
        ],
    ),
    ("NonResourceAttributes", &[(1, "path", Text), (2, "verb", Text)]),
    ("SelfSubjectRulesReview", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("RulesSpec"))]),
    ("RulesSpec", &[(1, "namespace", Text)]),
    ("Scale", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("ScaleSpec"))]),
    ("ScaleSpec", &[(1, "replicas", Number)]),
    (
        "ObjectMeta",
        &[
            (1, "name", Text),
            (2, "generateName", Text),
            (3, "namespace", Text),
            (6, "resourceVersion", Text),
            (11, "labels", LABELS),
            (12, "annotations", LABELS),
            (14, "finalizers", TEXTS),
        ],
    ),
];

const BINDING: &[(u64, &str, Holds)] =
    &[(1, "metadata", Of("ObjectMeta")), (2, "subjects", Many(&Of("Subject"))), (3, "roleRef", Of("RoleRef"))];

/// A field on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let tag = number(bytes)?;
    let length = match tag & 7 {
        0 => return Some((tag >> 3, Wire::Number(number(bytes)?))),
        1 => 8,
        2 => usize::try_from(number(bytes)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some((tag >> 3, Wire::Bytes(value)))
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn value(holds: Holds, wire: &Wire<'_>) -> Option<Value> {
    Some(match (holds, wire) {
        (Text, Wire::Bytes(bytes)) => text(bytes),
        (Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Number, Wire::Number(number)) => number.cast_signed().into(),
        (Truth, Wire::Number(number)) => (*number != 0).into(),
        (Of(name), Wire::Bytes(bytes)) => message(name, bytes)?,
        (NumberOrText, Wire::Bytes(bytes)) => number_or_text(bytes)?,
        _ => return None,
    })
}

/// Its kind, its number, its text.
fn number_or_text(mut bytes: &[u8]) -> Option<Value> {
    let (mut is_text, mut whole, mut words) = (false, 0, Value::Null);
    while !bytes.is_empty() {
        match next(&mut bytes)? {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(number)) => whole = number,
            (3, Wire::Bytes(bytes)) => words = text(bytes),
            _ => {}
        }
    }
    Some(if is_text { words } else { whole.into() })
}

fn pair(holds: Holds, mut bytes: &[u8]) -> Option<(String, Value)> {
    let (mut key, mut held) = (String::new(), json!(""));
    while !bytes.is_empty() {
        match next(&mut bytes)? {
            (1, Wire::Bytes(bytes)) => key = String::from_utf8_lossy(bytes).into_owned(),
            (2, wire) => held = value(holds, &wire)?,
            _ => {}
        }
    }
    Some((key, held))
}

fn message(name: &str, mut bytes: &[u8]) -> Option<Value> {
    let (_, fields) = MESSAGES.iter().find(|(known, _)| *known == name)?;
    let mut object = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = next(&mut bytes)?;
        let Some((_, field, holds)) = fields.iter().find(|(known, ..)| *known == number) else { continue };
        match (holds, &wire) {
            (Many(holds), wire) => {
                let element = value(**holds, wire)?;
                let list = object.entry(*field).or_insert_with(|| json!([]));
                list.as_array_mut()?.push(element);
            }
            (Holds::Map(holds), Wire::Bytes(bytes)) => {
                let (key, held) = pair(**holds, bytes)?;
                object.entry(*field).or_insert_with(|| json!({}))[key] = held;
            }
            (holds, wire) => {
                let held = value(*holds, wire)?;
                // What is not set is sent as an empty text.
                if held != json!("") {
                    object.insert((*field).to_owned(), held);
                }
            }
        }
    }
    Some(Value::Object(object))
}

/// Reads a body; nothing if it is none, or of a kind that is not known here.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let mut bytes = body.strip_prefix(b"k8s\0")?;
    let (mut kind, mut version, mut raw) = (String::new(), String::new(), &[][..]);
    while !bytes.is_empty() {
        match next(&mut bytes)? {
            (1, Wire::Bytes(mut meta)) => {
                while !meta.is_empty() {
                    match next(&mut meta)? {
                        (1, Wire::Bytes(bytes)) => version = String::from_utf8_lossy(bytes).into_owned(),
                        (2, Wire::Bytes(bytes)) => kind = String::from_utf8_lossy(bytes).into_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(&kind, raw)?;
    object["kind"] = kind.into();
    object["apiVersion"] = version.into();
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).expect("a short field")], bytes].concat()
    }

    #[test]
    fn a_config_map_is_read_and_what_is_cut_off_is_not() {
        let data = [field(1, b"key"), field(2, b"value")].concat();
        let meta = [field(1, b"settings"), field(2, b""), field(3, b"demo")].concat();
        let raw = [field(1, &meta), field(2, &data)].concat();
        let kind = [field(1, b"v1"), field(2, b"ConfigMap")].concat();
        let body = [b"k8s\0".to_vec(), field(1, &kind), field(2, &raw)].concat();
        let wanted = json!({
            "metadata": {"name": "settings", "namespace": "demo"}, "data": {"key": "value"},
            "kind": "ConfigMap", "apiVersion": "v1",
        });
        assert_eq!(read(&body), Some(wanted));
        assert_eq!(read(&body[..body.len() - 1]), None);
        assert_eq!(read(b"{}"), None);
    }
}
