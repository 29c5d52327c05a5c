//! Claims of volumes, and the volumes that they get.
//!
//! Where there is a storage class, its provisioner is taken to work; where there is none, a claim waits for a volume
//! that somebody has made.

use serde_json::{Value, json};

use super::controllers::text;
use super::deletion::PROTECTION;
use super::pods;
use super::store::{Key, Store};

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";

fn key(plural: &str, object: &Value) -> Key {
    (plural.to_owned(), text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
}

/// Names of the claims of a pod.
pub(super) fn claims(pod: &Value) -> impl Iterator<Item = String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let pod_name = text(pod, "/metadata/name");
    volumes.filter_map(move |volume| match volume["ephemeral"].is_null() {
        true => volume["persistentVolumeClaim"]["claimName"].as_str().map(str::to_owned),
        false => Some(format!("{pod_name}-{}", volume["name"].as_str()?)),
    })
}

impl Store {
    /// Whether a pod uses a claim.
    pub(super) fn is_claimed(&self, claim: &Key) -> bool {
        self.list("pods", Some(&claim.1)).any(|pod| !pods::is_done(pod) && claims(pod).any(|name| name == claim.2))
    }

    /// The claim that has a volume.
    pub(super) fn claim_of(&self, volume: &Value) -> Option<&Value> {
        let of = &volume["spec"]["claimRef"];
        let claim = self.get(CLAIMS, text(of, "/namespace"), text(of, "/name"))?;
        (of["uid"].is_null() || claim["metadata"]["uid"] == of["uid"]).then_some(claim)
    }
}

