//! Version gates: the kinds, fields and forms of values that an older Talos doesn't know yet, and so can't load.

use go_yaml::{Map, Value};
use talos_releases::Gate;

use crate::config::{Config, Document};
use crate::contract::Contract;
use crate::schema::{Schema, Type};

/// What a Talos doesn't know in a config, as text.
pub fn unknown_to(config: &Config, contract: Contract) -> impl Iterator<Item = String> {
    config.documents().iter().flat_map(move |document| {
        let mut young = Young { contract, found: Vec::new() };
        young.document(document);
        let place = document.identity();
        young
            .found
            .into_iter()
            .map(move |(what, since)| format!("{place}: Talos knows {what} from v1.{since} on, not in {contract}"))
    })
}

/// The oldest Talos minor, from the newest stable one on, that knows everything in a config.
pub fn contract_of(config: &Config) -> Contract {
    let knows = |contract: &Contract| unknown_to(config, *contract).next().is_none();
    Contract::all().filter(|contract| *contract >= Contract::STABLE).find(knows).unwrap_or(Contract::STABLE)
}

/// Whether a config holds what no Talos before a change knows, and so is made for one that has it.
pub(crate) fn needs(config: &Config, gate: Gate) -> bool {
    let older = Contract::all().filter(|contract| !contract.has(gate)).last();
    older.is_some_and(|older| unknown_to(config, older).next().is_some())
}

/// A search for what is newer than a contract.
struct Young {
    contract: Contract,
    found: Vec<(String, u32)>,
}

impl Young {
    fn document(&mut self, document: &Document) {
        if self.knows(document.kind.since, || "this kind".to_owned()) {
            self.fields(document.kind.schema, &document.fields, "");
        }
    }

    /// Whether the contract has what came with this minor; if not, notes what it is.
    fn knows(&mut self, since: u32, what: impl FnOnce() -> String) -> bool {
        let knows = since <= self.contract.minor();
        if !knows {
            self.found.push((what(), since));
        }
        knows
    }

    fn fields(&mut self, schema: &Schema, fields: &Map, place: &str) {
        for (key, value) in fields.iter() {
            let Some(field) = schema.field(key) else { continue };
            let path = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
            if self.knows(field.since, || format!("`{path}`")) {
                self.value(&field.ty, value, &path);
            }
        }
    }

    fn value(&mut self, ty: &Type, value: &Value, path: &str) {
        match (ty.behind(), value) {
            (Type::Struct(schema), Value::Map(fields)) => self.fields(schema, fields, path),
            (Type::List(item), Value::List(items)) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| self.value(item, value, &format!("{path}[{index}]")));
            }
            (Type::Map(item), Value::Map(map)) => {
                map.iter().for_each(|(key, value)| self.value(item, value, &format!("{path}.{key}")));
            }
            (ty, value) => {
                if let Some((form, since)) = form(ty, value) {
                    self.knows(since, || format!("{form} in `{path}`"));
                }
            }
        }
    }
}

/// Forms of values that are newer than their fields, and since which minor Talos has them.
fn form(ty: &Type, value: &Value) -> Option<(&'static str, u32)> {
    match (ty, value) {
        (Type::Argument, Value::List(_)) => Some(("lists", 13)),
        (Type::Size, Value::Text(text)) if text.ends_with('%') => Some(("parts of the whole", 12)),
        (Type::Size, Value::Text(text)) if text.starts_with('-') => Some(("negative sizes", 13)),
        _ => None,
    }
}
