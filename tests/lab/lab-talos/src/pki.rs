//! Keys and certificates that nodes make themselves: Ed25519 and P-256 only.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::EncodePrivateKey;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::config::Authority;

/// What can go wrong with the keys that a config brings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not PEM, or not of a kind that a node reads.
    #[error("the private key can't be read")]
    Key,
    /// The certificate of an authority can't be read.
    #[error("the certificate can't be read")]
    Certificate,
    /// rcgen refused.
    #[error("the certificate can't be made")]
    Make(#[from] rcgen::Error),
}

/// A certificate and its private key, as rustls takes them.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    key: Vec<u8>,
    /// SHA-256 of the public key in base64, which `--cert-fingerprint` takes.
    pub(crate) fingerprint: String,
}

impl Identity {
    /// The private key in PKCS#8.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

/// Names in a server certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Names {
    /// Common name: the fully qualified host name.
    pub(crate) common: String,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) names: Vec<String>,
}

/// Whom a client certificate is for.
pub(crate) struct Client<'a> {
    pub(crate) common: Option<&'a str>,
    pub(crate) organizations: &'a [String],
    pub(crate) lifetime: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The certificate of a node in maintenance mode: signed by an authority that nobody keeps.
pub(crate) fn maintenance(names: &Names) -> Result<Identity, Error> {
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = CertificateParams::default();
    // An authority without a name.
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    server(&Issuer::new(params, key), names, &PKCS_ED25519)
}

/// The server certificate of a configured node, signed by the machine authority of its config.
pub(crate) fn machine(authority: &Authority, names: &Names) -> Result<Identity, Error> {
    let issuer = issuer(authority)?;
    let algorithm = issuer.key().algorithm();
    server(&issuer, names, algorithm)
}

/// A client certificate and key in PEM: `(certificate, key)`; the key as PKCS#8.
pub(crate) fn client(authority: &Authority, client: &Client<'_>) -> Result<(String, String), Error> {
    let issuer = issuer(authority)?;
    let key = KeyPair::generate_for(issuer.key().algorithm())?;
    let mut params = leaf(subject(client.common, client.organizations), client.lifetime);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// The certificates of a PEM text.
pub(crate) fn certificates(text: &str) -> Vec<CertificateDer<'static>> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    let blocks = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
    blocks.map(|block| CertificateDer::from(block.into_contents())).collect()
}

fn issuer(authority: &Authority) -> Result<Issuer<'static, KeyPair>, Error> {
    Issuer::from_ca_cert_pem(&authority.certificate, signing_key(&authority.key)?).map_err(|_| Error::Certificate)
}

/// Reads a key whatever Talos labels it: `ED25519 PRIVATE KEY` holds PKCS#8, `EC PRIVATE KEY` holds SEC1.
fn signing_key(text: &str) -> Result<KeyPair, Error> {
    let block = pem::parse(text).map_err(|_| Error::Key)?;
    let pkcs8 = match block.tag() {
        "EC PRIVATE KEY" => {
            let key = p256::SecretKey::from_sec1_der(block.contents()).map_err(|_| Error::Key)?;
            key.to_pkcs8_der().map_err(|_| Error::Key)?.as_bytes().to_vec()
        }
        _ => block.into_contents(),
    };
    let key = PrivatePkcs8KeyDer::from(pkcs8);
    KeyPair::try_from(&key).map_err(|_| Error::Key)
}

fn server(
    issuer: &Issuer<'static, KeyPair>,
    names: &Names,
    algorithm: &'static SignatureAlgorithm,
) -> Result<Identity, Error> {
    let algorithm = if algorithm == &PKCS_ED25519 { algorithm } else { &PKCS_ECDSA_P256_SHA256 };
    let key = KeyPair::generate_for(algorithm)?;
    let mut params = leaf(subject(Some(&names.common), &[]), DAY);
    params.not_before = OffsetDateTime::now_utc();
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&Sha256::digest(key.subject_public_key_info())[..16]));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = names.addresses.iter().copied().map(SanType::IpAddress).collect();
    for name in &names.names {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        };
        // One that the config names may be the node's own.
        if !params.subject_alt_names.contains(&name) {
            params.subject_alt_names.push(name);
        }
    }
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Identity {
        certificate: certificate.der().clone(),
        fingerprint: STANDARD.encode(Sha256::digest(key.subject_public_key_info())),
        key: key.serialize_der(),
    })
}

fn subject(common: Option<&str>, organizations: &[String]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for organization in organizations {
        name.push(DnType::OrganizationName, organization.as_str());
    }
    if let Some(common) = common {
        name.push(DnType::CommonName, common);
    }
    name
}

fn leaf(subject: DistinguishedName, lifetime: Duration) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = now - Duration::from_secs(10);
    params.not_after = now + lifetime;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_node_reads_the_keys_that_talos_labels_in_its_own_way() {
        let secrets = testing::Secrets::new();

        assert!(secrets.machine.key.starts_with("-----BEGIN ED25519 PRIVATE KEY-----"));
        assert!(issuer(&secrets.machine).is_ok());
        assert!(secrets.kubernetes.key.starts_with("-----BEGIN EC PRIVATE KEY-----"));
        assert!(issuer(&secrets.kubernetes).is_ok());
    }

    #[test]
    fn two_maintenance_certificates_never_share_a_fingerprint() {
        let names = Names { common: "maintenance-service.talos.dev".into(), ..Names::default() };

        let (one, two) = (maintenance(&names).unwrap(), maintenance(&names).unwrap());

        assert_eq!(one.fingerprint.len(), 44);
        assert_ne!(one.fingerprint, two.fingerprint);
    }

    /// vectors/talos-real/maintenance/cert.txt.
    #[test]
    fn a_nodes_certificate_has_the_fields_of_a_real_one() {
        use x509_parser::extensions::ParsedExtension;
        let names =
            Names { common: "cp-1".into(), addresses: vec![[10, 0, 0, 1].into()], names: vec!["10.0.0.1".into()] };
        let (bare, own) = (maintenance(&names).unwrap(), machine(&testing::Secrets::new().machine, &names).unwrap());
        for (identity, issuer) in [(bare, ""), (own, "O=talos")] {
            let (_, certificate) = x509_parser::parse_x509_certificate(&identity.certificate).unwrap();
            assert_eq!(certificate.issuer().to_string(), issuer);
            assert!(certificate.serial.bits() <= 128);
            let began = OffsetDateTime::now_utc().unix_timestamp() - certificate.validity().not_before.timestamp();
            assert!(certificate.validity().time_to_expiration().unwrap().whole_hours() >= 23 && began >= 0);
            let has = |wanted: fn(&ParsedExtension<'_>) -> bool| {
                certificate.extensions().iter().any(|extension| wanted(extension.parsed_extension()))
            };
            assert!(has(|extension| matches!(extension, ParsedExtension::AuthorityKeyIdentifier(_))), "no AKI");
            assert!(!has(|extension| matches!(extension, ParsedExtension::SubjectKeyIdentifier(_))), "a SKI");
            let named = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len();
            assert_eq!(named, 1, "what the config names is there once");
        }
    }
}
