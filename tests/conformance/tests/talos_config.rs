//! Machine configs against Talos's own reading and writing.

use std::path::{Path, PathBuf};

use config_rules::{Mode, validate};
use conformance::{files, text};
use go_yaml::Dialect;
use judges::vectors;
use machine_config::contract_of;

const CONFIG: &str = "talos-config/pkg/machinery/config";
const TYPES: &str = "talos-config/pkg/machinery/config/types";

/// Upstream only reads these: they lack the `slot` that Talos always writes.
const ONLY_READ: [&str; 3] = [
    "volumeconfig_tpm_encryption_with_pcr_settings.yaml",
    "volumeconfig_tpm_encryption_no_options.yaml",
    "volumeconfig_tpm_encryption_with_pcrs_disabled.yaml",
];

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The files with one kind each, 118 with the arguments of `meta`.
fn cases(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| !path.to_string_lossy().contains("/v1alpha1/")).collect()
}

/// The content of a file as a config: arguments alone become those of a document.
fn config_of(path: &Path) -> String {
    let original = text(path);
    if !path.to_string_lossy().contains("/meta/") {
        return original;
    }
    let head = "apiVersion: v1alpha1\nkind: KubeAPIServerConfig\nimage: a\n";
    if original == "{}\n" {
        return head.to_owned();
    }
    let lines: String = original.lines().map(|line| format!("    {line}\n")).collect();
    format!("{head}extraArgs:\n{lines}")
}

#[test]
fn every_kind_is_read_and_written_again_to_the_byte() {
    let Some(folder) = vectors(TYPES) else { return };
    let cases = cases(&folder);
    assert_eq!(cases.len(), 118);
    let mut wrong = Vec::new();
    for path in cases {
        let original = config_of(&path);
        match machine_config::load(&original).map(|config| config.text(Dialect::V4)) {
            Ok(ours) if ours == original => {}
            Ok(ours) if ONLY_READ.contains(&name(&path)) => {
                assert!(ours.contains("slot: 0\n"), "{ours}");
                assert_eq!(machine_config::load(&ours).map(|config| config.text(Dialect::V4)), Ok(ours));
            }
            Ok(ours) => wrong.push(format!("{}\n{ours}\n", name(&path))),
            Err(error) => wrong.push(format!("{}: {}", name(&path), chain(&error))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kinds_file_is_valid_but_for_what_upstream_leaves_out_of_its_samples() {
    let Some(folder) = vectors(TYPES) else { return };
    let mut all: Vec<String> = Vec::new();
    for path in cases(&folder).iter().filter(|path| !path.to_string_lossy().contains("/meta/")) {
        let config = machine_config::load(&text(path)).unwrap();
        let report = validate(&config, Mode::Cloud, contract_of(&config));
        let odd: Vec<&String> = report.errors.iter().filter(|error| !is_about_a_sample(error)).collect();
        all.extend(odd.into_iter().map(|error| format!("{}: {error}", name(path))));
    }
    all.retain(|line| !INVALID.iter().any(|known| line.starts_with(known)));
    assert!(all.is_empty(), "{all:#?}");
}

/// Samples that Talos would refuse: keys that were removed, invented ones, and two that are only about one field.
const INVALID: [&str; 7] = [
    "aggregatorcaconfig",
    "apiservercaconfig",
    "registrytlsconfig.yaml",
    "serviceaccountconfig",
    "resolverconfig.yaml: hostDNS must be enabled",
    "wireguardconfig_redacted.yaml",
    "kmsglog.yaml: KmsgLogConfig/apiSink: url scheme must be tcp:// or udp://",
];

/// Samples contain only documents, and some only the fields that they are about.
fn is_about_a_sample(error: &str) -> bool {
    let missing = [
        "is required",
        "cannot be empty",
        "must be specified",
        "must be set",
        "are required",
        "not configured",
        "should be set when cluster discovery",
        "requires cluster discovery",
    ];
    error.starts_with("the following document kinds") || missing.iter().any(|words| error.contains(words))
}

#[test]
fn whole_configs_load_and_say_the_same_when_they_are_written_again() {
    let Some(folder) = vectors(CONFIG) else { return };
    let samples = ["configloader/testdata", "configloader/internal/decoder/testdata", "configdiff/testdata"];
    let mut count = 0;
    for path in samples.iter().flat_map(|sample| files(&folder.join(sample))) {
        let shown = path.to_string_lossy();
        if ["/fuzz/", "/delete/", "/double/"].iter().any(|odd| shown.contains(odd)) {
            continue;
        }
        let config = machine_config::load(&text(&path)).unwrap_or_else(|error| panic!("{shown}: {}", chain(&error)));
        let again = machine_config::load(&config.text(Dialect::V4)).unwrap();
        assert!(machine_config::is_same(&config, &again), "{shown}");
        count += 1;
    }
    assert_eq!(count, 11);
}

#[test]
fn what_upstreams_decoder_refuses_is_refused() {
    let Some(folder) = vectors(CONFIG) else { return };
    let decoder = folder.join("configloader/internal/decoder/testdata");
    let error = machine_config::load(&text(&decoder.join("double/v1alpha1.yaml"))).unwrap_err();
    assert_eq!(error.to_string(), "duplicate document v1alpha1 is not allowed (line 5)");
    // Deletes are for patches.
    let error = machine_config::load(&text(&decoder.join("delete/delete.yaml"))).unwrap_err();
    assert_eq!(
        chain(&error),
        "error decoding document SideroLinkConfig (line 1): line 3, column 1: unknown key \"$patch\""
    );
    for (text, message) in [
        ("apiVersion: v1alpha2\nversion: v1alpha1\n", "missing kind (line 1)"),
        ("kind: ExtensionServiceConfig\napiversion: v1alpha1\n", "missing apiVersion (line 1)"),
        ("---\nkind: mock\n", "missing apiVersion (line 2)"),
        ("---\napiVersion: v1alpha1\nkind: mock\n", "document kind \"mock\" \"v1alpha1\" is not registered (line 2)"),
        ("---\n---\n", "config not found"),
    ] {
        assert_eq!(machine_config::load(text).unwrap_err().to_string(), message, "{text}");
    }
    assert!(machine_config::load("---\nmachine:\n\ttype: worker\n").is_err());
    assert!(machine_config::load("---\nmachine: {type: worker}\n---\n---\n").is_ok());
}

/// What upstream's fuzzer once found to be a panic.
#[test]
fn the_fuzzers_find_is_a_config_or_an_error() {
    let Some(folder) = vectors(CONFIG) else { return };
    for path in files(&folder.join("configloader/testdata/fuzz")) {
        let seed = text(&path);
        let bytes = seed.lines().find_map(|line| line.strip_prefix("[]byte(\"")?.strip_suffix("\")"));
        let config = machine_config::load(&bytes.unwrap().replace("\\n", "\n")).unwrap();
        assert_eq!(
            validate(&config, Mode::Cloud, contract_of(&config)).errors,
            ["SideroLinkConfig: apiUrl is required"]
        );
    }
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
