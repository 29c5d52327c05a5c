//! Rules about where managed VMs may be.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::config;
use super::ha::{MODIFIED, sid, typed};
use super::reply::{Refusal, Reply};
use super::state::{Call, Config, State};

/// A rule: its properties, and its place among the others.
#[derive(Debug, Clone)]
struct Rule {
    order: u64,
    properties: Config,
}

impl Rule {
    fn text(&self, property: &str) -> &str {
        self.properties.get(property).map_or("", String::as_str)
    }

    fn members(&self) -> Vec<u32> {
        super::form::listed(self.text("resources")).filter_map(|member| sid(member).ok()).collect()
    }
}

/// All rules.
#[derive(Default)]
pub(crate) struct Rules {
    all: BTreeMap<String, Rule>,
    count: u64,
}

impl Rules {
    /// Whether a VM may be on a host, of whose other VMs the caller knows.
    pub(crate) fn let_on(&self, vmid: u32, node: &str, is_there: impl Fn(u32) -> bool) -> bool {
        self.all.values().all(|rule| {
            let members = rule.members();
            if rule.text("disable") == "1" || !members.contains(&vmid) {
                return true;
            }
            match (rule.text("type"), rule.text("affinity")) {
                ("node-affinity", _) if rule.text("strict") == "1" => {
                    super::form::listed(rule.text("nodes")).any(|listed| listed.split(':').next() == Some(node))
                }
                ("resource-affinity", "negative") => !members.iter().any(|other| *other != vmid && is_there(*other)),
                _ => true,
            }
        })
    }

    /// Takes a VM out of all rules; a rule that is about nothing then goes.
    pub(crate) fn forget(&mut self, vmid: u32) {
        for rule in self.all.values_mut() {
            let left = rule.members().into_iter().filter(|member| *member != vmid);
            let left: Vec<String> = left.map(|member| format!("vm:{member}")).collect();
            rule.properties.insert("resources".to_owned(), left.join(","));
        }
        self.all.retain(|_, rule| !rule.text("resources").is_empty());
    }

    fn digest(&self) -> String {
        config::digest(&self.all.iter().map(|(name, rule)| (name.clone(), format!("{rule:?}"))).collect())
    }

    fn row(&self, name: &str, rule: &Rule) -> Value {
        let mut row = json!({"digest": self.digest(), "order": rule.order, "rule": name});
        for (property, value) in &rule.properties {
            row[property.as_str()] = typed(property, value);
        }
        row
    }
}

/// `GET /cluster/ha/rules`.
pub(crate) fn list(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let rules = &state.ha.rules;
    let about = call.param("resource").and_then(|name| sid(name).ok());
    let mut wanted: Vec<(&String, &Rule)> = rules
        .all
        .iter()
        .filter(|(_, rule)| call.param("type").is_none_or(|kind| kind == rule.text("type")))
        .filter(|(_, rule)| about.is_none_or(|vmid| rule.members().contains(&vmid)))
        .collect();
    wanted.sort_by_key(|(_, rule)| rule.order);
    Ok(Value::Array(wanted.into_iter().map(|(name, rule)| rules.row(name, rule)).collect()).into())
}

/// `GET /cluster/ha/rules/{rule}`.
pub(crate) fn get(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (rules, name) = (&state.ha.rules, &call.path["rule"]);
    let rule = rules.all.get(name).ok_or_else(|| Refusal::failed(format!("no such ha rule '{name}'")))?;
    Ok(rules.row(name, rule).into())
}

/// The properties that a call sets: lists sorted, and `disable` only where it is on.
fn properties(call: &Call<'_>) -> Config {
    let told = call.params.iter().filter(|(name, value)| match name.as_str() {
        "rule" | "delete" | "digest" => false,
        "disable" => *value == "1",
        _ => true,
    });
    let normal = |name: &str, value: &str| match name {
        "resources" | "nodes" => {
            let mut list: Vec<&str> = super::form::listed(value).collect();
            list.sort_unstable();
            list.join(",")
        }
        _ => value.to_owned(),
    };
    told.map(|(name, value)| (name.clone(), normal(name, value))).collect()
}

/// What must be so of a rule: every resource is managed already, every host is there.
fn check(state: &State, rule: &Rule) -> Result<(), Refusal> {
    let resources: Vec<&str> = super::form::listed(rule.text("resources")).collect();
    let managed = |name: &str| sid(name).is_ok_and(|vmid| state.ha.resources.contains_key(&vmid));
    let unmanaged: Vec<&str> = resources.iter().copied().filter(|name| !managed(name)).collect();
    if !unmanaged.is_empty() {
        return Err(Refusal::failed(format!("cannot use unmanaged resource(s) {}.", unmanaged.join(", "))));
    }
    let names = super::form::listed(rule.text("nodes")).filter_map(|node| node.split(':').next());
    let strange: Vec<&str> = names.filter(|name| !state.settings.nodes.iter().any(|node| node == name)).collect();
    if !strange.is_empty() {
        return Err(Refusal::failed(format!("cannot use non-existent node(s) {}.", strange.join(", "))));
    }
    if rule.text("type") == "resource-affinity" && resources.len() < 2 {
        return Err(Refusal::failed("rule is not feasible: rule is defined for less than two resources"));
    }
    Ok(())
}

/// `POST /cluster/ha/rules`.
pub(crate) fn add(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.ha_locked("create ha rule failed: ")?;
    let name = call.param("rule").unwrap_or_default().to_owned();
    let rule = Rule { order: state.ha.rules.count + 1, properties: properties(call) };
    check(state, &rule)?;
    if state.ha.rules.all.contains_key(&name) {
        return Err(Refusal::failed(format!("HA rule '{name}' already defined")));
    }
    state.ha.rules.count += 1;
    state.ha.rules.all.insert(name, rule);
    Ok(Value::Null.into())
}

/// `PUT /cluster/ha/rules/{rule}`.
pub(crate) fn change(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.ha_locked("update HA rules failed: ")?;
    let failed = |text: String| Refusal::failed(format!("update HA rules failed: {text}"));
    let (rules, name) = (&state.ha.rules, call.path["rule"].clone());
    if call.param("digest").is_some_and(|known| known != rules.digest()) {
        return Err(failed(MODIFIED.to_owned()));
    }
    let mut rule = rules.all.get(&name).cloned().ok_or_else(|| failed(format!("HA rule '{name}' does not exist")))?;
    for property in super::form::listed(call.param("delete").unwrap_or_default()) {
        rule.properties.remove(property);
    }
    rule.properties.extend(properties(call));
    check(state, &rule)?;
    state.ha.rules.all.insert(name, rule);
    Ok(Value::Null.into())
}

/// `DELETE /cluster/ha/rules/{rule}`.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.ha_locked("delete ha rule failed: ")?;
    state.ha.rules.all.remove(&call.path["rule"]);
    Ok(Value::Null.into())
}
