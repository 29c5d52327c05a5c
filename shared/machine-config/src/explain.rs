//! Describes a kind or field from the table of kinds, for people.

use std::fmt::Write as _;

use crate::kinds::{self, KINDS, Kind, LEGACY};
use crate::schema::{Bounds, Deprecated, ENDLESS, Field, Merge, Print, Schema, Type};
use crate::suggest;

/// Why nothing can be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {name:?}{}", within(place))]
pub struct Unknown {
    /// Kind or field.
    pub what: &'static str,
    /// The name that isn't known.
    pub name: String,
    /// Where it was looked for; empty for kinds.
    pub place: String,
    /// The most similar known name.
    pub nearest: Option<&'static str>,
}

fn within(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" in {place}") }
}

/// Explains `KIND` or `KIND.FIELD.…`; a path without kind is one of the legacy document (`machine.network`).
pub fn explain(path: &str) -> Result<String, Unknown> {
    let mut rest: Vec<&str> = path.split('.').map(|part| part.trim_end_matches("[]")).collect();
    let first = rest.first().copied().unwrap_or_default();
    let kind = match kind(first) {
        Some(kind) => {
            rest.remove(0);
            kind
        }
        None if LEGACY.schema.field(first).is_some() => &LEGACY,
        None => return Err(unknown_kind(first)),
    };
    rest.retain(|part| !part.is_empty());
    let mut out = head(kind);
    let (mut schema, mut place, mut since) = (Some(kind.schema), kind.name.to_owned(), kind.since);
    let mut last: Option<&Field> = None;
    for name in rest {
        let field = schema.and_then(|schema| schema.field(name)).ok_or_else(|| unknown_field(name, &place, schema))?;
        place = format!("{place}.{name}");
        schema = inner(&field.ty);
        since = since.max(field.since);
        last = Some(field);
    }
    if let Some(field) = last {
        out = format!("{place}\n");
        one(field, since, &mut out);
        if kind.control_plane {
            out.push_str("  on control planes only\n");
        }
    }
    if let Some(schema) = schema {
        fields(schema, &mut out);
    }
    Ok(out)
}

fn kind(name: &str) -> Option<&'static Kind> {
    kinds::kind(name).or_else(|| (name == LEGACY.name).then_some(&LEGACY))
}

fn unknown_kind(name: &str) -> Unknown {
    let known = KINDS.iter().map(|kind| kind.name).chain(LEGACY.schema.fields().map(|field| field.key));
    Unknown { what: "kind", name: name.to_owned(), place: String::new(), nearest: suggest::nearest(name, known) }
}

fn unknown_field(name: &str, place: &str, schema: Option<&'static Schema>) -> Unknown {
    let known = schema.into_iter().flat_map(|schema| schema.fields().map(|field| field.key));
    Unknown { what: "field", name: name.to_owned(), place: place.to_owned(), nearest: suggest::nearest(name, known) }
}

fn head(kind: &Kind) -> String {
    if kind.is_legacy() {
        return "v1alpha1\n  the document without apiVersion and kind that every config has\n".to_owned();
    }
    let mut out = format!("{}\n  since Talos v1.{}", kind.name, kind.since);
    out.push_str(if kind.named { "; several per config, distinguished by name" } else { "; once per config" });
    if kind.control_plane {
        out.push_str("; on control planes only");
    }
    out.push('\n');
    out
}

/// The structure that a field holds, directly or in a list or map.
fn inner(ty: &Type) -> Option<&'static Schema> {
    match ty {
        Type::Struct(schema) => Some(schema),
        Type::List(item) | Type::Map(item) | Type::Pointer(item) => inner(item),
        _ => None,
    }
}

/// Everything known about a field, one fact per line.
fn one(field: &Field, since: u32, out: &mut String) {
    let _ = writeln!(out, "  type: {}", type_name(&field.ty));
    if field.required.is_some() {
        out.push_str("  required\n");
    }
    if let Some(bounds) = field.bounds {
        let _ = writeln!(out, "  {}", span(bounds, field.ty));
    }
    let printed = match field.print {
        Print::Always => "always",
        Print::NotZero => "unless it is empty",
    };
    let _ = writeln!(out, "  written: {printed}");
    let _ = writeln!(out, "  patches: {}", merge(field));
    if since > 0 {
        let _ = writeln!(out, "  since Talos v1.{since}");
    }
    if field.secret {
        let _ = writeln!(out, "  a secret: never shown");
    }
    if field.file {
        let _ = writeln!(out, "  a file: not shown, it may hold secrets");
    }
    if let Some(deprecated) = field.deprecated {
        let _ = writeln!(out, "  {}", outdated(deprecated));
    }
}

/// The range of a value.
fn span(bounds: Bounds, ty: Type) -> String {
    let shown = |value: i128| match ty {
        Type::Duration => format!("{}s", value / 1_000_000_000),
        _ => value.to_string(),
    };
    match bounds {
        Bounds { low: 0, high: ENDLESS, .. } => "not negative".to_owned(),
        Bounds { low, high: ENDLESS, .. } => format!("at least {}", shown(low)),
        Bounds { low, high, .. } => format!("from {} to {}", shown(low), shown(high)),
    }
}

fn outdated(deprecated: Deprecated) -> String {
    match deprecated {
        Deprecated { since: 0, instead } => format!("deprecated; instead: {instead}"),
        Deprecated { since, instead } => format!("deprecated since v1.{since}; instead: {instead}"),
    }
}

