//! Files that people keep other things in, too: read so that nothing is lost when they are written again.

use go_yaml::{Data, Dialect, Key, Map, Node, Origin, Place, Resolved, Value};

use crate::{Context, Secret, Talosconfig};

/// Why a file can't be written again without losing something in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    /// Not YAML that can be read; a key twice is none, either.
    #[error("{0}")]
    Yaml(#[from] go_yaml::Error),
    /// Bytes that are no text.
    #[error("it isn't UTF-8")]
    Text,
    /// Another document behind the first one, which no reader of such a file would see.
    #[error("{0}: a second YAML document begins here, but such a file has one")]
    Several(Place),
    /// A key that is `null`, which can't be written again.
    #[error("{0}: a key can't be null")]
    NullKey(Place),
    /// A list entry with the name of an earlier one.
    #[error("{place}: a second {what} named {name:?}")]
    Twice {
        /// Where it stands.
        place: Place,
        /// What it is.
        what: &'static str,
        /// The name that both have.
        name: String,
    },
    /// Something stands where something else belongs.
    #[error("{place}: {what} is {found}, but has to be {wanted}")]
    Kind {
        /// Where it stands.
        place: Place,
        /// What it belongs to.
        what: String,
        /// What it is.
        found: &'static str,
        /// What belongs there.
        wanted: &'static str,
    },
}

/// What of a text is lost when its contents are written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing.
    Nothing,
    /// Only how it was laid out.
    Layout,
    /// Comments.
    Comments,
}

impl Lost {
    /// What is lost of a text whose contents, unchanged, are written as `again`.
    ///
    /// A `#` in a quoted text is taken for a comment, too: a copy too many harms nobody.
    pub fn of(text: &str, again: &str) -> Self {
        let is_comment = |line: &str| line.starts_with('#') || line.contains(" #") || line.contains("\t#");
        if text == again || text.trim().is_empty() {
            Self::Nothing
        } else if text.lines().any(is_comment) {
            Self::Comments
        } else {
            Self::Layout
        }
    }
}

/// The one document of a text, and its value with every number as it was written; `None` if the text holds nothing.
///
/// # Errors
/// It can't be read, or something in it would be lost.
pub fn document(text: &str) -> Result<Option<(Node, Value)>, Unkept> {
    let mut documents = go_yaml::read(text)?.into_iter();
    let Some(first) = documents.next() else { return Ok(None) };
    if let Some(second) = documents.next() {
        return Err(Unkept::Several(second.place));
    }
    if first.is_null() {
        return Ok(None);
    }
    let value = value(&first)?;
    Ok(Some((first, value)))
}

fn value(node: &Node) -> Result<Value, Unkept> {
    let pair = |(key, node): &(Key, Node)| match key.origin {
        Origin::Null => Err(Unkept::NullKey(key.place)),
        _ => Ok((key.text.clone(), value(node)?)),
    };
    Ok(match &node.data {
        Data::Map(pairs) => Value::Map(pairs.iter().map(pair).collect::<Result<Map, _>>()?),
        Data::List(items) => Value::List(items.iter().map(value).collect::<Result<_, _>>()?),
        Data::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Value::Null,
            Resolved::Text | Resolved::Merge => scalar.text.as_str().into(),
            // As it was written: `1.10` may be a version.
            Resolved::Bool(_) | Resolved::Int(_) | Resolved::Float(_) | Resolved::Date => {
                Value::Number(scalar.text.clone())
            }
        },
    })
}

/// The pairs of a mapping; none where there is nothing.
///
/// # Errors
/// Something else stands there.
pub fn pairs<'a>(node: Option<&'a Node>, what: &str) -> Result<&'a [(Key, Node)], Unkept> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(&[]) };
    node.pairs().ok_or_else(|| wrong(node, what, "a mapping"))
}

/// The items of a list; none where there is nothing.
///
/// # Errors
/// Something else stands there.
pub fn items<'a>(node: Option<&'a Node>, what: &str) -> Result<&'a [Node], Unkept> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(&[]) };
    node.items().ok_or_else(|| wrong(node, what, "a list"))
}

/// The text of a scalar; empty where there is nothing.
///
/// # Errors
/// Something else stands there.
pub fn text<'a>(node: Option<&'a Node>, what: &str) -> Result<&'a str, Unkept> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok("") };
    node.text().ok_or_else(|| wrong(node, what, "a text"))
}

fn wrong(node: &Node, what: &str, wanted: &'static str) -> Unkept {
    let found = match node.kind() {
        "a sequence" => "a list",
        "a scalar" => "a text",
        kind => kind,
    };
    Unkept::Kind { place: node.place, what: what.to_owned(), found, wanted }
}

/// A talosconfig that is changed in one context and keeps the rest: other contexts and unknown keys.
#[derive(Clone, Default)]
pub struct KeptTalosconfig {
    root: Map,
    config: Talosconfig,
}

/// The keys that [`Context`] has, but for `auth`, which is kept as it is; `target` is an old name of an endpoint.
const WRITTEN: [&str; 8] = ["endpoints", "target", "nodes", "ca", "crt", "key", "cluster", "proxy-url"];

