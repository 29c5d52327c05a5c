//! Texts that Talos reads as something else than they look like, one row each: what it writes for them, and which it
//! refuses. The results are those of Talos 1.13 and 1.14.

use config_rules::{Mode, validate};
use go_yaml::Dialect;
use machine_config::{Contract, load};

/// A document of a kind in flow style.
fn document(kind: &str, fields: &str) -> String {
    match kind {
        "machine" | "cluster" => format!("{{{kind}: {{{fields}}}}}\n"),
        _ => format!("{{apiVersion: v1alpha1, kind: {kind}, {fields}}}\n"),
    }
}

/// What is written for a field, without the lines before it.
fn written(kind: &str, fields: &str, dialect: Dialect) -> String {
    let config = load(&document(kind, fields)).unwrap_or_else(|error| panic!("{kind} {fields}: {error:?}"));
    config.text(dialect)
}

#[test]
fn values_are_written_as_talos_does() {
    for (kind, fields, line) in [
        // Arguments are quoted less than other texts, and empty ones are null.
        ("machine", "kubelet: {extraArgs: {a: y}}", "            a: y\n"),
        ("machine", "kubelet: {extraArgs: {a: '1:20'}}", "            a: 1:20\n"),
        (
            "machine",
            "kubelet: {extraArgs: {a: [y, '', '07']}}",
            "- y\n                - \"\"\n                - \"07\"\n",
        ),
        ("machine", "kubelet: {extraArgs: {a: ''}}", "            a: null\n"),
        ("machine", "kubelet: {extraArgs: {a: ~}}", "            a: null\n"),
        ("machine", "kubelet: {extraArgs: {a: '<<'}}", "            a: \"<<\"\n"),
        // An empty list is not written at all.
        ("machine", "seccompProfiles: []", "certSANs: []\ncluster: null\n"),
        ("RawVolumeConfig", "name: a, encryption: {cipher: b, keySize: 1}", "name: a\n"),
        // Words and numbers in the accepted forms.
        (
            "BondConfig",
            "name: a, bondMode: ACTIVE-backup, failOverMac: 1",
            "bondMode: active-backup\nfailOverMac: active\n",
        ),
        ("BondConfig", "name: a, hardwareAddr: AAbb:0C", "hardwareAddr: aa:bb:0c\n"),
        ("VRFConfig", "name: a", "table: unspec\n"),
        (
            "VRFConfig",
            "name: a, table: MAIN, routes: [{table: unspec}, {table: 100}]",
            "    - {}\n    - table: \"100\"\n",
        ),
        ("EtcFileConfig", "name: a, mode: 70000", "mode: 0o210560\n"),
        (
            "NetworkRuleConfig",
            "name: a, portSelector: {ports: [0x1F, 7-7, 9-8], protocol: TCP}",
            "- 31\n        - 7\n        - 9-8\n    protocol: tcp\n",
        ),
        (
            "BGPInstanceConfig",
            "name: a, localASN: 1e3, routerID: 'FE80::1%Eth0'",
            "localASN: 1000\nrouterID: fe80::1%Eth0\n",
        ),
        ("machine", "ca: {crt: \"QUJD\\n\", key: '******'}", "crt: QUJD\n        key: '******'\n"),
        ("machine", "ca: {crt: QUI=, key: QUJ=}", "crt: QUI=\n        key: QUI=\n"),
        (
            "machine",
            "install: {diskSelector: {size: ' >= 1GB ', type: floppy}}",
            "size: '>= 1GB'\n            type: floppy\n",
        ),
        ("KubeClusterConfig", "clusterName: a, endpoint: 'HTTPS://A/b c?'", "endpoint: https://A/b%20c?\n"),
        // Tags, and keys without a name.
        ("machine", "env: {a: !!binary QUJD, b: ~, ~: c}", "        a: ABC\n        b: \"\"\ncluster"),
        (
            "EthernetConfig",
            "name: a, features: {b: ~}, rings: {rx: !!int '1', tx: !!null ''}",
            "b: false\nrings:\n    rx: 1\n",
        ),
    ] {
        let text = written(kind, fields, Dialect::V4);
        assert!(text.contains(line), "{kind} {fields}\n{text}\nwanted:\n{line}");
    }
}

