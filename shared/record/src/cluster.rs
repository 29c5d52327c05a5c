//! The Cluster record.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::spec::ClusterSpec;
use crate::status::{ClusterField, Dir, DryRun, Field, Only};
use crate::table::{Row, Scope};
use crate::unusable::check_name;
use crate::{API_VERSION, Change, Effect, Entry, Failure, Map, Roster, Unusable, fields};

/// The cluster: `spec` as the user wrote it, `status` as steps found it, and everything else unchanged.
///
/// `status.nodes` is kept apart as a [`Roster`], because it may be long; so a clone is cheap.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// All fields but `end`; in `status` the place of `nodes` is kept by a null.
    fields: Map,
    roster: Option<Arc<Roster>>,
    end: bool,
}

impl Cluster {
    /// A new cluster with these nodes and no other status.
    #[must_use]
    pub fn new(name: &str, spec: Map, roster: Roster) -> Self {
        let mut status = Map::new();
        status.insert("nodes".into(), Value::Null);
        let mut fields = Map::new();
        fields.insert("apiVersion".into(), API_VERSION.into());
        fields.insert("kind".into(), "Cluster".into());
        fields.insert("name".into(), name.into());
        fields.insert("spec".into(), spec.into());
        fields.insert("status".into(), status.into());
        Self { fields, roster: Some(Arc::new(roster)), end: false }
    }

    /// The stream of a step that failed before its first line: one record that is first and last, and has no name.
    #[must_use]
    pub fn failed(failure: &Failure) -> Self {
        let mut cluster = Self::new("", Map::new(), Roster::default());
        cluster.fields.shift_remove("spec");
        cluster.status_mut().shift_remove("nodes");
        cluster.roster = None;
        cluster.set_error(failure);
        cluster.ended()
    }