impl KeptTalosconfig {
    /// Reads a talosconfig of which the context `name` may be changed; an empty text is an empty one.
    ///
    /// # Errors
    /// It can't be read, or something in it would be lost.
    pub fn parse(text_of_file: &str, name: &str) -> Result<Self, Unkept> {
        let Some((node, value)) = document(text_of_file)? else { return Ok(Self::default()) };
        let Value::Map(root) = value else { return Err(wrong(&node, "the file", "a mapping")) };
        text(node.get("context"), "context")?;
        let contexts = pairs(node.get("contexts"), "contexts")?;
        if let Some((_, ours)) = contexts.iter().find(|(key, _)| key.text == name) {
            let place = |key: &str| format!("contexts.{name}.{key}");
            pairs(Some(ours), &format!("contexts.{name}"))?;
            for key in ["endpoints", "nodes"] {
                for item in items(ours.get(key), &place(key))? {
                    text(Some(item), &place(key))?;
                }
            }
            for key in ["target", "ca", "crt", "key", "cluster", "proxy-url"] {
                text(ours.get(key), &place(key))?;
            }
        }
        Ok(Self { root, config: Talosconfig::of_node(&node) })
    }

    /// What is in it.
    pub fn config(&self) -> &Talosconfig {
        &self.config
    }

    /// Sets a context, and makes it the current one. What else its user wrote into it stays.
    pub fn set(&mut self, name: &str, context: Context) {
        let mut contexts = match self.root.get("contexts") {
            Some(Value::Map(contexts)) => contexts.clone(),
            _ => Map::new(),
        };
        let mut written = context.written();
        let before = contexts.get(name).and_then(Value::as_map).into_iter().flat_map(Map::iter);
        for (key, value) in before.filter(|(key, _)| !WRITTEN.contains(key)) {
            written.set(key, value.clone());
        }
        contexts.set(name, written);
        self.root.set("context", name);
        self.root.set("contexts", contexts);
        self.config.set(name, context);
        name.clone_into(&mut self.config.context);
    }

    /// The text, as the talosctl that writes in this dialect does.
    pub fn emit(&self, dialect: Dialect) -> Secret {
        let mut root = self.root.clone();
        if let Some(contexts) = root.get_mut("contexts").and_then(Value::as_map_mut) {
            contexts.sort();
        }
        Secret::new(go_yaml::write(&root.into(), dialect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "context: prod
contexts:
    lab:
        endpoints:
            - 10.0.0.1
        nodes:
            - 10.0.0.2
        ca: Q0E=
        crt: Q1JU
        key: S0VZ
        note: mine
    prod:
        target: 10.1.0.1
        ca: Q0E=
        release: 1.10
        since: 2024-01-02
        mode: 0644
        more:
            - 1e3
            - true
            - null
            - \"7\"
theirs:
    size: 9007199254740993
";

    #[test]
    fn other_contexts_and_unknown_keys_stay_to_the_byte() {
        let mut kept = KeptTalosconfig::parse(FULL, "lab").unwrap();
        assert_eq!(kept.emit(Dialect::V3).expose(), FULL);
        let ours = kept.config().context("lab").unwrap().clone();
        kept.set("lab", Context { endpoints: vec!["10.0.0.9".to_owned()], ..ours });
        let changed =
            FULL.replace("context: prod", "context: lab").replace("10.0.0.1\n        nodes", "10.0.0.9\n        nodes");
        assert_eq!(kept.emit(Dialect::V3).expose(), changed);
        assert_eq!(Talosconfig::parse(&changed).unwrap(), *kept.config());
    }

    #[test]
    fn what_would_be_lost_is_refused_with_its_place() {
        for (text, why) in [
            (
                "context: a\ncontexts: {}\ncontext: b\n",
                "line 3, column 1: mapping key \"context\" is already defined on line 1",
            ),
            (
                "context: a\n---\ncontext: b\n",
                "line 3, column 1: a second YAML document begins here, but such a file has one",
            ),
            ("- a\n", "line 1, column 1: the file is a list, but has to be a mapping"),
            ("hello\n", "line 1, column 1: the file is a text, but has to be a mapping"),
            ("contexts: [a]\n", "line 1, column 11: contexts is a list, but has to be a mapping"),
            ("context: [a]\n", "line 1, column 10: context is a list, but has to be a text"),
            ("contexts: {lab: x}\n", "line 1, column 17: contexts.lab is a text, but has to be a mapping"),
            (
                "contexts: {lab: {endpoints: x}}\n",
                "line 1, column 29: contexts.lab.endpoints is a text, but has to be a list",
            ),
            (
                "contexts: {lab: {key: {a: b}}}\n",
                "line 1, column 23: contexts.lab.key is a mapping, but has to be a text",
            ),
            ("contexts: {prod: {~: x}}\n", "line 1, column 19: a key can't be null"),
        ] {
            let refused = KeptTalosconfig::parse(text, "lab").err().expect(text);
            assert_eq!(refused.to_string(), why, "{text}");
        }
    }

    #[test]
    fn nothing_in_a_file_is_an_empty_talosconfig() {
        for text in ["", "\n", "# soon\n", "contexts:\n", "contexts: {lab: }\n"] {
            let kept = KeptTalosconfig::parse(text, "lab").unwrap();
            assert!(
                kept.config().context("lab").is_ok_and(|lab| lab.crt.is_empty()) || kept.config().contexts.is_empty()
            );
        }
    }

    #[test]
    fn comments_and_layout_are_known_to_be_lost() {
        for (text, lost) in [
            ("a: b\n", Lost::Nothing),
            ("\n", Lost::Nothing),
            ("a:   b\n", Lost::Layout),
            ("a: b#c\nd: e\n", Lost::Layout),
            ("# mine\na: b\n", Lost::Comments),
            ("a: b # mine\n", Lost::Comments),
            ("a: b\t# mine\n", Lost::Comments),
        ] {
            assert_eq!(Lost::of(text, "a: b\n"), lost, "{text:?}");
        }
    }
}
