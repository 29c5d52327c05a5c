//! Credentials that a control plane hands out.

use std::io::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use talos_proto::common::Data;
use talos_proto::machine::{
    GenerateClientConfiguration, GenerateClientConfigurationRequest, GenerateClientConfigurationResponse,
};
use tonic::Status;

use super::Call;
use crate::config::{Authority, Config};
use crate::node::Node;
use crate::pki::{self, Client};

const YEAR: Duration = Duration::from_secs(8760 * 3600);

/// The admin kubeconfig, with a certificate made for this call.
pub(super) fn kubeconfig(call: &Call<'_>, (): &()) -> Result<Vec<Data>, Status> {
    let config = call.see(|node| node.config.clone());
    let config = config.ok_or_else(|| Status::unimplemented("machine type is not set, cannot use kubeconfig API"))?;
    if !call.see(Node::is_control_plane) {
        return Err(Status::unimplemented("kubeconfig is only available on control plane nodes"));
    }
    if config.kubernetes.key.is_empty() {
        return Err(Status::failed_precondition("k8s API server CA config is not set"));
    }
    let text = admin_kubeconfig(&config).map_err(|e| Status::unknown(e.to_string()))?;
    let bytes = archive(text.as_bytes()).map_err(|e| Status::unknown(e.to_string()))?;
    Ok(vec![Data { metadata: None, bytes }])
}

/// The text of the kubeconfig, with a certificate made for it.
pub(crate) fn admin_kubeconfig(config: &Config) -> Result<String, pki::Error> {
    let groups = ["system:masters".to_owned()];
    let client = Client { common: Some("admin"), organizations: &groups, lifetime: YEAR };
    let (certificate, key) = pki::client(&config.kubernetes, &client)?;
    Ok(text(config, &certificate, &key))
}

fn text(config: &Config, certificate: &str, key: &str) -> String {
    let name = &config.cluster_name;
    let (authority, certificate, key) =
        (STANDARD.encode(&config.kubernetes.certificate), STANDARD.encode(certificate), STANDARD.encode(key));
    format!(
        "apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: {endpoint}
  name: {name}
contexts:
- context:
    cluster: {name}
    namespace: default
    user: admin@{name}
  name: admin@{name}
current-context: admin@{name}
kind: Config
users:
- name: admin@{name}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
",
        endpoint = config.endpoint,
    )
}

/// A gzipped tar with one file, and without the padding and the end mark that tar should have: the node never closes
/// its writer.
fn archive(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_path("kubeconfig")?;
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(header.as_bytes())?;
    gzip.write_all(content)?;
    gzip.finish()
}

/// A talosconfig with a certificate made for this call.
pub(super) fn client_configuration(
    call: &Call<'_>,
    request: &GenerateClientConfigurationRequest,
) -> Result<GenerateClientConfigurationResponse, Status> {
    let config = call.see(|node| node.config.clone()).filter(|_| call.see(Node::is_control_plane));
    let Some(config) = config else {
        let text = "generate client configuration is only available on control plane nodes";
        return Err(Status::unimplemented(text));
    };
    let lifetime = request.crt_ttl.as_ref().filter(|ttl| ttl.seconds > 0);
    let lifetime = lifetime.ok_or_else(|| Status::invalid_argument("crt_ttl should be positive"))?;
    let lifetime = Duration::from_secs(lifetime.seconds.unsigned_abs());
    let client = Client { common: None, organizations: &request.roles, lifetime };
    let (certificate, key) = pki::client(&config.authority, &client).map_err(|e| Status::unknown(e.to_string()))?;
    let key = key.replace("PRIVATE KEY", "ED25519 PRIVATE KEY");
    let message = GenerateClientConfiguration {
        metadata: None,
        ca: config.authority.certificate.clone().into_bytes(),
        talosconfig: talosconfig(&config.authority, &context(&config, &request.roles), &certificate, &key).into_bytes(),
        crt: certificate.into_bytes(),
        key: key.into_bytes(),
    };
    Ok(GenerateClientConfigurationResponse { messages: vec![message] })
}

fn context(config: &Config, roles: &[String]) -> String {
    match roles {
        [role] => format!("{}@{}", role.trim_start_matches("os:"), config.cluster_name),
        _ => config.cluster_name.clone(),
    }
}

fn talosconfig(authority: &Authority, context: &str, certificate: &str, key: &str) -> String {
    let (ca, crt, key) = (STANDARD.encode(&authority.certificate), STANDARD.encode(certificate), STANDARD.encode(key));
    format!(
        "context: {context}
contexts:
    {context}:
        endpoints: []
        ca: {ca}
        crt: {crt}
        key: {key}
"
    )
}
