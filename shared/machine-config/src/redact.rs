//! Secrets in a config: found, and hidden before anything is shown.

use go_yaml::{Map, Value};
use redaction::names_a_secret;

use crate::config::{Config, Document, Identity};
use crate::schema::{Field, Schema, Type};
use crate::secret_detection::Carrier;

/// A secret in a config.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// The document.
    pub document: Identity,
    /// The path in it.
    pub path: String,
    value: String,
}

/// The config with every secret replaced by asterisks.
pub fn redact(config: &Config) -> Config {
    let documents = config.documents().iter().map(|document| {
        let mut document = document.clone();
        visit(&mut document, &mut |_, text, carrier| *text = carrier.shown(text));
        document
    });
    Config { documents: documents.collect() }
}

/// Every secret of a document.
pub fn secrets(document: &Document) -> Vec<Found> {
    found(document, |text, carrier| carrier.is_secret(text))
}

/// The values of a config that are never shown, for the redaction of texts that others write about it.
pub fn secret_values(config: &Config) -> Vec<String> {
    config.documents().iter().flat_map(hidden).map(|found| found.value).collect()
}

/// Every text of a document that isn't shown unchanged.
fn hidden(document: &Document) -> Vec<Found> {
    found(document, |text, carrier| carrier.shown(text) != text)
}

fn found(document: &Document, wanted: fn(&str, Carrier) -> bool) -> Vec<Found> {
    let mut out = Vec::new();
    let identity = document.identity();
    visit(&mut document.clone(), &mut |path, text, carrier| {
        if wanted(text, carrier) {
            out.push(Found { document: identity.clone(), path: path.to_owned(), value: text.clone() });
        }
    });
    out
}

/// The secrets that differ between two configs.
pub(crate) fn differing(left: &Config, right: &Config) -> Vec<String> {
    let all = |config: &Config| config.documents().iter().flat_map(hidden).collect::<Vec<_>>();
    let (left, right) = (all(left), all(right));
    let changed = right.iter().filter(|found| {
        let same_place = |other: &&Found| other.document == found.document && other.path == found.path;
        left.iter().find(same_place).is_some_and(|other| other.value != found.value)
    });
    changed.map(|found| format!("{} {}", found.document, found.path)).collect()
}

/// Called with every text, its path, and how it may carry a secret.
type Visitor<'a> = &'a mut dyn FnMut(&str, &mut String, Carrier);

fn visit(document: &mut Document, visitor: Visitor<'_>) {
    in_struct(&mut document.fields, document.kind.schema, "", visitor);
}

fn in_struct(map: &mut Map, schema: &'static Schema, path: &str, visitor: Visitor<'_>) {
    for field in schema.fields() {
        let Some(value) = map.get_mut(field.key) else { continue };
        let path = if path.is_empty() { field.key.to_owned() } else { format!("{path}.{}", field.key) };
        match carrier(field) {
            Some(carrier) => everywhere(value, carrier, &path, visitor),
            None => in_value(value, &field.ty, &path, visitor),
        }
    }
}

fn carrier(field: &Field) -> Option<Carrier> {
    match field {
        Field { secret: true, .. } => Some(Carrier::Secret),
        Field { file: true, .. } => Some(Carrier::File),
        _ => None,
    }
}

fn in_value(value: &mut Value, ty: &Type, path: &str, visitor: Visitor<'_>) {
    match (ty, value) {
        (Type::Pointer(inner), value) => in_value(value, inner, path, visitor),
        (Type::Struct(schema), Value::Map(map)) => in_struct(map, schema, path, visitor),
        (Type::List(item), Value::List(items)) => {
            items.iter_mut().enumerate().for_each(|(i, value)| in_value(value, item, &format!("{path}[{i}]"), visitor));
        }
        (Type::Map(item), Value::Map(map)) => {
            map.iter_mut().for_each(|(key, value)| at_key(key, value, item, path, visitor));
        }
        (Type::Free, value) => in_free(value, path, visitor),
        (Type::Url, Value::Text(text)) => visitor(path, text, Carrier::Url),
        (Type::Text | Type::Trimmed | Type::Argument, value) => everywhere(value, Carrier::Text, path, visitor),
        _ => {}
    }
}

