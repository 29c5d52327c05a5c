//! Who may do what: API tokens, their privileges by path, and the refusals.

use std::collections::{BTreeMap, BTreeSet};

use super::directory::{self, Account, Directory, Grants, Holder, Secret};
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
    "VM.GuestAgent.Audit",
    "VM.PowerMgmt",
];

/// The privileges that the tools need on a release; one without some of them refuses a role that names those.
pub fn role(release: Release) -> Vec<&'static str> {
    let agent = release.agent_privileges();
    let others = ROLE.iter().copied().filter(|name| !name.starts_with("VM.GuestAgent") && *name != "VM.Monitor");
    others.chain(agent.iter().copied().take(1)).collect()
}

/// Who asks: a user, or an API token of one, with its privileges.
#[derive(Clone)]
pub(crate) struct Token {
    /// `user@realm!id`, or `user@realm` for a user who has logged in.
    pub(crate) name: String,
    grants: Grants,
    /// The user's grants, which bound those of a token with privilege separation.
    bounds: Option<Grants>,
    /// What it holds everywhere, if it is `root@pam` or a token without privilege separation of it.
    everything: Option<BTreeSet<String>>,
}

/// A user who has logged in.
#[derive(Clone)]
struct Session {
    user: String,
    csrf: String,
    /// Seconds since 1970.
    begun: u64,
}

/// What a login gives.
pub(crate) struct LogIn {
    /// What stands for the password from now on.
    pub(crate) ticket: String,
    /// What must accompany changes.
    pub(crate) csrf: String,
    /// Whether the ticket is only a question for the second factor.
    pub(crate) incomplete: bool,
}

/// Seconds that a ticket is good for.
const LIFE: u64 = 2 * 3600;

/// Every user and ticket that the server knows.
pub(crate) struct Access {
    /// Users, groups, roles and rights.
    pub(crate) directory: Directory,
    tickets: BTreeMap<String, Session>,
    /// Questions for a second factor, with whom they were put to.
    challenges: BTreeMap<String, String>,
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

/// The one who may do everything.
const ROOT: &str = "root@pam";

fn is_alive(account: &Account, now: u64) -> bool {
    account.enabled && (account.expires == 0 || account.expires > now)
}

/// Passwords by time as everybody makes them: six digits of SHA-1, a new one every thirty seconds.
fn one_time(secret: &[u8]) -> totp_rs::Totp {
    totp_rs::Builder::new().with_secret(secret.to_vec()).build_noncompliant()
}

impl Access {
    /// Nobody but `root@pam`, who cannot log in yet.
    pub(crate) fn new(release: Release) -> Self {
        Self { directory: Directory::new(release), tickets: BTreeMap::new(), challenges: BTreeMap::new() }
    }

    /// Adds a token with privileges by path, or replaces it; a user that there is not is made for it.
    pub(crate) fn add(&mut self, name: &str, secret: &str, grants: &[(&str, &[&str])]) {
        let Some((user, token)) = name.split_once('!') else { return self.add_user(name, secret, grants) };
        let implied = Account { enabled: true, implied: true, ..Account::default() };
        let account = self.directory.users.entry(user.to_owned()).or_insert(implied);
        let made = Secret { value: secret.to_owned(), separated: true, ..Secret::default() };
        account.tokens.insert(token.to_owned(), made);
        self.directory.grant(Holder::Token, name, grants);
    }

    /// Gives a token and its user every privilege there is.
    pub(crate) fn grant_everything(&mut self, name: &str) {
        let held = self.directory.everything();
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        let (user, token) = (name.split('!').next().unwrap_or_default(), name.contains('!'));
        self.directory.grant(Holder::User, user, &[("/", &held)]);
        if token {
            self.directory.grant(Holder::Token, name, &[("/", &held)]);
        }
    }

    /// Adds a user who can log in, or replaces it; rights of the user's tokens end where the user's end.
    pub(crate) fn add_user(&mut self, name: &str, password: &str, grants: &[(&str, &[&str])]) {
        let account = self.directory.users.entry(name.to_owned()).or_default();
        (account.enabled, account.implied) = (true, false);
        account.password = Some(password.to_owned());
        self.directory.grant(Holder::User, name, grants);
    }

    /// The user or token with this name, or nobody.
    pub(crate) fn named(&self, name: &str) -> Token {
        let token =
            || self.directory.token(name).map(|(user, account, token)| self.as_token(name, user, account, token));
        let user = || self.directory.users.contains_key(name).then(|| self.as_user(name));
        token().or_else(user).unwrap_or_else(|| self.nobody())
    }

    /// Nobody, who may do what needs no login.
    pub(crate) fn nobody(&self) -> Token {
        Token { name: String::new(), grants: Grants::new(), bounds: None, everything: None }
    }

    fn as_user(&self, name: &str) -> Token {
        let everything = (name == ROOT).then(|| self.directory.everything());
        Token { name: name.to_owned(), grants: self.directory.grants(name), bounds: None, everything }
    }

    fn as_token(&self, name: &str, user: &str, account: &Account, token: &Secret) -> Token {
        let owner = self.as_user(user);
        if !token.separated {
            return Token { name: name.to_owned(), ..owner };
        }
        let bounds = (!account.implied && user != ROOT).then_some(owner.grants);
        Token { name: name.to_owned(), grants: self.directory.grants(name), bounds, everything: None }
    }