#[test]
fn what_older_releases_write_otherwise_is_written_so() {
    for (kind, fields, early, newer) in [
        ("cluster", "token: a", "cluster:\n    controlPlane: null\n    token: a\n", "cluster:\n    token: a\n"),
        ("HostnameConfig", "hostname: <<", "hostname: \"<<\"\n", "hostname: '<<'\n"),
    ] {
        for (dialect, wanted) in [(Dialect::V4Early, early), (Dialect::V4, newer)] {
            let text = written(kind, fields, dialect);
            assert!(text.ends_with(wanted), "{dialect:?} {kind} {fields}\n{text}");
        }
    }
}

#[test]
fn what_talos_refuses_is_refused() {
    for (kind, fields, wanted) in [
        ("machine", "certSANs: ''", "machine.certSANs must be a sequence"),
        ("machine", "env: ''", "machine.env must be a mapping"),
        ("machine", "time: {bootTimeout: ''}", "machine.time.bootTimeout must be a duration"),
        ("TimeSyncConfig", "bootTimeout: 9223372037s", "bootTimeout must be a duration"),
        ("machine", "logging: {destinations: [{endpoint: '%zz'}]}", "endpoint must be a URL"),
        ("machine", "install: {diskSelector: {size: foo}}", "size must be a size"),
        ("machine", "disks: [{partitions: [{size: ''}]}]", "size must be a size"),
        ("machine", "ca: {crt: '******'}", "machine.ca.crt must be base64"),
        ("machine", "<<: {type: worker}", "unknown key \"<<\" in machine"),
        ("machine", "env: {<<: {a: b}}", "machine.env must be written out"),
        ("machine", "env: {a: !!binary '?'}", "invalid base64"),
        ("machine", "env: {a: \"b\u{1}\"}", "control characters are not allowed"),
        ("NetworkRuleConfig", "name: a, portSelector: {ports: ['7']}", "ports[0] must be a port"),
        ("NetworkRuleConfig", "name: a, ingress: [{subnet: 10.0.0.0/08}]", "subnet must be an IP address with"),
        ("BondConfig", "name: a, hardwareAddr: AA-BB", "hardwareAddr must be a hardware address"),
        ("BondConfig", "name: a, failOverMac: Active", "failOverMac must be one of"),
        ("VRFConfig", "name: a, table: 254", "table must be a routing table"),
        ("UserVolumeConfig", "name: a, provisioning: {minSize: 50%}", "minSize must be a size"),
        ("UserVolumeConfig", "name: a, provisioning: {maxSize: 1.2.3GB}", "maxSize must be a size"),
        ("UserVolumeConfig", "name: a, provisioning: {maxSize: 101%}", "maxSize must be a percentage"),
        ("KubeClusterConfig", "clusterName: 2024-01-01", "clusterName must be text, in quotes because"),
    ] {
        let error = load(&document(kind, fields)).expect_err(fields);
        let source = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        assert!(source.contains(wanted), "{kind} {fields}: {source}");
    }
}

#[test]
fn a_date_is_text_for_talos_up_to_1_13() {
    let text = written("HostnameConfig", "hostname: 2024-01-01", Dialect::V4Early);
    assert!(text.ends_with("hostname: \"2024-01-01\"\n"), "{text}");
    let config = load(&document("HostnameConfig", "hostname: 2024-01-01")).unwrap();
    for (release, refused) in [("v1.13", false), ("v1.14", true)] {
        let report = validate(&config, Mode::Cloud, Contract::parse(release).unwrap());
        assert_eq!(report.errors.iter().any(|error| error.contains("in quotes")), refused, "{release}: {report:?}");
    }
    let newer = document("HostnameConfig", "hostname: 2024-01-01") + "---\n" + &document("KubePrismConfig", "port: 1");
    assert_eq!(
        load(&newer).unwrap_err().to_string(),
        "error decoding document HostnameConfig, as Talos would from v1.14 on"
    );
    assert!(load(&newer.replace("2024-01-01", "'2024-01-01'")).is_ok());
}

#[test]
fn a_block_that_the_text_ends_in_has_no_line_end() {
    let document =
        |end: &str| format!("apiVersion: v1alpha1\nkind: TrustedRootsConfig\nname: a\ncertificates: |\n    b{end}");
    for (end, written) in [("", "b\n"), ("\n", "|\n    b\n"), ("\n  ", "|\n    b\n"), ("\n# c", "|\n    b\n")] {
        let text = load(&document(end)).unwrap().text(Dialect::V4);
        assert!(text.ends_with(&format!("certificates: {written}")), "{end:?}\n{text}");
    }
}