/// Visits the value of a key that the user chose.
fn at_key(key: &str, value: &mut Value, ty: &Type, path: &str, visitor: Visitor<'_>) {
    let path = format!("{path}.{key}");
    match value {
        Value::Text(text) if names_a_secret(key) => visitor(&path, text, Carrier::Named),
        value => in_value(value, ty, &path, visitor),
    }
}

fn in_free(value: &mut Value, path: &str, visitor: Visitor<'_>) {
    match value {
        Value::Map(map) => {
            let named = map.get("name").and_then(Value::as_text).is_some_and(names_a_secret);
            map.iter_mut().for_each(|(key, value)| match value {
                // A variable of a pod, `name: TOKEN` with its value.
                Value::Text(text) if named && key == "value" => {
                    visitor(&format!("{path}.value"), text, Carrier::Named);
                }
                value => at_key(key, value, &Type::Free, path, visitor),
            });
        }
        Value::List(items) => {
            items.iter_mut().enumerate().for_each(|(i, value)| in_free(value, &format!("{path}[{i}]"), visitor));
        }
        value => everywhere(value, Carrier::Text, path, visitor),
    }
}

/// Visits every text at and below a value.
fn everywhere(value: &mut Value, carrier: Carrier, path: &str, visitor: Visitor<'_>) {
    match value {
        Value::Text(text) => visitor(path, text, carrier),
        Value::List(items) => {
            let each = |(i, value): (usize, &mut Value)| everywhere(value, carrier, &format!("{path}[{i}]"), visitor);
            items.iter_mut().enumerate().for_each(each);
        }
        Value::Map(map) => {
            map.iter_mut().for_each(|(key, value)| everywhere(value, carrier, &format!("{path}.{key}"), visitor));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        let text = "machine:\n  type: worker\n  token: abc.def\n  ca: {crt: QUJD, key: QUJD}\n---\napiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: https://a/?jointoken=x\n";
        let shown = redact(&crate::load(text).unwrap()).text(go_yaml::Dialect::V4);
        assert!(shown.contains("token: '******'") && shown.contains("key: '******'"), "{shown}");
        assert!(shown.contains("crt: QUJD") && shown.contains("apiUrl: https://a/?******"), "{shown}");
    }

    #[test]
    fn secrets_are_found_by_path() {
        let config = crate::load("cluster:\n  ca: {crt: QUJD, key: QUJD}\n  token: a.b\n").unwrap();
        let paths: Vec<String> = secrets(&config.documents()[0]).into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["token", "ca.key"].map(|key| format!("cluster.{key}")));
    }

    const CARRIERS: [(&str, &str); 10] = [
        ("cluster: {extraManifestHeaders: {Authorization: Bearer HUSH}}", "cluster.extraManifestHeaders.Authorization"),
        ("machine: {env: {GITHUB_TOKEN: HUSH}}", "machine.env.GITHUB_TOKEN"),
        ("machine: {env: {https_proxy: 'http://u:HUSH@p:1'}}", "machine.env.https_proxy"),
        (
            "machine: {files: [{path: /a, op: create, permissions: 0o600, content: 'password=HUSH'}]}",
            "machine.files[0].content",
        ),
        (
            "cluster: {inlineManifests: [{name: a, contents: \"kind: Secret\\ndata: {a: HUSH}\"}]}",
            "cluster.inlineManifests[0].contents",
        ),
        (
            "machine: {pods: [{spec: {containers: [{env: [{name: TOKEN, value: HUSH}]}]}}]}",
            "machine.pods[0].spec.containers[0].env[0].value",
        ),
        ("apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: https://x?jointoken=HUSH", "apiUrl"),
        (
            "apiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: a\nenvironment: [TS_AUTHKEY=HUSH]",
            "environment[0]",
        ),
        ("apiVersion: v1alpha1\nkind: EnvironmentConfig\nvariables: {API_KEY: HUSH}", "variables.API_KEY"),
        (
            "apiVersion: v1alpha1\nkind: KubeExternalManifestConfig\nname: a\nurl: https://a\nheaders: {X: HUSH}",
            "headers.X",
        ),
    ];

    #[test]
    fn what_only_carries_a_secret_is_found_and_hidden_too() {
        for (text, path) in CARRIERS {
            let config = crate::load(text).unwrap();
            let paths: Vec<String> = secrets(&config.documents()[0]).into_iter().map(|found| found.path).collect();
            assert_eq!(paths, [path], "{text}");
            let shown = redact(&config).text(go_yaml::Dialect::V4);
            assert!(shown.contains("******") && !shown.contains("HUSH"), "{shown}");
        }
    }

    /// Every field of the table that is a secret: its key, and whether its value is base64.
    fn secret_fields() -> Vec<(&'static str, Type)> {
        let (mut seen, mut found) = (Vec::new(), Vec::new());
        let mut next: Vec<&'static Schema> =
            crate::kinds::KINDS.iter().chain([&crate::kinds::LEGACY]).map(|kind| kind.schema).collect();
        while let Some(schema) = next.pop() {
            if seen.iter().any(|known| std::ptr::eq(*known, schema)) {
                continue;
            }
            seen.push(schema);
            for field in schema.fields() {
                if field.secret {
                    found.push((field.key, field.ty));
                }
                let mut ty = &field.ty;
                while let Type::Pointer(inner) | Type::List(inner) | Type::Map(inner) = ty {
                    ty = inner;
                }
                next.extend(ty.schema());
            }
        }
        found
    }

    /// With it, what a node says of a config that is not at hand loses the same secrets as our own diff.
    #[test]
    fn the_value_of_each_secret_key_of_the_table_is_hidden_in_a_nodes_diff() {
        // A key is PEM, alone or in base64, and looks like one; the free one is full of keys that are called `secret`.
        let looks_like_one = ["key"];
        let fields = secret_fields();
        assert!(fields.len() > 15, "{fields:?}");
        for (key, ty) in fields.into_iter().filter(|(key, _)| !looks_like_one.contains(key)) {
            let value = match ty {
                Type::Map(_) => "\n+      X-A: hush",
                Type::Free => "\n+      keys:\n+        - secret: hush",
                _ => " hush",
            };
            let diff = format!(
                "--- a\n+++ b\n@@ -1,2 +1,2 @@\n     type: worker\n-    {key}:{value}\n+    {key}:{value}\n     on: true"
            );
            let shown = redaction::Redaction::new().shown(&diff);
            assert!(!shown.contains("hush") && shown.contains("type: worker") && shown.contains("on: true"), "{shown}");
        }
    }

    #[test]
    fn the_values_that_are_never_shown_are_those_of_the_fields_and_of_what_carries_one() {
        let text =
            "machine:\n  type: worker\n  token: abc.def\n  env: {A_TOKEN: hush, B: c}\n  ca: {crt: QUJD, key: QUJE}\n";
        assert_eq!(secret_values(&crate::load(text).unwrap()), ["abc.def", "QUJE", "hush"]);
    }

    #[test]
    fn a_file_without_a_secret_is_not_shown_but_is_none() {
        let text = "machine: {files: [{path: /a, op: create, permissions: 0o600, content: 'a = b'}]}";
        let config = crate::load(text).unwrap();
        assert!(secrets(&config.documents()[0]).is_empty());
        assert!(!redact(&config).text(go_yaml::Dialect::V4).contains("a = b"));
    }
}
