//! Merging a kubeconfig into another one, without duplicating or overwriting anything.

use go_yaml::Map;

use crate::{
    document::{Document, ResolvedContext, Section},
    plan::is_same_cluster,
};

/// What a merge did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// What was renamed.
    pub(crate) said: Vec<String>,
    /// Whether entries of another cluster had to go.
    pub(crate) replaced: bool,
}

/// Adds the current context of `made` to `existing`, and makes it the current one.
///
/// Entries of the same cluster are renewed in place. Other entries of the same name are kept, unless `force` is set, and
/// the new ones get a number.
pub(crate) fn merge(existing: &mut Document, made: &Document, resolved: &ResolvedContext, force: bool) -> Merged {
    let known =
        existing.resolved().into_iter().find(|known| is_same_cluster(known, resolved) && known.user == resolved.user);
    let names = match &known {
        // Another context of the same cluster keeps its name; the wanted one is added beside it.
        Some(known) => {
            Names { context: context_name(existing, &resolved.context, resolved, force), ..Names::of(known) }
        }
        None => Names::free(existing, resolved, force),
    };
    let said = names.renamed(resolved);
    let is_ours = |context: &str| existing.resolve(context).is_some_and(|known| is_same_cluster(&known, resolved));
    let is_there = |section, name: &str| existing.entry(section, name).is_some();
    let foreign_context = is_there(Section::Contexts, &names.context) && !is_ours(&names.context);
    let foreign =
        known.is_none() && (is_there(Section::Clusters, &names.cluster) || is_there(Section::Users, &names.user));
    let mut context = content(made, Section::Contexts, &resolved.context);
    context.set("cluster", names.cluster.as_str());
    context.set("user", names.user.as_str());
    for (section, name, content, foreign) in [
        (Section::Clusters, &names.cluster, content(made, Section::Clusters, &resolved.cluster), foreign),
        (Section::Users, &names.user, content(made, Section::Users, &resolved.user), foreign),
        (Section::Contexts, &names.context, context, foreign_context),
    ] {
        match foreign {
            true => existing.set(section, name, content),
            false => existing.renew(section, name, content),
        }
    }
    existing.set_current(&names.context);
    Merged { said, replaced: foreign || foreign_context }
}

fn content(made: &Document, section: Section, name: &str) -> Map {
    made.entry(section, name).cloned().unwrap_or_default()
}

