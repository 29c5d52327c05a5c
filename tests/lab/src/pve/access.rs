//! Who may do what: API tokens, their privileges by path, and the refusals.

use std::collections::{BTreeMap, BTreeSet};

/// The privileges that the tools need on Proxmox VE 9.x, as one role.
pub const ROLE: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Pool.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.GuestAgent.Audit",
    "VM.PowerMgmt",
];

/// An API token with its privileges.
#[derive(Clone)]
pub(crate) struct Token {
    /// `user@realm!id`.
    pub(crate) name: String,
    secret: String,
    grants: BTreeMap<String, BTreeSet<String>>,
}

/// Every token that the server knows.
#[derive(Default)]
pub(crate) struct Access {
    tokens: Vec<Token>,
}

/// Why a request has no identity; Proxmox VE says it in the reason phrase only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    /// Nothing that it understands.
    NoTicket,
    /// A token that is wrong.
    Failed,
}

impl Unauthorized {
    /// The reason phrase.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoTicket => "No ticket",
            Self::Failed => "Authentication failed!",
        }
    }
}

impl Access {
    /// Adds a token or replaces it.
    pub(crate) fn add(&mut self, name: &str, secret: &str, grants: &[(&str, &[&str])]) {
        self.tokens.retain(|token| token.name != name);
        let grants = grants.iter().map(|(path, privileges)| ((*path).to_owned(), owned(privileges))).collect();
        self.tokens.push(Token { name: name.to_owned(), secret: secret.to_owned(), grants });
    }

    /// Somebody without any right, for the calls that need no login.
    pub(crate) fn nobody(&self) -> Token {
        Token { name: String::new(), secret: String::new(), grants: BTreeMap::new() }
    }

    /// Who sent an `Authorization` header.
    pub(crate) fn identify(&self, header: Option<&str>) -> Result<Token, Unauthorized> {
        let text = header.and_then(|header| header.strip_prefix("PVEAPIToken")).ok_or(Unauthorized::NoTicket)?;
        let text = text.strip_prefix(['=', ' ']).ok_or(Unauthorized::NoTicket)?;
        let (name, secret) = text.split_once('=').ok_or(Unauthorized::Failed)?;
        let known = self.tokens.iter().find(|token| token.name == name && token.secret == secret);
        known.cloned().ok_or(Unauthorized::Failed)
    }
}

fn owned(privileges: &[&str]) -> BTreeSet<String> {
    privileges.iter().map(|privilege| (*privilege).to_owned()).collect()
}

impl Token {
    /// Whether the token holds the privilege at the path or above it.
    pub(crate) fn may(&self, path: &str, privilege: &str) -> bool {
        self.granted(path).is_some_and(|held| held.contains(privilege))
    }

    /// The grants of the nearest path; a nearer one replaces those above it.
    fn granted(&self, path: &str) -> Option<&BTreeSet<String>> {
        let mut at = path;
        loop {
            if let Some(held) = self.grants.get(at) {
                return Some(held);
            }
            at = match at.rfind('/') {
                _ if at == "/" => return None,
                Some(0) | None => "/",
                Some(end) => &at[..end],
            };
        }
    }

    /// Requires one of the privileges at the path.
    pub(crate) fn require(&self, path: &str, any: &[&str]) -> Result<(), String> {
        match any.iter().any(|privilege| self.may(path, privilege)) {
            true => Ok(()),
            false => Err(format!("Permission check failed ({path}, {})", any.join("|"))),
        }
    }

    /// Everything granted, by path.
    pub(crate) fn grants(&self) -> &BTreeMap<String, BTreeSet<String>> {
        &self.grants
    }

    /// `user@realm` and the token's own name.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.name.split_once('!').unwrap_or((&self.name, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let mut access = Access::default();
        access.add("talos@pve!cli", "s3cret", &[("/", &["Sys.Audit"]), ("/vms/100", &["VM.Audit"])]);
        access
    }

    #[test]
    fn a_token_is_known_by_name_and_secret_in_both_spellings() {
        let access = access();
        for header in ["PVEAPIToken=talos@pve!cli=s3cret", "PVEAPIToken talos@pve!cli=s3cret"] {
            assert!(access.identify(Some(header)).is_ok());
        }
        let refused = |header| access.identify(header).err();
        assert_eq!(refused(None), Some(Unauthorized::NoTicket));
        assert_eq!(refused(Some("Bearer x")), Some(Unauthorized::NoTicket));
        assert_eq!(refused(Some("PVEAPIToken=talos@pve!cli=wrong")), Some(Unauthorized::Failed));
    }

    #[test]
    fn privileges_are_inherited_until_a_nearer_path_replaces_them() {
        let token = access().identify(Some("PVEAPIToken=talos@pve!cli=s3cret")).expect("a known token");
        assert!(token.may("/nodes/pve1", "Sys.Audit"));
        assert!(token.may("/vms/100", "VM.Audit"));
        assert!(!token.may("/vms/100", "Sys.Audit"));
        assert!(!token.may("/vms/101", "VM.Audit"));
    }
}
