//! A kubeconfig as a document that keeps everything that is in it.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use go_yaml::kept::{self, Lost, Unkept};
use go_yaml::{Dialect, Map, Node, Value};
use time::OffsetDateTime;

/// A kubeconfig.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Document {
    root: Map,
}

/// It holds keys, which aren't shown.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({}, …)", self.current().unwrap_or_default())
    }
}

/// The three lists of named entries, each with the key under which an entry holds its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Clusters,
    Users,
    Contexts,
}

impl Section {
    fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Clusters => ("clusters", "cluster"),
            Self::Users => ("users", "user"),
            Self::Contexts => ("contexts", "context"),
        }
    }
}

/// A context with its cluster and user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedContext {
    pub(crate) context: String,
    pub(crate) cluster: String,
    pub(crate) user: String,
    /// URL of the Kubernetes API.
    pub(crate) server: String,
    /// The certificate authority: PEM in base64.
    pub(crate) authority: String,
    /// When the client certificate expires, if it has one.
    pub(crate) end: Option<OffsetDateTime>,
}

impl Document {
    /// Reads a kubeconfig; an empty text is an empty one.
    ///
    /// # Errors
    /// It is none, or something in it would be lost when it is written again.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match kept::document(text).map_err(|error| error.to_string())? {
            None => Ok(Self { root: [("apiVersion", "v1"), ("kind", "Config")].into_iter().collect() }),
            Some((node, Value::Map(root))) if root.get("kind").and_then(Value::as_text) == Some("Config") => {
                check(&node).map_err(|error| error.to_string())?;
                Ok(Self { root })
            }
            Some(_) => Err("it has no `kind: Config`".to_owned()),
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        go_yaml::write(&Value::Map(self.root.clone()), Dialect::V3)
    }

    /// What of the text that this was read from is lost when it is written again.
    pub(crate) fn lost_of(&self, text: &str) -> Lost {
        Lost::of(text, &self.text())
    }

    /// The content of a named entry.
    pub(crate) fn entry(&self, section: Section, name: &str) -> Option<&Map> {
        let (list, content) = section.keys();
        let entries = self.root.get(list)?.as_list()?;
        let named = |entry: &&Value| entry.text_at(&["name"]) == Some(name);
        entries.iter().find(named)?.at(&[content])?.as_map()
    }

    /// The names of all entries of a list; an entry without one has an empty name.
    pub(crate) fn names(&self, section: Section) -> Vec<&str> {
        let entries = self.root.get(section.keys().0).and_then(Value::as_list).unwrap_or_default();
        entries.iter().map(|entry| entry.text_at(&["name"]).unwrap_or_default()).collect()
    }

    /// Sets the content of a named entry, in place where it exists.
    pub(crate) fn set(&mut self, section: Section, name: &str, content: Map) {
        let (list, key) = section.keys();
        let mut entries = self.root.get(list).and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default();
        let named = |entry: &&mut Map| entry.get("name").and_then(Value::as_text) == Some(name);
        match entries.iter_mut().filter_map(Value::as_map_mut).find(named) {
            Some(entry) => entry.set(key, content),
            None => {
                entries.push([("name", Value::from(name)), (key, content.into())].into_iter().collect::<Map>().into());
            }
        }
        self.root.set(list, entries);
    }

    /// Renews the content of a named entry: what its user wrote beside `content` stays, and of a context also what its
    /// user wrote instead of it, such as a namespace.
    pub(crate) fn renew(&mut self, section: Section, name: &str, content: Map) {
        let mut renewed = self.entry(section, name).cloned().unwrap_or_default();
        for (key, value) in content {
            let is_users = section == Section::Contexts && !matches!(key.as_str(), "cluster" | "user");
            if !is_users || renewed.get(&key).is_none() {
                renewed.set(key, value);
            }
        }
        self.set(section, name, renewed);
    }

    /// Renames an entry.
    pub(crate) fn rename(&mut self, section: Section, from: &str, to: &str) {
        let (list, _) = section.keys();
        let mut entries = self.root.get(list).and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default();
        for entry in entries.iter_mut().filter_map(Value::as_map_mut) {
            if entry.get("name").and_then(Value::as_text) == Some(from) {
                entry.set("name", to);
            }
        }
        self.root.set(list, entries);
    }

    /// The name of the current context.
    pub(crate) fn current(&self) -> Option<&str> {
        self.root.get("current-context").and_then(Value::as_text).filter(|name| !name.is_empty())
    }

    /// Sets the current context.
    pub(crate) fn set_current(&mut self, context: &str) {
        self.root.set("current-context", context);
    }

    /// Every context that is complete.
    pub(crate) fn resolved(&self) -> Vec<ResolvedContext> {
        let contexts = self.root.get("contexts").and_then(Value::as_list).unwrap_or_default();
        contexts.iter().filter_map(|entry| self.resolve(entry.text_at(&["name"])?)).collect()
    }

    /// A context with its cluster and user, if it is complete.
    pub(crate) fn resolve(&self, context: &str) -> Option<ResolvedContext> {
        let text = |map: &Map, key: &str| map.get(key).and_then(Value::as_text).map(str::to_owned);
        let content = self.entry(Section::Contexts, context)?;
        let (cluster, user) = (text(content, "cluster")?, text(content, "user")?);
        let leads = self.entry(Section::Clusters, &cluster)?;
        let end = self.entry(Section::Users, &user).and_then(|user| text(user, "client-certificate-data"));
        Some(ResolvedContext {
            context: context.to_owned(),
            server: text(leads, "server")?,
            authority: text(leads, "certificate-authority-data").unwrap_or_default(),
            end: end.as_deref().and_then(not_after),
            cluster,
            user,
        })
    }
}

