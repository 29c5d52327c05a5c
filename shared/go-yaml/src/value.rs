//! The value tree of a document: read from a file, generated, patched and written.

use std::collections::HashMap;

/// One value.
///
/// Numbers keep their canonical text, because a machine config holds everything from `0o644` to numbers above 2^53.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing, written `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as the text that is written.
    Number(String),
    /// A string; the writer chooses its quotes.
    Text(String),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping with text keys.
    Map(Map),
}

impl Value {
    /// The text of a string value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The mapping, if this is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The mapping, if this is one, to be changed.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items, if this is a sequence.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value at a path of mapping keys.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, key| value.as_map()?.get(key))
    }

    /// The text at a path of mapping keys.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.as_text()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// A mapping with text keys that keeps its order. A large one has an index, so that the work for each key takes the
/// same time whatever the number of keys.
#[derive(Clone, Default)]
pub struct Map {
    /// The pairs; of a large mapping, also holes where pairs were.
    pairs: Vec<Option<(String, Value)>>,
    /// Once the mapping is large.
    index: Option<Box<Index>>,
}

/// The position of each key.
#[derive(Clone)]
struct Index(HashMap<String, usize>);

/// The number of pairs up to which looking at each one is fast enough.
const SMALL: usize = 16;

impl Map {
    /// An empty mapping.
    pub const fn new() -> Self {
        Self { pairs: Vec::new(), index: None }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.index.as_ref().map_or(self.pairs.len(), |index| index.0.len())
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.0.get(key).copied(),
            None => self.pairs.iter().position(|pair| pair.as_ref().is_some_and(|(name, _)| name == key)),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.pairs[self.position(key)?].as_ref().map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let at = self.position(key)?;
        self.pairs[at].as_mut().map(|(_, value)| value)
    }

    /// Sets a key, in place where it exists, else at the end.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.get_mut(&key) {
            Some(slot) => *slot = value,
            None => self.push(key, value),
        }
    }

    /// Adds a key that is known to be new, without looking.
    pub fn push(&mut self, key: String, value: Value) {
        if let Some(index) = &mut self.index {
            index.0.insert(key.clone(), self.pairs.len());
        }
        self.pairs.push(Some((key, value)));
        if self.index.is_none() && self.pairs.len() > SMALL {
            self.reindex();
        }
    }

    /// Closes the holes and rebuilds the index.
    fn reindex(&mut self) {
        self.pairs.retain(Option::is_some);
        let keys = self.pairs.iter().flatten().map(|(key, _)| key.clone());
        self.index = Some(Box::new(Index(keys.zip(0..).collect())));
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.position(key)?;
        let taken = match &mut self.index {
            Some(index) => {
                index.0.remove(key);
                self.pairs[at].take()
            }
            None => self.pairs.remove(at),
        };
        if self.index.is_some() && self.pairs.len() > 2 * self.len() {
            self.reindex();
        }
        taken.map(|(_, value)| value)
    }

    /// The pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.pairs.iter().flatten().map(|(key, value)| (key.as_str(), value))
    }

    /// The pairs, in order, values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value)> {
        self.pairs.iter_mut().flatten().map(|(key, value)| (key.as_str(), value))
    }

    /// Sorts the keys as Go's YAML writes maps.
    pub fn sort(&mut self) {
        let mut pairs: Vec<_> = std::mem::take(self).into_iter().collect();
        pairs.sort_by(|a, b| crate::order::natural_order(&a.0, &b.0));
        pairs.into_iter().for_each(|(key, value)| self.push(key, value));
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Map {}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Option<(String, Value)>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter().flatten()
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut map = Self::new();
        pairs.into_iter().for_each(|(key, value)| map.set(key, value));
        map
    }
}

/// Builds a [`Value::Map`] from `key => value` pairs.
#[macro_export]
macro_rules! map {
    ($($key:expr => $value:expr),* $(,)?) => {
        $crate::value::Value::Map(
            [$(($key, $crate::value::Value::from($value))),*].into_iter().collect::<$crate::value::Map>(),
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(map: &Map) -> Vec<&str> {
        map.iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_mapping_keeps_its_order_whatever_its_size() {
        for size in [3, SMALL + 1, 500] {
            let names: Vec<String> = (0..size).map(|number| format!("k{number}")).collect();
            let mut map: Map = names.iter().map(|name| (name.as_str(), name)).collect();
            let mut left: Vec<&str> = names.iter().map(String::as_str).collect();
            for name in names.iter().step_by(2) {
                assert_eq!(map.remove(name), Some(name.into()));
                assert_eq!(map.remove(name), None);
                left.retain(|other| other != name);
                assert_eq!((keys(&map), map.len()), (left.clone(), left.len()));
            }
            map.set("k0", "new");
            map.set("k1", "changed");
            left.push("k0");
            assert_eq!((keys(&map), map.get("k1")), (left, Some(&"changed".into())));
        }
    }

    #[test]
    fn a_large_mapping_is_never_searched_and_its_holes_stay_few() {
        let mut map: Map = (0..1000).map(|number| (number.to_string(), number)).collect();
        assert!(map.index.is_some());
        for number in 0..990 {
            map.remove(&number.to_string());
            assert!(map.pairs.len() <= 2 * map.len().max(1), "{}", map.pairs.len());
        }
        assert_eq!(map.index.as_ref().map(|index| index.0.len()), Some(10));
    }
}
