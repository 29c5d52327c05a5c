//! What the token may do, and what it lacks.

use pve_client::{Rights, rights};
use record::{
    spec::{ClusterSpec, ProxmoxSpec, Via},
    status::Finding,
};

use super::{fail, ok, via, warn};
use pve_access::{
    console,
    seed::{REMOVES, WRITES},
};

/// The privileges that the token lacks, each where it is needed.
pub(in crate::doctor) fn privileges(
    rights: &Rights,
    token: &str,
    spec: &ProxmoxSpec,
    release: (u32, u32),
) -> Vec<Finding> {
    let commands = |path: &str| rights.commands(token, &[path], &rights::role(release));
    if rights.is_empty() {
        let why = format!(
            "the token {token} has no rights at all: with privilege separation it has only those that are given to itself"
        );
        return vec![fail("privileges", None, why, commands("/"))];
    }
    // The hosts ask for nothing themselves if the image is uploaded to them.
    let is_needed = |privilege: &&&str| **privilege != "Sys.AccessNetwork" || via(spec) != Via::Upload;
    let mut found: Vec<Finding> = rights::NEEDED
        .iter()
        .filter(is_needed)
        .filter_map(|privilege| {
            let (path, held) = place(rights, privilege, spec);
            (!held).then(|| fail("privileges", None, format!("{privilege} is missing on {path}"), commands(&path)))
        })
        .collect();
    // Who may only bring the image there can neither see it nor make a VM from it.
    if let Some(images) = &spec.images {
        let path = format!("/storage/{}", images.storage);
        let uses = ["Datastore.AllocateSpace", "Datastore.Audit"];
        let is_told = found.iter().any(|it| it.reason == format!("{} is missing on {path}", uses[0]));
        if !is_told && !uses.iter().any(|privilege| rights.holds(&path, privilege)) {
            found.push(fail(
                "privileges",
                None,
                format!("{} is missing on {path}", uses.join(" or ")),
                commands(&path),
            ));
        }
    }
    found.extend(seeds(rights, token, spec, release));
    let agent = rights::agent_privilege(release);
    let (path, held) = place(rights, agent, spec);
    if !held {
        let why = format!("{agent} is missing on {path}: nodes without a static address can't be found");
        found.push(warn("privileges", None, why, commands(&path)));
    }
    if !rights.holds("/", rights::USEFUL) {
        let why = format!(
            "{} is missing on /: memory, cores, quorum and the cluster's name (a node's region) are not known",
            rights::USEFUL
        );
        found.push(warn("privileges", None, why, commands("/")));
    }
    if found.is_empty() {
        let why = format!("the token {token} has every privilege that all VMs need; each node's own are checked below");
        found.push(ok("privileges", None, why));
    }
    found
}

/// What `talos-seed` lacks, if the file has a storage for its discs.
fn seeds(rights: &Rights, token: &str, spec: &ProxmoxSpec, release: (u32, u32)) -> Vec<Finding> {
    const INTO_VMS: [&str; 2] = ["VM.Config.CDROM", "VM.Config.Cloudinit"];
    let Some(storage) = &spec.seeds else { return Vec::new() };
    let path = format!("/storage/{storage}");
    let commands = |path: &str, more: &[&'static str]| {
        let mut role = rights::role(release);
        role.extend(more.iter().filter(|more| !rights::NEEDED.contains(more)));
        role.dedup();
        rights.commands(token, &[path], &role)
    };
    let mut found = Vec::new();
    if !rights.holds(&path, WRITES) {
        let why = format!("{WRITES} is missing on {path}: talos-seed can't put discs there");
        found.push(fail("privileges", None, why, commands(&path, &[WRITES])));
    }
    let places = INTO_VMS.map(|privilege| (privilege, place(rights, privilege, spec)));
    let lacking: Vec<_> = places.iter().filter(|(_, (_, held))| !held).collect();
    if let Some((_, (vms, _))) = lacking.first() {
        let names: Vec<&str> = lacking.iter().map(|(privilege, _)| *privilege).collect();
        let why = format!("{} is missing on {vms}: talos-seed can't put discs into VMs", names.join(", "));
        found.push(fail("privileges", None, why, commands(vms, &INTO_VMS)));
    }
    if !rights.holds(&path, REMOVES) {
        let why = format!("{REMOVES} is missing on {path}: discs that are done with are overwritten, not removed");
        found.push(warn("privileges", None, why, commands(&path, &[REMOVES])));
    }
    found
}

/// What a cluster without guest agents lacks: its nodes without a static address are found by their consoles only.
pub(in crate::doctor) fn console(
    rights: &Rights,
    token: &str,
    spec: &ClusterSpec,
    release: (u32, u32),
) -> Option<Finding> {
    if !console::has_no_agent(spec) {
        return None;
    }
    let why = |what: &str| {
        format!(
            "{what}: without a guest agent in the schematic, nodes without a static address are found by their consoles only"
        )
    };
    let agent = "add siderolabs/qemu-guest-agent to the schematic";
    if release < console::SINCE {
        let what = "before Proxmox VE 9.1, API tokens can't read consoles";
        return Some(warn("console", None, why(what), format!("{agent}, or upgrade Proxmox VE")));
    }
    let (path, held) = place(rights, console::PRIVILEGE, &spec.proxmox.clone().unwrap_or_default());
    if held {
        return None;
    }
    let mut role = rights::role(release);
    role.push(console::PRIVILEGE);
    let fix = format!("{agent}, or {}", rights.commands(token, &[&path], &role));
    Some(warn("privileges", None, why(&format!("{} is missing on {path}", console::PRIVILEGE)), fix))
}

/// Where a privilege is needed, and whether it is held there.
pub(super) fn place(rights: &Rights, privilege: &str, spec: &ProxmoxSpec) -> (String, bool) {
    let storage = |name: &Option<String>| match name {
        Some(name) => format!("/storage/{name}"),
        None => "/storage".to_owned(),
    };
    match privilege {
        "Datastore.AllocateSpace" => {
            let names = spec.storage.as_ref().map(|storage| storage.names()).unwrap_or_default();
            let mut paths: Vec<String> = names.into_iter().map(|name| storage(&Some(name.to_owned()))).collect();
            if paths.is_empty() {
                paths.push(storage(&None));
            }
            let lacks = |path: &&String| !rights.holds(path, privilege);
            match paths.iter().find(lacks) {
                Some(path) => (path.clone(), false),
                None => (paths.swap_remove(0), true),
            }
        }
        "Datastore.AllocateTemplate" => {
            let path = storage(&spec.images.as_ref().map(|images| images.storage.clone()));
            let held = rights.holds(&path, privilege);
            (path, held)
        }
        "SDN.Use" => ("/sdn/zones".into(), rights.holds_somewhere("/sdn/zones", privilege)),
        "Sys.AccessNetwork" => ("/nodes".into(), rights.holds_somewhere("/nodes", privilege)),
        _ => match &spec.pool {
            Some(pool) if !rights.holds_below("/vms", privilege) => {
                let path = format!("/pool/{pool}");
                let held = rights.holds(&path, privilege);
                (path, held)
            }
            _ => ("/vms".into(), rights.holds_below("/vms", privilege)),
        },
    }
}
