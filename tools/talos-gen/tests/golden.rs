//! `talos-gen config` writes the golden files, for every Talos release and both roles.
//!
//! The inputs and the files are our own (`tests/conformance/golden`), so a clone has everything that is needed. They
//! were compared with talosctl when they were made, and are compared again wherever one is found. `ICHOR_REGENERATE=1`
//! rewrites them: read the difference, and run the judges.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

use machine_config::Contract;
use schematic::FactoryUrl;

/// The minors of Talos 1.x that configs are made for.
const RELEASES: RangeInclusive<u32> =
    talos_releases::RELEASES[0].minor..=talos_releases::RELEASES[talos_releases::RELEASES.len() - 1].minor;
/// Documents beside the legacy one are known from here on.
const DOCUMENTS: u32 = 12;

/// Arguments of `gen config`, apart from the common ones, and the golden files that they make.
struct Case {
    folder: &'static str,
    files: &'static [&'static str],
    /// The same for talos-gen and talosctl.
    arguments: &'static [&'static str],
    /// Additional ones where Talos has documents.
    documents: &'static [&'static str],
    /// Whether the bytes also depend on the YAML library, which talosctl takes from its own release: it can be compared
    /// for releases with the same library only.
    quotes: bool,
}

const CASES: [Case; 3] = [
    Case {
        folder: "plain",
        files: &["controlplane.yaml", "worker.yaml"],
        arguments: &["--install-image=registry.lab.lan/installer:v1"],
        documents: &[],
        quotes: false,
    },
    Case {
        folder: "patched",
        files: &["controlplane.yaml", "worker.yaml"],
        arguments: &[
            "--install-image=registry.lab.lan/installer:v1",
            "--install-disk=/dev/vda",
            "--additional-sans=api.lab.lan,10.0.0.9",
            "--dns-domain=k8s.lab.lan",
            "--with-kubespan",
            "--registry-mirror=docker.io=https://mirror.lab.lan,ghcr.io=https://mirror.lab.lan/v2/ghcr",
            "--config-patch=@patches/all.yaml",
            "--config-patch-control-plane=@patches/controlplane.yaml",
            "--config-patch-worker=@patches/worker.yaml",
        ],
        documents: &["--config-patch=@patches/documents.yaml"],
        quotes: false,
    },
    Case {
        folder: "quotes",
        files: &["worker.yaml"],
        arguments: &["--install-image=registry.lab.lan/installer:v1", "--config-patch=@patches/quotes.yaml"],
        documents: &[],
        quotes: true,
    },
];

/// The folder of inputs and files; if asked to, rewrites the files before the first use.
fn golden() -> PathBuf {
    static REWRITTEN: Once = Once::new();
    REWRITTEN.call_once(|| {
        if std::env::var_os("ICHOR_REGENERATE").is_some() {
            CASES.iter().for_each(|case| RELEASES.for_each(|minor| keep(case, minor)));
        }
    });
    folder()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/golden")
}

/// Runs `gen config` of a program where the inputs are, into a folder.
fn make(program: &Path, command: &[&str], case: &Case, minor: u32, out: &Path) -> Output {
    let version = format!("v1.{minor}");
    let mut run = Command::new(program);
    run.current_dir(folder()).args(command).args(["lab", "https://api.lab.lan:6443", "--with-secrets", "secrets.yaml"]);
    run.args(["--talos-version", &version, "--kubernetes-version", "1.30.0"]).args(case.arguments);
    if minor >= DOCUMENTS {
        run.args(case.documents);
    }
    run.args(["--with-docs=false", "--with-examples=false", "-t", "controlplane,worker", "-o"]).arg(out);
    run.output().expect("the program runs")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The first line in which two texts differ.
fn difference(made: &str, kept: &str) -> String {
    let at = made.lines().zip(kept.lines()).take_while(|(made, kept)| made == kept).count();
    let line = |text: &str| text.lines().nth(at).unwrap_or("(the end)").to_owned();
    format!("line {}: {:?}, kept is {:?}", at + 1, line(made), line(kept))
}

/// Makes the configs of a case and release with a program; returns where they differ from the golden ones.
fn compare(program: &Path, command: &[&str], case: &Case, minor: u32) -> Vec<String> {
    let kept = golden().join(case.folder).join(format!("v1.{minor}"));
    let out = tempfile::tempdir().expect("there is a place for temporary files");
    let output = make(program, command, case, minor, out.path());
    assert!(output.status.success(), "v1.{minor}: {}", String::from_utf8_lossy(&output.stderr));
    let differs = |file: &&str| {
        let (made, kept) = (text(&out.path().join(file)), text(&kept.join(file)));
        (made != kept).then(|| format!("{} v1.{minor} {file}: {}", case.folder, difference(&made, &kept)))
    };
    case.files.iter().filter_map(differs).collect()
}

fn talos_gen() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_talos-gen"))
}