/// What the context is called: as wanted, unless a context of another cluster has that name. Then it has a number, the
/// same in every run.
pub(crate) fn context_name(existing: &Document, name: &str, made: &ResolvedContext, force: bool) -> String {
    let is_ours = |name: &str| existing.resolve(name).is_some_and(|known| is_same_cluster(&known, made));
    let numbered = (1..).map(|number: u32| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let found = names.find(|name| force || is_ours(name) || existing.entry(Section::Contexts, name).is_none());
    found.expect("numbers don't end")
}

/// What the three entries are called.
struct Names {
    cluster: String,
    user: String,
    context: String,
}

impl Names {
    fn of(resolved: &ResolvedContext) -> Self {
        Self { cluster: resolved.cluster.clone(), user: resolved.user.clone(), context: resolved.context.clone() }
    }

    /// Names that aren't taken. As talosctl has it, the number of a cluster goes into its user's name and its context's.
    fn free(existing: &Document, resolved: &ResolvedContext, force: bool) -> Self {
        if force {
            return Self::of(resolved);
        }
        let free = |section, name: String| unused(existing, section, &name);
        let cluster = free(Section::Clusters, resolved.cluster.clone());
        let user = free(Section::Users, resolved.user.replacen(&resolved.cluster, &cluster, 1));
        let context = free(Section::Contexts, resolved.context.replacen(&resolved.user, &user, 1));
        Self { cluster, user, context }
    }

    fn renamed(&self, resolved: &ResolvedContext) -> Vec<String> {
        let pairs = [
            ("cluster", &resolved.cluster, &self.cluster),
            ("user", &resolved.user, &self.user),
            ("context", &resolved.context, &self.context),
        ];
        let renamed = pairs.into_iter().filter(|(_, from, to)| from != to);
        renamed.map(|(what, from, to)| format!("renamed {what} {from} to {to}")).collect()
    }
}

/// The name, with a number behind it if it is taken.
fn unused(existing: &Document, section: Section, name: &str) -> String {
    let numbered = (1..).map(|number: u32| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| existing.entry(section, name).is_none()).expect("numbers don't end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        document::tests::kubeconfig,
        plan::{Overrides, made},
    };

    fn merged(existing: &str, fresh: &str, overrides: &Overrides, force: bool) -> (Document, Vec<String>) {
        let (document, merged) = all_merged(existing, fresh, overrides, force);
        (document, merged.said)
    }

    fn all_merged(existing: &str, fresh: &str, overrides: &Overrides, force: bool) -> (Document, Merged) {
        let mut existing = Document::parse(existing).expect("a kubeconfig");
        let (fresh, resolved) = made(fresh, overrides).expect("a kubeconfig");
        let merged = merge(&mut existing, &fresh, &resolved, force);
        (existing, merged)
    }

    /// Runs of which each reads what the one before wrote.
    #[test]
    fn a_context_of_another_cluster_that_has_the_wanted_name_stays_however_often_it_is_run() {
        let prod = kubeconfig("prod", "T1RIRVI=", 2029).replace("name: admin@prod\ncurrent", "name: home\ncurrent");
        let overrides = Overrides { context: Some("home".to_owned()), server: None };

        let (first, _) = merged(&prod, &kubeconfig("lab", "Q0E=", 2031), &overrides, false);
        let (second, said) = merged(&first.text(), &kubeconfig("lab", "Q0E=", 2032), &overrides, false);

        assert_eq!(contexts(&second), ["home", "home-1"]);
        assert_eq!(second.resolve("home").map(|resolved| resolved.authority), Some("T1RIRVI=".to_owned()));
        assert_eq!((second.current(), said.len()), (Some("home-1"), 1));
    }

    #[test]
    fn what_its_user_wrote_into_the_entries_stays_when_they_are_renewed() {
        let old = kubeconfig("lab", "Q0E=", 2029)
            .replace("namespace: default", "namespace: mine\n    extensions: [{name: x}]")
            .replace("    server:", "    proxy-url: socks5://localhost:1\n    server:")
            .replace("    client-key-data:", "    as: root\n    client-key-data:")
            .replace("- name: lab\n", "- name: lab\n  note: 1.10\n");

        let (document, merged) = all_merged(&old, &kubeconfig("lab", "Q0E=", 2031), &Overrides::default(), false);

        let text = document.text();
        for kept in ["namespace: mine", "- name: x", "proxy-url: socks5://localhost:1", "as: root", "note: 1.10"] {
            assert!(text.contains(kept), "{kept} is lost: {text}");
        }
        let end = document.resolve("admin@lab").and_then(|resolved| resolved.end);
        assert_eq!((end.map(time::OffsetDateTime::year), merged.replaced), (Some(2031), false));
    }

    #[test]
    fn only_force_replaces_entries_of_another_cluster_and_nothing_of_them_stays() {
        let old = kubeconfig("lab", "T1RIRVI=", 2029)
            .replace("    server:", "    proxy-url: socks5://localhost:1\n    server:");

        let (document, merged) = all_merged(&old, &kubeconfig("lab", "Q0E=", 2031), &Overrides::default(), true);

        assert!(merged.replaced && !document.text().contains("proxy-url"), "{}", document.text());
        assert!(!all_merged(&old, &kubeconfig("lab", "Q0E=", 2031), &Overrides::default(), false).1.replaced);
    }

    fn contexts(document: &Document) -> Vec<String> {
        document.resolved().into_iter().map(|resolved| resolved.context).collect()
    }

    #[test]
    fn the_same_cluster_is_renewed_in_place_and_never_doubled() {
        let old = kubeconfig("lab", "Q0E=", 2029);

        let (document, said) = merged(&old, &kubeconfig("lab", "Q0E=", 2031), &Overrides::default(), false);

        assert_eq!(contexts(&document), ["admin@lab"]);
        assert_eq!(
            document.resolve("admin@lab").and_then(|resolved| resolved.end).map(time::OffsetDateTime::year),
            Some(2031)
        );
        assert!(said.is_empty());
    }

    #[test]
    fn another_cluster_of_the_same_name_is_left_as_it_is() {
        let old = kubeconfig("lab", "T1RIRVI=", 2029);

        let (document, said) = merged(&old, &kubeconfig("lab", "Q0E=", 2031), &Overrides::default(), false);

        assert_eq!(contexts(&document), ["admin@lab", "admin@lab-1"]);
        assert_eq!(document.resolve("admin@lab").map(|resolved| resolved.authority), Some("T1RIRVI=".to_owned()));
        assert_eq!(document.current(), Some("admin@lab-1"));
        assert_eq!(said.len(), 3);
    }

    #[test]
    fn force_takes_the_names_of_another_cluster() {
        let old = kubeconfig("lab", "T1RIRVI=", 2029);

        let (document, _) = merged(&old, &kubeconfig("lab", "Q0E=", 2031), &Overrides::default(), true);

        assert_eq!(contexts(&document), ["admin@lab"]);
        assert_eq!(document.resolve("admin@lab").map(|resolved| resolved.authority), Some("Q0E=".to_owned()));
    }

    #[test]
    fn an_empty_file_takes_everything() {
        let (document, said) = merged("", &kubeconfig("lab", "Q0E=", 2031), &Overrides::default(), false);

        assert_eq!((contexts(&document).len(), said.len()), (1, 0));
        assert_eq!(document.current(), Some("admin@lab"));
    }
}