fn merge(field: &Field) -> String {
    match field.merge {
        Merge::Replace => "take its place".to_owned(),
        Merge::By(keys) => format!("merge items of the same {}, append others", keys.join(" or ")),
        Merge::ReplaceBy(key) => format!("replace items of the same {key}, append others"),
        Merge::Typed => match field.ty {
            Type::List(_) => "append".to_owned(),
            Type::Map(_) | Type::Struct(_) | Type::Free => "merge key by key".to_owned(),
            Type::Url => "replace the parts of the URL that they have".to_owned(),
            _ if field.optional => "replace it, also by zero".to_owned(),
            _ => "replace it, but not by zero".to_owned(),
        },
    }
}

/// A line for each field of a structure.
fn fields(schema: &Schema, out: &mut String) {
    let width = schema.fields().map(|field| field.key.len()).max().unwrap_or(0);
    for field in schema.fields() {
        let _ = write!(out, "\n{:width$}  {}", field.key, type_name(&field.ty));
        let since = (field.since > 0).then(|| format!("since v1.{}", field.since));
        let required = field.required.map(|_| "required".to_owned());
        let notes: Vec<String> = required.into_iter().chain(since).chain(field.deprecated.map(outdated)).collect();
        if !notes.is_empty() {
            let _ = write!(out, "  ({})", notes.join("; "));
        }
    }
    if width > 0 {
        out.push('\n');
    }
}

fn type_name(ty: &Type) -> String {
    match ty {
        Type::Text | Type::Trimmed => "text".to_owned(),
        Type::Bool => "true or false".to_owned(),
        Type::Int(i64::MIN, _) => "whole number".to_owned(),
        Type::Int(low, high) => format!("whole number from {low} to {high}"),
        Type::Duration => "duration (1m30s)".to_owned(),
        Type::Url => "URL".to_owned(),
        Type::Address => "IP address".to_owned(),
        Type::Prefix => "IP address with prefix length".to_owned(),
        Type::AddressPort => "IP address with port".to_owned(),
        Type::Mac => "hardware address".to_owned(),
        Type::Size => "size or part (10GiB, 50%)".to_owned(),
        Type::ByteSize | Type::DiskSize => "size (10GiB)".to_owned(),
        Type::DiskCondition => "size, also behind < <= == >= > (>= 10GiB)".to_owned(),
        Type::Expression => "expression (CEL)".to_owned(),
        Type::Mode => "file mode (0o644)".to_owned(),
        Type::Word(words) | Type::WordOrNumber(words) | Type::Enum(words) => words.join("|"),
        Type::RoutingTable => "routing table (name or number)".to_owned(),
        Type::Bytes => "base64".to_owned(),
        Type::Port => "port or range (8000-9000)".to_owned(),
        Type::Argument => "text or list of text".to_owned(),
        Type::Free => "anything".to_owned(),
        Type::Struct(_) => "section".to_owned(),
        Type::Pointer(item) => type_name(item),
        Type::List(item) => format!("list of: {}", type_name(item)),
        Type::Map(item) => format!("map to: {}", type_name(item)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_fields_are_explained_from_the_table() {
        let text = explain("HostnameConfig").unwrap();
        assert_eq!(
            text,
            "HostnameConfig\n  since Talos v1.12; once per config\n\nauto      stable|off\nhostname  text\n"
        );
        let text = explain("machine.network.interfaces[]").unwrap();
        assert!(text.starts_with("v1alpha1.machine.network.interfaces\n  type: list of: section\n"), "{text}");
        assert!(
            text.contains("  patches: merge items of the same interface or deviceSelector, append others\n"),
            "{text}"
        );
        assert!(text.contains("\nvlans "), "{text}");
        let text = explain("v1alpha1.machine.token").unwrap();
        assert!(text.contains("  a secret: never shown\n"), "{text}");
        let text = explain("BondConfig").unwrap();
        assert!(text.contains("\nprimary          text  (since v1.15)\n"), "{text}");
        assert!(text.contains("\nname             text  (required)\n"), "{text}");
        for (path, message) in [
            ("VLANConfig.vlanID", "  from 1 to 4094\n"),
            ("WatchdogTimerConfig.timeout", "  at least 10s\n"),
            ("TimeSyncConfig.bootTimeout", "  not negative\n"),
            ("VLANConfig.parent", "  required\n"),
        ] {
            assert!(explain(path).unwrap().contains(message), "{path}");
        }
        let text = explain("UserVolumeConfig.encryption.keys.tpm.options").unwrap();
        assert!(text.contains("  since Talos v1.12\n"), "{text}");
        assert!(explain("KubeletConfig.image").unwrap().contains("  since Talos v1.14\n"));
        assert!(explain("KubeProxyConfig.image").unwrap().ends_with("  on control planes only\n"));
        assert!(explain("machine.kubelet").unwrap().contains("  deprecated since v1.14; instead: KubeletConfig\n"));
    }

    #[test]
    fn every_kind_and_field_has_an_explanation() {
        for kind in KINDS {
            let text = explain(kind.name).unwrap();
            for field in kind.schema.fields() {
                assert!(text.contains(field.key));
                assert!(explain(&format!("{}.{}", kind.name, field.key)).is_ok());
            }
        }
    }

    #[test]
    fn a_slip_is_answered_with_the_nearest_name() {
        let error = explain("LinkConfg").unwrap_err();
        assert_eq!((error.to_string().as_str(), error.nearest), ("there is no kind \"LinkConfg\"", Some("LinkConfig")));
        let error = explain("LinkConfig.adresses").unwrap_err();
        assert_eq!(error.to_string(), "there is no field \"adresses\" in LinkConfig");
        assert_eq!(error.nearest, Some("addresses"));
        assert!(explain("HostnameConfig.auto.x").is_err());
    }
}
