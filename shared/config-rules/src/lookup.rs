//! Lookup in a config by path, as Go sees it: a missing value is the zero value.

use go_yaml::{Map, Value};

/// A place in a config, with or without a value.
#[derive(Clone, Copy)]
pub(crate) enum Lookup<'a> {
    Nothing,
    Fields(&'a Map),
    Value(&'a Value),
}

impl<'a> Lookup<'a> {
    /// The place below, by keys separated by dots.
    pub(crate) fn at(self, path: &str) -> Self {
        path.split('.').fold(self, Self::key)
    }

    fn key(self, key: &str) -> Self {
        match self.map().and_then(|map| map.get(key)) {
            None | Some(Value::Null) => Self::Nothing,
            Some(value) => Self::Value(value),
        }
    }

    fn map(self) -> Option<&'a Map> {
        match self {
            Self::Fields(map) => Some(map),
            Self::Value(value) => value.as_map(),
            Self::Nothing => None,
        }
    }

    /// Whether a value is set here, even an empty one.
    pub(crate) fn is_set(self) -> bool {
        !matches!(self, Self::Nothing | Self::Value(Value::Null))
    }

    /// Whether nothing is set here, or an empty text, list or mapping, or zero.
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Value(Value::Map(map)) | Self::Fields(map) => map.iter().next().is_none(),
            other => other.is_zero(),
        }
    }

    /// Whether only zero values are here; a boolean that is set doesn't count as one.
    pub(crate) fn is_zero(self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Fields(map) => map.iter().all(|(_, value)| Self::Value(value).is_zero()),
            Self::Value(value) => match value {
                Value::Null => true,
                Value::Bool(_) => false,
                Value::Number(text) => text == "0",
                Value::Text(text) => text.is_empty(),
                Value::List(items) => items.is_empty(),
                Value::Map(map) => Self::Fields(map).is_zero(),
            },
        }
    }

    /// The text, empty when there is none.
    pub(crate) fn text(self) -> &'a str {
        match self {
            Self::Value(Value::Text(text) | Value::Number(text)) => text,
            _ => "",
        }
    }

    /// The whole number, zero when there is none.
    pub(crate) fn number(self) -> i64 {
        self.text().parse().unwrap_or(0)
    }

    /// The switch, if it is set.
    pub(crate) fn flag(self) -> Option<bool> {
        match self {
            Self::Value(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// Whether the switch is on.
    pub(crate) fn is_on(self) -> bool {
        self.flag() == Some(true)
    }

    /// The items of a list.
    pub(crate) fn items(self) -> impl ExactSizeIterator<Item = Lookup<'a>> + Clone {
        let items = match self {
            Self::Value(Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        items.iter().map(Lookup::Value)
    }

    /// The texts of a list.
    pub(crate) fn texts(self) -> impl ExactSizeIterator<Item = &'a str> + Clone {
        self.items().map(Lookup::text)
    }

    /// The pairs of a mapping, by key, in the order in which Talos visits them.
    pub(crate) fn pairs(self) -> Vec<(&'a str, Lookup<'a>)> {
        let pairs = self.map().into_iter().flat_map(Map::iter);
        let mut pairs: Vec<_> = pairs.map(|(key, value)| (key, Lookup::Value(value))).collect();
        pairs.sort_by_key(|(key, _)| *key);
        pairs
    }
}
