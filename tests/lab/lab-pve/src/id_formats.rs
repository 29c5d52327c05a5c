//! The named formats of names: of storages, hosts, pools, users and addresses.

use super::options;
use super::schema::{Kind, Properties};

fn is_id(value: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let letter = value.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    letter && edge(value.bytes().last()) && value.bytes().all(inner)
}

/// `pve-storage-id`.
pub(crate) fn storage(value: &str) -> Result<(), String> {
    match value.len() {
        0 | 1 => Err(format!("storage ID '{value}' cannot be shorter than 2 characters")),
        _ if is_id(value) => Ok(()),
        _ => Err(format!("storage ID '{value}' contains illegal characters")),
    }
}

/// `storage-pair`: one storage for all, or a storage for a storage.
pub(crate) fn storage_pair(value: &str) -> Result<(), String> {
    match value.split_once(':') {
        Some((from, to)) => storage(from).and_then(|()| storage(to)),
        None if value == "1" => Ok(()),
        None => storage(value),
    }
}

/// `pve-node`.
pub(crate) fn node(value: &str) -> Result<(), String> {
    let inner = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match inner && !value.is_empty() && !value.starts_with('-') && !value.ends_with('-') {
        true => Ok(()),
        false => Err("value does not look like a valid node name".to_owned()),
    }
}

/// `pve-ha-node`: a host, and how much it is preferred.
pub(crate) fn weighed_node(value: &str) -> Result<(), String> {
    let (name, weight) = value.split_once(':').unwrap_or((value, "0"));
    match node(name).is_ok() && weight.parse::<u32>().is_ok() {
        true => Ok(()),
        false => Err("value does not look like a valid ha node".to_owned()),
    }
}

/// `pve-poolid`.
pub(crate) fn pool(value: &str) -> Result<(), String> {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    match (value.matches('/').count() > 2, value.split('/').all(part)) {
        (true, _) => Err(format!("pool name '{value}' nested too deeply (max levels = 3)")),
        (false, true) => Ok(()),
        (false, false) => Err(format!("pool name '{value}' contains invalid characters")),
    }
}

/// `pve-realm`.
pub(crate) fn realm(value: &str) -> Result<(), String> {
    let inner = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let letter = value.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    match inner && letter && value.len() > 1 {
        true => Ok(()),
        false => Err("value does not look like a valid realm".to_owned()),
    }
}

/// `pve-tokenid`.
pub(crate) fn token(value: &str) -> Result<(), String> {
    let fits = |(user, token): (&str, &str)| super::option_formats::user_id(user).is_ok() && realm(token).is_ok();
    match value.split_once('!').is_some_and(fits) {
        true => Ok(()),
        false => Err(format!("value '{value}' does not look like a valid token ID")),
    }
}

/// What a token is called among those of its user.
pub(crate) fn token_name(value: &str) -> bool {
    realm(value).is_ok()
}

/// A user or a token.
pub(crate) fn user_or_token(value: &str) -> bool {
    super::option_formats::user_id(value).is_ok() || token(value).is_ok()
}

/// `keys` of a user.
pub(crate) fn user_keys(value: &str) -> bool {
    value.len() <= 4096 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!=".contains(&byte))
}

/// `pve-ha-resource-or-vm-id`.
pub(crate) fn ha_resource(value: &str) -> Result<(), String> {
    let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |(kind, name): (&str, &str)| {
        let word = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
        word && !name.is_empty() && !name.contains(' ')
    };
    match number || value.split_once(':').is_some_and(fits) {
        true => Ok(()),
        false => Err("value does not look like a valid ha resource id".to_owned()),
    }
}

/// `address`: an IP address or a name.
pub(crate) fn address(value: &str) -> Result<(), String> {
    match value.parse::<std::net::IpAddr>().is_ok() || super::option_formats::dns_name(value).is_ok() {
        true => Ok(()),
        false => Err(format!("value does not look like a valid address: {value}")),
    }
}

/// `CIDR`.
pub(crate) fn cidr(value: &str) -> Result<(), String> {
    match value.parse::<ipnet::IpNet>().is_ok() && value.contains('/') {
        true => Ok(()),
        false => Err("value does not look like a valid CIDR network".to_owned()),
    }
}

/// `urlencoded`.
pub(crate) fn url_encoded(value: &str) -> Result<(), String> {
    match value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-%_.!~*'()".contains(&byte)) {
        true => Ok(()),
        false => Err(format!("invalid urlencoded string: {value}")),
    }
}

/// `email-or-username`.
pub(crate) fn email_or_user(value: &str) -> Result<(), String> {
    let known = super::option_formats::user_id(value).is_ok()
        || (!value.is_empty() && super::option_formats::email(value).is_ok());
    match known {
        true => Ok(()),
        false => Err("value does not look like a valid email address or user name".to_owned()),
    }
}

/// `pve-storage-content`.
pub(crate) fn content(value: &str) -> Result<(), String> {
    let known = ["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"];
    match known.contains(&value) {
        true => Ok(()),
        false => Err(format!("invalid content type '{value}'")),
    }
}

/// `pve-task-status-type`.
pub(crate) fn task_status(value: &str) -> Result<(), String> {
    match ["unknown", "ok", "warning", "error"].contains(&value.to_lowercase().as_str()) {
        true => Ok(()),
        false => Err(format!("invalid status '{value}'")),
    }
}

/// The name of an option of a VM, or of something else that can be deleted.
pub(crate) fn option(value: &str) -> Result<(), String> {
    match options::kind_of(value) {
        Some(_) => Ok(()),
        None => super::option_formats::config_id(value),
    }
}

/// `nets-host-mtu`.
pub(crate) fn host_mtus(value: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    value.split(',').all(|pair| {
        let parts = pair.strip_prefix("net").and_then(|pair| pair.split_once('='));
        parts.is_some_and(|(card, mtu)| number(card) && number(mtu))
    })
}

/// `job-id`.
pub(crate) fn job(value: &str) -> bool {
    !value.is_empty() && !value.contains([' ', '\t', '\n'])
}

const KEPT: Kind = Kind::Integer(Some(0), None);

/// `prune-backups`.
pub(crate) const PRUNE: Properties = Properties {
    keys: &[
        ("keep-all", Kind::Boolean, false),
        ("keep-last", KEPT, false),
        ("keep-hourly", KEPT, false),
        ("keep-daily", KEPT, false),
        ("keep-weekly", KEPT, false),
        ("keep-monthly", KEPT, false),
        ("keep-yearly", KEPT, false),
    ],
    ..Properties::NONE
};

/// `fleecing`.
pub(crate) const FLEECING: Properties = Properties {
    default: Some("enabled"),
    keys: &[("enabled", Kind::Boolean, false), ("storage", Kind::Format(storage), false)],
    ..Properties::NONE
};

/// `performance`.
pub(crate) const PERFORMANCE: Properties = Properties {
    keys: &[
        ("max-workers", Kind::Integer(Some(1), Some(256)), false),
        ("pbs-entries-max", Kind::Integer(Some(1), None), false),
    ],
    ..Properties::NONE
};
