//! A talosconfig in which people keep other things, too: nothing of them is lost when it is written again.

use go_yaml::{
    Dialect, Map, Value,
    kept::{Unkept, document, items, pairs, text, wrong},
};

use crate::{Context, Secret, Talosconfig};

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
}
