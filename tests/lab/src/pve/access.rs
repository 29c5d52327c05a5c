//! Who may do what: API tokens, their privileges by path, and the refusals.

use std::collections::{BTreeMap, BTreeSet};

use super::release::Release;

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

/// The privileges that the tools need on a release; one without some of them refuses a role that names those.
pub fn role(release: Release) -> Vec<&'static str> {
    let agent = release.agent_privileges();
    let others = ROLE.iter().copied().filter(|name| !name.starts_with("VM.GuestAgent") && *name != "VM.Monitor");
    others.chain(agent.iter().copied().take(1)).collect()
}

/// What privilege separation leaves of a path: the privileges that are granted there, inherited ones included.
type Grants = BTreeMap<String, BTreeSet<String>>;

/// Who asks: a user, or an API token of one, with its privileges.
#[derive(Clone)]
pub(crate) struct Token {
    /// `user@realm!id`, or `user@realm` for a user who has logged in.
    pub(crate) name: String,
    secret: String,
    grants: Grants,
    /// The user's grants, which bound those of a token with privilege separation.
    bounds: Option<Grants>,
    /// Whether it holds every privilege.
    everything: bool,
}

/// A user who can log in.
#[derive(Clone)]
struct User {
    name: String,
    password: String,
    grants: Grants,
}

/// Every token, user and ticket that the server knows.
#[derive(Default)]
pub(crate) struct Access {
    tokens: Vec<Token>,
    users: Vec<User>,
    /// Tickets with their users and what must accompany changes.
    tickets: BTreeMap<String, (String, String)>,
}

/// What a request says of who sends it.
#[derive(Default)]
pub(crate) struct Credentials<'a> {
    /// `Authorization`.
    pub(crate) authorization: Option<&'a str>,
    /// `Cookie`.
    pub(crate) cookie: Option<&'a str>,
    /// `CSRFPreventionToken`.
    pub(crate) csrf: Option<&'a str>,
    /// Whether the request wants to change something.
    pub(crate) writes: bool,
}

/// Why a request has no identity; Proxmox VE says it in the reason phrase only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    /// Nothing that it understands.
    NoTicket,
    /// A token that is wrong.
    Failed,
    /// A ticket without what must accompany a change.
    NoCsrf,
    /// A ticket that is wrong or too old.
    BadTicket,
}

impl Unauthorized {
    /// The reason phrase.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoTicket => "No ticket",
            Self::Failed => "Authentication failed!",
            Self::NoCsrf => "Permission denied - invalid csrf token",
            Self::BadTicket => "permission denied - invalid PVE ticket",
        }
    }
}

fn collected(grants: &[(&str, &[&str])]) -> Grants {
    grants.iter().map(|(path, held)| ((*path).to_owned(), owned(held))).collect()
}

impl Access {
    /// Adds a token with privileges by path, or replaces it.
    pub(crate) fn add(&mut self, name: &str, secret: &str, grants: &[(&str, &[&str])]) {
        self.tokens.retain(|token| token.name != name);
        let bounds = self.bounds(name);
        let token = Token {
            name: name.to_owned(),
            secret: secret.to_owned(),
            grants: collected(grants),
            bounds,
            everything: false,
        };
        self.tokens.push(token);
    }

    /// Gives a token every privilege there is.
    pub(crate) fn grant_everything(&mut self, name: &str) {
        for token in self.tokens.iter_mut().filter(|token| token.name == name) {
            token.everything = true;
        }
    }

    /// The grants of the user of a token, if the lab knows the user.
    fn bounds(&self, token: &str) -> Option<Grants> {
        let user = token.split('!').next().unwrap_or_default();
        self.users.iter().find(|known| known.name == user).map(|known| known.grants.clone())
    }

