//! Certificate authorities, and what they sign.

use rcgen::string::PrintableString;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use talosconfig::certificate;
use time::{Duration, OffsetDateTime};

use crate::keys::{self, Algorithm};
use crate::random::{Random, bytes};
use crate::subject::{self, tagged};
use crate::{Error, Secret};

/// How long a CA lives: ten years of 365 days.
const CA_LIFETIME: Duration = Duration::days(3650);

const BASIC_CONSTRAINTS: [u64; 4] = [2, 5, 29, 19];
const SUBJECT_KEY_ID: [u64; 4] = [2, 5, 29, 14];
const AUTHORITY_KEY_ID: [u64; 4] = [2, 5, 29, 35];

/// A certificate authority: PEM texts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Authority {
    /// The certificate.
    pub crt: String,
    /// The private key, in the PEM type that Talos writes.
    pub key: Secret,
}

/// The contents of a certificate to sign.
#[derive(Clone, Debug, Default)]
pub struct Leaf {
    /// Its organizations; for Talos, roles.
    pub organizations: Vec<String>,
    /// Its common name; empty for none.
    pub common_name: String,
    /// Names and addresses of a server.
    pub names: Vec<String>,
    /// Whether servers may use it.
    pub server: bool,
    /// Whether clients may use it.
    pub client: bool,
}

impl Authority {
    /// Makes a CA; an empty organization gives an empty subject, which the aggregation layer's CA has.
    pub(crate) fn new(
        algorithm: Algorithm,
        organization: &str,
        now: OffsetDateTime,
        rng: &mut dyn Random,
    ) -> Result<Self, Error> {
        let key = keys::generate(algorithm, rng)?;
        let organizations = [organization].into_iter().filter(|name| !name.is_empty());
        let mut params = params(organizations, "", now, CA_LIFETIME, rng)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.custom_extensions = ca_extensions(&bytes::<20>(rng));
        let signed = params.self_signed(&key.pair).map_err(sign)?;
        Ok(Self { crt: talosconfig::key::encode("CERTIFICATE", signed.der()), key: key.pem })
    }

    /// Signs a certificate for a new key of the CA's own kind.
    pub fn issue(
        &self,
        leaf: &Leaf,
        now: OffsetDateTime,
        lifetime: Duration,
        rng: &mut dyn Random,
    ) -> Result<Self, Error> {
        let pair = keys::parse(self.key.expose())?;
        let key = keys::generate(algorithm(&pair), rng)?;
        let organizations = leaf.organizations.iter().map(String::as_str).take(1);
        let mut params = params(organizations, &leaf.common_name, now, lifetime, rng)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages(leaf);
        params.subject_alt_names = leaf.names.iter().map(|name| san(name)).collect::<Result<_, _>>()?;
        let ca = certificate::der(&self.crt)?;
        if let Some(id) = certificate::subject_key_id(&certificate::parse(&ca)?) {
            params.custom_extensions = vec![authority_key_id(&id)];
        }
        let issuer = Issuer::from_ca_cert_der(&ca.into(), &pair).map_err(sign)?;
        let signed = params.signed_by(&key.pair, &issuer).map_err(sign)?;
        let mut der = signed.der().to_vec();
        if leaf.organizations.len() > 1 {
            der = subject::replace(&der, &leaf.organizations, &leaf.common_name, &pair)?;
        }
        Ok(Self { crt: talosconfig::key::encode("CERTIFICATE", &der), key: key.pem })
    }

    /// The certificate with the key under the label that TLS libraries know.
    pub fn identity(&self) -> Result<(String, Secret), Error> {
        Ok((self.crt.clone(), keys::relabelled(self.key.expose())?))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn sign(error: rcgen::Error) -> Error {
    Error::Sign(error.to_string())
}

/// A leaf's key follows its CA's: with any CA that isn't Ed25519, P-256.
fn algorithm(pair: &KeyPair) -> Algorithm {
    if pair.is_compatible(&rcgen::PKCS_ED25519) { Algorithm::Ed25519 } else { Algorithm::P256 }
}

fn params<'a>(
    organizations: impl Iterator<Item = &'a str>,
    common_name: &str,
    now: OffsetDateTime,
    lifetime: Duration,
    rng: &mut dyn Random,
) -> Result<CertificateParams, Error> {
    let now = now.replace_nanosecond(0).map_err(|error| Error::Sign(error.to_string()))?;
    let mut params = CertificateParams::default();
    params.not_before = now;
    params.not_after = now + lifetime;
    params.serial_number = Some(SerialNumber::from(bytes::<16>(rng).to_vec()));
    params.distinguished_name = name(organizations, common_name);
    Ok(params)
}

/// A name; several organizations are put in later.
fn name<'a>(organizations: impl Iterator<Item = &'a str>, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for organization in organizations {
        name.push(DnType::OrganizationName, printable(organization));
    }
    if !common_name.is_empty() {
        name.push(DnType::CommonName, printable(common_name));
    }
    name
}

/// Go takes the smallest string type that fits.
fn printable(text: &str) -> DnValue {
    match PrintableString::try_from(text) {
        Ok(printable) => DnValue::PrintableString(printable),
        Err(_) => DnValue::Utf8String(text.to_owned()),
    }
}

fn usages(leaf: &Leaf) -> Vec<ExtendedKeyUsagePurpose> {
    let server = leaf.server.then_some(ExtendedKeyUsagePurpose::ServerAuth);
    let client = leaf.client.then_some(ExtendedKeyUsagePurpose::ClientAuth);
    server.into_iter().chain(client).collect()
}

fn san(name: &str) -> Result<SanType, Error> {
    if let Ok(address) = name.parse() {
        return Ok(SanType::IpAddress(address));
    }
    name.to_owned().try_into().map(SanType::DnsName).map_err(sign)
}

/// "This is a CA" and the key's identifier, in Go's order, which the certificate library doesn't keep.
fn ca_extensions(id: &[u8; 20]) -> Vec<CustomExtension> {
    let mut constraints = CustomExtension::from_oid_content(&BASIC_CONSTRAINTS, vec![0x30, 3, 1, 1, 0xff]);
    constraints.set_criticality(true);
    vec![constraints, CustomExtension::from_oid_content(&SUBJECT_KEY_ID, tagged(0x04, id))]
}

fn authority_key_id(id: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&AUTHORITY_KEY_ID, tagged(0x30, &tagged(0x80, id)))
}
