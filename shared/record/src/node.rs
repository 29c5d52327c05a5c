//! The Node record.

use serde::Serialize;
use serde_json::Value;

use crate::spec::{NodeSpec, Role};
use crate::status::{Addresses, Applied, Field, NodeField, Seed};
use crate::table::{Row, Scope};
use crate::unusable::check_name;
use crate::{API_VERSION, Change, Effect, Failure, Map, Unusable};

/// One node: `spec` as the user wrote it, `status` as steps found it, and everything else unchanged.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Node {
    fields: Map,
}

impl Node {
    /// A new node without status.
    #[must_use]
    pub fn new(name: &str, cluster: &str, spec: Map) -> Self {
        let mut fields = Map::new();
        fields.insert("apiVersion".into(), API_VERSION.into());
        fields.insert("kind".into(), "Node".into());
        fields.insert("name".into(), name.into());
        fields.insert("cluster".into(), cluster.into());
        fields.insert("spec".into(), spec.into());
        fields.insert("status".into(), Map::new().into());
        Self { fields }
    }

    /// A node from the fields of a record whose `apiVersion` and `kind` have been checked.
    pub(crate) fn from_fields(mut fields: Map) -> Result<Self, Unusable> {
        let Some(Value::String(name)) = fields.get("name") else {
            return Err(Unusable::new("a Node record has no `name`"));
        };
        let name = name.clone();
        check_name("node", &name)?;
        if !matches!(fields.get("cluster"), Some(Value::String(_))) {
            return Err(Unusable::new(format!("node {name}: the record has no `cluster`")));
        }
        for part in ["spec", "status"] {
            match fields.get(part) {
                None => drop(fields.insert(part.into(), Map::new().into())),
                Some(Value::Object(_)) => {}
                Some(_) => {
                    return Err(Unusable::new(format!("node {name}: `{part}` is not an object")));
                }
            }
        }
        let node = Self { fields };
        node.role().ok_or_else(|| node.bad_role())?;
        Ok(node)
    }

    fn bad_role(&self) -> Unusable {
        let found = self.spec().get("role").unwrap_or(&Value::Null);
        Unusable::new(format!("node {}: spec.role is {found}", self.name())).hint("a role is controlplane or worker")
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.fields["name"].as_str().unwrap_or_default()
    }

