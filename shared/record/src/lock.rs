//! `ichor.lock`: what was decided once and must not drift.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{API_VERSION, Map, Unusable};

mod adopted;
mod contacts;
mod leftovers;
mod trials;
mod vms;

pub use adopted::LockedMachine;
pub use contacts::Contact;

/// The version of a lock that remembers an etcd, or machines that were adopted. A program that doesn't know the entries
/// must not work with such a lock: it would start an empty etcd in the place of the one that is remembered, and make a
/// second VM for a node that has one.
const REMEMBERS: &str = "ichor/v2";

/// What the lock says about the cluster's etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockedEtcd {
    /// Nothing: the lock was made by a program that didn't remember it.
    Unknown,
    /// It was never bootstrapped, or its whole cluster was destroyed since.
    Never,
    /// It was bootstrapped.
    Bootstrapped {
        /// The IDs of the members that were seen last. Talos's API has no ID of the etcd cluster, so these are what its
        /// identity is known by.
        members: BTreeSet<u64>,
    },
}

impl LockedEtcd {
    /// Whether it was bootstrapped.
    #[must_use]
    pub const fn is_bootstrapped(&self) -> bool {
        matches!(self, Self::Bootstrapped { .. })
    }

    /// The entry in the lock; `None` for something that isn't one.
    fn read(entry: Option<&Value>) -> Option<Self> {
        let Some(entry) = entry else { return Some(Self::Unknown) };
        if !entry.get("bootstrapped")?.as_bool()? {
            return Some(Self::Never);
        }
        let members = entry.get("members").map(|members| members.as_array().map(Vec::as_slice)).unwrap_or(Some(&[]))?;
        let members = members.iter().map(|id| u64::from_str_radix(id.as_str()?, 16).ok());
        Some(Self::Bootstrapped { members: members.collect::<Option<_>>()? })
    }
}

/// The contents of `ichor.lock`. Fields that this version does not know are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    fields: Map,
}

impl Lock {
    /// A lock for a cluster about which nothing was decided yet.
    #[must_use]
    pub fn new(cluster: &str) -> Self {
        let etcd = json!({"bootstrapped": false});
        let value = json!({"apiVersion": API_VERSION, "kind": "Lock", "name": cluster, "etcd": etcd});
        let Value::Object(fields) = value else { unreachable!("the literal is an object") };
        Self { fields }
    }

