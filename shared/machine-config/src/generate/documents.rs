//! Documents of the system, from contract 1.12 and 1.14 on.

use go_yaml::{Map, Value, map};

use super::legacy::host_dns;
use super::{Input, Options, document};
use crate::config::Document;

/// Where members find each other.
const DISCOVERY: &str = "https://discovery.talos.dev/";

/// The documents of contract 1.14 between the legacy one and the registries.
pub(super) fn system(input: &Input<'_>) -> Vec<Document> {
    let options = &input.options;
    let mut out = Vec::new();
    if options.discovery {
        let fields = [("name", "default".into()), ("endpoint", DISCOVERY.into())];
        out.push(document("DiscoveryServiceConfig", fields));
    }
    out.push(document(
        "DiscoveryIdentityConfig",
        [("clusterID", input.secrets.cluster_id.into()), ("clusterSecret", input.secrets.cluster_secret.into())],
    ));
    if !options.install_disk.is_empty() {
        out.push(install(options));
    }
    out.push(document("ResolverConfig", [("hostDNS", host_dns(true).into())]));
    if !options.sysctls.is_empty() {
        let params: Map = options.sysctls.iter().cloned().collect();
        out.push(document("SysctlConfig", [("params", params.into())]));
    }
    out.push(document("VolumeConfig", [("name", "EPHEMERAL".into()), ("mount", map! { "secure" => true })]));
    out.push(document("FilesystemTrimConfig", [("interval", "168h0m0s".into())]));
    out.push(document("SecurityProfileConfig", [("workloadIsolation", true.into())]));
    out
}

fn install(options: &Options) -> Document {
    let selector = format!("disk.dev_path == {}", super::expression::quoted(&options.install_disk));
    document(
        "UnattendedInstallConfig",
        [
            ("installer", map! { "image" => options.install_image.as_str() }),
            ("provisioning", map! { "diskSelector" => map! { "match" => selector }, "wipe" => false }),
        ],
    )
}

/// One document for each registry's mirrors, by name.
pub(super) fn registries(options: &Options) -> Vec<Document> {
    let mut mirrors = options.mirrors.clone();
    mirrors.sort();
    mirrors.iter().map(|(host, urls)| mirror(host, urls)).collect()
}

fn mirror(host: &str, urls: &[String]) -> Document {
    let endpoints: Vec<Value> =
        urls.iter().map(|url| map! { "url" => go_yaml::url(url).unwrap_or_else(|| url.clone()) }).collect();
    document("RegistryMirrorConfig", [("name", host.into()), ("endpoints", endpoints.into())])
}
