//! Generated configs against the bytes that Talos promises for each version contract.

use std::path::PathBuf;

use cluster_pki::Bundle;
use config_rules::{Mode, validate};
use conformance::text;
use judges::vectors;
use machine_config::generate::{Input, Options};
use machine_config::{Config, Contract, MachineType, generate, patch};

const STABILITY: &str = "talos-config/pkg/machinery/config/types/v1alpha1/testdata/stability";

/// The options with which upstream makes its `overrides` files.
fn overrides() -> Options {
    let strings = |items: &[&str]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
    Options {
        install_disk: "/dev/vda".to_owned(),
        kernel_args: strings(&["foo=bar", "bar=baz"]),
        sans: strings(&["foo", "bar"]),
        dns_domain: "example.com".to_owned(),
        schedule_on_control_planes: true,
        api_port: Some(5443),
        sysctls: vec![("foo".to_owned(), "bar".to_owned())],
        cni: Some("https://example.com/cni.yaml".to_owned()),
        mirrors: vec![("ghcr.io".to_owned(), strings(&["https://ghcr.io.my-mirror.com"]))],
        ..Options::default()
    }
}

struct Case {
    file: PathBuf,
    contract: Contract,
    machine: MachineType,
    patched: bool,
}

fn cases(folder: &std::path::Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for contract in Contract::all() {
        for machine in [MachineType::ControlPlane, MachineType::Worker] {
            for (set, patched) in [("base", false), ("overrides", true)] {
                let file = folder.join(contract.to_string()).join(format!("{set}-{machine}.yaml"));
                cases.push(Case { file, contract, machine, patched });
            }
        }
    }
    cases
}

fn made(case: &Case, bundle: &Bundle, patch_text: &str) -> Config {
    let input = Input {
        cluster: "base",
        endpoint: "https://base:6443",
        contract: case.contract,
        kubernetes: "1.28.0",
        secrets: bundle.secrets(),
        options: if case.patched { overrides() } else { Options::default() },
    };
    let config = generate(&input, case.machine);
    if !case.patched {
        return config;
    }
    let patch = patch::parse(patch_text).expect("upstream's patch is good");
    patch::apply(&config, &[patch]).expect("upstream's patch fits")
}

#[test]
fn every_contract_gives_the_promised_bytes() {
    let Some(folder) = vectors(STABILITY) else { return };
    let bundle = Bundle::from_yaml(&text(&folder.join("secrets.yaml"))).unwrap();
    let cases = cases(&folder);
    assert_eq!(cases.len(), 52);
    for case in cases {
        let patch = if case.contract.minor() < 14 { "patch-pre14.yaml" } else { "patch.yaml" };
        let config = made(&case, &bundle, &text(&folder.join(patch)));
        let ours = config.text(case.contract.dialect());
        assert!(ours == text(&case.file), "{}:\n{ours}", case.file.display());
    }
}

#[test]
fn promised_files_are_read_and_written_again_to_the_byte() {
    let Some(folder) = vectors(STABILITY) else { return };
    for case in cases(&folder) {
        let original = text(&case.file);
        let config = machine_config::load(&original).unwrap();
        assert_eq!(config.text(case.contract.dialect()), original, "{}", case.file.display());
        assert_eq!(config.machine_type(), Some(case.machine));
        assert_eq!(config.endpoint(), Some("https://base:6443"));
        assert_eq!(config.kubernetes_version(), Some("v1.28.0"));
    }
}

#[test]
fn promised_files_have_no_errors() {
    let Some(folder) = vectors(STABILITY) else { return };
    for case in cases(&folder) {
        let config = machine_config::load(&text(&case.file)).unwrap();
        let errors = validate(&config, Mode::Cloud, case.contract).errors;
        assert!(errors.is_empty(), "{}: {errors:?}", case.file.display());
    }
}

#[test]
fn a_bundle_is_read_and_written_again_to_the_byte_and_found_in_its_configs() {
    let Some(folder) = vectors(STABILITY) else { return };
    let original = text(&folder.join("secrets.yaml"));
    let bundle = Bundle::from_yaml(&original).unwrap();
    let without_comment: String =
        original.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    assert_eq!(bundle.to_yaml().expose(), without_comment);
    for case in cases(&folder).iter().filter(|case| case.machine == MachineType::ControlPlane) {
        let config = machine_config::load(&text(&case.file)).unwrap();
        assert_eq!(Bundle::from_config(&config).unwrap(), bundle, "{}", case.file.display());
    }
}

#[test]
fn an_invalid_bundle_is_refused_with_talos_words() {
    let folder = "talos-config/pkg/machinery/config/generate/secrets/testdata";
    let Some(folder) = vectors(folder) else { return };
    assert!(Bundle::from_yaml(&text(&folder.join("secrets.yaml"))).is_ok());
    let error = Bundle::from_yaml(&text(&folder.join("invalid-secrets.yaml"))).unwrap_err();
    let said = error.to_string();
    let said: Vec<&str> = said.strip_prefix("the secrets bundle is incomplete: ").unwrap().split("; ").collect();
    assert_eq!(said.len(), 6, "{said:#?}");
    for (ours, theirs) in said.iter().zip([
        "cluster.secret is required",
        "one of [secrets.secretboxencryptionsecret, secrets.aescbcencryptionsecret] is required",
        "trustdinfo is required",
        "certs.etcd is invalid: ",
        "certs.k8saggregator is required",
        "certs.os is invalid: ",
    ]) {
        assert!(ours.starts_with(theirs), "{said:#?}");
    }
}

#[test]
fn the_terraform_providers_data_is_taken() {
    let Some(folder) = vectors("talos-config/terraform-provider-talos") else { return };
    let newer = Bundle::from_yaml(&text(&folder.join("secrets.yaml"))).unwrap();
    let older = Bundle::from_yaml(&text(&folder.join("secretsv1.2.yaml"))).unwrap();
    assert!(newer.secretbox.is_some() && older.aescbc.is_some());
    let contract = Contract::parse("v1.14").unwrap();
    let input = Input {
        cluster: "a",
        endpoint: "https://a:6443",
        contract,
        kubernetes: "1.36.0",
        secrets: older.secrets(),
        options: Options::default(),
    };
    let config = generate(&input, MachineType::ControlPlane);
    // The old key under the new provider's name, as Talos itself writes it.
    assert!(
        config
            .text(contract.dialect())
            .contains("- secretbox:\n                keys:\n                    - name: key1\n")
    );
    let strategic = patch::parse(&text(&folder.join("patch-strategic.yaml"))).unwrap();
    assert!(matches!(strategic, patch::Patch::Strategic(_)));
    assert!(patch::parse(&text(&folder.join("patch-invalid.yaml"))).is_err());
}
