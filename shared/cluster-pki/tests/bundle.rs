//! New bundles, judged by openssl and by an independent parser.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_pki::{Authority, Bundle, Kubernetes, Leaf, service_account};
use machine_config::Contract;
use talosconfig::{Talosconfig, ca256, not_after};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);

/// A source that gives the same bytes in every run.
fn rng(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed;
    move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 33) as u8;
        }
    }
}

/// One bundle for all tests, with a P-256 service account's key, which is quick to make.
fn bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let old = Contract::parse("v1.6").expect("the fixture is good");
        let key = service_account(old, &mut rng(7)).expect("the fixture is good");
        Bundle::generate_around(Contract::STABLE, key, NOW, &mut rng(1)).expect("the fixture is good")
    })
}

fn der(pem_text: &str) -> Vec<u8> {
    pem::parse(pem_text).expect("the fixture is good").into_contents()
}

fn openssl(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("openssl").args(args).current_dir(folder).output().expect("the fixture is good");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {errors}");
    text
}

#[test]
fn keys_have_talos_labels_and_forms() {
    let bundle = bundle();
    let talos = bundle.talos.key.expose();
    assert!(talos.starts_with("-----BEGIN ED25519 PRIVATE KEY-----\n"));
    assert_eq!((talos.len(), der(talos).len()), (135, 48));
    let etcd = bundle.etcd.key.expose();
    assert!(etcd.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    assert_eq!((etcd.len(), der(etcd).len()), (227, 121));
    assert!(bundle.service_account.expose().starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
}

#[test]
fn authorities_say_what_talos_makes_them_say() {
    let bundle = bundle();
    for (authority, subject) in [
        (&bundle.talos, "O=talos"),
        (&bundle.etcd, "O=etcd"),
        (&bundle.kubernetes, "O=kubernetes"),
        (&bundle.aggregator, ""),
    ] {
        let der = der(&authority.crt);
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), subject);
        assert_eq!(certificate.issuer(), certificate.subject());
        assert_eq!(certificate.validity().not_before.to_datetime(), NOW);
        assert_eq!(certificate.validity().not_after.to_datetime(), NOW + Duration::hours(87_600));
        let oids: Vec<String> = certificate.extensions().iter().map(|extension| extension.oid.to_id_string()).collect();
        assert_eq!(oids, ["2.5.29.15", "2.5.29.37", "2.5.29.19", "2.5.29.14"]);
        assert!(certificate.is_ca());
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.digital_signature() && usage.value.key_cert_sign());
        assert!(certificate.serial.bits() <= 128);
    }
}

#[test]
fn openssl_accepts_the_authorities_and_what_they_sign() {
    if judges::require("openssl").is_none() {
        return;
    }
    let bundle = bundle();
    let folder = tempfile::tempdir().unwrap();
    let client = Leaf { organizations: vec!["os:admin".into()], client: true, ..Leaf::default() };
    let server = Leaf {
        common_name: "cp-1".into(),
        names: vec!["10.0.0.1".into(), "cp-1".into()],
        server: true,
        ..Leaf::default()
    };
    for (name, authority) in [("talos", &bundle.talos), ("etcd", &bundle.etcd), ("aggregator", &bundle.aggregator)] {
        let write = |suffix: &str, text: &str| {
            std::fs::write(folder.path().join(format!("{name}{suffix}")), text).unwrap();
        };
        write("-ca.crt", &authority.crt);
        for (purpose, leaf) in [("sslclient", &client), ("sslserver", &server)] {
            let signed: Authority = authority.issue(leaf, NOW, Duration::hours(8760), &mut rng(9)).unwrap();
            write(".crt", &signed.crt);
            let (ca, crt) = (format!("{name}-ca.crt"), format!("{name}.crt"));
            let at = NOW.unix_timestamp().to_string();
            let args = ["verify", "-attime", &at, "-purpose", purpose, "-CAfile", &ca, &crt];
            openssl(folder.path(), &args);
        }
        let (_, key) = authority.identity().unwrap();
        write("-ca.key", key.expose());
        let from_key = openssl(folder.path(), &["pkey", "-in", &format!("{name}-ca.key"), "-pubout"]);
        let from_crt = openssl(folder.path(), &["x509", "-in", &format!("{name}-ca.crt"), "-noout", "-pubkey"]);
        assert_eq!(from_key, from_crt);
    }
}

