//! The two forms in which every spec travels: protobuf and YAML.

use std::collections::BTreeMap;
use std::net::IpAddr;

use prost::Message;
use prost_types::{ListValue, value::Kind};
use serde_json::Value;
use talos_proto::common::{NetIp, NetIpPrefix};

/// A resource without its metadata.
pub(super) struct Item {
    pub(super) id: String,
    pub(super) proto: Vec<u8>,
    pub(super) yaml: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// The controller that made it, if it isn't the one of its type.
    pub(super) owner: Option<&'static str>,
}

impl Item {
    pub(super) fn new(id: &str, proto: &impl Message, yaml_spec: &Value) -> Self {
        let (labels, annotations) = Default::default();
        let (id, proto, yaml) = (id.to_owned(), proto.encode_to_vec(), yaml(yaml_spec));
        Self { id, proto, yaml, labels, annotations, owner: None }
    }

    pub(super) fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(super) fn owned(mut self, by: &'static str) -> Self {
        self.owner = Some(by);
        self
    }

    pub(super) fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// A value as YAML text.
pub(super) fn yaml(value: &Value) -> String {
    serde_yaml::to_string(&convert(value)).unwrap_or_default()
}

/// By hand, because numbers of `serde_json` don't survive another serializer.
fn convert(value: &Value) -> serde_yaml::Value {
    use serde_yaml::Value as Yaml;
    match value {
        Value::Null => Yaml::Null,
        Value::Bool(flag) => Yaml::Bool(*flag),
        Value::String(text) => Yaml::String(text.clone()),
        Value::Array(items) => Yaml::Sequence(items.iter().map(convert).collect()),
        Value::Object(map) => {
            Yaml::Mapping(map.iter().map(|(key, value)| (Yaml::String(key.clone()), convert(value))).collect())
        }
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => Yaml::Number(number.into()),
            (None, Some(number), _) => Yaml::Number(number.into()),
            (None, None, number) => Yaml::Number(number.unwrap_or_default().into()),
        },
    }
}

/// A mapping as protobuf has it; anything else is an empty one.
pub(super) fn structure(value: &Value) -> prost_types::Struct {
    let pairs = value.as_object().into_iter().flatten();
    prost_types::Struct { fields: pairs.map(|(key, value)| (key.clone(), dynamic(value))).collect() }
}

fn dynamic(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(dynamic).collect() }),
        Value::Object(_) => Kind::StructValue(structure(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// The raw bytes of an address.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The raw bytes of a hardware address.
pub(super) fn mac(written: &str) -> Vec<u8> {
    written.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect()
}

pub(super) fn ip(address: IpAddr) -> NetIp {
    NetIp { ip: octets(address) }
}

pub(super) fn prefix(address: IpAddr, length: u8) -> NetIpPrefix {
    NetIpPrefix { ip: octets(address), prefix_length: i32::from(length) }
}
