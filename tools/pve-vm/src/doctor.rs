//! `pve-vm doctor`: checks that Proxmox VE has everything that is needed; changes nothing.

use std::collections::BTreeSet;

use pve_client::{Client, answer::Permissions, request};
use record::{Failure, spec::ProxmoxSpec};
use step::Run;

use crate::error::Error;

/// Privileges that talos-image and pve-vm need on every release. `startup` of a VM also needs Sys.Modify on `/`; as few
/// clusters set it and the privilege is wide, it isn't among them.
const PRIVILEGES: [&str; 16] = [
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CPU",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Config.Cloudinit",
    "VM.PowerMgmt",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "SDN.Use",
    "Sys.Audit",
    "Sys.AccessNetwork",
];

/// The release for which [`privileges`] lists them.
const PROXMOX_VE_9: (u32, u32) = (9, 0);

/// The privileges that an API token needs on Proxmox VE 9.
pub fn privileges() -> Vec<&'static str> {
    needed(PROXMOX_VE_9)
}

/// The privileges that an API token needs on this release: the one for the guest agent has another name since 9.
fn needed(release: (u32, u32)) -> Vec<&'static str> {
    let agent = if release >= PROXMOX_VE_9 { "VM.GuestAgent.Audit" } else { "VM.Monitor" };
    PRIVILEGES.into_iter().chain([agent]).collect()
}

/// Checks everything, reports what is fine, and fails with what isn't.
pub(crate) async fn check(run: &Run, pve: &Client, spec: &ProxmoxSpec) -> Result<(), Failure> {
    let release = pve.ask(&request::version()).await?;
    run.announce(&format!("ok: Proxmox VE {} at {}", release.version, pve.endpoint()));
    let permissions = pve.ask(&request::permissions()).await?;
    let missing = missing(&permissions, release.minor());
    if !missing.is_empty() {
        return Err(Error::Privileges(missing).into());
    }
    run.announce("ok: the token has every privilege");
    let mut unfit = Vec::new();
    for host in pve.ask(&request::nodes()).await? {
        let found = if host.status == "offline" {
            vec![format!("{} is offline", host.node)]
        } else {
            let release = pve.ask(&request::node_version(&host.node)).await?;
            let storages = pve.ask(&request::storages(&host.node)).await?;
            let mut found = storage_findings(spec, &host.node, &storages);
            if release.minor() < (8, 4) {
                found
                    .push(format!("{} runs Proxmox VE {}, which can't import disk images", host.node, release.version));
            }
            found
        };
        if found.is_empty() {
            run.announce(&format!("ok: {}", host.node));
        }
        unfit.extend(found);
    }
    if unfit.is_empty() { Ok(()) } else { Err(Error::Unfit(unfit).into()) }
}

/// The privileges that the token has on no path.
fn missing(permissions: &Permissions, release: (u32, u32)) -> Vec<&'static str> {
    let held: BTreeSet<&str> =
        permissions.values().flat_map(|privileges| privileges.keys().map(String::as_str)).collect();
    needed(release).into_iter().filter(|privilege| !held.contains(privilege)).collect()
}

fn storage_findings(spec: &ProxmoxSpec, host: &str, storages: &[pve_client::answer::Storage]) -> Vec<String> {
    let wanted =
        [(spec.storage.as_ref().and_then(|storage| storage.on(host)), "images"), (spec.images.as_deref(), "import")];
    let finding = |(name, content): (Option<&str>, &str)| {
        let name = name?;
        match storages.iter().find(|row| row.storage == name) {
            None => Some(format!("{host} has no storage {name}")),
            Some(row) if !row.active => Some(format!("storage {name} on {host} is not active")),
            Some(row) if !row.holds(content) => {
                Some(format!("storage {name} on {host} doesn't allow content `{content}`"))
            }
            Some(_) => None,
        }
    };
    wanted.into_iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privilege_that_is_held_nowhere_is_missing_and_the_agents_depends_on_the_release() {
        let held: Vec<String> = PRIVILEGES[1..].iter().map(|privilege| format!("\"{privilege}\":1")).collect();
        let text = format!(r#"{{"/":{{{}}}}}"#, held.join(","));
        let permissions: Permissions = serde_json::from_str(&text).unwrap();

        assert_eq!(missing(&permissions, (9, 2)), ["VM.Allocate", "VM.GuestAgent.Audit"]);
        assert_eq!(missing(&permissions, (8, 4)), ["VM.Allocate", "VM.Monitor"]);
    }
}
