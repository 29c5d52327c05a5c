use super::*;

const WORKER: &str = "machine:\n  type: worker\n  ca: {crt: QUJD}\ncluster:\n  id: a\n  secret: b\n";

fn errors(text: &str, mode: Mode) -> Vec<String> {
    let config = crate::load(text).unwrap();
    validate(&config, mode).errors
}

#[test]
fn a_plain_worker_has_no_errors() {
    assert_eq!(errors(WORKER, Mode::Cloud), Vec::<String>::new());
}

#[test]
fn each_rule_is_broken_by_one_line() {
    let worker = |more: &str| format!("{WORKER}{more}");
    let machine = |more: &str| WORKER.replace("  ca: {crt: QUJD}\n", &format!("  ca: {{crt: QUJD}}\n  {more}\n"));
    let document = |more: &str| format!("{WORKER}---\napiVersion: v1alpha1\n{more}");
    for (text, error) in [
        (WORKER.replace("worker", "boss"), "unknown machine type \"boss\""),
        (
            WORKER.replace("crt: QUJD", ""),
            "issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)",
        ),
        (
            WORKER.replace("crt: QUJD", "crt: QUJD, key: QUJD"),
            "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)",
        ),
        (
            WORKER.replace("worker", "controlplane"),
            "issuing CA key is required for controlplane nodes (.machine.ca.key)",
        ),
        (worker("  etcd: {}\n"), "etcd config is only allowed on control plane machines"),
        (
            worker("  ca: {crt: QUJD, key: QUJD}\n"),
            "cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)",
        ),
        (worker("  controlPlane: {}\n"), "cluster controlplane endpoint is required"),
        (format!("persist: false\n{WORKER}"), ".persist should be enabled"),
        (machine("install: {wipe: false}"), "either install disk or diskSelector should be defined"),
        (
            machine("nodeLabels: {'a b': c}"),
            "invalid machine node labels: label key \"a b\" is invalid: a name has 1 to 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit",
        ),
        (machine("kubelet: {extraConfig: {port: 1}}"), "kubelet configuration field \"port\" can't be overridden"),
        (
            machine("network: {interfaces: [{interface: eth0, vip: {ip: 10.0.0.1}}]}"),
            "virtual (shared) IP is not allowed on non-controlplane nodes",
        ),
        (document("kind: HostnameConfig\n"), "HostnameConfig: either 'auto' or 'hostname' must be set"),
        (
            document("kind: HostnameConfig\nauto: stable\nhostname: a\n"),
            "HostnameConfig: 'auto' and 'hostname' cannot be set at the same time",
        ),
        (document("kind: Layer2VIPConfig\nname: a\nlink: b\n"), "Layer2VIPConfig/a: name must be a valid IP address"),
        (
            document("kind: KubeSchedulerConfig\nimage: a\n"),
            "the following document kinds are only allowed on control plane machines: [KubeSchedulerConfig]",
        ),
        (
            WORKER.replace("  id: a\n", "  discovery: {enabled: true}\n"),
            "cluster id should be set when cluster discovery is enabled",
        ),
    ] {
        assert!(errors(&text, Mode::Metal).contains(&error.to_owned()), "{text}\n{:?}", errors(&text, Mode::Metal));
    }
}

#[test]
fn a_hostname_in_both_places_is_a_conflict() {
    let hostname = "---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
    let legacy = WORKER.replace("  type", "  network: {hostname: a}\n  type");
    let found = errors(&format!("{legacy}{hostname}"), Mode::Cloud);
    assert_eq!(found, ["HostnameConfig: static hostname is already set in v1alpha1 config"]);
}
