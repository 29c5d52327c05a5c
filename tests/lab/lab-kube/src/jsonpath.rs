//! The paths by which definitions select the content of columns: `.spec.host`,
//! `.status.conditions[?(@.type=="Ready")].status`.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;
use serde_json_path::JsonPath;

/// What stands in brackets, and a name after a dot, in which `\` takes the meaning of what follows.
static STEP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\[[^\]]*\])|\.((?:\\.|[^.\[\\])+)").expect("this is a regular expression"));

/// The first value at a path as Kubernetes writes it, which is wider than RFC 9535: `.a-b`, `.a\.b/c`, `{.a}`.
pub(super) fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path.trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    let path = STEP.replace_all(path, |step: &Captures<'_>| match step.get(2) {
        Some(name) if name.as_str() == "*" => "[*]".to_owned(),
        Some(name) => format!("['{}']", name.as_str().replace('\\', "")),
        None => step[1].to_owned(),
    });
    JsonPath::parse(&format!("${path}")).ok()?.query(object).first()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_through_maps_lists_and_conditions() {
        let object = json!({
            "spec": {"host": "a", "list": [1, 2], "a.b/c": 3, "a-b": 4},
            "status": {"conditions": [{"type": "X", "status": "no"}, {"type": "Ready", "status": "yes"}]},
        });
        let found = |path: &str| find(&object, path).cloned().unwrap_or_default();
        assert_eq!(found(".spec.host"), "a");
        assert_eq!(found("{.spec.list[1]}"), 2);
        assert_eq!(found(".spec.list[*]"), 1);
        assert_eq!(found(".spec['a.b/c']"), 3);
        assert_eq!(found(r".spec.a\.b/c"), 3);
        assert_eq!(found(".spec.a-b"), 4);
        assert_eq!(found(r#".status.conditions[?(@.type=="Ready")].status"#), "yes");
        assert_eq!(found(r#".status.conditions[?(@.type != "Ready")].status"#), "no");
        assert_eq!(found(".spec.none.at.all"), Value::Null);
    }
}