    /// Adds a user who can log in, or replaces it; rights of the user's tokens end where the user's end.
    pub(crate) fn add_user(&mut self, name: &str, password: &str, grants: &[(&str, &[&str])]) {
        self.users.retain(|user| user.name != name);
        let (name, password) = (name.to_owned(), password.to_owned());
        self.users.push(User { name, password, grants: collected(grants) });
        for index in 0..self.tokens.len() {
            self.tokens[index].bounds = self.bounds(&self.tokens[index].name);
        }
    }

    /// The token with this name, or nobody.
    pub(crate) fn named(&self, name: &str) -> Token {
        self.tokens.iter().find(|token| token.name == name).cloned().unwrap_or_else(|| self.nobody())
    }

    /// Nobody, who may do what needs no login.
    pub(crate) fn nobody(&self) -> Token {
        Token { name: String::new(), secret: String::new(), grants: Grants::new(), bounds: None, everything: false }
    }

    /// Who sent a request.
    pub(crate) fn identify(&self, credentials: &Credentials<'_>) -> Result<Token, Unauthorized> {
        let ticket = credentials.cookie.and_then(|cookies| {
            let mut cookies = cookies.split(';').filter_map(|cookie| cookie.trim().strip_prefix("PVEAuthCookie="));
            cookies.next().map(super::form::decode)
        });
        match (credentials.authorization.and_then(|header| header.strip_prefix("PVEAPIToken")), ticket) {
            (Some(text), _) => self.token(text),
            (None, Some(ticket)) => self.session(&ticket, credentials),
            (None, None) => Err(Unauthorized::NoTicket),
        }
    }

    fn token(&self, text: &str) -> Result<Token, Unauthorized> {
        let text = text.strip_prefix(['=', ' ']).ok_or(Unauthorized::NoTicket)?;
        let (name, secret) = text.split_once('=').ok_or(Unauthorized::Failed)?;
        let known = self.tokens.iter().find(|token| token.name == name && token.secret == secret);
        known.cloned().ok_or(Unauthorized::Failed)
    }

    fn session(&self, ticket: &str, credentials: &Credentials<'_>) -> Result<Token, Unauthorized> {
        let (name, csrf) = self.tickets.get(ticket).ok_or(Unauthorized::BadTicket)?;
        if credentials.writes && credentials.csrf != Some(csrf) {
            return Err(Unauthorized::NoCsrf);
        }
        let user = self.users.iter().find(|user| user.name == *name).ok_or(Unauthorized::BadTicket)?;
        let (name, grants) = (user.name.clone(), user.grants.clone());
        Ok(Token { name, secret: String::new(), grants, bounds: None, everything: false })
    }

    /// Logs a user in; a ticket that is still good stands for the password.
    pub(crate) fn log_in(&mut self, name: &str, password: &str, random: u64) -> Option<(String, String)> {
        let user = self.users.iter().find(|user| user.name == name)?;
        let renewed = self.tickets.get(password).is_some_and(|(of, _)| of == name);
        if user.password != password && !renewed {
            return None;
        }
        let ticket = format!("PVE:{name}:{random:08X}::{random:x}{random:x}==");
        let csrf = format!("{random:08X}:{random:x}");
        self.tickets.insert(ticket.clone(), (name.to_owned(), csrf.clone()));
        Some((ticket, csrf))
    }
}

fn owned(privileges: &[&str]) -> BTreeSet<String> {
    privileges.iter().map(|privilege| (*privilege).to_owned()).collect()
}

impl Token {
    /// Whether the privilege is held at the path or inherited from above it.
    pub(crate) fn may(&self, path: &str, privilege: &str) -> bool {
        let holds = |grants: &Grants| granted(grants, path).is_some_and(|held| held.contains(privilege));
        self.is_root() || self.everything || (holds(&self.grants) && self.bounds.as_ref().is_none_or(holds))
    }

    /// Whether this is `root@pam` itself, and no token of it.
    pub(crate) fn is_root(&self) -> bool {
        self.name == "root@pam"
    }

    /// Whether this is an API token.
    pub(crate) fn is_token(&self) -> bool {
        self.name.contains('!')
    }

