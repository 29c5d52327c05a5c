//! Our table of kinds against the fields of Talos's own types.

use std::collections::{BTreeMap, BTreeSet};

use conformance::text;
use judges::vectors;
use machine_config::kinds::{KINDS, LEGACY};
use machine_config::schema::{Field, Merge, Print, Schema, Type};

/// A field in the table of upstream's types.
#[derive(Debug, Clone)]
struct Theirs {
    key: String,
    go: String,
    omitted: bool,
    merge: String,
    deprecated: bool,
}

/// Package and structure to fields, in order. Embedded structures are marked by an empty key.
type Structs = BTreeMap<(String, String), Vec<Theirs>>;

fn structs(table: &str) -> Structs {
    let mut structs = Structs::new();
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (key, options) = columns[4].split_once(',').unwrap_or((columns[4], ""));
        let field = Theirs {
            key: key.to_owned(),
            go: columns[3].to_owned(),
            omitted: options.contains("omitempty"),
            merge: columns[5].to_owned(),
            deprecated: columns.get(8).is_some_and(|text| !text.is_empty()),
        };
        structs.entry((columns[0].to_owned(), columns[1].to_owned())).or_default().push(field);
    }
    structs
}

/// Every structure below a schema.
fn schemas(schema: &'static Schema, found: &mut BTreeMap<*const Schema, &'static Schema>) {
    if found.insert(schema, schema).is_some() {
        return;
    }
    schema.fields().for_each(|field| below(&field.ty, found));
}

fn below(ty: &Type, found: &mut BTreeMap<*const Schema, &'static Schema>) {
    match ty {
        Type::Struct(schema) => schemas(schema, found),
        Type::List(inner) | Type::Map(inner) | Type::Pointer(inner) => below(inner, found),
        _ => {}
    }
}

/// The difference between a field of ours and one of theirs.
fn difference(ours: &Field, theirs: &Theirs) -> Option<String> {
    let pointer = theirs.go.starts_with('*');
    let replace = matches!(ours.merge, Merge::Replace);
    let checks = [
        ("omitted when empty", (ours.print == Print::Always) != theirs.omitted),
        ("deprecated", ours.deprecated.is_some() == theirs.deprecated),
        ("replaced by patches", replace == theirs.merge.contains("replace")),
        ("behind a pointer", !pointer || ours.optional),
    ];
    let wrong: Vec<&str> = checks.iter().filter(|(_, same)| !same).map(|(what, _)| *what).collect();
    (!wrong.is_empty()).then(|| format!("{}: {}", ours.key, wrong.join(", ")))
}

/// The differences from one structure of theirs; `None` if the keys differ.
fn compare(ours: &Schema, theirs: &[Theirs]) -> Option<Vec<String>> {
    let named = theirs.iter().filter(|field| !field.key.is_empty() && field.key != "-");
    let pairs: Vec<_> = named.collect();
    let fields = || ours.fields.iter().filter(|field| !NEWER.contains(&(ours.name, field.key)));
    let keys: Vec<&str> = fields().map(|field| field.key).collect();
    let same = keys == pairs.iter().map(|field| field.key.as_str()).collect::<Vec<_>>();
    same.then(|| fields().zip(pairs).filter_map(|(ours, theirs)| difference(ours, theirs)).collect())
}

/// Fields that came after the table was made: with 1.14.1, by its published JSON schema.
const NEWER: [(&str, &str); 1] = [("ContainerSecurity", "machinedAccess")];

/// Structures of other packages, one without fields, and two that upstream writes as two embedded parts.
const NOT_IN_THE_TABLE: [&str; 6] = [
    "EncryptionKeyNodeID",
    "PEMEncodedCertificate",
    "PEMEncodedCertificateAndKey",
    "PEMEncodedKey",
    "HTTPProbeConfig",
    "TCPProbeConfig",
];

#[test]
fn every_field_of_every_structure_is_as_in_talos() {
    let Some(path) = vectors("talos-config/DERIVED-config-fields.tsv") else { return };
    let structs = structs(&text(&path));
    let (mut legacy, mut documents) = (BTreeMap::new(), BTreeMap::new());
    schemas(LEGACY.schema, &mut legacy);
    KINDS.iter().for_each(|kind| schemas(kind.schema, &mut documents));
    let mut wrong = BTreeSet::new();
    let mut compared = 0;
    for (schema, is_legacy) in legacy.values().map(|s| (s, true)).chain(documents.values().map(|s| (s, false))) {
        let named = |name: &str| name == schema.name || name.strip_suffix("V1Alpha1") == Some(schema.name);
        let candidates = || structs.iter().filter(|((package, _), _)| (package == "v1alpha1") == is_legacy);
        let by_name = candidates().filter(|((_, name), _)| named(name));
        let mut results: Vec<_> = by_name.filter_map(|(_, fields)| compare(schema, fields)).collect();
        if results.is_empty() {
            // Some kinds have other names than their types.
            results = candidates().filter_map(|(_, fields)| compare(schema, fields)).collect();
        }
        compared += usize::from(!results.is_empty());
        match results.iter().min_by_key(|differences| differences.len()) {
            Some(differences) if differences.is_empty() => {}
            Some(differences) => wrong.extend(differences.iter().map(|text| format!("{}.{text}", schema.name))),
            None if NOT_IN_THE_TABLE.contains(&schema.name) => {}
            None => drop(wrong.insert(format!("{}: no structure of theirs has these keys", schema.name))),
        }
    }
    assert!(wrong.is_empty(), "{compared} compared: {wrong:#?}");
    assert!(compared > 220, "only {compared} structures were compared");
}
