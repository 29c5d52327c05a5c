//! What the file says for all VMs, or for those of a role, is checked once before anything is done: one mistake is one
//! message, however many nodes there are.

use record::{Map, Role, spec::NodeSpec};
use serde_json::json;

use super::{Machine, Site};
use crate::error::Error;

/// Refuses a wrong key or value in the layers above the nodes. What a layer only lacks, the nodes may have.
pub(crate) fn check(site: &Site<'_>, spec: &Map) -> Result<(), Error> {
    for (role, place) in
        [(None, "spec.vm"), (Some(Role::ControlPlane), "spec.controlplane.vm"), (Some(Role::Worker), "spec.worker.vm")]
    {
        let layer = match role {
            Some(role) => spec.get(role.as_str()).and_then(|layer| layer.get("vm")),
            None => spec.get("vm"),
        };
        let Some(vm) = layer.and_then(serde_json::Value::as_object) else { continue };
        let role = role.unwrap_or(Role::Worker).as_str();
        // A layer of another shape is told where the file is read.
        let Ok(node) = serde_json::from_value::<NodeSpec>(json!({"role": role, "vm": vm})) else { continue };
        let is_its_own = |error: &Error| error.key().is_some_and(|key| vm.contains_key(key));
        match Machine::read(site, place, &node) {
            Err(error) if is_its_own(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use record::spec::ClusterSpec;

    use super::*;
    use crate::identity::Identity;

    #[test]
    fn a_mistake_for_many_vms_is_told_with_its_place_and_what_a_layer_lacks_is_none() {
        let identity = Identity::new("00112233445566778899aabbccddeeff");
        let told = |layers: serde_json::Value| {
            let spec = ClusterSpec {
                proxmox: serde_json::from_value(json!({"storage": "local-lvm", "bridge": "vmbr0"})).unwrap(),
                ..ClusterSpec::default()
            };
            let site = Site { cluster: "lab", spec: &spec, identity: &identity };
            check(&site, layers.as_object().unwrap()).map_err(|error| error.to_string())
        };
        assert_eq!(
            told(json!({"worker": {"vm": {"corse": 2}}})).unwrap_err(),
            "spec.worker.vm.corse is no parameter of a VM; did you mean `cores`?"
        );
        let memory = told(json!({"controlplane": {"vm": {"memory": "4GB"}}})).unwrap_err();
        assert!(memory.starts_with("spec.controlplane.vm.memory must be a whole number"), "{memory}");
        let disks = told(json!({"vm": {"disks": [{"size": "x"}]}})).unwrap_err();
        assert!(disks.starts_with("spec.vm.disks"), "{disks}");
        assert_eq!(told(json!({"worker": {"vm": {"cores": 2, "disk": 20}}, "vm": {"onboot": 1}})), Ok(()));
    }
}
