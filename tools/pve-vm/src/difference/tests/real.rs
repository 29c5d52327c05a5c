//! What real Proxmox VE answered to what was sent, beside the workspace.

use super::*;
use crate::{parameters::PARAMETERS, values::Extent};

/// Every creation and every change whose VM was read afterwards: what was sent, and what the config had then.
fn pairs_of(file: &str) -> Option<Vec<(String, String, Value)>> {
    let text = std::fs::read_to_string(judges::vectors(file)?).unwrap();
    let mut sent: Vec<(String, Value)> = Vec::new();
    let mut pairs = Vec::new();
    for line in text.lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let path = call["path"].as_str().unwrap_or_default().trim_start_matches("/api2/json").to_owned();
        let (method, is_fine) = (call["method"].as_str().unwrap_or_default(), call["status"] == 200);
        let form = call["form"].as_object().cloned().unwrap_or_default();
        let vm = match method {
            "POST" if path.ends_with("/qemu") => format!("{path}/{}", form.get("vmid").map(scalar).unwrap_or_default()),
            _ => path.trim_end_matches("/config").to_owned(),
        };
        match method {
            "POST" | "PUT" if is_fine && form.keys().any(|key| PARAMETERS.iter().any(|known| known.name == key)) => {
                // A later change of the same parameter takes the place of an earlier one.
                sent.retain(|(known, old)| *known != vm || form.keys().all(|key| old.get(key).is_none()));
                sent.push((vm, Value::Object(form)));
            }
            "GET" if is_fine && path.ends_with("/config") => {
                let mut own: Vec<_> = sent.iter().filter(|(known, _)| *known == vm).collect();
                if let Some((_, form)) = own.pop() {
                    for (key, value) in form.as_object().unwrap() {
                        pairs.push((key.clone(), scalar(value), call["body"]["data"].clone()));
                    }
                }
                sent.retain(|(known, _)| *known != vm);
            }
            "DELETE" => sent.retain(|(known, _)| *known != vm),
            _ => {}
        }
    }
    Some(pairs)
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A second run finds nothing to do about what the server made of a first one.
#[test]
fn nothing_that_real_proxmox_took_differs_afterwards() {
    let mut compared = 0;
    for file in
        ["pve/real/client-exchanges-9.2.jsonl", "pve/real/client-exchanges-8.4.jsonl", "pve/transcript-9.2.jsonl"]
    {
        let Some(pairs) = pairs_of(file) else { return };
        for (key, sent, config) in pairs {
            let Some(parameter) = find(&key) else { continue };
            let Some(found) = config.get(&key).map(scalar) else { continue };
            let is_same = match parameter.kind {
                Kind::Drive => {
                    // An empty disk of no size is taken by the server, and by nobody else.
                    let Ok(drive) = crate::disks::Drive::parse("scsi9", &sent) else { continue };
                    let found = Found::parse(&found);
                    drive.is(&found) && drive.has_options_of(&found)
                }
                Kind::Nic => {
                    let mut wanted = Nic::parse(&sent);
                    let found = Nic::parse(&found);
                    // Without an address the server makes one up.
                    wanted.mac = wanted.mac.or_else(|| found.mac.clone());
                    wanted.is(&found, Extent::Whole)
                }
                Kind::Words if key == "tags" => words(&sent).all(|tag| has_tag(&found, tag)),
                _ => same(parameter, Extent::Whole, &sent, Some(&found)),
            };
            assert!(is_same, "{file}: {key} was sent as {sent:?} and found as {found:?}");
            compared += 1;
        }
    }
    assert!(compared > 100, "only {compared} pairs were found");
}

/// What a running VM takes at once, and what waits for its next start, as it was seen.
#[test]
fn what_real_proxmox_keeps_pending_needs_a_power_cycle() {
    let Some(path) = judges::vectors("pve/real/probe-real-vs-lab-9.2-live-changes.jsonl") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let calls: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut seen = 0;
    for (index, call) in calls.iter().enumerate() {
        let label = call["label"].as_str().unwrap_or_default();
        let Some(key) = label.strip_prefix("live ") else { continue };
        let form = &call["form"][key];
        let current = &calls[index + 1]["real"]["data"][key];
        // What masks a value hides the difference, and a plug that failed says nothing.
        if call["real"]["task"] != "OK" || scalar(current).contains("UUID") {
            continue;
        }
        let parameter = find(key).unwrap();
        let is_current = same(parameter, Extent::Whole, &scalar(form), Some(&scalar(current))) && !current.is_null();
        let expected = if is_current { Impact::Live } else { Impact::PowerCycle };
        // Only a new VM has another firmware, and the guest reads cloud-init when it starts.
        if !matches!(parameter.when, When::Recreate | When::NextStart) {
            assert_eq!(impact(parameter.when, &Config::default()), expected, "{key}");
        }
        seen += 1;
    }
    assert!(seen > 25, "only {seen} changes were found");
}
