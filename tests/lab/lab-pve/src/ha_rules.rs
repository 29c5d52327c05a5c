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

impl super::Pve {
    /// The rules of high availability, by name, with their properties.
    pub fn ha_rules(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let properties = |(name, rule): (&String, &Rule)| (name.clone(), rule.properties.clone());
        self.driver.with(|state| state.ha.rules.all.iter().map(properties).collect())
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
    Ok(())
}

/// Whether a rule can be kept beside the others, by the text that says why not.
fn check_feasible(state: &State, name: &str, rule: &Rule) -> Result<(), Refusal> {
    let all = || state.ha.rules.all.iter().filter(|(other, _)| *other != name).map(|(_, rule)| rule);
    let resources = rule.members();
    let shares = |other: &&Rule| other.members().iter().any(|member| resources.contains(member));
    let of_type = |kind: &'static str| move |other: &&Rule| other.text("type") == kind && other.text("disable") != "1";
    let is_resource = rule.text("type") == "resource-affinity";
    let why = if rule.text("disable") == "1" {
        return Ok(());
    } else if is_resource && resources.len() < 2 {
        "rule is ineffective as there are less than two resources".to_owned()
    } else if rule.text("affinity") == "negative" && is_resource && resources.len() > state.settings.nodes.len() {
        "rule defines more resources than available nodes".to_owned()
    } else if is_resource && all().filter(of_type("node-affinity")).filter(shares).any(is_ranked) {
        "resources are in node affinity rules with multiple priorities".to_owned()
    } else if !is_resource && is_ranked(rule) && all().filter(of_type("resource-affinity")).any(|it| shares(&it)) {
        "resources are in a resource affinity rule and cannot be in a node affinity rule with multiple priorities"
            .to_owned()
    } else if let Some(other) = all().filter(of_type("node-affinity")).find(shares).filter(|_| !is_resource) {
        let shared = other.members().into_iter().find(|member| resources.contains(member)).unwrap_or_default();
        format!("resource 'vm:{shared}' is already used in another node affinity rule")
    } else {
        return Ok(());
    };
    Err(Refusal::failed(format!("400 Rule '{name}' is invalid.\nresources: {why}")))
}

/// Whether the hosts of a rule have different priorities.
fn is_ranked(rule: &Rule) -> bool {
    let nodes = rule.text("nodes");
    let mut priorities = super::form::listed(nodes).map(|node| node.split_once(':').map_or("0", |(_, rank)| rank));
    let first = priorities.next();
    priorities.any(|other| Some(other) != first)
}

/// A refusal as the lock of high availability passes it on: plain errors with its name, others as they are.
fn within_lock(before: &str, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Failed(text) if text.starts_with("400 ") => Refusal::failed(format!("{before}{text}")),
        Refusal::Failed(text) => {
            Refusal::failed(format!("{before}error during cfs-locked 'domain-ha' operation: {text}"))
        }
        other => other,
    }
}

/// `POST /cluster/ha/rules`.
pub(crate) fn add(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    const BEFORE: &str = "create ha rule failed: ";
    state.ha_locked(BEFORE)?;
    let name = call.param("rule").unwrap_or_default().to_owned();
    let rule = Rule { order: state.ha.rules.count + 1, properties: properties(call) };
    let added = match state.ha.rules.all.contains_key(&name) {
        true => Err(Refusal::failed(format!("HA rule '{name}' already defined"))),
        false => check(state, &rule).and_then(|()| check_feasible(state, &name, &rule)),
    };
    added.map_err(|refusal| within_lock(BEFORE, refusal))?;
    state.ha.rules.count += 1;
    state.ha.rules.all.insert(name, rule);
    Ok(Value::Null.into())
}

/// `PUT /cluster/ha/rules/{rule}`.
pub(crate) fn change(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    const BEFORE: &str = "update HA rules failed: ";
    state.ha_locked(BEFORE)?;
    let (name, changed) = changed(state, call).map_err(|refusal| within_lock(BEFORE, refusal))?;
    state.ha.rules.all.insert(name, changed);
    Ok(Value::Null.into())
}

fn changed(state: &State, call: &Call<'_>) -> Result<(String, Rule), Refusal> {
    let (rules, name) = (&state.ha.rules, call.path["rule"].clone());
    if call.param("digest").is_some_and(|known| known != rules.digest()) {
        return Err(Refusal::failed(MODIFIED.to_owned()));
    }
    let missing = || Refusal::failed(format!("HA rule '{name}' does not exist"));
    let mut rule = rules.all.get(&name).cloned().ok_or_else(missing)?;
    for property in super::form::listed(call.param("delete").unwrap_or_default()) {
        rule.properties.remove(property);
    }
    rule.properties.extend(properties(call));
    check(state, &rule)?;
    check_feasible(state, &name, &rule)?;
    Ok((name, rule))
}

/// `DELETE /cluster/ha/rules/{rule}`.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.ha_locked("delete ha rule failed: ")?;
    state.ha.rules.all.remove(&call.path["rule"]);
    Ok(Value::Null.into())
}
