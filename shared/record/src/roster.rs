//! The list of a stream's nodes.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spec::Role;
use crate::unusable::check_name;
use crate::{Map, Unusable};

/// One entry of `Cluster.status.nodes`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The node's name.
    pub name: Box<str>,
    /// The node's role.
    pub role: Role,
    /// Whether the cluster file doesn't list it: a machine of the cluster that is left from an earlier state of the file.
    pub orphan: bool,
    /// Fields that this version does not know, kept unchanged.
    extra: Option<Box<Map>>,
}

impl Entry {
    /// An entry with no further fields.
    #[must_use]
    pub fn new(name: &str, role: Role) -> Self {
        Self { name: name.into(), role, orphan: false, extra: None }
    }

    /// The entry of a node that the cluster file doesn't list.
    #[must_use]
    pub fn orphan(name: &str, role: Role) -> Self {
        Self { orphan: true, ..Self::new(name, role) }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("role", &self.role)?;
        if self.orphan {
            map.serialize_entry("orphan", &true)?;
        }
        for (key, value) in self.extra.iter().flat_map(|extra| extra.iter()) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> serde::de::Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an entry with name and role")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        use serde::de::Error;
        let (mut name, mut role, mut orphan, mut extra) = (None, None, false, Map::new());
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                "name" => name = Some(map.next_value()?),
                "role" => role = Some(map.next_value()?),
                "orphan" => orphan = map.next_value()?,
                _ => drop(extra.insert(key.into_owned(), map.next_value()?)),
            }
        }
        Ok(Entry {
            name: name.ok_or_else(|| A::Error::missing_field("name"))?,
            role: role.ok_or_else(|| A::Error::missing_field("role"))?,
            orphan,
            extra: (!extra.is_empty()).then(|| Box::new(extra)),
        })
    }
}

/// The nodes of a stream in file order, held in few bytes: a cluster of 100,000 must fit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roster {
    entries: Vec<Entry>,
    /// Positions in `entries`, sorted by name.
    by_name: Vec<u32>,
}

impl Roster {
    /// A roster of these entries.
    ///
    /// # Errors
    /// A name that is listed twice.
    pub fn new(entries: Vec<Entry>) -> Result<Self, Unusable> {
        for entry in &entries {
            check_name("node", &entry.name)?;
        }
        let count = u32::try_from(entries.len()).map_err(|_| Unusable::new("more than 2^32 nodes"))?;
        let mut by_name: Vec<u32> = (0..count).collect();
        by_name.sort_unstable_by(|&a, &b| entries[a as usize].name.cmp(&entries[b as usize].name));
        let twice = by_name.windows(2).find(|pair| entries[pair[0] as usize].name == entries[pair[1] as usize].name);
        if let Some(pair) = twice {
            return Err(Unusable::new(format!("node {} is listed twice", entries[pair[0] as usize].name)));
        }
        Ok(Self { entries, by_name })
    }

    /// The position of this node in file order.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        let at = self.by_name.binary_search_by(|&i| self.entries[i as usize].name.as_ref().cmp(name)).ok()?;
        Some(self.by_name[at] as usize)
    }

    /// The entry at a position in file order.
    ///
    /// # Panics
    /// There are fewer.
    #[must_use]
    pub fn at(&self, position: usize) -> &Entry {
        &self.entries[position]
    }

    /// The entries in file order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The control planes in file order.
    pub fn control_planes(&self) -> impl Iterator<Item = &Entry> {
        self.iter().filter(|entry| entry.role == Role::ControlPlane)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the cluster file doesn't list this node.
    #[must_use]
    pub fn is_orphan(&self, name: &str) -> bool {
        self.position(name).is_some_and(|at| self.entries[at].orphan)
    }

    /// The roster with these entries behind its own.
    ///
    /// # Errors
    /// A name that is listed twice.
    pub fn with(&self, entries: &[Entry]) -> Result<Self, Unusable> {
        Self::new(self.entries.iter().chain(entries).cloned().collect())
    }

    /// The roster without the nodes of these names.
    #[must_use]
    pub fn without(&self, names: &[String]) -> Self {
        let names: std::collections::HashSet<&str> = names.iter().map(String::as_str).collect();
        let entries = self.entries.iter().filter(|entry| !names.contains(&*entry.name)).cloned().collect();
        Self::new(entries).expect("a part of a roster without twins has none")
    }
}

impl<'a> IntoIterator for &'a Roster {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Roster {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_of_an_entry_are_kept() {
        let text = r#"{"name":"w-1","role":"worker","rack":"b7","height":1.50}"#;
        let entry: Entry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
    }

    #[test]
    fn names_are_found_in_file_order() {
        let names = ["w-2", "cp-1", "w-1"];
        let roster = Roster::new(names.iter().map(|n| Entry::new(n, Role::Worker)).collect()).unwrap();
        assert_eq!(names.map(|n| roster.position(n)), [Some(0), Some(1), Some(2)]);
        assert_eq!(roster.position("w-3"), None);
    }

    #[test]
    fn what_the_file_does_not_list_is_told_apart_behind_the_others() {
        let listed = Roster::new(vec![Entry::new("w-1", Role::Worker)]).unwrap();
        let roster = listed.with(&[Entry::orphan("cp-9", Role::ControlPlane)]).unwrap();
        let text = serde_json::to_string(&roster).unwrap();
        assert_eq!(text, r#"[{"name":"w-1","role":"worker"},{"name":"cp-9","role":"controlplane","orphan":true}]"#);
        let again = Roster::new(serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!((again.is_orphan("cp-9"), again.is_orphan("w-1"), again.is_orphan("x")), (true, false, false));
        assert!(again.with(&[Entry::orphan("w-1", Role::Worker)]).is_err());
    }

    #[test]
    fn a_name_listed_twice_is_named() {
        let twins = vec![Entry::new("a", Role::Worker), Entry::new("b", Role::Worker), Entry::new("a", Role::Worker)];
        assert_eq!(Roster::new(twins).unwrap_err().message, "node a is listed twice");
    }
}
