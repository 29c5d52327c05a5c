//! A VM's config, with what of it waits for the next start.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use crate::{property::Property, scalar};

/// A VM's config: parameter names and values as text, as they will be after the next start.
///
/// Read from `pending`, it also knows what the running VM has instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    values: BTreeMap<String, String>,
    /// Parameters that wait for the next start, with what runs now.
    pending: BTreeMap<String, Option<String>>,
}

/// A row of `pending`.
#[derive(Deserialize)]
struct Row {
    key: String,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    pending: Value,
    #[serde(default)]
    delete: Value,
}

impl Config {
    /// The value of a parameter, as text whatever it came as.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of a parameter that the running VM has. Without pending values it is that of [`Self::get`].
    pub fn running(&self, name: &str) -> Option<&str> {
        match self.pending.get(name) {
            Some(now) => now.as_deref(),
            None => self.get(name),
        }
    }

    /// The parameters whose values wait for the next start.
    pub fn pending(&self) -> impl Iterator<Item = &str> {
        self.pending.keys().map(String::as_str)
    }

    /// The config of the running VM, without what waits for the next start.
    #[must_use]
    pub fn as_running(&self) -> Self {
        let mut values = self.values.clone();
        for (name, now) in &self.pending {
            match now {
                Some(now) => drop(values.insert(name.clone(), now.clone())),
                None => drop(values.remove(name)),
            }
        }
        Self { values, pending: BTreeMap::new() }
    }

    /// The value of a parameter that is a property string.
    pub fn property(&self, name: &str) -> Option<Property> {
        self.get(name).map(Property::parse)
    }

    /// Whether a parameter is switched on.
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), Some("1" | "on" | "yes" | "true"))
    }

    /// What guards a change against changes in between.
    pub fn digest(&self) -> Option<&str> {
        self.get("digest")
    }

    /// The lock that is on the VM: `backup`, `create`, `migrate`, …
    pub fn lock(&self) -> Option<&str> {
        self.get("lock")
    }

    /// The SMBIOS UUID, lower case.
    pub fn uuid(&self) -> Option<String> {
        self.property("smbios1")?.get("uuid").map(str::to_ascii_lowercase)
    }

    /// All parameters, by name.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn add(&mut self, row: Row) {
        let (now, next) = (scalar::written(&row.value), scalar::written(&row.pending));
        let is_deleted = scalar::written(&row.delete).is_some_and(|text| text != "0");
        if is_deleted || next.is_some() {
            self.pending.insert(row.key.clone(), now.clone());
        }
        match next.or(now).filter(|_| !is_deleted) {
            Some(value) => drop(self.values.insert(row.key, value)),
            None => drop(self.values.remove(&row.key)),
        }
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Config {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(values: I) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { values, pending: BTreeMap::new() }
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut config = Self::default();
        match Value::deserialize(deserializer)? {
            Value::Object(values) => {
                let text = |(name, value): (String, Value)| scalar::written(&value).map(|value| (name, value));
                config.values = values.into_iter().filter_map(text).collect();
            }
            Value::Array(rows) => {
                for row in rows {
                    config.add(Row::deserialize(row).map_err(D::Error::custom)?);
                }
            }
            _ => return Err(D::Error::custom("this is no config")),
        }
        // Every config has one, of whatever VM. What has none is of something else, and says nothing of this VM.
        match config.digest() {
            Some(_) => Ok(config),
            None => Err(D::Error::custom("a config without `digest`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_gives_every_scalar_as_text() {
        let json = r#"{"cores":2,"memory":"2048","onboot":1,"digest":"d","smbios1":"uuid=AB-12,serial=eA==,base64=1"}"#;
        let config: Config = serde_json::from_str(json).unwrap();

        assert_eq!((config.get("cores"), config.get("memory"), config.digest()), (Some("2"), Some("2048"), Some("d")));
        assert_eq!(config.uuid().as_deref(), Some("ab-12"));
        assert!(config.is_set("onboot") && !config.is_set("protection"));
    }

    /// Seen: `{}` in place of a config once, and a VM of the cluster was somebody else's (7).
    #[test]
    fn what_is_no_config_says_nothing_of_a_vm() {
        for json in ["{}", "[]", "null", r#""x""#, r#"{"cores":2}"#, r#"[{"key":"cores","value":2}]"#] {
            assert!(serde_json::from_str::<Config>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn pending_values_are_told_apart_from_those_that_run() {
        let json = r#"[{"key":"cores","value":2,"pending":1},{"key":"memory","value":"2048"},{"key":"digest","value":"d"},
            {"key":"vga","value":"std","delete":1},{"key":"rng0","pending":"source=/dev/urandom"}]"#;
        let config: Config = serde_json::from_str(json).unwrap();

        assert_eq!((config.get("cores"), config.running("cores")), (Some("1"), Some("2")));
        assert_eq!((config.get("vga"), config.running("vga")), (None, Some("std")));
        assert_eq!((config.get("rng0"), config.running("rng0")), (Some("source=/dev/urandom"), None));
        assert_eq!(
            (config.get("memory"), config.running("memory"), config.digest()),
            (Some("2048"), Some("2048"), Some("d"))
        );
        assert_eq!(config.pending().collect::<Vec<_>>(), ["cores", "rng0", "vga"]);
        let now = config.as_running();
        assert_eq!((now.get("cores"), now.get("vga"), now.get("rng0")), (Some("2"), Some("std"), None));
    }
}
