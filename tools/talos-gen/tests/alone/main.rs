//! The commands without a stream, as processes.

mod patched;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talos-gen"));
    command.current_dir(folder).env_clear().args(args).output().expect("the program runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
    stdout(&output)
}

fn openssl(folder: &Path, line: &str) -> String {
    let output = Command::new("openssl").current_dir(folder).args(line.split(' ')).output().expect("openssl is there");
    assert!(output.status.success(), "openssl {line}: {}", stderr(&output));
    stdout(&output)
}

/// A folder with secrets of an old contract, for which no primes are searched.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    done(folder.path(), &["secrets", "--talos-version", "v1.6"]);
    folder
}

const CONFIG: [&str; 5] = ["config", "lab", "https://10.0.0.10:6443", "--with-secrets", "secrets.yaml"];

fn configs(folder: &Path, more: &[&str]) {
    done(folder, &[&CONFIG, more].concat());
}

#[test]
fn secrets_are_private_and_are_found_again_in_a_control_planes_config() {
    let folder = folder();
    let path = folder.path().join("secrets.yaml");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for version in ["v1.6", "v1.13", "v1.15"] {
        configs(folder.path(), &["--talos-version", version, "--force"]);
        let from = ["secrets", "--from-controlplane-config", "controlplane.yaml", "-o", "again.yaml", "--force"];
        done(folder.path(), &from);
        let again = std::fs::read(folder.path().join("again.yaml")).unwrap();
        assert_eq!(again, std::fs::read(&path).unwrap(), "{version}");
    }
    let worker = run(folder.path(), &["secrets", "--from-controlplane-config", "worker.yaml", "-o", "-"]);
    assert_eq!(code(&worker), 8);
    assert!(stderr(&worker).contains("isn't a control plane's"), "{}", stderr(&worker));
}

#[test]
fn a_key_that_is_not_its_certificates_is_noticed() {
    let folder = folder();
    done(folder.path(), &["secrets", "--talos-version", "v1.6", "-o", "other.yaml"]);
    let bundle = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        cluster_pki::Bundle::from_yaml(&text).unwrap()
    };
    let mut mixed = bundle("secrets.yaml");
    mixed.talos.key = bundle("other.yaml").talos.key;
    std::fs::write(folder.path().join("mixed.yaml"), mixed.to_yaml().expose()).unwrap();
    let output = run(folder.path(), &["config", "lab", "https://10.0.0.10:6443", "--with-secrets", "mixed.yaml"]);
    let said = "certs.os is invalid: the private key is not the certificate's";
    assert!(code(&output) == 8 && stderr(&output).contains(said), "{}", stderr(&output));
}