    /// Whether this is the whole stream of a step that failed before its first line.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.end && self.name().is_empty()
    }

    /// Reads a Cluster record whose `apiVersion` and `kind` have been checked.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Unusable> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let (mut fields, entries) = deserializer
            .deserialize_map(Record)
            .map_err(|error| Unusable::new(format!("a Cluster record cannot be read: {error}")))?;
        let end = fields.shift_remove("end") == Some(Value::Bool(true));
        let Some(Value::String(name)) = fields.get("name") else {
            return Err(Unusable::new("a Cluster record has no `name`"));
        };
        let failed = end && name.is_empty() && fields.get("status").is_some_and(|status| status.get("error").is_some());
        if !failed {
            check_name("cluster", name)?;
        }
        for part in ["spec", "status"] {
            match fields.get(part) {
                None if failed => {}
                None => drop(fields.insert(part.into(), Map::new().into())),
                Some(Value::Object(_)) => {}
                Some(_) => {
                    return Err(Unusable::new(format!("`{part}` of a Cluster record is not an object")));
                }
            }
        }
        fields::check_engine_fields(&fields["status"])?;
        let roster = entries.map(Roster::new).transpose()?.map(Arc::new);
        Ok(Self { fields, roster, end })
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.fields["name"].as_str().unwrap_or_default()
    }

    /// Whether this is the last line of its stream.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.end
    }

    /// The same record as the last line of a stream.
    #[must_use]
    pub fn ended(mut self) -> Self {
        self.end = true;
        self
    }

    /// The nodes of the stream; `None` in a record without a list.
    #[must_use]
    pub fn roster(&self) -> Option<&Arc<Roster>> {
        self.roster.as_ref()
    }

    /// Replaces the list of nodes.
    pub fn set_roster(&mut self, roster: Arc<Roster>) {
        self.status_mut().entry("nodes").or_insert(Value::Null);
        self.roster = Some(roster);
    }

    /// What the user wrote, untyped.
    #[must_use]
    pub fn spec(&self) -> &Map {
        static EMPTY: std::sync::LazyLock<Map> = std::sync::LazyLock::new(Map::new);
        self.fields.get("spec").and_then(Value::as_object).unwrap_or(&EMPTY)
    }

    /// What the user wrote, typed.
    ///
    /// # Errors
    /// A field whose type differs from the contract; the error names it.
    pub fn typed_spec(&self) -> Result<ClusterSpec, Unusable> {
        fields::typed_spec(self.spec(), &format!("cluster {}", self.name()))
    }

    /// What steps have found, without `nodes`.
    #[must_use]
    pub fn status(&self) -> &Map {
        self.fields["status"].as_object().expect("checked when the record was made")
    }

    fn status_mut(&mut self) -> &mut Map {
        self.fields["status"].as_object_mut().expect("checked when the record was made")
    }

    /// A field of `status`; `None` if it is not set.
    ///
    /// # Errors
    /// A field whose type differs from the contract.
    pub fn get<F: ClusterField>(&self) -> Result<Option<F>, Unusable> {
        fields::typed(self.status(), || format!("cluster {}", self.name()))
    }

    /// Whether a field of `status` is set.
    #[must_use]
    pub fn has<F: ClusterField>(&self) -> bool {
        self.status().contains_key(F::NAME)
    }

    /// Whether a field of `status` is only planned.
    #[must_use]
    pub fn is_planned<F: ClusterField>(&self) -> bool {
        fields::is_planned(self.status(), F::NAME)
    }

    /// Sets a field of `status`, without marks.
    pub fn set<F: ClusterField>(&mut self, field: &F) {
        self.set_status(F::NAME, fields::plain(field));
    }

    /// Sets a field of `status`, marked with what was done.
    pub fn set_marked<F: ClusterField>(&mut self, field: &F, effect: Effect, changes: Vec<Change>) {
        self.set_status(F::NAME, fields::marked(fields::plain(field), effect, changes));
    }

    /// Sets a field of `status` by its name.
    pub fn set_status(&mut self, name: &str, value: Value) {
        self.status_mut().insert(name.to_owned(), value);
    }

    /// The folder that the cluster's files are in (absolute).
    #[must_use]
    pub fn dir(&self) -> Option<PathBuf> {
        self.status().get(Dir::NAME).and_then(Value::as_str).map(PathBuf::from)
    }

    /// Sets the folder that the cluster's files are in.
    pub fn set_dir(&mut self, dir: &Path) {
        self.set(&Dir(dir.to_string_lossy().into_owned()));
    }

    /// Whether the stream is a dry run: no step may change anything.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.status().get(DryRun::NAME) == Some(&Value::Bool(true))
    }

    /// The nodes that steps act on; none named means all.
    #[must_use]
    pub fn only(&self) -> Vec<String> {
        self.get::<Only>().ok().flatten().unwrap_or_default().0
    }

    /// The failure of a whole step that the record carries.
    #[must_use]
    pub fn error(&self) -> Option<Failure> {
        let error = self.status().get("error")?;
        Some(serde_json::from_value(error.clone()).unwrap_or_else(|_| fields::foreign_failure(error)))
    }

    /// Sets the record's failure, unless it has one already: the first one explains the others. But a failure for which
    /// running again is no help replaces one that asks for it.
    pub fn set_error(&mut self, failure: &Failure) {
        if self.takes_error(failure) {
            let value = serde_json::to_value(failure).expect("a failure is a plain struct");
            self.set_status("error", value);
        }
    }

    fn takes_error(&self, failure: &Failure) -> bool {
        self.error().is_none_or(|first| failure.exit.severity() > first.exit.severity())
    }

    /// Whether a dry run left something to do on this record.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        fields::any_pending(self.status())
    }

    /// Drops what `row` drops on reading.
    pub(crate) fn drop_stale(&mut self, row: &Row) {
        fields::drop_stale(self.status_mut(), row, Scope::Cluster);
    }

    /// Removes what `--inline` added: it is not for a terminal.
    pub fn hide_inline(&mut self) {
        fields::hide_inline(self.status_mut());
    }

    /// Copies the fields of `status` from `newer` that are missing or differ here; its error as [`Self::set_error`]
    /// does.
    pub fn absorb(&mut self, newer: &Self) {
        if let Some(roster) = &newer.roster {
            self.set_roster(Arc::clone(roster));
        }
        let takes_error = newer.error().is_some_and(|failure| self.takes_error(&failure));
        for (field, value) in newer.status() {
            if field != "nodes" && (field != "error" || takes_error) {
                self.set_status(field, value.clone());
            }
        }
    }
}

impl Serialize for Cluster {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.fields {
            if key == "status" {
                map.serialize_entry(key, &Status { fields: self.status(), roster: self.roster.as_deref() })?;
            } else {
                map.serialize_entry(key, value)?;
            }
        }
        if self.end {
            map.serialize_entry("end", &true)?;
        }
        map.end()
    }
}

/// `status` with the roster back in its place.
struct Status<'a> {
    fields: &'a Map,
    roster: Option<&'a Roster>,
}

impl Serialize for Status<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.fields {
            match self.roster {
                Some(roster) if key == "nodes" => map.serialize_entry(key, roster)?,
                _ => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

/// Reads a Cluster record without building a tree of `status.nodes`.
struct Record;

impl<'de> Visitor<'de> for Record {
    type Value = (Map, Option<Vec<Entry>>);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a Cluster record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut fields, mut entries) = (Map::new(), None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let value = if key == "status" {
                let (status, nodes) = map.next_value_seed(StatusSeed)?;
                entries = nodes;
                Value::Object(status)
            } else {
                map.next_value()?
            };
            fields.insert(key.into_owned(), value);
        }
        Ok((fields, entries))
    }
}

struct StatusSeed;

impl<'de> DeserializeSeed<'de> for StatusSeed {
    type Value = (Map, Option<Vec<Entry>>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StatusSeed {
    type Value = (Map, Option<Vec<Entry>>);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the status of a Cluster record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut fields, mut entries) = (Map::new(), None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let value = if key == "nodes" {
                entries = Some(map.next_value()?);
                Value::Null
            } else {
                map.next_value()?
            };
            fields.insert(key.into_owned(), value);
        }
        Ok((fields, entries))
    }
}

#[cfg(test)]
mod tests;