/// Binds the claims of a pod, or returns why it has to wait.
pub(super) fn bind(store: &mut Store, pod: &Value, at: &str) -> Result<(), String> {
    let namespace = text(pod, "/metadata/namespace");
    for name in claims(pod) {
        look(store, &(CLAIMS.to_owned(), namespace.to_owned(), name.clone()), at);
        let Some(claim) = store.get(CLAIMS, namespace, &name).cloned() else {
            return Err(format!("persistentvolumeclaim {name:?} not found"));
        };
        if !is_bound(&claim) && !fill(store, &claim, true, at) {
            return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
    }
    Ok(())
}

fn is_bound(claim: &Value) -> bool {
    claim["status"]["phase"] == "Bound"
}

/// Looks at a claim: a new one is protected, given its class, and bound where that need not wait for a pod.
pub(super) fn look(store: &mut Store, place: &Key, at: &str) {
    let Some(mut claim) = store.at(place).cloned() else { return release(store, place, at) };
    if !claim["metadata"]["deletionTimestamp"].is_null() {
        return;
    }
    if claim["status"]["phase"].is_null() {
        claim["status"]["phase"] = json!("Pending");
        if claim["spec"]["volumeMode"].is_null() {
            claim["spec"]["volumeMode"] = json!("Filesystem");
        }
        protect(&mut claim, PROTECTION[0]);
        if claim["spec"]["storageClassName"].is_null()
            && let Some(class) = default_class(store)
        {
            claim["spec"]["storageClassName"] = class.into();
        }
        store.put(CLAIMS, claim.clone(), at);
    }
    if !is_bound(&claim) && fill(store, &claim, false, at) {
        for key in store.waiting() {
            store.queue().look(key);
        }
    }
}

/// Looks at a volume: one that is free may be what a claim waits for.
pub(super) fn look_at_volume(store: &mut Store, place: &Key, at: &str) {
    let Some(mut volume) = store.at(place).cloned() else { return };
    if volume["status"]["phase"].is_null() {
        volume["status"]["phase"] = json!("Available");
        protect(&mut volume, PROTECTION[1]);
        store.put(VOLUMES, volume, at);
        for key in store.keys_of(CLAIMS) {
            store.queue().look(key);
        }
    }
}

fn protect(object: &mut Value, finalizer: &str) {
    if !object["metadata"]["finalizers"].is_array() {
        object["metadata"]["finalizers"] = json!([]);
    }
    if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut()
        && !finalizers.iter().any(|known| known == finalizer)
    {
        finalizers.push(finalizer.into());
    }
}

fn default_class(store: &Store) -> Option<String> {
    let mut classes = store.list("storageclasses", None);
    let marked =
        |class: &&Value| class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
    classes.find(marked).map(|class| text(class, "/metadata/name").to_owned())
}

/// Gives a claim a volume, if there is one for it.
fn fill(store: &mut Store, claim: &Value, used: bool, at: &str) -> bool {
    let class = text(claim, "/spec/storageClassName");
    let free = |volume: &&Value| {
        let wanted = text(claim, "/spec/volumeName");
        let mine = store.claim_of(volume).is_some_and(|of| of["metadata"]["uid"] == claim["metadata"]["uid"]);
        let open = volume["status"]["phase"] == "Available" && volume["spec"]["claimRef"].is_null();
        let named = wanted.is_empty() || wanted == text(volume, "/metadata/name");
        named && text(volume, "/spec/storageClassName") == class && (mine || open)
    };
    let found = store.list(VOLUMES, None).find(free).cloned();
    let volume = match (found, store.get("storageclasses", "", class)) {
        (Some(volume), _) => volume,
        (None, Some(kind)) if used || kind["volumeBindingMode"] != "WaitForFirstConsumer" => provisioned(claim, kind),
        _ => return false,
    };
    bound(store, claim.clone(), volume, at);
    true
}

fn provisioned(claim: &Value, class: &Value) -> Value {
    let reclaim = class["reclaimPolicy"].as_str().unwrap_or("Delete");
    json!({
        "kind": "PersistentVolume", "apiVersion": "v1",
        "metadata": {
            "name": format!("pvc-{}", text(claim, "/metadata/uid")), "finalizers": [PROTECTION[1]],
            "annotations": {"pv.kubernetes.io/provisioned-by": class["provisioner"]},
        },
        "spec": {
            "accessModes": claim["spec"]["accessModes"], "capacity": claim["spec"]["resources"]["requests"],
            "persistentVolumeReclaimPolicy": reclaim, "storageClassName": class["metadata"]["name"],
            "volumeMode": "Filesystem",
            "csi": {"driver": class["provisioner"], "volumeHandle": claim["metadata"]["uid"]},
        },
    })
}

fn bound(store: &mut Store, mut claim: Value, mut volume: Value, at: &str) {
    volume["spec"]["claimRef"] = json!({
        "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": claim["metadata"]["namespace"],
        "name": claim["metadata"]["name"], "uid": claim["metadata"]["uid"],
    });
    volume["status"]["phase"] = json!("Bound");
    claim["spec"]["volumeName"] = volume["metadata"]["name"].clone();
    claim["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = json!("yes");
    claim["status"] = json!({
        "phase": "Bound", "accessModes": volume["spec"]["accessModes"], "capacity": volume["spec"]["capacity"],
    });
    store.put(VOLUMES, volume, at);
    store.put(CLAIMS, claim, at);
}

/// A claim is gone: its volume goes too, or waits for somebody to look after it.
fn release(store: &mut Store, claim: &Key, at: &str) {
    let of = |volume: &&Value| {
        let of = &volume["spec"]["claimRef"];
        (text(of, "/namespace"), text(of, "/name")) == (&claim.1, &claim.2) && store.claim_of(volume).is_none()
    };
    let volumes: Vec<Value> = store.list(VOLUMES, None).filter(of).cloned().collect();
    for mut volume in volumes {
        match text(&volume, "/spec/persistentVolumeReclaimPolicy") {
            "Delete" => drop(store.delete(&key(VOLUMES, &volume), super::deletion::Propagation::Background, None, at)),
            _ => {
                volume["status"]["phase"] = json!("Released");
                store.put(VOLUMES, volume, at);
            }
        }
    }
}