    /// Reads the text of `ichor.lock`.
    ///
    /// # Errors
    /// Text that is not a lock, or the lock of a cluster other than `cluster`.
    pub fn parse(text: &str, cluster: &str) -> Result<Self, Unusable> {
        let broken = |what: String| {
            Unusable::new(format!("ichor.lock: {what}"))
                .hint("restore it from version control: the identity of the cluster's VMs derives from it")
        };
        let fields: Map = serde_json::from_str(text).map_err(|error| broken(format!("not JSON: {error}")))?;
        let version = fields.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        if fields.get("kind") != Some(&"Lock".into()) || !version.starts_with("ichor/v") {
            return Err(broken("not a lock of ichor/v1 or ichor/v2".into()));
        }
        if ![API_VERSION, REMEMBERS].contains(&version) {
            let message = format!("ichor.lock: it is of {version}, which this program doesn't know");
            return Err(Unusable::new(message).hint("a newer release wrote it: use that release"));
        }
        if LockedEtcd::read(fields.get("etcd")).is_none() {
            return Err(broken("`etcd` is not what talos-bootstrap writes".into()));
        }
        if adopted::read(fields.get(adopted::KEY)).is_none() {
            return Err(broken("`adopted` is not what pve-vm writes".into()));
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

    /// The cluster's identity: 32 hexadecimal digits. The names of VMs and clusters are only hints.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        self.text("uid")
    }

    /// Sets the identity, once.
    pub fn set_uid(&mut self, uid: &str) {
        self.fields.insert("uid".into(), uid.into());
    }

    /// The version contract that the cluster was made with: `v1.13`.
    #[must_use]
    pub fn contract(&self) -> Option<&str> {
        self.text("contract")
    }

    /// Sets the version contract, once.
    pub fn set_contract(&mut self, contract: &str) {
        self.fields.insert("contract".into(), contract.into());
    }

    /// SHA-256 of the Talos certificate authority (DER), hexadecimal: it identifies the secrets of the cluster.
    #[must_use]
    pub fn ca256(&self) -> Option<&str> {
        self.text("ca256")
    }

    /// Sets the digest of the certificate authority, once.
    pub fn set_ca256(&mut self, ca256: &str) {
        self.fields.insert("ca256".into(), ca256.into());
    }

    /// What is remembered of the cluster's etcd.
    #[must_use]
    pub fn etcd(&self) -> LockedEtcd {
        LockedEtcd::read(self.fields.get("etcd")).unwrap_or(LockedEtcd::Unknown)
    }

    /// Remembers that etcd was bootstrapped, and its members; keys of the entry that this version does not know are kept.
    pub fn set_etcd(&mut self, members: &BTreeSet<u64>) {
        let ids: Vec<Value> = members.iter().map(|id| format!("{id:016x}").into()).collect();
        let entry = self.fields.entry("etcd").or_insert_with(|| Map::new().into());
        if let Value::Object(entry) = entry {
            entry.insert("bootstrapped".into(), true.into());
            entry.insert("members".into(), ids.into());
        }
        self.fields.insert("apiVersion".into(), REMEMBERS.into());
    }

    /// Takes the etcd out, after its whole cluster was destroyed: the next one is a new one.
    pub fn forget_etcd(&mut self) {
        self.fields.insert("etcd".into(), json!({"bootstrapped": false}));
        let version = if self.adopted().is_empty() { API_VERSION } else { REMEMBERS };
        self.fields.insert("apiVersion".into(), version.into());
    }

    /// The Proxmox VE of the cluster, as the cluster file named it when it was locked.
    #[must_use]
    pub fn proxmox(&self) -> Option<&str> {
        self.text("proxmox")
    }

    /// Sets the Proxmox VE of the cluster.
    pub fn set_proxmox(&mut self, endpoint: &str) {
        self.fields.insert("proxmox".into(), endpoint.into());
    }

    /// SHA-256 of the image at this URL, hexadecimal.
    #[must_use]
    pub fn image(&self, url: &str) -> Option<&str> {
        self.fields.get("images")?.get(url)?.as_str()
    }

    /// Sets the digest of the image at this URL.
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

    /// Takes out what was noted of the file at this place.
    pub fn forget_copy(&mut self, place: &str) {
        if let Some(Value::Object(copies)) = self.fields.get_mut("copies") {
            copies.shift_remove(place);
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

    fn ids(ids: &[u64]) -> BTreeSet<u64> {
        ids.iter().copied().collect()
    }

    #[test]
    fn an_etcd_is_remembered_and_forgotten_and_what_is_unknown_about_it_stays() {
        let text = r#"{"apiVersion":"ichor/v1","kind":"Lock","name":"lab","etcd":{"bootstrapped":false,"later":1}}"#;
        let mut lock = Lock::parse(text, "lab").unwrap();
        assert_eq!(lock.etcd(), LockedEtcd::Never);
        lock.set_etcd(&ids(&[0x8e9e_05c5_2164_694d, 7]));
        let mut again = Lock::parse(&lock.emit(), "lab").unwrap();
        assert_eq!(again.etcd(), LockedEtcd::Bootstrapped { members: ids(&[0x8e9e_05c5_2164_694d, 7]) });
        assert!(again.emit().contains("\"later\": 1") && again.emit().contains("\"8e9e05c52164694d\""));
        again.forget_etcd();
        assert_eq!(Lock::parse(&again.emit(), "lab").unwrap().etcd(), LockedEtcd::Never);
    }

    /// What a program of release 0.1 and before reads: it must refuse a lock that remembers an etcd, and only that.
    #[test]
    fn a_program_that_does_not_know_the_entry_refuses_a_lock_that_remembers_an_etcd() {
        let is_old = |lock: &Lock| lock.fields["apiVersion"] == "ichor/v1";
        let mut lock = Lock::new("lab");
        assert!(is_old(&lock));
        lock.set_etcd(&ids(&[7]));
        assert!(!is_old(&lock));
        lock.forget_etcd();
        assert!(is_old(&lock));
    }

    #[test]
    fn locks_of_every_release_so_far_load_and_say_what_they_know() {
        for (text, etcd) in [
            (include_str!("fixtures/lock-0.1.json"), LockedEtcd::Unknown),
            (include_str!("fixtures/lock-new.json"), LockedEtcd::Never),
            (
                include_str!("fixtures/lock-etcd.json"),
                LockedEtcd::Bootstrapped { members: ids(&[0x8e9e_05c5_2164_694d]) },
            ),
        ] {
            let lock = Lock::parse(text, "lab").unwrap();
            assert_eq!((lock.uid(), lock.etcd()), (Some("00112233445566778899aabbccddeeff"), etcd));
        }
    }

    #[test]
    fn a_lock_of_the_future_and_an_entry_that_nobody_wrote_are_refused() {
        let lock = |version: &str, etcd: &str| {
            let text = format!(r#"{{"apiVersion":"{version}","kind":"Lock","name":"lab","etcd":{etcd}}}"#);
            Lock::parse(&text, "lab").map(|lock| lock.etcd()).map_err(|error| error.message)
        };
        assert!(lock("ichor/v3", "{}").unwrap_err().contains("it is of ichor/v3, which this program doesn't know"));
        for entry in ["true", "{}", r#"{"bootstrapped":"yes"}"#, r#"{"bootstrapped":true,"members":["x"]}"#] {
            assert!(lock("ichor/v2", entry).unwrap_err().contains("`etcd` is not what"), "{entry}");
        }
        assert!(lock("ichor/v2", r#"{"bootstrapped":true}"#).unwrap().is_bootstrapped());
    }

    #[test]
    fn a_lock_of_another_cluster_is_refused() {
        let error = Lock::parse(&Lock::new("prod").emit(), "lab").unwrap_err();
        assert_eq!(error.message, "ichor.lock: it belongs to cluster prod, not lab");
    }
}
