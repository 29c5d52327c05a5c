//! Lists whose items patches find by a key. Each list is searched once, whatever the number of items.

use std::collections::HashMap;

use go_yaml::{Map, Value};

use super::Error;
use crate::schema::{Schema, Type};

/// How an item is merged into one of the same key: both, what they are, and where.
pub(super) type MergeItem = fn(&mut Map, &Map, &'static Schema, &str) -> Result<(), Error>;

/// Merges items of the same key, appends the others.
pub(super) fn merge(
    left: &mut Value,
    right: &Value,
    ty: &Type,
    keys: &[&str],
    path: &str,
    merge_item: MergeItem,
) -> Result<(), Error> {
    let (Value::List(old), Value::List(new), Type::List(item_type)) = (left, right, ty) else { return Ok(()) };
    let Type::Struct(schema) = item_type.behind() else { return Ok(()) };
    let mut index = Index::of(old, keys);
    for (number, item) in new.iter().enumerate() {
        let at = match index.find(old, item) {
            Some(at) => {
                let (Value::Map(there), Value::Map(item)) = (&mut old[at], item) else { continue };
                merge_item(there, item, schema, &format!("{path}[{number}]"))?;
                at
            }
            None => {
                old.push(item.clone());
                old.len() - 1
            }
        };
        index.add(&old[at], at);
    }
    Ok(())
}

/// The first item with each value of each key.
struct Index<'a> {
    keys: &'a [&'a str],
    first: HashMap<(usize, String), usize>,
}

impl<'a> Index<'a> {
    fn of(items: &[Value], keys: &'a [&'a str]) -> Self {
        let mut index = Self { keys, first: HashMap::with_capacity(items.len()) };
        items.iter().enumerate().for_each(|(at, item)| index.add(item, at));
        index
    }

    fn add(&mut self, item: &Value, at: usize) {
        for number in 0..self.keys.len() {
            if let Some(value) = self.value(item, number) {
                let first = self.first.entry((number, value)).or_insert(at);
                *first = at.min(*first);
            }
        }
    }

    /// The first item that shares the first key that the new one has. A merged item may have lost its key.
    fn find(&self, items: &[Value], new: &Value) -> Option<usize> {
        let (number, value) = (0..self.keys.len()).find_map(|number| Some((number, self.value(new, number)?)))?;
        let holds = |at: &usize| self.value(&items[*at], number).as_ref() == Some(&value);
        let at = *self.first.get(&(number, value.clone()))?;
        if holds(&at) { Some(at) } else { (0..items.len()).find(holds) }
    }

    /// An item's value at a key, as text. If there is another key, an empty value is no key.
    fn value(&self, item: &Value, number: usize) -> Option<String> {
        #[cfg(test)]
        tests::LOOKS.set(tests::LOOKS.get() + 1);
        let item = item.as_map()?;
        let text = match item.get(self.keys[number]) {
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Number(text)) if text != "0" => text.clone(),
            Some(Value::Map(selector)) => return selector_text(selector),
            _ => String::new(),
        };
        (self.keys.len() == 1 || !text.is_empty()).then_some(text)
    }
}

/// Go compares selectors as structures, in which a pointer (`physical`) never equals another.
fn selector_text(selector: &Map) -> Option<String> {
    let pointer = selector.get("physical").is_some();
    let mut pairs: Vec<String> = selector
        .iter()
        .filter(|(_, value)| **value != Value::Text(String::new()))
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    pairs.sort();
    (!pointer).then(|| pairs.join(","))
}

/// Replaces items of the same key, appends the others: those of the patch are not compared with each other.
pub(super) fn replace(left: &mut Value, right: &Value, key: &str) {
    let (Value::List(old), Value::List(new)) = (left, right) else { return };
    let text = |item: &Value| item.text_at(&[key]).unwrap_or_default().to_owned();
    let last: HashMap<String, usize> = old.iter().map(text).zip(0..).collect();
    for item in new {
        match last.get(&text(item)) {
            Some(at) => old[*at] = item.clone(),
            None => old.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How often an item was compared.
        pub(super) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    fn items(text: &str) -> Vec<Value> {
        match go_yaml::free_value(&go_yaml::read(text).unwrap()[0]) {
            Value::List(items) => items,
            other => panic!("{other:?} is no list"),
        }
    }

    #[test]
    fn an_item_is_found_by_the_first_key_that_it_has() {
        let there = items(
            "[{interface: a}, {deviceSelector: {driver: x, busPath: ''}}, {interface: a, deviceSelector: {driver: y}}]",
        );
        let index = Index::of(&there, &["interface", "deviceSelector"]);
        for (wanted, found) in [
            ("[{interface: a, mtu: 1}]", Some(0)),
            ("[{interface: '', deviceSelector: {driver: x}}]", Some(1)),
            ("[{deviceSelector: {driver: y}}]", Some(2)),
            ("[{deviceSelector: {driver: y, physical: true}}]", None),
            ("[{interface: b, deviceSelector: {driver: x}}]", None),
            ("[{mtu: 1}]", None),
        ] {
            assert_eq!(index.find(&there, &items(wanted)[0]), found, "{wanted}");
        }
    }

    #[test]
    fn each_item_is_looked_at_a_few_times_however_many_there_are() {
        const COUNT: usize = 2_000;
        let item = |key: &str, number| {
            format!("{{interface: {key}{number}, mtu: 1}}, {{deviceSelector: {{driver: {key}{number}}}}}")
        };
        let list = |from, to, key: &str| {
            let all: Vec<String> = (from..to).map(|number| item(key, number)).collect();
            format!("machine: {{network: {{interfaces: [{}]}}}}", all.join(", "))
        };
        let config = crate::load(&list(0, COUNT, "a")).unwrap();
        let patch = crate::patch::parse(&list(COUNT / 2, COUNT + COUNT / 2, "a")).unwrap();
        LOOKS.set(0);
        let patched = crate::patch::apply(&config, &[patch]).unwrap();
        let merged = patched.legacy(&["machine", "network", "interfaces"]).and_then(Value::as_list).unwrap();
        assert_eq!(merged.len(), 3 * COUNT);
        // Each of the 8,000 is indexed by two keys and searched by two, and what is found is compared again.
        assert!(LOOKS.get() <= 12 * COUNT * 2, "{}", LOOKS.get());
    }

    #[test]
    fn of_one_key_nothing_is_a_value_too() {
        let there = items("[{vlanId: 7}, {mtu: 1}]");
        let index = Index::of(&there, &["vlanId"]);
        assert_eq!(index.find(&there, &items("[{vlanId: 0}]")[0]), Some(1));
        assert_eq!(index.find(&there, &items("[{vlanId: 7}]")[0]), Some(0));
    }
}
