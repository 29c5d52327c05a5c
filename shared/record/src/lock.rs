//! `ichor.lock`: what was decided once and must not drift.

use serde_json::{Value, json};

use crate::{API_VERSION, Map, Unusable};

/// The contents of `ichor.lock`. Fields that this version does not know are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    fields: Map,
}

impl Lock {
    /// A lock of a cluster about which nothing was decided yet.
    #[must_use]
    pub fn new(cluster: &str) -> Self {
        let value = json!({"apiVersion": API_VERSION, "kind": "Lock", "name": cluster});
        let Value::Object(fields) = value else { unreachable!("the literal is an object") };
        Self { fields }
    }

    /// Reads the text of `ichor.lock`.
    ///
    /// # Errors
    /// Text that is not a lock, or one of another cluster than `cluster`.
    pub fn parse(text: &str, cluster: &str) -> Result<Self, Unusable> {
        let broken = |what: String| {
            Unusable::new(format!("ichor.lock: {what}"))
                .hint("restore it from version control: the identity of the cluster's VMs derives from it")
        };
        let fields: Map = serde_json::from_str(text).map_err(|error| broken(format!("not JSON: {error}")))?;
        if fields.get("kind") != Some(&"Lock".into()) || fields.get("apiVersion") != Some(&API_VERSION.into()) {
            return Err(broken("not a lock of ichor/v1".into()));
        }
        match fields.get("name").and_then(Value::as_str) {
            Some(name) if name == cluster => Ok(Self { fields }),
            name => Err(broken(format!("it belongs to cluster {}, not {cluster}", name.unwrap_or("(none)")))),
        }
    }

    /// The text to write.
    #[must_use]
    pub fn emit(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.fields).expect("a map of JSON values");
        text.push('\n');
        text
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key)?.as_str()
    }

    /// The cluster's identity, which names of VMs and clusters only hint at: 32 hexadecimal digits.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        self.text("uid")
    }

    /// Decides the identity, once.
    pub fn set_uid(&mut self, uid: &str) {
        self.fields.insert("uid".into(), uid.into());
    }

    /// The version contract that the cluster was made with: `v1.13`.
    #[must_use]
    pub fn contract(&self) -> Option<&str> {
        self.text("contract")
    }

    /// Decides the version contract, once.
    pub fn set_contract(&mut self, contract: &str) {
        self.fields.insert("contract".into(), contract.into());
    }

    /// SHA-256 of the Talos certificate authority (DER), hexadecimal: whose secrets the cluster was made with.
    #[must_use]
    pub fn ca256(&self) -> Option<&str> {
        self.text("ca256")
    }

    /// Decides whose secrets the cluster is made with, once.
    pub fn set_ca256(&mut self, ca256: &str) {
        self.fields.insert("ca256".into(), ca256.into());
    }

    /// SHA-256 of the image at this URL, hexadecimal.
    #[must_use]
    pub fn image(&self, url: &str) -> Option<&str> {
        self.fields.get("images")?.get(url)?.as_str()
    }

    /// Decides what the image at this URL is.
    pub fn set_image(&mut self, url: &str, sha256: &str) {
        let images = self.fields.entry("images").or_insert_with(|| Map::new().into());
        if let Value::Object(images) = images {
            images.insert(url.into(), sha256.into());
        }
    }

    /// What was found when the file at this place (`host/volume`) was last compared with its digest.
    #[must_use]
    pub fn copy(&self, place: &str) -> Option<&str> {
        self.fields.get("copies")?.get(place)?.as_str()
    }

    /// Notes what the file at this place is.
    pub fn set_copy(&mut self, place: &str, mark: &str) {
        let copies = self.fields.entry("copies").or_insert_with(|| Map::new().into());
        if let Value::Object(copies) = copies {
            copies.insert(place.into(), mark.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_survives_writing_and_reading_with_fields_of_the_future() {
        let text = r#"{"apiVersion":"ichor/v1","kind":"Lock","name":"lab","later":{"x":1.0}}"#;
        let mut lock = Lock::parse(text, "lab").unwrap();
        lock.set_uid("00ff");
        lock.set_image("https://f/image", "abc");
        let again = Lock::parse(&lock.emit(), "lab").unwrap();
        assert_eq!((again.uid(), again.image("https://f/image")), (Some("00ff"), Some("abc")));
        assert!(again.emit().contains("\"x\": 1.0"));
    }

    #[test]
    fn a_lock_of_another_cluster_is_refused() {
        let error = Lock::parse(&Lock::new("prod").emit(), "lab").unwrap_err();
        assert_eq!(error.message, "ichor.lock: it belongs to cluster prod, not lab");
    }
}
