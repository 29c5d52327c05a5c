//! The committed code in `src/gen` matches the files in `proto/`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.proto` file below `dir`, in order of its path.
fn proto_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("proto/ is readable") {
        let path = entry.expect("proto/ is readable").path();
        if path.is_dir() {
            found.extend(proto_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn generate(out: &Path) {
    let protos = crate_dir().join("../../proto");
    let set = protox::compile(proto_files(&protos), [&protos]).expect("the .proto files compile");
    tonic_prost_build::configure()
        .btree_map(".")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .out_dir(out)
        .compile_fds(set)
        .expect("code can be generated");
}

/// The files of a folder by name. The well-known types come from `prost-types`, so an empty file counts as none.
fn sources(dir: &Path) -> BTreeMap<String, String> {
    fs::read_dir(dir)
        .expect("the folder is readable")
        .map(|entry| entry.expect("the folder is readable"))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).expect("a source file is text");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .filter(|(_, text)| !text.trim().is_empty())
        .collect()
}

fn rewrite(committed: &Path, fresh: &BTreeMap<String, String>) {
    for name in sources(committed).keys() {
        fs::remove_file(committed.join(name)).expect("an old file can be removed");
    }
    for (name, text) in fresh {
        fs::write(committed.join(name), text).expect("a new file can be written");
    }
}

#[test]
fn generated_code_is_fresh() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    generate(temp.path());
    let fresh = sources(temp.path());
    let committed = crate_dir().join("src/gen");
    if std::env::var_os("ICHOR_REGENERATE").is_some_and(|value| value == "1") {
        rewrite(&committed, &fresh);
    }
    let old = sources(&committed);
    let stale: Vec<_> = fresh.keys().chain(old.keys()).filter(|name| fresh.get(*name) != old.get(*name)).collect();
    assert!(stale.is_empty(), "src/gen is stale: {stale:?}; run the test with ICHOR_REGENERATE=1");
}
