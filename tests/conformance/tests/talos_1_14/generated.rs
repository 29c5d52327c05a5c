//! What `talos-gen config` writes against what `talosctl gen config` writes.

use std::path::Path;
use std::process::Command;

use judges::vectors;
use serde_json::Value;

use crate::{Differences, FOLDER, assert_only, rows};

/// Where ours differs, and why.
const OTHERS: [(&str, &str); 2] = [("v1.12/host", QUOTES), ("v1.13/host", QUOTES)];

const QUOTES: &str = "the talosctl of these releases writes auto: \"off\", as ours does for their contracts";

/// Options with one value, and their flags.
const SINGLE: [(&str, &str); 4] = [
    ("disk", "--install-disk"),
    ("image", "--install-image"),
    ("dns", "--dns-domain"),
    ("k8s", "--kubernetes-version"),
];

/// Options with several.
const SEVERAL: [(&str, &str); 5] = [
    ("sans", "--additional-sans"),
    ("mirrors", "--registry-mirror"),
    ("patches", "--config-patch"),
    ("patch_cp", "--config-patch-control-plane"),
    ("patch_w", "--config-patch-worker"),
];

/// The command for an input of theirs.
fn command(folder: &Path, input: &Value, output: &str) -> Command {
    let text = |key: &str| input[key].as_str();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ichor-for-messages"));
    command.current_dir(folder).env_clear().args(["talos-gen", "config", text("name").unwrap()]);
    command.args([text("endpoint").unwrap(), "--talos-version", text("contract").unwrap()]);
    command.args(["--with-secrets", "secrets.yaml", "--with-docs=false", "--with-examples=false"]);
    command.args(["-t", output, "-o", "-"]);
    let image = text("image").or_else(|| text("default_install_image_if_absent")).unwrap();
    for (key, flag) in SINGLE {
        let value = if key == "image" { Some(image) } else { text(key) };
        command.args(value.map(|value| format!("{flag}={value}")));
    }
    for (key, flag) in SEVERAL {
        // A patch may begin with a dash.
        for value in input[key].as_array().into_iter().flatten() {
            command.args([flag, value.as_str().unwrap()]);
        }
    }
    if input["no_discovery"] == true {
        command.arg("--with-cluster-discovery=false");
    }
    if input["kubespan"] == true {
        command.arg("--with-kubespan");
    }
    command
}

#[test]
fn every_generated_config_is_that_of_machinery_1_14_1_to_the_byte() {
    let Some(folder) = vectors(FOLDER) else { return };
    let (mut found, mut compared) = (Differences::new(), 0);
    for row in rows(&folder, "generate.jsonl") {
        let id = row["id"].as_str().unwrap();
        for output in ["controlplane", "worker"] {
            let made = command(&folder, &row["input"], output).output().unwrap();
            assert!(made.status.success(), "{id}: {}", String::from_utf8_lossy(&made.stderr));
            let wanted = row["expect_by_machinery_1_14_1"][output].as_str().unwrap();
            let text = String::from_utf8(made.stdout).unwrap();
            compared += 1;
            let line = || text.lines().zip(wanted.lines()).find(|(ours, theirs)| ours != theirs);
            if text != wanted {
                found.push((id.to_owned(), format!("{output}, ours and theirs: {:?}", line())));
            }
        }
    }
    assert!(compared >= 78, "only {compared} were compared");
    assert_only(&found, &OTHERS);
}