    /// Requires one of the privileges at the path.
    pub(crate) fn require(&self, path: &str, any: &[&str]) -> Result<(), String> {
        match any.iter().any(|privilege| self.may(path, privilege)) {
            true => Ok(()),
            false => Err(format!("Permission check failed ({path}, {})", any.join("|"))),
        }
    }

    /// Everything that is effectively granted, by path.
    pub(crate) fn grants(&self) -> Grants {
        let effective = |(path, held): (&String, &BTreeSet<String>)| {
            let held: BTreeSet<String> = held.iter().filter(|privilege| self.may(path, privilege)).cloned().collect();
            (!held.is_empty()).then(|| (path.clone(), held))
        };
        self.grants.iter().filter_map(effective).collect()
    }

    /// `user@realm` and the token's own name.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.name.split_once('!').unwrap_or((&self.name, ""))
    }
}

/// The grants of the nearest path; a nearer one replaces those above it.
fn granted<'a>(grants: &'a Grants, path: &str) -> Option<&'a BTreeSet<String>> {
    let mut at = path;
    loop {
        if let Some(held) = grants.get(at) {
            return Some(held);
        }
        at = match at.rfind('/') {
            _ if at == "/" => return None,
            Some(0) | None => "/",
            Some(end) => &at[..end],
        };
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

    fn by_header(access: &Access, header: Option<&str>) -> Result<Token, Unauthorized> {
        access.identify(&Credentials { authorization: header, ..Credentials::default() })
    }

    #[test]
    fn a_token_is_known_by_name_and_secret_in_both_spellings() {
        let access = access();
        for header in ["PVEAPIToken=talos@pve!cli=s3cret", "PVEAPIToken talos@pve!cli=s3cret"] {
            assert!(by_header(&access, Some(header)).is_ok());
        }
        let refused = |header| by_header(&access, header).err();
        assert_eq!(refused(None), Some(Unauthorized::NoTicket));
        assert_eq!(refused(Some("Bearer x")), Some(Unauthorized::NoTicket));
        assert_eq!(refused(Some("PVEAPIToken=talos@pve!cli=wrong")), Some(Unauthorized::Failed));
    }

    #[test]
    fn privileges_are_inherited_until_a_nearer_path_replaces_them() {
        let token = by_header(&access(), Some("PVEAPIToken=talos@pve!cli=s3cret")).expect("a known token");
        assert!(token.may("/nodes/pve1", "Sys.Audit"));
        assert!(token.may("/vms/100", "VM.Audit"));
        assert!(!token.may("/vms/100", "Sys.Audit"));
        assert!(!token.may("/vms/101", "VM.Audit"));
    }

    #[test]
    fn the_rights_of_a_token_end_where_those_of_its_user_end() {
        let mut access = access();
        access.add_user("talos@pve", "pw", &[("/vms", &["VM.Audit"])]);
        let token = by_header(&access, Some("PVEAPIToken=talos@pve!cli=s3cret")).expect("a known token");
        assert!(token.may("/vms/100", "VM.Audit") && !token.may("/", "Sys.Audit"));
        assert_eq!(token.grants().keys().collect::<Vec<_>>(), ["/vms/100"]);
    }

    #[test]
    fn a_ticket_reads_alone_and_changes_only_with_its_companion() {
        let mut access = access();
        access.add_user("root@pam", "pw", &[]);
        assert_eq!(access.log_in("root@pam", "wrong", 1), None);
        let (ticket, csrf) = access.log_in("root@pam", "pw", 7).expect("the right password");
        let cookie = format!("a=b; PVEAuthCookie={ticket}");
        let with = |csrf, writes| {
            access.identify(&Credentials { cookie: Some(&cookie), csrf, writes, ..Credentials::default() }).err()
        };
        assert_eq!(with(None, false), None);
        assert_eq!(with(None, true), Some(Unauthorized::NoCsrf));
        assert_eq!(with(Some(csrf.as_str()), true), None);
    }
}
