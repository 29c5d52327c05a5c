//! What holds for every case.

use go_yaml::{Dialect, Map, Value};
use machine_config::schema::{Schema, Type};
use machine_config::{Config, Document, load, patch};

use crate::cases::{Chance, config, document, kind};

const CASES: u64 = 20_000;

fn loaded(text: &str, seed: u64) -> Config {
    load(text).unwrap_or_else(|error| {
        panic!("seed {seed}: {error}: {:?}\n{text}", std::error::Error::source(&error).map(ToString::to_string))
    })
}

fn patched(base: &Config, patch: &Document, seed: u64) -> Config {
    let text = config(patch.clone()).text(Dialect::V4);
    let patch = patch::parse(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
    patch::apply(base, &[patch]).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"))
}

#[test]
fn what_is_written_is_read_as_the_same() {
    for seed in 0..CASES {
        let chance = &mut Chance::new(seed);
        let original = config(document(kind(seed), chance));
        let dialect = *chance.pick(&[Dialect::V3, Dialect::V4Early, Dialect::V4]);
        let text = original.text(dialect);
        let again = loaded(&text, seed);
        assert_eq!(again.text(dialect), text, "seed {seed}");
        assert!(machine_config::is_same(&original, &again), "seed {seed}\n{text}");
    }
}

#[test]
fn a_patch_of_what_is_not_there_becomes_a_document() {
    for seed in 0..CASES / 10 {
        let wanted = document(kind(seed), &mut Chance::new(seed));
        let made = patched(&Config::default(), &wanted, seed);
        assert!(machine_config::is_same(&made, &config(wanted)), "seed {seed}");
    }
}

#[test]
fn a_patch_that_says_nothing_changes_nothing() {
    for seed in 0..CASES / 10 {
        let chance = &mut Chance::new(seed);
        let base = config(document(kind(seed), chance));
        let identity = base.documents()[0].identity();
        let name = if identity.name.is_empty() { String::new() } else { format!("name: {}\n", identity.name) };
        let text = if kind(seed).is_legacy() {
            "machine:\ncluster:\n".to_owned()
        } else {
            format!("apiVersion: v1alpha1\nkind: {}\n{name}", identity.kind)
        };
        let nothing = patch::parse(&text).expect("the patch is well formed");
        let same = patch::apply(&base, &[nothing]).expect("the patch fits");
        let left = config(kept(&base.documents()[0]));
        assert!(machine_config::is_same(&left, &same), "seed {seed}\n{}", base.text(Dialect::V4));
    }
}

/// The document after an empty patch: Go can't distinguish an unset plain boolean, size or expression from zero.
fn kept(document: &Document) -> Document {
    let mut document = document.clone();
    let schema = document.kind.schema;
    lose(&mut document.fields, schema);
    document
}

fn lose(map: &mut Map, schema: &Schema) {
    for field in schema.fields().filter(|field| !field.optional) {
        match (&field.ty, map.get(field.key).cloned()) {
            (Type::Bool | Type::ByteSize | Type::Expression, _) => drop(map.remove(field.key)),
            (Type::Struct(schema), Some(Value::Map(mut inner))) => {
                lose(&mut inner, schema);
                map.set(field.key, inner);
            }
            _ => {}
        }
    }
}

#[test]
fn patches_in_one_go_or_one_by_one_give_the_same() {
    for seed in 0..CASES / 10 {
        let chance = &mut Chance::new(seed);
        let [base, first, second] = [0; 3].map(|_| document(kind(seed), chance));
        let read = |document: &Document| patch::parse(&config(document.clone()).text(Dialect::V4));
        let (Ok(one), Ok(two)) = (read(&first), read(&second)) else { panic!("seed {seed}: a patch isn't read") };
        let base = config(base);
        let together = patch::apply(&base, &[one.clone(), two.clone()]);
        let apart = patch::apply(&base, &[one]).and_then(|config| patch::apply(&config, &[two]));
        match (together, apart) {
            (Ok(together), Ok(apart)) => assert!(machine_config::is_same(&together, &apart), "seed {seed}"),
            (together, apart) => assert_eq!(together.err(), apart.err(), "seed {seed}"),
        }
    }
}

#[test]
fn a_document_that_is_deleted_is_gone_and_others_stay() {
    for seed in 0..CASES / 10 {
        let chance = &mut Chance::new(seed);
        let doomed = document(kind(seed), chance);
        let identity = doomed.identity();
        if doomed.kind.is_legacy() || identity.kind == "HostnameConfig" {
            continue;
        }
        let hostname = machine_config::kinds::kind("HostnameConfig").expect("the kind is known");
        let base = Config::new(vec![doomed, document(hostname, chance)]);
        let name = if identity.name.is_empty() { String::new() } else { format!("name: {}\n", identity.name) };
        let text = format!("apiVersion: v1alpha1\nkind: {}\n{name}$patch: delete\n", identity.kind);
        let left = patch::apply(&base, &[patch::parse(&text).expect("the patch is well formed")]);
        let left = left.expect("the patch fits");
        assert_eq!(left.documents().len(), 1, "seed {seed}");
        assert_eq!(left.documents()[0].kind.name, "HostnameConfig");
    }
}

#[test]
fn nothing_differs_from_itself_and_no_secret_is_shown() {
    for seed in 0..CASES / 10 {
        let chance = &mut Chance::new(seed);
        let one = config(document(kind(seed), chance));
        assert_eq!(machine_config::diff(&one, &one), "", "seed {seed}");
        let other = config(document(kind(seed), chance));
        let shown = machine_config::diff(&one, &other);
        for found in [&one, &other].iter().flat_map(|config| machine_config::secrets(&config.documents()[0])) {
            assert!(!found.path.is_empty());
        }
        let hidden = machine_config::redact(&one);
        assert!(machine_config::secrets(&hidden.documents()[0]).is_empty(), "seed {seed}\n{shown}");
    }
}
