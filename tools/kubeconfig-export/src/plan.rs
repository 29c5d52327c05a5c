//! What the fetched kubeconfig becomes, and whether one that is there will do.

use time::{Duration, OffsetDateTime};

use crate::{
    document::{Document, ResolvedContext, Section},
    error::Error,
};

/// What the user wants other than the node made it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) context: Option<String>,
    pub(crate) server: Option<String>,
}

/// The kubeconfig that a node made, as the user wants it, and where it leads.
pub(crate) fn made(text: &str, overrides: &Overrides) -> Result<(Document, ResolvedContext), Error> {
    let mut document = Document::parse(text).map_err(Error::Made)?;
    let lost = || Error::Made("its current context is not complete".to_owned());
    let context = document.current().ok_or_else(lost)?.to_owned();
    let way = document.resolve(&context).ok_or_else(lost)?;
    if let Some(server) = &overrides.server {
        let mut cluster = document.entry(Section::Clusters, &way.cluster).ok_or_else(lost)?.clone();
        cluster.set("server", server.as_str());
        document.set(Section::Clusters, &way.cluster, cluster);
    }
    if let Some(name) = &overrides.context {
        document.rename(Section::Contexts, &context, name);
        document.set_current(name);
    }
    let context = document.current().ok_or_else(lost)?.to_owned();
    let way = document.resolve(&context).ok_or_else(lost)?;
    Ok((document, way))
}

/// Whether two contexts lead to the same cluster: by its certificate authority.
pub(crate) fn is_same_cluster(one: &ResolvedContext, other: &ResolvedContext) -> bool {
    !one.authority.is_empty() && one.authority == other.authority
}

/// Whether nothing would be lost by replacing `existing`: every entry in it is part of a way to this cluster.
pub(crate) fn is_all_of(existing: &Document, way: &ResolvedContext) -> bool {
    let ways: Vec<ResolvedContext> =
        existing.resolved().into_iter().filter(|known| is_same_cluster(known, way)).collect();
    let all = |section, of: fn(&ResolvedContext) -> &str| {
        existing.names(section).iter().all(|name| ways.iter().any(|way| of(way) == *name))
    };
    all(Section::Contexts, |way| &way.context)
        && all(Section::Clusters, |way| &way.cluster)
        && all(Section::Users, |way| &way.user)
}

/// The context in `existing` that serves as well as the one that was made: the same cluster, the same server, the wished
/// name, and a certificate that is valid for a while.
pub(crate) fn good_enough(
    existing: &Document,
    made: &ResolvedContext,
    overrides: &Overrides,
    now: OffsetDateTime,
) -> Option<ResolvedContext> {
    let named = |way: &ResolvedContext| overrides.context.as_ref().is_none_or(|name| *name == way.context);
    existing
        .resolved()
        .into_iter()
        .find(|way| is_same_cluster(way, made) && way.server == made.server && named(way) && lasts(way, made, now))
}

/// A while is thirty days, or a third of a new certificate's life if that is shorter.
fn lasts(way: &ResolvedContext, made: &ResolvedContext, now: OffsetDateTime) -> bool {
    let life = made.end.map_or(Duration::days(365), |end| end - now);
    let while_ = Duration::days(30).min(life / 3);
    way.end.is_some_and(|end| end - now > while_)
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
        let (document, way) = fresh(&Overrides::default());
        assert!(is_all_of(&document, &way));
        assert!(is_all_of(&Document::parse("").expect("an empty one"), &way));
        for others in [
            "contexts: [{name: x, context: {cluster: x}}]",
            "users: [{name: me, user: {token: abc}}]",
            "clusters: [{name: x, cluster: {server: https://x}}]",
            "users: [{user: {token: abc}}]",
        ] {
            let existing = Document::parse(&format!("kind: Config\n{others}\n")).expect("a kubeconfig");
            assert!(!is_all_of(&existing, &way), "{others}");
        }
    }

    fn fresh(overrides: &Overrides) -> (Document, ResolvedContext) {
        made(&kubeconfig("lab", "Q0E=", 2031), overrides).expect("a kubeconfig")
    }

    fn overrides(context: Option<&str>, server: Option<&str>) -> Overrides {
        Overrides { context: context.map(str::to_owned), server: server.map(str::to_owned) }
    }

    #[test]
    fn context_and_server_are_as_wished_and_the_rest_as_made() {
        let (document, way) = fresh(&overrides(Some("home"), Some("https://127.0.0.1:6443")));

        assert_eq!((way.context.as_str(), way.server.as_str()), ("home", "https://127.0.0.1:6443"));
        assert_eq!((way.cluster.as_str(), way.user.as_str()), ("lab", "admin@lab"));
        assert_eq!(document.current(), Some("home"));
    }

    #[test]
    fn a_kubeconfig_of_this_cluster_that_is_valid_for_a_while_is_good_enough() {
        let (_, made) = fresh(&Overrides::default());
        let existing = |year| Document::parse(&kubeconfig("lab", "Q0E=", year)).expect("a kubeconfig");

        assert!(good_enough(&existing(2031), &made, &Overrides::default(), now()).is_some());
        assert!(good_enough(&existing(2030), &made, &Overrides::default(), now()).is_none());
        assert!(good_enough(&existing(2031), &made, &overrides(Some("home"), None), now()).is_none());
    }

    #[test]
    fn a_kubeconfig_of_another_cluster_of_the_same_name_is_not_good_enough() {
        let (_, made) = fresh(&Overrides::default());
        let other = Document::parse(&kubeconfig("lab", "T1RIRVI=", 2031)).expect("a kubeconfig");

        assert!(good_enough(&other, &made, &Overrides::default(), now()).is_none());
    }
}
