//! Merging a kubeconfig into another one, without duplicating or overwriting anything.

use go_yaml::Map;

use crate::{
    document::{Document, ResolvedContext, Section},
    plan::is_same_cluster,
};

/// Adds the current context of `made` to `existing`, and makes it the current one; returns what was renamed.
///
/// Entries of the same cluster are renewed in place. Other entries of the same name are kept, unless `force` is set, and
/// the new ones get a number.
pub(crate) fn merge(existing: &mut Document, made: &Document, resolved: &ResolvedContext, force: bool) -> Vec<String> {
    let known =
        existing.resolved().into_iter().find(|known| is_same_cluster(known, resolved) && known.user == resolved.user);
    let names = match known {
        // Another context of the same cluster keeps its name; the wanted one is added beside it.
        Some(known) => Names { context: resolved.context.clone(), ..Names::of(&known) },
        None => Names::free(existing, resolved, force),
    };
    let said = names.renamed(resolved);
    let mut context = made.entry(Section::Contexts, &resolved.context).cloned().unwrap_or_default();
    context.set("cluster", names.cluster.as_str());
    context.set("user", names.user.as_str());
    existing.set(Section::Clusters, &names.cluster, content(made, Section::Clusters, &resolved.cluster));
    existing.set(Section::Users, &names.user, content(made, Section::Users, &resolved.user));
    existing.set(Section::Contexts, &names.context, context);
    existing.set_current(&names.context);
    said
}

fn content(made: &Document, section: Section, name: &str) -> Map {
    made.entry(section, name).cloned().unwrap_or_default()
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
        let mut existing = Document::parse(existing).expect("a kubeconfig");
        let (fresh, resolved) = made(fresh, overrides).expect("a kubeconfig");
        let said = merge(&mut existing, &fresh, &resolved, force);
        (existing, said)
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
