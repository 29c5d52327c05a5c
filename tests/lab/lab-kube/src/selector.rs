//! Label and field selectors.

use serde_json::Value;

/// A condition on labels or fields.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Equal(String, String),
    NotEqual(String, String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// The conditions that an object must meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector {
    labels: Vec<Term>,
    fields: Vec<Term>,
}

impl Selector {
    pub(super) fn new(labels: Option<&str>, fields: Option<&str>) -> Self {
        let terms = |text: Option<&str>| text.map(split).unwrap_or_default().iter().map(|t| term(t)).collect();
        Self { labels: terms(labels), fields: terms(fields) }
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str).map(str::to_owned);
        let field = |path: &str| Some(field(object, path));
        self.labels.iter().all(|t| holds(t, label)) && self.fields.iter().all(|t| holds(t, field))
    }
}

/// The value at a path with dots as text; absent is empty, absent `spec.unschedulable` is false.
fn field(object: &Value, path: &str) -> String {
    let value = path.split('.').try_fold(object, |value, key| value.get(key));
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None if path == "spec.unschedulable" => "false".to_owned(),
        None => String::new(),
    }
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match (c, terms.last_mut()) {
            (',', _) if depth == 0 => terms.push(String::new()),
            (c, Some(term)) => term.push(c),
            (_, None) => {}
        }
    }
    terms.into_iter().map(|term| term.trim().to_owned()).filter(|term| !term.is_empty()).collect()
}

fn term(text: &str) -> Term {
    let own = |text: &str| text.trim().to_owned();
    if let Some((key, rest)) = text.split_once('(') {
        let values = rest.trim_end_matches(')').split(',').map(own).collect();
        let mut words = key.split_whitespace();
        let key = words.next().unwrap_or_default().to_owned();
        return if words.next() == Some("notin") { Term::NotIn(key, values) } else { Term::In(key, values) };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Term::NotEqual(own(key), own(value));
    }
    if let Some((key, value)) = text.split_once('=') {
        return Term::Equal(own(key), own(value.trim_start_matches('=')));
    }
    match text.strip_prefix('!') {
        Some(key) => Term::Absent(own(key)),
        None => Term::Exists(own(text)),
    }
}

fn holds(term: &Term, value: impl Fn(&str) -> Option<String>) -> bool {
    match term {
        Term::Equal(key, wanted) => value(key).as_ref() == Some(wanted),
        Term::NotEqual(key, unwanted) => value(key).as_ref() != Some(unwanted),
        Term::In(key, values) => value(key).is_some_and(|v| values.contains(&v)),
        Term::NotIn(key, values) => value(key).is_none_or(|v| !values.contains(&v)),
        Term::Exists(key) => value(key).is_some(),
        Term::Absent(key) => value(key).is_none(),
    }
}

/// Whether labels keep a rule with `key`, `operator` and `values`.
pub(super) fn rule(rule: &Value, labels: &Value) -> bool {
    let value = rule["key"].as_str().and_then(|key| labels.get(key));
    let listed = value.is_some_and(|value| rule["values"].as_array().is_some_and(|values| values.contains(value)));
    match rule["operator"].as_str() {
        Some("In") => listed,
        Some("NotIn") => !listed,
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        _ => false,
    }
}

/// Whether a selector with `matchLabels` and `matchExpressions` selects an object; none at all selects nothing.
pub(super) fn selects(selector: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let equal = selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| &labels[key] == value);
    let rules = selector["matchExpressions"].as_array().into_iter().flatten();
    selector.is_object() && equal && rules.into_iter().all(|wanted| rule(wanted, labels))
}
