//! The values that all generated files share, from the cluster's spec. Pure.

use machine_config::Contract;
use record::spec::ClusterSpec;
use schematic::{Spec, Wanted};

use crate::error::Error;

/// The part of a plan that is the same for every node.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Name of the cluster.
    pub(crate) name: String,
    /// The spec that it comes from.
    pub(crate) spec: ClusterSpec,
    /// URL of the Kubernetes API.
    pub(crate) endpoint: String,
    /// The contract that configs are made for: the locked one.
    pub(crate) contract: Contract,
    /// The contract of the Talos version that runs.
    pub(crate) talos: Contract,
    /// Kubernetes version without `v`.
    pub(crate) kubernetes: String,
    /// Reference of the installer, as it follows from the spec.
    pub(crate) installer: String,
}

/// Plans; `locked` is the contract in `ichor.lock`, `factory` the value of the environment variable.
pub(crate) fn plan(name: &str, spec: ClusterSpec, locked: Option<&str>, factory: Option<&str>) -> Result<Plan, Error> {
    let wanted = Spec {
        version: &spec.talos.version,
        schematic: spec.talos.schematic.as_ref(),
        factory: spec.talos.factory.as_deref(),
    };
    let wanted = Wanted::read(wanted, factory)?;
    let talos = Contract::parse(&spec.talos.version)?;
    let contract = locked.map(Contract::parse).transpose()?.unwrap_or(talos);
    if contract > talos {
        return Err(Error::OlderTalos { locked: contract.to_string(), talos: spec.talos.version });
    }
    let kubernetes = kubernetes(&spec, talos)?;
    let endpoint = spec.endpoint.clone().ok_or_else(|| Error::Unreadable {
        field: "spec.endpoint",
        value: String::new(),
        wanted: "a URL such as https://10.0.0.10:6443",
    })?;
    mirrors(&spec)?;
    let installer = wanted.installer("nocloud");
    Ok(Plan { name: name.to_owned(), endpoint, contract, talos, kubernetes, installer, spec })
}

/// Refuses mirrors that aren't URLs: their configs would not load.
fn mirrors(spec: &ClusterSpec) -> Result<(), Error> {
    match spec.registry_mirrors.values().flatten().find(|text| go_yaml::url(text).is_none()) {
        None => Ok(()),
        Some(text) => Err(Error::Unreadable {
            field: "spec.registryMirrors",
            value: text.clone(),
            wanted: "a URL such as https://mirror.lan",
        }),
    }
}

fn kubernetes(spec: &ClusterSpec, talos: Contract) -> Result<String, Error> {
    let Some(version) = &spec.kubernetes.version else { return Ok(talos.kubernetes().to_owned()) };
    if talos.supports_kubernetes(version) {
        return Ok(version.strip_prefix('v').unwrap_or(version).to_owned());
    }
    let (oldest, newest) = talos.kubernetes_window();
    Err(Error::KubernetesWindow { talos: spec.talos.version.clone(), kubernetes: version.clone(), oldest, newest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> ClusterSpec {
        serde_json::from_str(text).unwrap()
    }

    fn of(text: &str, locked: Option<&str>) -> Result<Plan, Error> {
        plan("lab", spec(text), locked, None)
    }

    const SPEC: &str = r#"{"endpoint":"https://10.0.0.10:6443","talos":{"version":"v1.13.9"}}"#;

    #[test]
    fn defaults_follow_from_the_talos_version() {
        let plan = of(SPEC, None).unwrap();
        assert_eq!((plan.contract.to_string().as_str(), plan.kubernetes.as_str()), ("v1.13", "1.36.3"));
        let empty = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
        assert_eq!(plan.installer, format!("factory.talos.dev/nocloud-installer/{empty}:v1.13.9"));
    }

    #[test]
    fn a_locked_contract_stays_when_talos_moves_on_but_not_back() {
        assert_eq!(of(SPEC, Some("v1.12")).unwrap().contract.to_string(), "v1.12");
        assert!(matches!(of(SPEC, Some("v1.14")), Err(Error::OlderTalos { .. })));
    }

    #[test]
    fn unusable_values_are_refused_as_talos_image_refuses_them() {
        for (talos, exit, code, message) in [
            (
                r#""v1.13.9","schematic":{"id":"zzz"}"#,
                8,
                "schematic",
                "\"zzz\" is not a schematic ID of 64 hexadecimal digits",
            ),
            (
                r#""v1.13.9","factory":"https://proxy.lan/factory""#,
                2,
                "usage",
                "\"https://proxy.lan/factory\" is not the URL of an Image Factory, which is a scheme and a host",
            ),
            (r#""v1.13""#, 8, "version", "\"v1.13\" is not a full version like v1.13.9"),
        ] {
            let failure: record::Failure = of(&SPEC.replace("\"v1.13.9\"", talos), None).unwrap_err().into();
            assert_eq!((failure.exit.code(), failure.code.as_str(), failure.message.as_str()), (exit, code, message));
        }
    }

    #[test]
    fn capitals_of_the_factory_mean_nothing() {
        let text = SPEC.replace("\"v1.13.9\"", r#""v1.13.9","factory":"https://Factory.Talos.dev/""#);
        let empty = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
        assert_eq!(of(&text, None).unwrap().installer, format!("factory.talos.dev/nocloud-installer/{empty}:v1.13.9"));
    }

    #[test]
    fn a_mirror_that_is_no_url_is_refused() {
        let text = SPEC.replace("}}", r#"},"registryMirrors":{"docker.io":["https://mirror.lan/%zz"]}}"#);
        let failure: record::Failure = of(&text, None).unwrap_err().into();
        assert!(
            failure.exit.code() == 8 && failure.message.contains("spec.registryMirrors: \"https://mirror.lan/%zz\"")
        );
    }

    #[test]
    fn a_kubernetes_that_this_talos_does_not_run_is_refused() {
        let text = SPEC.replace("}}", r#"},"kubernetes":{"version":"v1.30.0"}}"#);
        let failure: record::Failure = of(&text, None).unwrap_err().into();
        assert_eq!(failure.exit.code(), 8);
        assert_eq!(failure.hint.unwrap(), "Talos v1.13.9 runs Kubernetes 1.31 to 1.36");
    }
}
