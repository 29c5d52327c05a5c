//! Overrides of the base runtime spec of all containers: Talos reads them as an OCI runtime spec.

use go_yaml::Value;
use machine_config::kinds::RUNTIME_SPEC;
use machine_config::schema::{Schema, Type};

use crate::lookup::Lookup;
use crate::report::Report;

/// Reports the first value whose type differs from the spec's, as Go's JSON decoder does.
pub(crate) fn check(overrides: Lookup<'_>, report: &mut Report) {
    if let Some(why) = structure(RUNTIME_SPEC, overrides, "") {
        report.error(format!("failed to unmarshal base runtime spec overrides: json: cannot unmarshal {why}"));
    }
}

fn structure(schema: &Schema, fields: Lookup<'_>, place: &str) -> Option<String> {
    fields.pairs().into_iter().find_map(|(key, value)| {
        let field = schema.fields().find(|field| field.key.eq_ignore_ascii_case(key))?;
        let path = if place.is_empty() { field.key.to_owned() } else { format!("{place}.{}", field.key) };
        unfit(&field.ty, value, schema, &path)
    })
}

/// What is wrong with a value of a structure's field, or in it.
fn unfit(ty: &Type, value: Lookup<'_>, owner: &Schema, path: &str) -> Option<String> {
    let Lookup::Value(found) = value else { return None };
    match (ty, found) {
        (_, Value::Null) | (Type::Text, Value::Text(_)) | (Type::Bool, Value::Bool(_)) => None,
        (Type::Int(low, high), Value::Number(text)) => {
            let fits =
                text.parse::<i128>().is_ok_and(|number| (i128::from(*low)..=i128::from(*high)).contains(&number));
            (!fits).then(|| format!("number {text} into Go struct field {}.{path} of type {}", owner.name, go(ty)))
        }
        (Type::Struct(schema), Value::Map(_)) => structure(schema, value, path),
        (Type::List(item), Value::List(_)) => value.items().find_map(|value| unfit(item, value, owner, path)),
        (Type::Map(item), Value::Map(_)) => {
            value.pairs().into_iter().find_map(|(_, value)| unfit(item, value, owner, path))
        }
        (ty, found) => Some(format!("{} into Go struct field {}.{path} of type {}", json(found), owner.name, go(ty))),
    }
}

/// Go's name of a type.
fn go(ty: &Type) -> String {
    const U32: u64 = u32::MAX as u64;
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::Int(0, U32) => "uint32".to_owned(),
        Type::Int(0, _) => "uint64".to_owned(),
        Type::Int(..) => "int".to_owned(),
        Type::Struct(schema) => format!("specs.{}", schema.name),
        Type::List(item) => format!("[]{}", go(item)),
        Type::Map(item) => format!("map[string]{}", go(item)),
        _ => "string".to_owned(),
    }
}

/// JSON's name of a value's type.
fn json(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    }
}
