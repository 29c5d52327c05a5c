//! The kubeconfig to write, and whether an existing one is good enough.

use std::path::Path;

use go_yaml::kept::Lost;
use time::{Duration, OffsetDateTime};

use crate::{
    document::{Document, ResolvedContext, Section},
    error::Error,
    merge::{Merged, context_name, merge},
};

/// What the user wants different from the node's kubeconfig.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) context: Option<String>,
    pub(crate) server: Option<String>,
}

/// The node's kubeconfig with the user's overrides, and its current context.
pub(crate) fn made(text: &str, overrides: &Overrides) -> Result<(Document, ResolvedContext), Error> {
    let mut document = Document::parse(text).map_err(Error::Made)?;
    let lost = || Error::Made("its current context is not complete".to_owned());
    let context = document.current().ok_or_else(lost)?.to_owned();
    let resolved = document.resolve(&context).ok_or_else(lost)?;
    if let Some(server) = &overrides.server {
        let mut cluster = document.entry(Section::Clusters, &resolved.cluster).ok_or_else(lost)?.clone();
        cluster.set("server", server.as_str());
        document.set(Section::Clusters, &resolved.cluster, cluster);
    }
    if let Some(name) = &overrides.context {
        document.rename(Section::Contexts, &context, name);
        document.set_current(name);
    }
    let context = document.current().ok_or_else(lost)?.to_owned();
    let resolved = document.resolve(&context).ok_or_else(lost)?;
    Ok((document, resolved))
}

/// Whether two contexts belong to the same cluster: by its certificate authority.
pub(crate) fn is_same_cluster(one: &ResolvedContext, other: &ResolvedContext) -> bool {
    !one.authority.is_empty() && one.authority == other.authority
}

/// What the file is to hold.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) document: Document,
    /// What was renamed.
    pub(crate) said: Vec<String>,
    /// Whether something in the file is lost, and how much: then it is kept as it was.
    pub(crate) lost: Lost,
}

/// What the file is to hold, from what it holds.
///
/// # Errors
/// What is in it can't be kept, and nobody said that it may go.
pub(crate) fn wanted(
    file: &Path,
    existing: Option<&str>,
    (made, resolved): (&Document, &ResolvedContext),
    (add, force): (bool, bool),
) -> Result<Wanted, Error> {
    let new = |lost| Wanted { document: made.clone(), said: Vec::new(), lost };
    let Some(text) = existing else { return Ok(new(Lost::Nothing)) };
    let mut document = match Document::parse(text) {
        Ok(document) => document,
        Err(_) if force && !add => return Ok(new(Lost::Comments)),
        Err(why) => return Err(Error::NotKubeconfig { file: file.to_owned(), why }),
    };
    if !add && !is_all_of(&document, resolved) {
        return if force { Ok(new(Lost::Comments)) } else { Err(Error::OtherCluster { file: file.to_owned() }) };
    }
    let lost = document.lost_of(text);
    let Merged { said, replaced } = merge(&mut document, made, resolved, force);
    Ok(Wanted { document, said, lost: if replaced { Lost::Comments } else { lost } })
}

/// Whether nothing would be lost by replacing `existing`: every entry in it belongs to a context of this cluster.
pub(crate) fn is_all_of(existing: &Document, resolved: &ResolvedContext) -> bool {
    let contexts: Vec<ResolvedContext> =
        existing.resolved().into_iter().filter(|known| is_same_cluster(known, resolved)).collect();
    let all = |section, of: fn(&ResolvedContext) -> &str| {
        existing.names(section).iter().all(|name| contexts.iter().any(|resolved| of(resolved) == *name))
    };
    all(Section::Contexts, |resolved| &resolved.context)
        && all(Section::Clusters, |resolved| &resolved.cluster)
        && all(Section::Users, |resolved| &resolved.user)
}

/// The context in `existing` that is as good as the new one: the same cluster and server, the wanted name, and a
/// certificate that doesn't expire soon.
pub(crate) fn good_enough(
    existing: &Document,
    made: &ResolvedContext,
    overrides: &Overrides,
    force: bool,
    now: OffsetDateTime,
) -> Option<ResolvedContext> {
    let wanted = overrides.context.as_ref().map(|name| context_name(existing, name, made, force));
    let named = |resolved: &ResolvedContext| wanted.as_ref().is_none_or(|name| *name == resolved.context);
    existing.resolved().into_iter().find(|resolved| {
        is_same_cluster(resolved, made)
            && resolved.server == made.server
            && named(resolved)
            && lasts(resolved, made, now)
    })
}