    /// Who sent a request.
    pub(crate) fn identify(&self, credentials: &Credentials<'_>, now: u64) -> Result<Token, Unauthorized> {
        let ticket = credentials.cookie.and_then(|cookies| {
            let mut cookies = cookies.split(';').filter_map(|cookie| cookie.trim().strip_prefix("PVEAuthCookie="));
            cookies.next().map(super::form::decode)
        });
        match (credentials.authorization.and_then(|header| header.strip_prefix("PVEAPIToken")), ticket) {
            (Some(text), _) => self.token(text, now),
            (None, Some(ticket)) => self.session(&ticket, credentials, now),
            (None, None) => Err(Unauthorized::NoTicket),
        }
    }

    fn token(&self, text: &str, now: u64) -> Result<Token, Unauthorized> {
        let text = text.strip_prefix(['=', ' ']).ok_or(Unauthorized::NoTicket)?;
        let (name, value) = text.split_once('=').ok_or(Unauthorized::Failed)?;
        let (user, account, token) = self.directory.token(name).ok_or(Unauthorized::Failed)?;
        let alive = is_alive(account, now) && token.expires.is_none_or(|end| end == 0 || end > now);
        match token.value == value && alive {
            true => Ok(self.as_token(name, user, account, token)),
            false => Err(Unauthorized::Failed),
        }
    }

    fn session(&self, ticket: &str, credentials: &Credentials<'_>, now: u64) -> Result<Token, Unauthorized> {
        let known = self.tickets.get(ticket).filter(|known| known.begun + LIFE >= now);
        let Session { user, csrf, .. } = known.ok_or(Unauthorized::BadTicket)?;
        if credentials.writes && credentials.csrf != Some(csrf) {
            return Err(Unauthorized::NoCsrf);
        }
        match self.directory.users.get(user).is_some_and(|account| is_alive(account, now)) {
            true => Ok(self.as_user(user)),
            false => Err(Unauthorized::BadTicket),
        }
    }

    /// Whether a ticket is still good, and whose it is.
    fn renews(&self, ticket: &str, name: &str, now: u64) -> bool {
        let known = self.tickets.get(ticket).filter(|known| known.begun + LIFE >= now);
        known.is_some_and(|known| known.user == name || known.user == ROOT)
    }

    /// Whether a password is that of a user, or a ticket of that user or of `root@pam` which is still good.
    pub(crate) fn knows(&self, name: &str, password: &str, now: u64) -> bool {
        let account = self.directory.users.get(name).filter(|account| is_alive(account, now));
        account.is_some_and(|account| account.password.as_deref() == Some(password) || self.renews(password, name, now))
    }

    /// Whether a login is complete; nothing if it is refused.
    fn completes(&self, name: &str, password: &str, factor: Factor<'_>, now: u64) -> Option<bool> {
        let account = self.directory.users.get(name).filter(|account| is_alive(account, now))?;
        let fits = |answer: &str| {
            let code = answer.strip_prefix("totp:");
            account.totp.as_ref().zip(code).is_some_and(|(secret, code)| one_time(secret).check(code, now).is_some())
        };
        match factor {
            Factor { code: Some(_), question: Some(_) } => None,
            Factor { question: Some(question), .. } => {
                let asked = self.challenges.get(question).is_some_and(|asked| asked == name);
                (asked && fits(password)).then_some(true)
            }
            _ if !self.knows(name, password, now) => None,
            _ if account.totp.is_none() || self.renews(password, name, now) => Some(true),
            Factor { code: Some(code), .. } => fits(code).then_some(true),
            Factor { code: None, .. } => Some(false),
        }
    }

    /// Logs a user in; a ticket that is still good stands for the password. Who has a second factor gets a question
    /// for it first, unless the answer comes along.
    pub(crate) fn log_in(
        &mut self,
        name: &str,
        password: &str,
        factor: Factor<'_>,
        now: u64,
        random: u64,
    ) -> Option<LogIn> {
        let complete = self.completes(name, password, factor, now)?;
        let csrf = format!("{now:08X}:{random:x}");
        let subject = if complete { name } else { "!tfa!{\"totp\"%3Atrue}" };
        let ticket = format!("PVE:{subject}:{now:08X}::{random:x}{random:x}==");
        let user = name.to_owned();
        match complete {
            true => drop(self.tickets.insert(ticket.clone(), Session { user, csrf: csrf.clone(), begun: now })),
            false => drop(self.challenges.insert(ticket.clone(), user)),
        }
        Some(LogIn { ticket, csrf, incomplete: !complete })
    }
}

/// What a login says of a second factor.
#[derive(Clone, Copy, Default)]
pub(crate) struct Factor<'a> {
    /// A code that comes with the password: `totp:123456`.
    pub(crate) code: Option<&'a str>,
    /// The question that was put; its answer stands in the place of the password.
    pub(crate) question: Option<&'a str>,
}

impl Token {
    /// Whether the privilege is held at the path or inherited from above it.
    pub(crate) fn may(&self, path: &str, privilege: &str) -> bool {
        let holds = |grants: &Grants| directory::holds(grants, path, privilege);
        let all = self.everything.as_ref().is_some_and(|all| all.contains(privilege));
        self.is_root() || all || (holds(&self.grants) && self.bounds.as_ref().is_none_or(holds))
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

    /// What is effectively granted at a path, with whether it is handed down.
    pub(crate) fn at(&self, path: &str) -> BTreeMap<String, bool> {
        if let Some(all) = &self.everything {
            return all.iter().map(|privilege| (privilege.clone(), true)).collect();
        }
        let mut held = directory::at(&self.grants, path);
        held.retain(|privilege, _| self.may(path, privilege));
        held
    }

    /// The paths at which something is granted.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &String> {
        self.grants.keys()
    }

    /// `user@realm` and the token's own name.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.name.split_once('!').unwrap_or((&self.name, ""))
    }
}

#[cfg(test)]
mod tests;
