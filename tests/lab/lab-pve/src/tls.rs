//! The certificates of the server: an authority of the cluster's own, and a leaf.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

/// What the server shows, and what its clients may pin.
pub(crate) struct Identity {
    /// PEM of the authority: `/etc/pve/pve-root-ca.pem`.
    pub(crate) ca_pem: String,
    /// SHA-256 of the leaf, upper-case hexadecimal pairs with colons.
    pub(crate) fingerprint: String,
    /// For the listener.
    pub(crate) config: Arc<ServerConfig>,
}

/// Makes an authority and a leaf for a server on this address.
pub(crate) fn identity(address: IpAddr, names: &[String]) -> anyhow::Result<Identity> {
    let ca_key = KeyPair::generate()?;
    let ca = authority();
    let ca_certificate = ca.self_signed(&ca_key)?;
    let key = KeyPair::generate()?;
    let leaf = leaf(address, names)?.signed_by(&key, &Issuer::new(ca, ca_key))?;
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let digest = Sha256::digest(leaf.der());
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let mut config = ServerConfig::builder_with_provider(lab_core::tls::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], secret)
        .context("the server's certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { ca_pem: ca_certificate.pem(), fingerprint: pairs.join(":"), config: Arc::new(config) })
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&[
        (DnType::CommonName, "Proxmox Virtual Environment"),
        (DnType::OrganizationalUnitName, "11111111-2222-4333-8444-555555555555"),
        (DnType::OrganizationName, "PVE Cluster Manager CA"),
    ]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(address: IpAddr, names: &[String]) -> anyhow::Result<CertificateParams> {
    let mut alternatives = vec![address.to_string(), "127.0.0.1".to_owned(), "localhost".to_owned()];
    alternatives.extend(names.iter().flat_map(|name| [name.clone(), format!("{name}.lan")]));
    let mut params = CertificateParams::new(alternatives)?;
    let first = names.first().map_or("pve", String::as_str);
    params.distinguished_name = name(&[
        (DnType::OrganizationalUnitName, "PVE Cluster Node"),
        (DnType::OrganizationName, "Proxmox Virtual Environment"),
        (DnType::CommonName, &format!("{first}.lan")),
    ]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    Ok(params)
}

fn name(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        name.push(kind.clone(), *value);
    }
    name
}
