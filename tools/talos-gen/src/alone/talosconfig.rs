//! `talos-gen talosconfig`: client credentials with chosen roles and lifetime.

use cluster_pki::{Context, Talosconfig};
use record::{Exit, Failure};
use step::Console;
use time::{Duration, OffsetDateTime};

use super::{bundle_of, check_target, emit};
use crate::access::{LIFETIME, entropy};
use crate::args::Credentials;
use crate::error::Error;

/// The roles that Talos knows.
const ROLES: [&str; 7] = [
    "os:admin",
    "os:operator",
    "os:reader",
    "os:etcd:backup",
    "os:image:verifier",
    "os:meta:writer",
    "os:impersonator",
];

pub(super) fn talosconfig(args: &Credentials, console: &Console) -> Result<Exit, Failure> {
    if args.name.is_empty() {
        return Err(Error::Usage("the cluster's name is empty, and it becomes the context's".to_owned()).into());
    }
    let roles = roles(&args.role)?;
    let lifetime = lifetime(args)?;
    check_target(&args.output, args.force, console)?;
    let bundle = bundle_of(&args.with_secrets)?;
    let (now, endpoints) = (OffsetDateTime::now_utc(), args.endpoints.clone());
    let context = Context::generate(&bundle, &roles, endpoints, now, lifetime, &mut entropy()?);
    let config = Talosconfig::of(&args.name, context.map_err(Error::Pki)?);
    emit(&args.output, config.emit().expose(), args.force, console)
}

fn roles(wanted: &[String]) -> Result<Vec<&str>, Failure> {
    let mut roles: Vec<&str> = wanted.iter().map(String::as_str).collect();
    roles.sort_unstable();
    roles.dedup();
    match roles.iter().find(|role| !ROLES.contains(role)) {
        None => Ok(roles),
        Some(role) => {
            let known = ROLES.join(", ");
            Err(Error::Usage(format!("--role: {role:?} is not a role of Talos; these are: {known}")).into())
        }
    }
}

fn lifetime(args: &Credentials) -> Result<Duration, Failure> {
    let Some(ttl) = args.ttl else { return Ok(LIFETIME) };
    let unusable =
        || Failure::from(Error::Usage("--ttl: a certificate lives a second at least and 100 years at most".to_owned()));
    let lifetime = Duration::try_from(ttl).map_err(|_| unusable())?;
    let bounds = Duration::seconds(1)..=Duration::days(36_500);
    if bounds.contains(&lifetime) { Ok(lifetime) } else { Err(unusable()) }
}