#[test]
fn secrets_are_made_around_a_kubernetes_that_is_there() {
    if judges::require("openssl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pki = folder.path().join("pki");
    std::fs::create_dir_all(pki.join("etcd")).unwrap();
    for (name, key) in
        [("ca", "rsa:2048"), ("etcd/ca", "ec -pkeyopt ec_paramgen_curve:P-256"), ("front-proxy-ca", "rsa:2048")]
    {
        let subject = format!("/CN={}", name.replace('/', "-"));
        openssl(&pki, &format!("req -x509 -nodes -newkey {key} -keyout {name}.key -out {name}.crt -subj {subject}"));
    }
    openssl(&pki, "genrsa -traditional -out sa.key 2048");
    std::fs::write(folder.path().join("token"), "abcdef.0123456789abcdef\n").unwrap();
    let args = ["secrets", "--talos-version", "v1.13", "-p", "pki", "-t", "token"];
    done(folder.path(), &args);
    let text = std::fs::read_to_string(folder.path().join("secrets.yaml")).unwrap();
    let bundle = cluster_pki::Bundle::from_yaml(&text).unwrap();
    assert_eq!(bundle.bootstrap_token.expose(), "abcdef.0123456789abcdef");
    assert_eq!(bundle.kubernetes.crt, std::fs::read_to_string(pki.join("ca.crt")).unwrap());
    assert_eq!(bundle.service_account.expose(), std::fs::read_to_string(pki.join("sa.key")).unwrap());

    let on_the_line = run(folder.path(), &["secrets", "-p", "pki", "-t", "abcdef.0123456789abcdef", "-o", "-"]);
    assert_eq!(code(&on_the_line), 2);
    assert!(!stderr(&on_the_line).contains("0123456789"), "the token is not repeated");
    std::fs::remove_file(pki.join("etcd/ca.key")).unwrap();
    let missing = run(folder.path(), &["secrets", "-p", "pki", "-o", "-"]);
    assert!(code(&missing) == 2 && stderr(&missing).contains("pki/etcd/ca.key"), "{}", stderr(&missing));
}

#[test]
fn a_talosconfig_has_the_roles_and_the_lifetime_that_were_asked_for() {
    if judges::require("openssl").is_none() {
        return;
    }
    let folder = folder();
    let roles = "os:reader,os:etcd:backup,os:operator";
    done(folder.path(), &["talosconfig", "lab", "--role", roles, "--ttl", "12h", "-e", "10.0.0.11,10.0.0.12"]);
    let path = folder.path().join("talosconfig");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let config = talosconfig::Talosconfig::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let context = config.context("").unwrap();
    assert_eq!((context.endpoints.len(), context.nodes.len()), (2, 0));
    std::fs::write(folder.path().join("client.crt"), context.identity().unwrap().crt).unwrap();
    std::fs::write(folder.path().join("ca.crt"), context.ca_pem().unwrap()).unwrap();
    openssl(folder.path(), "verify -purpose sslclient -CAfile ca.crt client.crt");
    openssl(folder.path(), "x509 -in client.crt -noout -checkend 43000");
    let expired = Command::new("openssl")
        .current_dir(folder.path())
        .args("x509 -in client.crt -noout -checkend 43300".split(' '))
        .output()
        .unwrap();
    assert!(!expired.status.success());
    let subject = openssl(folder.path(), "x509 -in client.crt -noout -subject");
    assert!(roles.split(',').all(|role| subject.contains(role)), "{subject}");

    assert_eq!(code(&run(folder.path(), &["talosconfig", "lab"])), 7, "an existing file is kept");
    let boss = run(folder.path(), &["talosconfig", "lab", "--role", "os:boss", "-o", "-"]);
    assert!(code(&boss) == 2 && stderr(&boss).contains("os:admin, os:operator"), "{}", stderr(&boss));
    assert_eq!(code(&run(folder.path(), &["talosconfig", "lab", "--ttl", "0s", "-o", "-"])), 2);
    for (endpoint, exit) in
        [("", 2), ("https://a", 2), ("a b", 2), ("a:b:c", 2), ("a.lan:50000", 0), ("fd00::1", 0), ("[fd00::1]:1", 0)]
    {
        let output = run(folder.path(), &["talosconfig", "lab", "-o", "-", "--endpoints", endpoint]);
        assert_eq!(code(&output), exit, "{endpoint}: {}", stderr(&output));
    }
}

#[test]
fn a_kubernetes_outside_the_window_is_only_warned_about() {
    let folder = folder();
    let args =
        [&CONFIG[..], &["--talos-version", "v1.13", "--kubernetes-version", "1.20.0", "-t", "worker", "-o", "-"]]
            .concat();
    let output = run(folder.path(), &args);
    assert_eq!(code(&output), 0);
    assert!(stderr(&output).contains("Talos v1.13 does not run Kubernetes 1.20.0"), "{}", stderr(&output));
}

#[test]
fn a_config_that_talos_would_refuse_is_made_with_a_warning() {
    let folder = folder();
    let warned = |more: &[&str]| {
        let output = run(folder.path(), &[&CONFIG[..], &["--talos-version", "v1.14", "-o", "-", "-t"], more].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stderr(&output)
    };
    let hosts = "apiVersion: v1alpha1\nkind: StaticHostConfig\nname: 10.0.0.1\n";
    let worker = warned(&["worker", "--config-patch-worker", hosts]);
    assert!(worker.contains("Talos would refuse this worker config: StaticHostConfig/10.0.0.1: "), "{worker}");
    let idle = warned(&["worker", "--config-patch", "machine: {type: worker}"]);
    assert!(idle.contains("worker: patch 1 changes nothing"), "{idle}");
    let comments = warned(&["worker", "--with-docs", "--with-examples=false"]);
    assert!(comments.contains("comments are not supported"), "{comments}");
}

#[test]
fn patches_with_documents_that_the_machine_could_not_load_are_refused_by_name() {
    let folder = folder();
    let refused = |version: &str, more: &[&str]| {
        let output = run(folder.path(), &[&CONFIG[..], &["--talos-version", version, "-o", "-", "-t"], more].concat());
        (code(&output), stderr(&output))
    };
    let scheduler = "apiVersion: v1alpha1\nkind: KubeSchedulerConfig\nimage: mirror.lab.lan/scheduler\n";
    let (exit, said) = refused("v1.14", &["worker", "--config-patch", scheduler]);
    assert!(exit == 8 && said.contains("only control planes may have: KubeSchedulerConfig"), "{exit}: {said}");
    let (exit, said) = refused("v1.13", &["controlplane", "--config-patch-control-plane", scheduler]);
    assert!(
        exit == 8 && said.contains("KubeSchedulerConfig, which needs Talos v1.14 or later; this is v1.13"),
        "{said}"
    );
    let taken = refused("v1.14", &["controlplane", "--config-patch-control-plane", scheduler]);
    assert_eq!(taken, (0, String::new()));
}

#[test]
fn words_that_cannot_be_meant_are_refused_before_anything_is_made() {
    let folder = folder();
    for (more, said) in [
        (&["--kubernetes-version", ""][..], "--kubernetes-version is empty; it defaults to 1.37."),
        (&["--registry-mirror", "docker.io"], "invalid registry mirror spec"),
        (&["--registry-mirror", "docker.io=ftp://a b"], "failed to parse registry mirror endpoint \"ftp://a b\""),
        (&["--output-dir", "out", "-o", "here"], "--output-dir"),
    ] {
        let output = run(folder.path(), &[&CONFIG[..], more].concat());
        assert!(code(&output) == 2 && stderr(&output).contains(said), "{more:?}: {}", stderr(&output));
    }
    for (endpoint, said) in [
        ("https://base:70000", "port number must be between 1 and 65535"),
        ("https://base/%zz", "\"https://base/%zz\" is not a URL"),
        ("https://", "hostname must not be blank"),
        ("http://base", "should have scheme https://"),
        ("base:6443", "try: \"https://base:6443\""),
        ("base", "try: \"https://base:6443\""),
    ] {
        let output = run(folder.path(), &["config", "lab", endpoint]);
        assert!(code(&output) == 2 && stderr(&output).contains(said), "{endpoint}: {}", stderr(&output));
    }
    let nameless = run(folder.path(), &["talosconfig", "", "-o", "-"]);
    assert!(code(&nameless) == 2 && stderr(&nameless).contains("name is empty"), "{}", stderr(&nameless));
    let twice = ["--talos-version", "v1.13", "--talos-version", "", "--output-dir", "elsewhere", "-t", "worker"];
    configs(folder.path(), &twice);
    let last = std::fs::read_to_string(folder.path().join("elsewhere/worker.yaml")).unwrap();
    assert!(last.contains(":v1.14.0\n"), "a flag that comes again overrides: {last}");
    configs(folder.path(), &["--output-dir", "out", "-t", "worker"]);
    assert!(folder.path().join("out/worker.yaml").is_file(), "a folder also for one type");
}

#[test]
fn flags_of_the_stream_do_not_stand_before_a_command_that_would_ignore_them() {
    let folder = folder();
    let before = std::fs::read(folder.path().join("secrets.yaml")).unwrap();
    for flags in [&["--dry-run"][..], &["-f", "cluster.yaml"], &["--only", "a", "--format", "table"]] {
        let output = run(folder.path(), &[flags, &["secrets", "--force"]].concat());
        assert!(code(&output) == 2 && stderr(&output).contains("can't stand before `secrets`"), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read(folder.path().join("secrets.yaml")).unwrap(), before, "nothing was written");
}

#[test]
fn a_config_that_cannot_be_made_leaves_no_other_behind() {
    let folder = folder();
    std::fs::create_dir_all(folder.path().join("out/talosconfig")).unwrap();
    std::fs::write(folder.path().join("out/controlplane.yaml"), "old").unwrap();
    let onto_a_folder = run(folder.path(), &[&CONFIG[..], &["-o", "out", "--force"]].concat());
    assert!(code(&onto_a_folder) == 1 && stderr(&onto_a_folder).contains("out/talosconfig: is a directory"));
    assert_eq!(std::fs::read_to_string(folder.path().join("out/controlplane.yaml")).unwrap(), "old");
    let slip = [&CONFIG[..], &["--config-patch-worker", "machine: {typ: worker}"]].concat();
    assert_eq!(code(&run(folder.path(), &slip)), 8);
    for name in ["controlplane.yaml", "worker.yaml", "talosconfig"] {
        assert!(!folder.path().join(name).exists(), "{name}");
    }
    configs(folder.path(), &["-t", "worker,worker"]);
    assert!(folder.path().join("worker.yaml").exists(), "a type that comes twice is made once");
}

#[test]
fn the_default_installer_follows_the_talos_version() {
    let folder = folder();
    let made = |version| {
        done(folder.path(), &[&CONFIG[..], &["--talos-version", version, "-t", "worker", "-o", "-"]].concat())
    };
    assert!(made("v1.13.9").contains("image: ghcr.io/siderolabs/installer:v1.13.9\n"));
    assert!(made("v1.14.1").contains(
        "factory.talos.dev/metal-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.14.1\n"
    ));
}

#[test]
fn a_bad_patch_is_told_with_its_place_and_what_was_meant() {
    let folder = folder();
    configs(folder.path(), &["--talos-version", "v1.13"]);
    let slip = "apiVersion: v1alpha1\nkind: HostnameConfig\nhostnam: a\n";
    std::fs::write(folder.path().join("slip.yaml"), slip).unwrap();
    let json = r#"[{"op": "add", "path": "/machine/sysctls", "value": {"a": "1"}}]"#;
    for (patch, parts) in [
        (
            "@slip.yaml",
            &["HostnameConfig", "line 3, column 1", "unknown key \"hostnam\"", "did you mean \"hostname\"?"][..],
        ),
        (json, &["not supported for multi-document", "up to contract v1.11", r#"{"machine":{"sysctls":{"a":"1"}}}"#]),
        ("machin: {}", &["missing kind", "did you mean \"machine\"?"]),
    ] {
        let output = run(folder.path(), &["patch", "worker.yaml", "-p", patch]);
        assert_eq!(code(&output), 8, "{}", stderr(&output));
        assert!(parts.iter().all(|part| stderr(&output).contains(part)), "{}", stderr(&output));
    }
    let gone = run(folder.path(), &["patch", "worker.yaml", "-p", "@gone.yaml"]);
    assert!(code(&gone) == 2 && stderr(&gone).starts_with("talos-gen error: gone.yaml: "), "{}", stderr(&gone));
    let empty = run(folder.path(), &["patch", "worker.yaml", "-p", "# nothing"]);
    assert!(code(&empty) == 8 && stderr(&empty).contains("patch 1 is empty"), "{}", stderr(&empty));
    let twice = run(folder.path(), &["patch", "-", "-p", "@-"]);
    assert!(code(&twice) == 2 && stderr(&twice).contains("stdin can be read only once"), "{}", stderr(&twice));
    let instead = done(folder.path(), &["patch", "worker.yaml", "-p", r#"{"machine":{"sysctls":{"a":"1"}}}"#]);
    assert!(instead.contains("sysctls:\n        a: \"1\"\n"), "what the hint says works: {instead}");
    let idle = run(folder.path(), &["patch", "worker.yaml", "-p", "machine: {type: worker}"]);
    assert!(code(&idle) == 0 && stderr(&idle).contains("patch 1 changes nothing"), "{}", stderr(&idle));
    let untouched = done(folder.path(), &["patch", "worker.yaml"]);
    assert_eq!(untouched, std::fs::read_to_string(folder.path().join("worker.yaml")).unwrap());
}

#[test]
fn json_patches_work_on_configs_of_one_document() {
    let folder = folder();
    configs(folder.path(), &["--talos-version", "v1.11"]);
    let json = r#"[{"op": "replace", "path": "/machine/certSANs", "value": ["a"]}]"#;
    let text = done(folder.path(), &["patch", "worker.yaml", "-p", json]);
    assert!(text.contains("certSANs:\n        - a\n"), "{text}");
    let missing = run(folder.path(), &["patch", "worker.yaml", "-p", r#"[{"op": "remove", "path": "/machine/env"}]"#]);
    assert!(code(&missing) == 8 && stderr(&missing).contains("what exists is \"/machine\""), "{}", stderr(&missing));
}

#[test]
fn differences_are_told_by_document_with_secrets_hidden() {
    let folder = folder();
    configs(folder.path(), &["--talos-version", "v1.14"]);
    let path = folder.path().join("controlplane.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let documents: Vec<&str> = text.trim_end().split("\n---\n").collect();
    let (first, others) = documents.split_first().unwrap();
    let reversed: Vec<&str> = std::iter::once(first).chain(others.iter().rev()).copied().collect();
    std::fs::write(folder.path().join("reversed.yaml"), reversed.join("\n---\n")).unwrap();
    assert_eq!(done(folder.path(), &["diff", "controlplane.yaml", "reversed.yaml"]), "");

    let token = text.lines().find_map(|line| line.strip_prefix("    token: ")).unwrap();
    let changed = text.replace(token, "abcdef.0123456789abcdef").replace("auto: stable", "auto: off\nhostname: a");
    std::fs::write(folder.path().join("changed.yaml"), changed).unwrap();
    let output = run(folder.path(), &["diff", "controlplane.yaml", "changed.yaml"]);
    let shown = stdout(&output);
    assert_eq!(code(&output), 3);
    assert!(shown.contains("+hostname: a\n") && shown.contains("secret differs: v1alpha1 machine.token"), "{shown}");
    assert!(!shown.contains(token) && !shown.contains("0123456789") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn configs_are_validated_by_the_rules_of_a_version_and_mode() {
    let folder = folder();
    configs(folder.path(), &["--talos-version", "v1.14"]);
    let validate = |more: &[&str]| run(folder.path(), &[&["validate", "-c", "controlplane.yaml"], more].concat());
    for mode in ["metal", "cloud", "metal-agent", "container"] {
        assert_eq!(code(&validate(&["-m", mode, "--strict"])), 0, "{mode}: {}", stderr(&validate(&["-m", mode])));
    }
    let older = validate(&["-m", "metal", "--talos-version", "v1.13"]);
    assert_eq!(code(&older), 8);
    assert!(stderr(&older).contains("KubeNodeConfig: Talos knows this kind from v1.14 on, not in v1.13"));
    configs(folder.path(), &["--talos-version", "v1.13", "--install-disk", "", "--force"]);
    assert!(stderr(&validate(&["-m", "metal"])).contains("either install disk or diskSelector should be defined"));
}

#[test]
fn kinds_and_fields_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let text = done(folder.path(), &["explain", "LinkConfig.addresses"]);
    assert!(text.contains("patches: append"), "{text}");
    let slip = run(folder.path(), &["explain", "LinkConfg"]);
    assert!(code(&slip) == 2 && stderr(&slip).contains("did you mean \"LinkConfig\"?"), "{}", stderr(&slip));
}

#[test]
fn monstrous_inputs_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let deep = format!("machine: {}", "[".repeat(1 << 20));
    let nested: String = (0..2000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(",")));
    }
    let large = "a: b\n".repeat(20 << 20);
    for (name, text, said) in [
        ("deep", &deep, "recursion limit exceeded"),
        ("nested", &nested, "nested deeper than 100 levels"),
        ("bomb", &bomb, "more than 250000 values"),
        ("large", &large, "larger than 8388608 bytes"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
        let begin = std::time::Instant::now();
        let output = run(folder.path(), &["validate", "-c", name, "-m", "metal"]);
        assert_eq!(code(&output), 8, "{name}");
        assert!(stderr(&output).contains(said), "{name}: {}", stderr(&output).chars().take(400).collect::<String>());
        // Unoptimised, on a busy machine; optimised it takes milliseconds.
        assert!(begin.elapsed().as_secs() < 10, "{name} took {:?}", begin.elapsed());
    }
}