/// Fails where an entry could not be found again, or would have to make room: kubectl reads no such file, either.
fn check(root: &Node) -> Result<(), Unkept> {
    kept::text(root.get("current-context"), "current-context")?;
    for section in [Section::Clusters, Section::Users, Section::Contexts] {
        let (list, content) = section.keys();
        let mut names = HashSet::new();
        for entry in kept::items(root.get(list), list)? {
            kept::pairs(Some(entry), &format!("an entry of {list}"))?;
            let name = entry.get("name");
            let text = kept::text(name, &format!("the name of a {content}"))?;
            kept::pairs(entry.get(content), &format!("{content} of {text:?}"))?;
            if !text.is_empty() && !names.insert(text) {
                let place = name.map_or(entry.place, |name| name.place);
                return Err(Unkept::Twice { place, what: content, name: text.to_owned() });
            }
        }
    }
    Ok(())
}

/// When a certificate (PEM in base64) expires.
fn not_after(certificate: &str) -> Option<OffsetDateTime> {
    let pem = String::from_utf8(STANDARD.decode(certificate.trim()).ok()?).ok()?;
    talosconfig::not_after(&pem).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A kubeconfig as a node makes it, with a client certificate that expires in this year.
    pub(crate) fn kubeconfig(cluster: &str, authority: &str, year: i32) -> String {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = STANDARD.encode(params.self_signed(&key).expect("a certificate").pem());
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {cluster}\n  cluster:\n    server: https://{cluster}:6443\n    certificate-authority-data: {authority}\nusers:\n- name: admin@{cluster}\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: c2VjcmV0\ncontexts:\n- context:\n    cluster: {cluster}\n    namespace: default\n    user: admin@{cluster}\n  name: admin@{cluster}\ncurrent-context: admin@{cluster}\n"
        )
    }

    #[test]
    fn the_current_context_leads_to_server_authority_and_certificate() {
        let document = Document::parse(&kubeconfig("lab", "Q0E=", 2040)).expect("a kubeconfig");

        let resolved = document.resolve(document.current().expect("a current context")).expect("a complete one");

        assert_eq!((resolved.cluster.as_str(), resolved.user.as_str()), ("lab", "admin@lab"));
        assert_eq!((resolved.server.as_str(), resolved.authority.as_str()), ("https://lab:6443", "Q0E="));
        assert_eq!(resolved.end.map(OffsetDateTime::year), Some(2040));
    }

    #[test]
    fn whatever_else_is_in_a_kubeconfig_stays_in_it() {
        let text = "apiVersion: v1\nkind: Config\npreferences:\n    colors: true\nusers:\n    - name: me\n      user:\n        exec:\n            apiVersion: client.authentication.k8s.io/v1\n            args:\n                - --token\n                - \"0123\"\n            command: aws\n";

        let document = Document::parse(text).expect("a kubeconfig");

        assert_eq!(document.text(), text);
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let text = "kind: Config\nextensions:\n    - extension:\n        release: 1.10\n        mode: 0644\n        id: 9007199254740993\n        since: 2024-01-02\n";

        let document = Document::parse(text).expect("a kubeconfig");

        assert_eq!(document.text(), text);
    }

    #[test]
    fn what_would_be_lost_is_refused_with_its_place() {
        for (rest, why) in [
            ("clusters: {a: {server: x}}\n", "line 2, column 11: clusters is a mapping, but has to be a list"),
            ("users: text\n", "line 2, column 8: users is a text, but has to be a list"),
            ("contexts: [a]\n", "line 2, column 12: an entry of contexts is a text, but has to be a mapping"),
            (
                "contexts: [{name: {a: b}}]\n",
                "line 2, column 19: the name of a context is a mapping, but has to be a text",
            ),
            (
                "users: [{name: me, user: [x]}]\n",
                "line 2, column 26: user of \"me\" is a list, but has to be a mapping",
            ),
            ("users: [{name: me}, {name: me}]\n", "line 2, column 28: a second user named \"me\""),
            ("current-context: [a]\n", "line 2, column 18: current-context is a list, but has to be a text"),
            ("---\nkind: Config\n", "line 3, column 1: a second YAML document begins here, but such a file has one"),
            ("kind: Config\n", "line 2, column 1: mapping key \"kind\" is already defined on line 1"),
        ] {
            assert_eq!(Document::parse(&format!("kind: Config\n{rest}")).expect_err(rest), why);
        }
    }

    #[test]
    fn something_else_is_no_kubeconfig() {
        assert!(Document::parse("kind: Cluster\n").is_err());
        assert!(Document::parse("- a\n").is_err());
        assert!(Document::parse("").expect("an empty one").resolved().is_empty());
    }
}
