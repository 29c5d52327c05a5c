//! The paths by which definitions say what their columns show: `.spec.host`, `.status.conditions[?(@.type=="Ready")].status`.

use serde_json::Value;

/// The first value at a path.
pub(super) fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    all(object, path).into_iter().next()
}

fn all<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![object];
    let mut rest = path.trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    while !rest.is_empty() {
        let (step, after) = split(rest);
        rest = after;
        found = found.into_iter().flat_map(|value| follow(value, step)).collect();
    }
    found
}

/// The first step, and what follows it.
fn split(path: &str) -> (&str, &str) {
    if let Some(inside) = path.strip_prefix('[') {
        let end = inside.find(")]").map(|end| end + 1).filter(|_| inside.starts_with('?')).or_else(|| inside.find(']'));
        let end = end.unwrap_or(inside.len());
        return (&inside[..end], inside.get(end + 1..).unwrap_or_default());
    }
    let path = path.trim_start_matches('.');
    let mut before = '\0';
    let end = path.find(|c| {
        let ends = matches!(c, '.' | '[') && before != '\\';
        before = c;
        ends
    });
    path.split_at(end.unwrap_or(path.len()))
}

fn follow<'a>(value: &'a Value, step: &str) -> Vec<&'a Value> {
    if let Some(condition) = step.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        return value.as_array().into_iter().flatten().filter(|element| holds(element, condition)).collect();
    }
    match (step, value) {
        ("*", Value::Array(list)) => list.iter().collect(),
        ("*", Value::Object(map)) => map.values().collect(),
        (step, Value::Array(list)) => {
            step.parse::<usize>().ok().and_then(|place| list.get(place)).into_iter().collect()
        }
        (step, value) => value.get(step.trim_matches(['\'', '"']).replace('\\', "")).into_iter().collect(),
    }
}

/// Whether `@.type=="Ready"` holds of an element.
fn holds(element: &Value, condition: &str) -> bool {
    let (not, both) = match condition.split_once("!=") {
        Some(both) => (true, Some(both)),
        None => (false, condition.split_once("==")),
    };
    let Some((path, wanted)) = both else { return find(element, condition.trim().trim_start_matches('@')).is_some() };
    let wanted = wanted.trim().trim_matches(['\'', '"']);
    let own = find(element, path.trim().trim_start_matches('@')).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let same = own.as_deref() == Some(wanted);
    same != not
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_through_maps_lists_and_conditions() {
        let object = json!({
            "spec": {"host": "a", "list": [1, 2], "a.b/c": 3},
            "status": {"conditions": [{"type": "X", "status": "no"}, {"type": "Ready", "status": "yes"}]},
        });
        let found = |path: &str| find(&object, path).cloned().unwrap_or_default();
        assert_eq!(found(".spec.host"), "a");
        assert_eq!(found("{.spec.list[1]}"), 2);
        assert_eq!(found(".spec['a.b/c']"), 3);
        assert_eq!(found(r".spec.a\.b/c"), 3);
        assert_eq!(found(r#".status.conditions[?(@.type=="Ready")].status"#), "yes");
        assert_eq!(found(r#".status.conditions[?(@.type != "Ready")].status"#), "no");
        assert_eq!(all(&object, ".spec.list[*]").len(), 2);
        assert_eq!(found(".spec.none.at.all"), Value::Null);
    }
}
