//! Users, groups, roles and rights, as `user.cfg` has them, and what they add up to.

use std::collections::{BTreeMap, BTreeSet};

use super::privileges;
use super::release::Release;

/// A user.
#[derive(Clone, Default)]
pub(crate) struct Account {
    /// What the user logs in with, if at all.
    pub(crate) password: Option<String>,
    /// Whether the user may do anything.
    pub(crate) enabled: bool,
    /// When the account ends, in seconds since 1970; zero for never.
    pub(crate) expires: u64,
    /// What is known beside: `firstname`, `email` …
    pub(crate) facts: BTreeMap<String, String>,
    /// Tokens by their names.
    pub(crate) tokens: BTreeMap<String, Secret>,
    /// The secret of the second factor, if there is one.
    pub(crate) totp: Option<Vec<u8>>,
    /// Whether the user was only made for a token, whose rights do not end where the user's do.
    pub(crate) implied: bool,
}

/// A token.
#[derive(Clone, Default)]
pub(crate) struct Secret {
    /// What it is shown with.
    pub(crate) value: String,
    /// Whether it has rights of its own, within the user's.
    pub(crate) separated: bool,
    /// When it ends, in seconds since 1970; zero for never.
    pub(crate) expires: Option<u64>,
    /// What is said of it.
    pub(crate) comment: Option<String>,
}

/// Whom a right is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// A user.
    User,
    /// A group.
    Group,
    /// A token.
    Token,
}

/// The place of a right: path, kind of holder, holder, role.
pub(crate) type Right = (String, Holder, String, String);

/// What is granted at one path: there itself, and below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Level {
    /// The privileges at the path itself, with whether they are handed down.
    pub(crate) here: Option<BTreeMap<String, bool>>,
    /// The privileges below it.
    below: Option<BTreeSet<String>>,
}

/// Privileges by path; a nearer path replaces those above it.
pub(crate) type Grants = BTreeMap<String, Level>;

/// Everything that `user.cfg` has.
pub(crate) struct Directory {
    /// Users by `name@realm`.
    pub(crate) users: BTreeMap<String, Account>,
    /// Groups with their members and what is said of them.
    pub(crate) groups: BTreeMap<String, (BTreeSet<String>, String)>,
    /// Roles with their privileges.
    pub(crate) roles: BTreeMap<String, BTreeSet<String>>,
    /// Rights, with whether they are handed down.
    pub(crate) rights: BTreeMap<Right, bool>,
    release: Release,
}

impl Directory {
    /// A directory with the built-in roles, and nobody but `root@pam`.
    pub(crate) fn new(release: Release) -> Self {
        let root = Account { enabled: true, ..Account::default() };
        Self {
            users: BTreeMap::from([("root@pam".to_owned(), root)]),
            groups: BTreeMap::new(),
            roles: privileges::roles(release),
            rights: BTreeMap::new(),
            release,
        }
    }

    /// Whether a role cannot be changed.
    pub(crate) fn is_special(&self, role: &str) -> bool {
        privileges::roles(self.release).contains_key(role)
    }

    /// Every privilege there is.
    pub(crate) fn everything(&self) -> BTreeSet<String> {
        privileges::all(self.release)
    }

    /// Grants privileges by path, each path by a role of its own.
    pub(crate) fn grant(&mut self, holder: Holder, name: &str, grants: &[(&str, &[&str])]) {
        self.forget(holder, name);
        for (path, held) in grants {
            let held: BTreeSet<String> = held.iter().map(|privilege| (*privilege).to_owned()).collect();
            let known = self.roles.iter().find(|(_, privileges)| **privileges == held).map(|(role, _)| role.clone());
            let role = known.unwrap_or_else(|| format!("Lab{}", self.roles.len()));
            self.roles.insert(role.clone(), held);
            self.rights.insert(((*path).to_owned(), holder, name.to_owned(), role), true);
        }
    }

    /// Takes every right away.
    pub(crate) fn forget(&mut self, holder: Holder, name: &str) {
        self.rights.retain(|(_, of, who, _), _| *of != holder || who != name);
    }

    /// The token of this full name, with its user.
    pub(crate) fn token(&self, full: &str) -> Option<(&str, &Account, &Secret)> {
        let (user, name) = full.split_once('!')?;
        let (user, account) = self.users.get_key_value(user)?;
        Some((user, account, account.tokens.get(name)?))
    }

    /// What a user or a token with rights of its own is granted.
    pub(crate) fn grants(&self, name: &str) -> Grants {
        let paths: BTreeSet<&String> = self.rights.keys().map(|(path, ..)| path).collect();
        let levels = paths.into_iter().map(|path| (path.clone(), self.level(path, name)));
        levels.filter(|(_, level)| level.here.is_some() || level.below.is_some()).collect()
    }

    fn level(&self, path: &str, name: &str) -> Level {
        let here = self.roles_at(path, name, false).map(|roles| self.privileges(&roles));
        let below = self.roles_at(path, name, true);
        Level { here, below: below.map(|roles| self.privileges(&roles).into_keys().collect()) }
    }

    /// Roles of a user, or of the user's groups where the user has none.
    fn roles_at(&self, path: &str, name: &str, below: bool) -> Option<BTreeMap<String, bool>> {
        let own = if name.contains('!') { Holder::Token } else { Holder::User };
        let at = |holder: Holder| {
            self.rights.iter().filter(move |((at, of, ..), down)| at == path && *of == holder && (!below || **down))
        };
        let role = |((.., role), down): (&Right, &bool)| (role.clone(), *down);
        let mine: BTreeMap<String, bool> = at(own).filter(|((_, _, who, _), _)| who == name).map(role).collect();
        if !mine.is_empty() {
            return Some(mine);
        }
        let member = |group: &String| self.groups.get(group).is_some_and(|(members, _)| members.contains(name));
        let of_groups: BTreeMap<String, bool> =
            at(Holder::Group).filter(|((_, _, who, _), _)| member(who)).map(role).collect();
        (!of_groups.is_empty()).then_some(of_groups)
    }

    /// What roles hold together; `NoAccess` leaves nothing.
    fn privileges(&self, roles: &BTreeMap<String, bool>) -> BTreeMap<String, bool> {
        let mut held = BTreeMap::new();
        if roles.contains_key("NoAccess") {
            return held;
        }
        for (role, down) in roles {
            for privilege in self.roles.get(role).into_iter().flatten() {
                *held.entry(privilege.clone()).or_default() |= *down;
            }
        }
        held
    }
}

/// The privileges at a path, with whether they are handed down.
pub(crate) fn at(grants: &Grants, path: &str) -> BTreeMap<String, bool> {
    if let Some(here) = grants.get(path).and_then(|level| level.here.clone()) {
        return here;
    }
    let mut above = path;
    while above != "/" {
        above = match above.rfind('/') {
            Some(0) | None => "/",
            Some(end) => &above[..end],
        };
        if let Some(below) = grants.get(above).and_then(|level| level.below.as_ref()) {
            return below.iter().map(|privilege| (privilege.clone(), true)).collect();
        }
    }
    BTreeMap::new()
}

/// Whether a privilege is held at a path.
pub(crate) fn holds(grants: &Grants, path: &str, privilege: &str) -> bool {
    at(grants, path).contains_key(privilege)
}
