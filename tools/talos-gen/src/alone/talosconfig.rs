//! `talos-gen talosconfig`: client credentials with chosen roles and lifetime.

use machine_config::Contract;
use record::{Exit, Failure};
use step::Console;
use talosconfig::Talosconfig;
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
        return Err(Error::Usage("the cluster's name is empty".to_owned()).into());
    }
    let roles = roles(&args.role)?;
    let lifetime = lifetime(args)?;
    args.endpoints.iter().try_for_each(|endpoint| check_endpoint(endpoint))?;
    check_target(&args.output, args.force, console)?;
    let bundle = bundle_of(&args.with_secrets)?;
    let (now, endpoints) = (OffsetDateTime::now_utc(), args.endpoints.clone());
    let context = bundle.client(&roles, endpoints, now, lifetime, &mut entropy()?);
    let config = Talosconfig::of(&args.name, context.map_err(Error::Pki)?);
    emit(&args.output, config.emit(Contract::STABLE.dialect()).expose(), args.force, console)
}

fn roles(wanted: &[String]) -> Result<Vec<&str>, Failure> {
    let mut roles: Vec<&str> = wanted.iter().map(String::as_str).collect();
    roles.sort_unstable();
    roles.dedup();
    match roles.iter().find(|role| !ROLES.contains(role)) {
        None => Ok(roles),
        Some(role) => {
            let known = ROLES.join(", ");
            Err(Error::Usage(format!("--role: {role:?} is not a role of Talos; roles: {known}")).into())
        }
    }
}

/// An address or a name, with or without a port.
fn check_endpoint(endpoint: &str) -> Result<(), Failure> {
    let host = match endpoint.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            if port.parse::<u16>().is_err() {
                ""
            } else {
                host
            }
        }
        _ => endpoint,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = |host: &str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
    };
    if bare.parse::<std::net::IpAddr>().is_ok() || name(host) {
        return Ok(());
    }
    Err(Error::Usage(format!("--endpoints: {endpoint:?} is not an address or name, as in 10.0.0.11 or cp-1.lan:50000"))
        .into())
}

fn lifetime(args: &Credentials) -> Result<Duration, Failure> {
    let Some(ttl) = args.ttl else { return Ok(LIFETIME) };
    let unusable =
        || Failure::from(Error::Usage(format!("--ttl: {ttl:?} is not a lifetime between 1 second and 100 years")));
    let lifetime = Duration::try_from(ttl).map_err(|_| unusable())?;
    let bounds = Duration::seconds(1)..=Duration::days(36_500);
    if bounds.contains(&lifetime) { Ok(lifetime) } else { Err(unusable()) }
}
