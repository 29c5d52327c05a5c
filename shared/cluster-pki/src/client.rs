//! Client credentials that a cluster's own authority signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use talosconfig::{Context, certificate};
use time::{Duration, OffsetDateTime};

use crate::random::Random;
use crate::{Bundle, Error, Leaf, keys};

impl Bundle {
    /// Makes credentials signed by the Talos CA; roles become the certificate's organizations, sorted.
    ///
    /// # Errors
    /// The CA's key or certificate can't be used.
    pub fn client(
        &self,
        roles: &[&str],
        endpoints: Vec<String>,
        now: OffsetDateTime,
        lifetime: Duration,
        rng: &mut dyn Random,
    ) -> Result<Context, Error> {
        let mut organizations: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        organizations.sort();
        let leaf = Leaf { organizations, client: true, ..Leaf::default() };
        let signed = self.talos.issue(&leaf, now, lifetime, rng)?;
        Ok(Context {
            endpoints,
            ca: STANDARD.encode(&self.talos.crt),
            crt: STANDARD.encode(&signed.crt),
            key: STANDARD.encode(signed.key.expose()).into(),
            ..Context::default()
        })
    }

    /// Whether these are credentials of this cluster: its CA, a certificate that this CA signed, and a key.
    pub fn has_signed(&self, context: &Context) -> bool {
        self.matches(context).unwrap_or(false)
    }

    fn matches(&self, context: &Context) -> Option<bool> {
        let ours = certificate::der(&self.talos.crt).ok()?;
        let theirs = certificate::der(&context.ca_pem().ok()?).ok()?;
        let crt = certificate::der(&context.crt_pem().ok()?).ok()?;
        let (authority, client) = (certificate::parse(&ours).ok()?, certificate::parse(&crt).ok()?);
        let signed = certificate::subject_key_id(&authority) == certificate::authority_key_id(&client)
            && authority.subject() == client.issuer();
        let key = keys::parse(context.key_pem().ok()?.expose());
        Some(ours == theirs && signed && key.is_ok())
    }
}