    /// The name of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.fields["cluster"].as_str().unwrap_or_default()
    }

    fn role(&self) -> Option<Role> {
        match self.spec().get("role")?.as_str()? {
            "controlplane" => Some(Role::ControlPlane),
            "worker" => Some(Role::Worker),
            _ => None,
        }
    }

    /// Whether it is a control plane.
    #[must_use]
    pub fn is_control_plane(&self) -> bool {
        self.role() == Some(Role::ControlPlane)
    }

    /// What the user wrote, untyped.
    #[must_use]
    pub fn spec(&self) -> &Map {
        self.fields["spec"].as_object().expect("checked when the record was made")
    }

    /// What the user wrote, typed.
    ///
    /// # Errors
    /// A field whose type differs from the contract; the error names it.
    pub fn typed_spec(&self) -> Result<NodeSpec, Unusable> {
        crate::fields::typed_spec(self.spec(), &format!("node {}", self.name()))
    }

    /// What steps have found, untyped.
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
    pub fn get<F: NodeField>(&self) -> Result<Option<F>, Unusable> {
        crate::fields::typed(self.status(), || format!("node {}", self.name()))
    }

    /// Whether a field of `status` is set.
    #[must_use]
    pub fn has<F: NodeField>(&self) -> bool {
        self.status().contains_key(F::NAME)
    }

    /// Whether a field of `status` is only planned.
    #[must_use]
    pub fn is_planned<F: NodeField>(&self) -> bool {
        crate::fields::is_planned(self.status(), F::NAME)
    }

    /// Sets a field of `status`, without marks.
    pub fn set<F: NodeField>(&mut self, field: &F) {
        self.set_status(F::NAME, crate::fields::plain(field));
    }

    /// Sets a field of `status`, marked with what was done.
    pub fn set_marked<F: NodeField>(&mut self, field: &F, effect: Effect, changes: Vec<Change>) {
        self.set_status(F::NAME, crate::fields::marked(crate::fields::plain(field), effect, changes));
    }

    /// Sets a field of `status` by its name; `value` is marked already.
    pub fn set_status(&mut self, name: &str, value: Value) {
        self.status_mut().insert(name.to_owned(), value);
    }

    /// The failure that the record carries.
    #[must_use]
    pub fn error(&self) -> Option<Failure> {
        let error = self.status().get("error")?;
        Some(serde_json::from_value(error.clone()).unwrap_or_else(|_| crate::fields::foreign_failure(error)))
    }

    /// Whether the record carries a failure.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.status().contains_key("error")
    }

    /// Sets the record's failure.
    pub fn set_error(&mut self, failure: &Failure) {
        let value = serde_json::to_value(failure).expect("a failure is a plain struct");
        self.set_status("error", value);
    }

    /// The address to connect to: where the node last responded, else one that was found, else the one in the spec.
    ///
    /// That is `status.applied.address`, else `status.seed.addresses[0]`, else `status.addresses[0]`, else `spec.address` without its prefix length.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        let status = self.status();
        let applied = status.get(Applied::NAME).and_then(|applied| applied.get("address")).and_then(Value::as_str);
        let seeded = status.get(Seed::NAME).and_then(|seed| seed.get("addresses")?.get(0)).and_then(Value::as_str);
        let found = status.get(Addresses::NAME).and_then(|list| list.get(0)).and_then(Value::as_str);
        let put = self.spec().get("address").and_then(Value::as_str).and_then(|text| text.split('/').next());
        [applied, seeded, found, put].into_iter().flatten().find(|text| !text.is_empty())
    }

    /// Removes what `--inline` added: it is not for a terminal.
    pub fn hide_inline(&mut self) {
        crate::fields::hide_inline(self.status_mut());
    }

    /// Whether a dry run left something to do on this record.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        crate::fields::any_pending(self.status())
    }

    /// Drops what `row` drops on reading.
    pub(crate) fn drop_stale(&mut self, row: &Row) {
        crate::fields::drop_stale(self.status_mut(), row, Scope::Node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::from_fields(serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn a_node_is_talked_to_where_it_last_answered_else_where_it_was_found_else_where_it_was_put() {
        let text = r#"{"name":"w-1","cluster":"lab","spec":{"role":"worker","address":"10.0.0.3/24"},"status":{"addresses":["10.0.0.2"],"applied":{"address":"10.0.0.1"}}}"#;
        assert_eq!(node(text).address(), Some("10.0.0.1"));
        assert_eq!(node(&text.replace("applied", "other")).address(), Some("10.0.0.2"));
        assert_eq!(node(&text.replace("applied", "other").replace("addresses", "others")).address(), Some("10.0.0.3"));
    }

    #[test]
    fn an_empty_address_is_none_and_hides_no_other() {
        let text = r#"{"name":"w-1","cluster":"lab","spec":{"role":"worker"},"status":{"applied":{"address":""}}}"#;
        assert_eq!(node(text).address(), None);
        let placed = text.replace(r#""worker"}"#, r#""worker","address":"10.0.0.3/24"}"#);
        assert_eq!(node(&placed).address(), Some("10.0.0.3"));
    }

    #[test]
    fn a_node_is_written_as_it_was_read() {
        let text = r#"{"name":"w-1","cluster":"lab","x":1.50,"spec":{"role":"worker","z":123456789012345678901234567890},"status":{"mine":[1e+5]}}"#;
        assert_eq!(serde_json::to_string(&node(text)).unwrap(), text);
    }

    #[test]
    fn an_error_of_another_shape_than_ours_is_one_for_good() {
        let text = r#"{"name":"w-1","cluster":"lab","spec":{"role":"worker"},"status":{"error":{"why":1}}}"#;
        let failure = node(text).error().unwrap();
        assert!(failure.exit == crate::Exit::Failed && failure.is(crate::Code::UnknownError), "{failure:?}");
    }
}