#[test]
fn a_bundle_survives_its_file() {
    let text = bundle().to_yaml();
    assert_eq!(&Bundle::from_yaml(text.expose()).unwrap(), bundle());
    let debug = format!("{:?}", bundle());
    assert!(!debug.contains(bundle().machine_token.expose()));
    assert!(!debug.contains("PRIVATE"));
}

#[test]
fn tokens_and_ids_have_their_forms() {
    let bundle = bundle();
    for token in [&bundle.bootstrap_token, &bundle.machine_token] {
        let (left, right) = token.expose().split_once('.').unwrap();
        assert_eq!((left.len(), right.len()), (6, 16));
        assert!(format!("{left}{right}").chars().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase()));
    }
    assert_eq!(bundle.cluster_id.len(), 44);
    assert_eq!(STANDARD.decode(bundle.cluster_secret.expose()).unwrap().len(), 32);
}

#[test]
fn a_client_certificate_is_an_admins_and_is_known_as_ours() {
    let bundle = bundle();
    let endpoints = vec!["10.0.0.1".to_owned()];
    let year = Duration::hours(8760);
    let context = bundle.client(&["os:admin"], endpoints, NOW, year, &mut rng(3)).unwrap();
    assert!(bundle.has_signed(&context));
    assert_eq!(context.not_after().unwrap(), NOW + year);
    assert_eq!(context.ca256().unwrap(), ca256(&bundle.talos.crt).unwrap());
    let identity = context.identity().unwrap();
    assert!(identity.key.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let der = der(&identity.crt);
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    assert_eq!(certificate.subject().to_string(), "O=os:admin");
    let oids: Vec<String> = certificate.extensions().iter().map(|extension| extension.oid.to_id_string()).collect();
    assert_eq!(oids, ["2.5.29.15", "2.5.29.37", "2.5.29.35"]);
    assert_eq!(not_after(&identity.crt).unwrap(), NOW + year);

    let other = Bundle::generate_around(Contract::STABLE, bundle.service_account.clone(), NOW, &mut rng(2));
    assert!(!other.unwrap().has_signed(&context));
}

#[test]
fn a_client_certificate_has_as_many_roles_as_are_wanted() {
    if judges::require("openssl").is_none() {
        return;
    }
    let bundle = bundle();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.crt"), &bundle.talos.crt).unwrap();
    let roles = ["os:reader", "os:etcd:backup", "os:operator", "os:admin"];
    let context = bundle.client(&roles, Vec::new(), NOW, Duration::hours(1), &mut rng(5)).unwrap();
    assert!(bundle.has_signed(&context));
    let identity = context.identity().unwrap();
    let der = der(&identity.crt);
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    // As Go writes it: one part of the name, sorted.
    let parts: Vec<_> = certificate.subject().iter_rdn().collect();
    assert_eq!(parts.len(), 1);
    let found: Vec<&str> = parts[0].iter().map(|attribute| attribute.as_str().unwrap()).collect();
    assert_eq!(found, ["os:admin", "os:reader", "os:operator", "os:etcd:backup"]);
    std::fs::write(folder.path().join("client.crt"), &identity.crt).unwrap();
    std::fs::write(folder.path().join("client.key"), identity.key.expose()).unwrap();
    let at = NOW.unix_timestamp().to_string();
    openssl(folder.path(), &["verify", "-attime", &at, "-purpose", "sslclient", "-CAfile", "ca.crt", "client.crt"]);
    let from_key = openssl(folder.path(), &["pkey", "-in", "client.key", "-pubout"]);
    assert_eq!(from_key, openssl(folder.path(), &["x509", "-in", "client.crt", "-noout", "-pubkey"]));
    let subject = openssl(folder.path(), &["x509", "-in", "client.crt", "-noout", "-subject"]);
    assert!(roles.iter().all(|role| subject.contains(role)), "{subject}");
}

#[test]
fn a_talosconfig_survives_its_file_and_names_what_is_missing() {
    let context = bundle().client(
        &["os:admin", "os:etcd:backup"],
        vec!["10.0.0.1".to_owned()],
        NOW,
        Duration::hours(1),
        &mut rng(4),
    );
    let config = Talosconfig::of("lab", context.unwrap());
    let text = config.emit(Contract::STABLE.dialect());
    assert!(text.expose().starts_with(
        "context: lab\ncontexts:\n    lab:\n        endpoints:\n            - 10.0.0.1\n        ca: LS0t"
    ));
    assert_eq!(Talosconfig::parse(text.expose()).unwrap(), config);
    assert_eq!(config.context("x").unwrap_err().to_string(), "context \"x\" not found in config");
    assert_eq!(Talosconfig::default().context("").unwrap_err().to_string(), "talos config file is empty");
    assert!(Talosconfig::parse("context: a\nfuture: 1\ncontexts: {}\n").is_ok());
}

#[test]
fn newer_contracts_get_a_service_account_key_of_4096_bits() {
    if judges::require("openssl").is_none() {
        return;
    }
    let key = service_account(Contract::STABLE, &mut rng(11)).unwrap();
    assert!(key.expose().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sa.key"), key.expose()).unwrap();
    let text = openssl(folder.path(), &["rsa", "-in", "sa.key", "-noout", "-text", "-check"]);
    assert!(text.contains("4096 bit"), "{text}");
}

#[test]
fn a_bundle_is_refused_with_what_is_wrong_in_talos_words() {
    let refused = |text: &str| Bundle::from_yaml(text).unwrap_err().to_string();
    let all = "cluster is required; secrets is required; trustdinfo is required; certs is required";
    assert_eq!(refused(""), format!("the secrets bundle is incomplete: {all}"));
    let good = bundle().to_yaml();
    let without = |from: &str, to: &str| {
        assert!(good.expose().contains(from), "{from}");
        refused(&good.expose().replacen(from, to, 1))
    };
    let token = bundle().machine_token.expose().to_owned();
    for (from, to, said) in [
        (format!("id: {}", bundle().cluster_id), String::new(), "cluster.id is required"),
        (token, "''".to_owned(), "trustdinfo.token is required"),
        ("    k8sserviceaccount:".to_owned(), "    x:".to_owned(), "certs.k8sserviceaccount is required"),
        ("    k8saggregator:".to_owned(), "    x:".to_owned(), "certs.k8saggregator is required"),
        (
            "secrets:\n    bootstrap".to_owned(),
            "secrets:\n    aescbcencryptionsecret: a\n    bootstrap".to_owned(),
            "only one of [secrets.secretboxencryptionsecret, secrets.aescbcencryptionsecret] is allowed",
        ),
    ] {
        assert_eq!(without(&from, &to), format!("the secrets bundle is incomplete: {said}"));
    }
    let certs = good.expose().find("certs:").unwrap();
    assert_eq!(refused(&good.expose()[..certs]), "the secrets bundle is incomplete: certs is required");
    let unknown = format!("future: 1\n{}", good.expose());
    assert!(Bundle::from_yaml(&unknown).is_ok(), "unknown keys don't matter");
}

#[test]
fn a_bundle_is_made_around_a_kubernetes_that_is_there() {
    let old = bundle();
    let kubernetes = Kubernetes {
        authority: old.kubernetes.clone(),
        etcd: old.etcd.clone(),
        aggregator: old.aggregator.clone(),
        service_account: old.service_account.clone(),
        bootstrap_token: None,
    };
    let made = Bundle::around_kubernetes(Contract::STABLE, kubernetes.clone(), NOW, &mut rng(8)).unwrap();
    assert_eq!((&made.kubernetes, &made.etcd, &made.aggregator), (&old.kubernetes, &old.etcd, &old.aggregator));
    assert_eq!(made.service_account, old.service_account);
    assert_ne!(made.talos, old.talos);
    assert!(!made.bootstrap_token.is_empty());
    let kept = Kubernetes { bootstrap_token: Some("abcdef.0123456789abcdef".to_owned().into()), ..kubernetes.clone() };
    let kept = Bundle::around_kubernetes(Contract::STABLE, kept, NOW, &mut rng(8)).unwrap();
    assert_eq!(kept.bootstrap_token.expose(), "abcdef.0123456789abcdef");
    let broken = Kubernetes { etcd: Authority::default(), ..kubernetes };
    let refused = Bundle::around_kubernetes(Contract::STABLE, broken, NOW, &mut rng(8)).unwrap_err();
    assert_eq!(refused.to_string(), "the secrets bundle is incomplete: certs.etcd is required");
}
