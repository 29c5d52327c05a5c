//! Wishes, and what the manager has, as data.

use serde_json::json;

use super::*;

fn found(json: Value) -> HaResource {
    serde_json::from_value(json).unwrap()
}

fn call(wanted: &Value, found: Option<Value>) -> Option<Call> {
    let found = found.map(self::found);
    Managed::read(wanted).unwrap().difference(found.as_ref()).map(|(_, call)| call)
}

fn pairs(pairs: &[(&str, &str)]) -> Parameters {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_vm_is_managed_as_the_file_says_and_what_it_leaves_out_stays() {
    let managed = json!({"sid": "vm:100", "state": "started", "max_restart": 1, "max_relocate": "3", "digest": "x"});
    let started = ("state", "started");
    assert_eq!(call(&json!(true), None), Some(Call::Add(pairs(&[started]))));
    assert_eq!(call(&json!({"max_restart": 2}), None), Some(Call::Add(pairs(&[started, ("max_restart", "2")]))));
    assert_eq!(call(&json!(true), Some(managed.clone())), None);
    assert_eq!(call(&json!({"max_restart": 1, "failback": true}), Some(managed.clone())), None, "the defaults hold");
    assert_eq!(
        call(&json!({"max_relocate": 2, "failback": "0"}), Some(managed.clone())),
        Some(Call::Change(pairs(&[("failback", "0"), ("max_relocate", "2")])))
    );
    assert_eq!(call(&json!(false), Some(managed)), Some(Call::Remove));
    assert_eq!(call(&json!(false), None), None);
}

#[test]
fn what_somebody_disabled_stays_disabled_and_what_is_to_be_off_is_to_run() {
    for state in ["disabled", "ignored"] {
        assert_eq!(call(&json!(true), Some(json!({"sid": "vm:100", "state": state}))), None);
    }
    let stopped = call(&json!(true), Some(json!({"sid": "vm:100", "state": "stopped"})));
    assert_eq!(stopped, Some(Call::Change(pairs(&[("state", "started")]))));
}

#[test]
fn a_value_that_the_manager_does_not_know_is_refused() {
    for wrong in [json!("maybe"), json!(1.5), json!({"state": "started"}), json!([])] {
        assert_eq!(Managed::read(&wrong), Err(("ha".to_owned(), FORM)), "{wrong}");
    }
    for (wrong, key) in [
        (json!({"max_restart": []}), "max_restart"),
        (json!({"max_relocate": -1}), "max_relocate"),
        (json!({"failback": "maybe"}), "failback"),
        (json!({"nodes": "pve1:high"}), "nodes"),
        (json!({"strict": true}), "strict"),
        (json!({"separate": "a b"}), "separate"),
        (json!({"nodes": "pve1:2,pve2", "separate": "etcd"}), "nodes"),
        (json!({"nodes": "pve1,pve2", "together": "db"}), "nodes"),
    ] {
        let (found, _) = Managed::read(&wrong).unwrap_err();
        assert_eq!(found, format!("ha.{key}"), "{wrong}");
    }
}

#[test]
fn groups_of_hosts_and_rules_are_each_for_their_own_release() {
    let unknown = |value: Value, release| Managed::read(&value).unwrap().unknown_to(release);
    assert_eq!(unknown(json!({"group": "fast"}), (9, 0)), Some("group"));
    assert_eq!(unknown(json!({"group": "fast"}), (8, 4)), None);
    for (value, key) in [
        (json!({"nodes": "pve1"}), "nodes"),
        (json!({"separate": "etcd"}), "separate"),
        (json!({"together": "db"}), "together"),
        (json!({"failback": false}), "failback"),
    ] {
        assert_eq!((unknown(value.clone(), (8, 4)), unknown(value, (9, 2))), (Some(key), None));
    }
    assert!(!Managed::read(&json!({"max_restart": 2})).unwrap().depends_on_release());
}