/// Whether the certificate is valid for thirty more days, or a third of a new certificate's lifetime if that is shorter.
fn lasts(resolved: &ResolvedContext, made: &ResolvedContext, now: OffsetDateTime) -> bool {
    let life = made.end.map_or(Duration::days(365), |end| end - now);
    let minimum = Duration::days(30).min(life / 3);
    resolved.end.is_some_and(|end| end - now > minimum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::kubeconfig;

    fn now() -> OffsetDateTime {
        rcgen::date_time_ymd(2030, 1, 1)
    }

    #[test]
    fn a_file_is_only_replaced_if_everything_in_it_leads_to_this_cluster() {
        let (document, resolved) = fresh(&Overrides::default());
        assert!(is_all_of(&document, &resolved));
        assert!(is_all_of(&Document::parse("").expect("an empty one"), &resolved));
        for others in [
            "contexts: [{name: x, context: {cluster: x}}]",
            "users: [{name: me, user: {token: abc}}]",
            "clusters: [{name: x, cluster: {server: https://x}}]",
            "users: [{user: {token: abc}}]",
        ] {
            let existing = Document::parse(&format!("kind: Config\n{others}\n")).expect("a kubeconfig");
            assert!(!is_all_of(&existing, &resolved), "{others}");
        }
    }

    #[test]
    fn what_goes_is_kept_beside_it_and_goes_only_when_asked_for() {
        let (document, resolved) = fresh(&Overrides::default());
        let made = (&document, &resolved);
        let ours = kubeconfig("lab", "Q0E=", 2029);
        let (other, commented) = (kubeconfig("lab", "T1RIRVI=", 2029), format!("# mine\n{ours}"));
        let mine = format!("{}preferences:\n    colors: true\n", document.text());
        let broken = format!("{ours}---\n{ours}");
        let (plain, add, force, both) = ((false, false), (true, false), (false, true), (true, true));
        for (text, flags, lost) in [
            (None, plain, Some(Lost::Nothing)),
            (Some(mine.as_str()), plain, Some(Lost::Nothing)),
            (Some(&ours), plain, Some(Lost::Layout)),
            (Some(&commented), plain, Some(Lost::Comments)),
            (Some(&commented), add, Some(Lost::Comments)),
            (Some(&other), plain, None),
            (Some(&other), add, Some(Lost::Layout)),
            (Some(&other), both, Some(Lost::Comments)),
            (Some(&other), force, Some(Lost::Comments)),
            (Some(&broken), plain, None),
            (Some(&broken), add, None),
            (Some(&broken), both, None),
            (Some(&broken), force, Some(Lost::Comments)),
        ] {
            let found = wanted(Path::new("x"), text, made, flags);
            assert_eq!(found.as_ref().ok().map(|wanted| wanted.lost), lost, "{text:?} {flags:?}");
            if let (Some(kept), Ok(wanted)) = (text.and_then(|text| text.find("colors: true")), found) {
                assert!(kept > 0 && wanted.document.text().contains("colors: true"), "unknown keys stay");
            }
        }
    }

    fn fresh(overrides: &Overrides) -> (Document, ResolvedContext) {
        made(&kubeconfig("lab", "Q0E=", 2031), overrides).expect("a kubeconfig")
    }

    fn overrides(context: Option<&str>, server: Option<&str>) -> Overrides {
        Overrides { context: context.map(str::to_owned), server: server.map(str::to_owned) }
    }

    #[test]
    fn context_and_server_are_overridden_and_the_rest_is_kept() {
        let (document, resolved) = fresh(&overrides(Some("home"), Some("https://127.0.0.1:6443")));

        assert_eq!((resolved.context.as_str(), resolved.server.as_str()), ("home", "https://127.0.0.1:6443"));
        assert_eq!((resolved.cluster.as_str(), resolved.user.as_str()), ("lab", "admin@lab"));
        assert_eq!(document.current(), Some("home"));
    }

    #[test]
    fn a_kubeconfig_of_this_cluster_that_is_valid_for_a_while_is_good_enough() {
        let (_, made) = fresh(&Overrides::default());
        let existing = |year| Document::parse(&kubeconfig("lab", "Q0E=", year)).expect("a kubeconfig");

        assert!(good_enough(&existing(2031), &made, &Overrides::default(), false, now()).is_some());
        assert!(good_enough(&existing(2030), &made, &Overrides::default(), false, now()).is_none());
        assert!(good_enough(&existing(2031), &made, &overrides(Some("home"), None), false, now()).is_none());
    }

    #[test]
    fn a_kubeconfig_of_another_cluster_of_the_same_name_is_not_good_enough() {
        let (_, made) = fresh(&Overrides::default());
        let other = Document::parse(&kubeconfig("lab", "T1RIRVI=", 2031)).expect("a kubeconfig");

        assert!(good_enough(&other, &made, &Overrides::default(), false, now()).is_none());
    }
}
