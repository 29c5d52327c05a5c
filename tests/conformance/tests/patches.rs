//! Patches against upstream's test data.

use std::path::Path;

use conformance::text;
use go_yaml::Dialect;
use judges::vectors;
use machine_config::{Config, load, patch};

const STRATEGIC: &str = "talos-config/pkg/machinery/config/types/v1alpha1/testdata/strategic";
const PATCHER: &str = "talos-config/pkg/machinery/config/configpatcher/testdata";

fn config(path: &Path) -> Config {
    load(&text(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn patched(folder: &Path, base: &str, patches: &[&str]) -> Result<Config, patch::Error> {
    let read = |name: &&str| patch::parse(&text(&folder.join(name)));
    let patches = patches.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    patch::apply(&config(&folder.join(base)), &patches)
}

/// Upstream's expected files are partly formatted by hand: both sides are written by us.
fn assert_gives(folder: &Path, base: &str, patches: &[&str], expected: &str) {
    let ours = patched(folder, base, patches).unwrap_or_else(|error| panic!("{}: {error:?}", folder.display()));
    let expected = config(&folder.join(expected));
    similar(&ours.text(Dialect::V4), &expected.text(Dialect::V4));
}

fn similar(ours: &str, expected: &str) {
    assert!(ours == expected, "ours:\n{ours}\nexpected:\n{expected}");
}

#[test]
fn strategic_merges_of_the_legacy_document() {
    let Some(folder) = vectors(STRATEGIC) else { return };
    for case in ["001", "002", "003", "004", "005", "006"] {
        assert_gives(&folder.join(case), "left.yaml", &["right.yaml"], "expected.yaml");
    }
}

#[test]
fn strategic_and_json_patches_in_turn() {
    let Some(folder) = vectors(PATCHER) else { return };
    let folder = folder.join("apply");
    let all = ["strategic1.yaml", "jsonpatch1.yaml", "jsonpatch2.yaml", "strategic2.yaml", "strategic3.yaml"];
    assert_gives(&folder, "config.yaml", &all, "expected.yaml");
    assert_gives(&folder, "config.yaml", &["strategic4.yaml"], "expected_manifests.yaml");
}

#[test]
fn patches_of_several_documents() {
    let Some(folder) = vectors(PATCHER) else { return };
    let folder = folder.join("multidoc");
    let all = ["strategic1.yaml", "strategic2.yaml", "strategic3.yaml"];
    assert_gives(&folder, "config.yaml", &all, "expected.yaml");
    let error = patched(&folder, "config.yaml", &["jsonpatch.yaml"]).unwrap_err();
    assert_eq!(error, patch::Error::ManyDocuments);
}

#[test]
fn deletes_of_documents_fields_and_items() {
    let Some(folder) = vectors(PATCHER) else { return };
    let deletes = folder.join("patchdelete");
    assert_gives(&deletes, "config.yaml", &["strategic1.yaml"], "expected.yaml");
    let control_plane = ["strategic2.yaml", "strategic3.yaml", "strategic4.yaml"];
    assert_gives(&deletes, "controlplane_orig.yaml", &control_plane, "controlplane_expected.yaml");
    assert_gives(&folder.join("patchlink"), "base.yaml", &["patch.yaml"], "expected.yaml");
    assert_gives(&folder.join("patchmixed"), "base.yaml", &["patch.yaml"], "expected.yaml");
    assert_gives(&folder.join("auditpolicy"), "config.yaml", &["patch1.yaml"], "expected.yaml");
}

#[test]
fn deleting_what_is_not_there_is_an_error_in_talos_words() {
    let Some(folder) = vectors(PATCHER) else { return };
    let error = patched(&folder.join("patchdeletemissing"), "config.yaml", &["strategic1.yaml"]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "patch delete: path 'machine.network.hostname' in document '/v1alpha1': \
         failed to delete path 'machine.network.hostname': lookup failed"
    );
}
