//! What a client may ask of resources: labels, and a pattern for their names.

use std::collections::BTreeMap;

use regex::Regex;
use talos_proto::cosi::resource::label_term::Operation;
use talos_proto::cosi::resource::{IdQuery, LabelQuery, LabelTerm, Metadata};
use tonic::Status;

/// Conditions on the metadata of a resource.
#[derive(Debug, Default)]
pub(crate) struct Query {
    id: Option<Regex>,
    /// One of them must hold, if there are any.
    labels: Vec<LabelQuery>,
}

impl Query {
    /// Refuses what nobody could match.
    pub(crate) fn new(labels: &[LabelQuery], id: Option<&IdQuery>) -> Result<Self, Status> {
        let unknown = labels.iter().flat_map(|query| &query.terms).find(|term| Operation::try_from(term.op).is_err());
        if let Some(term) = unknown {
            return Err(Status::unimplemented(format!("unsupported label query operator: {}", term.op)));
        }
        let pattern = id.map(|query| query.regexp.as_str()).filter(|pattern| !pattern.is_empty());
        let failed = |error| Status::invalid_argument(format!("failed to compile regexp: {error}"));
        Ok(Self { id: pattern.map(Regex::new).transpose().map_err(failed)?, labels: labels.to_vec() })
    }

    pub(super) fn matches(&self, metadata: &Metadata) -> bool {
        let named = self.id.as_ref().is_none_or(|pattern| pattern.is_match(&metadata.id));
        let all = |query: &LabelQuery| query.terms.iter().all(|term| holds(term, &metadata.labels));
        named && (self.labels.is_empty() || self.labels.iter().any(all))
    }
}

/// Whether a term holds; a comparison with a label that isn't there, or isn't a number, never does, inverted or not.
fn holds(term: &LabelTerm, labels: &BTreeMap<String, String>) -> bool {
    let Some((outcome, inverted)) = outcome(term, labels).zip(Some(term.invert)) else { return false };
    outcome != inverted
}

fn outcome(term: &LabelTerm, labels: &BTreeMap<String, String>) -> Option<bool> {
    let operation = term.op();
    let comparison = matches!(operation, Operation::Lt | Operation::Lte | Operation::LtNumeric | Operation::LteNumeric);
    let Some(value) = labels.get(&term.key) else {
        return if comparison { None } else { Some(operation == Operation::NotExists) };
    };
    let Some(wanted) = term.value.first() else { return Some(operation == Operation::Exists) };
    let numbers = || number(value).zip(number(wanted));
    match operation {
        Operation::Exists => Some(true),
        Operation::NotExists => Some(false),
        Operation::Equal => Some(value == wanted),
        Operation::In => Some(term.value.contains(value)),
        Operation::Lt => Some(value < wanted),
        Operation::Lte => Some(value <= wanted),
        Operation::LtNumeric => numbers().map(|(one, other)| one < other),
        Operation::LteNumeric => numbers().map(|(one, other)| one <= other),
    }
}

/// A whole number with a unit of bytes: `4GB`, `5GiB`, `12`.
fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    let (value, unit) = text.split_at(digits);
    let unit = unit.trim().to_lowercase();
    let exponent = match unit.chars().next() {
        None => 0,
        Some(letter) => u32::try_from("kmgtp".find(letter)?).ok()? + 1,
    };
    let base: i64 = if unit.chars().nth(1) == Some('i') { 1024 } else { 1000 };
    value.parse::<i64>().ok()?.checked_mul(base.checked_pow(exponent)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> BTreeMap<String, String> {
        [("a", "b"), ("disk", "4GB")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    fn term(key: &str, op: Operation, value: &[&str], invert: bool) -> LabelTerm {
        let value = value.iter().map(|value| (*value).to_owned()).collect();
        LabelTerm { key: key.to_owned(), op: op as i32, value, invert }
    }

    #[test]
    fn labels_are_compared_as_cosi_does() {
        use Operation::{Equal, Exists, In, Lt, LtNumeric, Lte, LteNumeric, NotExists};
        for (key, op, value, invert, expected) in [
            ("a", Exists, &[][..], false, true),
            ("a", Exists, &[], true, false),
            ("c", Exists, &[], false, false),
            ("c", Exists, &[], true, true),
            ("c", NotExists, &[], false, true),
            ("a", NotExists, &[], false, false),
            ("a", Equal, &["b"], false, true),
            ("a", Equal, &["b"], true, false),
            ("c", Equal, &["b"], true, true),
            ("a", In, &["x", "b"], false, true),
            ("a", Lt, &["c"], false, true),
            ("a", Lte, &["b"], false, true),
            ("c", Lt, &["b"], true, false),
            ("disk", LtNumeric, &["4GiB"], false, true),
            ("disk", LteNumeric, &["4 GB"], false, true),
            ("a", LtNumeric, &["1"], true, false),
        ] {
            assert_eq!(holds(&term(key, op, value, invert), &labels()), expected, "{key} {op:?} {value:?} {invert}");
        }
    }

    #[test]
    fn any_query_of_several_will_do_and_names_must_match_as_well() {
        let query = |terms: Vec<LabelTerm>| LabelQuery { terms };
        let wrong = query(vec![term("c", Operation::Exists, &[], false)]);
        let right = query(vec![term("a", Operation::Exists, &[], false)]);
        let metadata = Metadata { id: "eth0".to_owned(), labels: labels(), ..Metadata::default() };
        let matches = |labels: &[LabelQuery], pattern: &str| {
            Query::new(labels, Some(&IdQuery { regexp: pattern.to_owned() })).unwrap().matches(&metadata)
        };
        assert!(matches(&[], ""));
        assert!(matches(&[wrong.clone(), right.clone()], "^eth"));
        assert!(!matches(&[wrong], "^eth"));
        assert!(!matches(&[right], "^lo"));
        let refused = Query::new(&[], Some(&IdQuery { regexp: "(".to_owned() })).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    }
}
