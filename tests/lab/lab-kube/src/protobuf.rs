//! Bodies in protobuf, which typed clients send for the kinds that are built in: `kubectl create namespace` and its like.
//!
//! A body is the four bytes `k8s\0`, then a message with the kind and, as bytes, the object. Numbers are those of the
//! published `.proto` files; fields that are not listed are left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use messages::{Holds, MESSAGES};

mod messages;

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
        (Holds::Text, Wire::Bytes(bytes)) => text(bytes),
        (Holds::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Holds::Number, Wire::Number(number)) => number.cast_signed().into(),
        (Holds::Truth, Wire::Number(number)) => (*number != 0).into(),
        (Holds::Of(name), Wire::Bytes(bytes)) => message(name, bytes)?,
        (Holds::NumberOrText, Wire::Bytes(bytes)) => number_or_text(bytes)?,
        (Holds::Wrapped, Wire::Bytes(bytes)) => match next(&mut &**bytes)? {
            (1, Wire::Bytes(inner)) => text(inner),
            _ => return None,
        },
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
            (Holds::Many(holds), wire) => {
                let element = value(**holds, wire)?;
                let list = object.entry(*field).or_insert_with(|| json!([]));
                list.as_array_mut()?.push(element);
            }
            (Holds::Map(holds), Wire::Bytes(bytes)) => {
                let (key, held) = pair(**holds, bytes)?;
                object.entry(*field).or_insert_with(|| json!({}))[key] = held;
            }
            (holds, wire) if field.is_empty() => {
                if let Some(Value::Object(inner)) = value(*holds, wire) {
                    object.extend(inner);
                }
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