/// Writes the files of a case and release.
fn keep(case: &Case, minor: u32) {
    let out = tempfile::tempdir().expect("there is a place for temporary files");
    let output = make(talos_gen(), &["config"], case, minor, out.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = folder().join(case.folder).join(format!("v1.{minor}"));
    std::fs::create_dir_all(&folder).expect("the checkout can be written to");
    for file in case.files {
        std::fs::write(folder.join(file), text(&out.path().join(file))).expect("the checkout can be written to");
    }
}

#[test]
fn every_release_and_role_gives_the_bytes_that_are_kept() {
    let mut wrong = Vec::new();
    for case in &CASES {
        for minor in RELEASES {
            wrong.extend(compare(talos_gen(), &["config"], case, minor));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_releases_have_golden_files() {
    let known: Vec<String> = talos_releases::RELEASES.iter().map(ToString::to_string).collect();
    let kept: Vec<String> = RELEASES.map(|minor| format!("v1.{minor}")).collect();
    assert_eq!(known, kept, "golden files for a new release: widen RELEASES, then ICHOR_REGENERATE=1");
}

/// The service account's key is the one secret whose kind depends on the release.
#[test]
fn secrets_have_an_elliptic_key_up_to_1_6_and_an_rsa_key_from_1_7() {
    for (version, label) in [("v1.6", "BEGIN EC PRIVATE KEY"), ("v1.7", "BEGIN RSA PRIVATE KEY")] {
        let output = Command::new(talos_gen()).args(["secrets", "--talos-version", version, "-o", "-"]).output();
        let secrets = String::from_utf8(output.expect("the program runs").stdout).expect("secrets are text");
        let bundle = cluster_pki::Bundle::from_yaml(&secrets).expect("talos-gen reads its own secrets");
        assert!(bundle.service_account.expose().contains(label), "{version}");
    }
}

/// The installer's name isn't in these configs, since a flag gives it.
#[test]
fn installers_are_named_after_their_platform_from_1_10_on() {
    for contract in Contract::all() {
        let version = format!("{contract}.1");
        let factory = FactoryUrl::parse("https://factory.lab.lan").expect("a URL");
        let ours = factory.installer("nocloud", "ab", version.parse().expect("a version"), false);
        let name = if contract.minor() >= 10 { "nocloud-installer" } else { "installer" };
        assert_eq!(ours, format!("factory.lab.lan/{name}/ab:{version}"), "{contract}");
    }
}

/// A talosconfig without its certificates and key.
fn outline(text: &str) -> String {
    let is_fixed = |line: &&str| !["ca:", "crt:", "key:"].iter().any(|key| line.trim_start().starts_with(key));
    text.lines().filter(is_fixed).map(|line| format!("{line}\n")).collect()
}

/// Its certificate and key are new each time, so only the rest is compared; the name is one that libraries quote.
#[test]
fn a_talosconfig_is_written_by_the_library_of_its_release() {
    for (version, name) in
        [("v1.3", "\"on\""), ("v1.11", "\"on\""), ("v1.13", "\"on\""), ("v1.14", "'on'"), ("v1.15", "'on'")]
    {
        let output = Command::new(talos_gen())
            .current_dir(golden())
            .args(["config", "on", "https://api.lab.lan:6443", "--with-secrets", "secrets.yaml"])
            .args(["--talos-version", version, "-t", "talosconfig", "-o", "-"])
            .output();
        let text = String::from_utf8(output.expect("the program runs").stdout).expect("a talosconfig is text");
        let expected = format!("context: {name}\ncontexts:\n    {name}:\n        endpoints: []\n");
        assert_eq!(outline(&text), expected, "{version}");
        let keys: Vec<&str> =
            text.lines().skip(3).filter_map(|line| line.trim().split_once(':')).map(|(key, _)| key).collect();
        assert_eq!(keys, ["endpoints", "ca", "crt", "key"], "{version}");
    }
}

/// The releases that a talosctl can be compared for: those up to its own, with its own YAML library where that shows.
fn comparable(case: &Case, talosctl: u32) -> RangeInclusive<u32> {
    let library = match talosctl {
        14.. => 14,
        12..=13 => 12,
        _ => 3,
    };
    if case.quotes { library..=talosctl } else { *RELEASES.start()..=talosctl.min(*RELEASES.end()) }
}

/// Whether a talosctl writes the same for the same arguments.
fn judged_by(talosctl: &str) {
    let Some(talosctl) = judges::require(talosctl) else { return };
    let said = Command::new(&talosctl).args(["version", "--client"]).output().expect("talosctl runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let minor = said.split_once("v1.").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
    let minor = minor.unwrap_or_else(|| panic!("no version of talosctl in {said:?}"));
    let mut wrong = Vec::new();
    for case in &CASES {
        wrong.extend(comparable(case, minor).flat_map(|release| compare(&talosctl, &["gen", "config"], case, release)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn talosctl_writes_the_golden_files_too() {
    judged_by("talosctl");
}

#[test]
fn talosctl_1_14_writes_the_golden_files_too() {
    judged_by("talosctl-1.14");
}
