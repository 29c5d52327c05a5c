//! What the checks find, from data alone.

use std::collections::BTreeSet;

use pve_client::{
    Rights,
    answer::{Bridge, ClusterPart, Config, Content, Resource, Storage},
    rights,
};
use record::{
    Exit,
    spec::{ClusterSpec, ProxmoxSpec, Via},
    status::{Finding, FindingState},
};

use crate::{console, inventory::Known, orphans, preflight::storage_finding};

/// Seconds that a host's clock may differ from ours.
const CLOCK: u64 = 5;
/// Minimum of free GiB on the storage for disks before it is worth a word.
const ROOM: u64 = 20;

fn finding(check: &str, host: Option<&str>, state: FindingState, reason: impl Into<String>) -> Finding {
    Finding { check: check.into(), host: host.map(Into::into), state, reason: reason.into(), fix: None }
}

fn with_fix(mut found: Finding, fix: impl Into<String>) -> Finding {
    found.fix = Some(fix.into());
    found
}

pub(super) fn ok(check: &str, host: Option<&str>, reason: impl Into<String>) -> Finding {
    finding(check, host, FindingState::Ok, reason)
}

pub(super) fn warn(check: &str, host: Option<&str>, reason: impl Into<String>, fix: impl Into<String>) -> Finding {
    with_fix(finding(check, host, FindingState::Warn, reason), fix)
}

pub(super) fn fail(check: &str, host: Option<&str>, reason: impl Into<String>, fix: impl Into<String>) -> Finding {
    with_fix(finding(check, host, FindingState::Fail, reason), fix)
}

pub(super) fn unknown(check: &str, host: Option<&str>, reason: impl Into<String>, fix: impl Into<String>) -> Finding {
    with_fix(finding(check, host, FindingState::Unknown, reason), fix)
}

/// Whom the connection trusts.
pub(super) fn tls(endpoint: &str, spec: &ProxmoxSpec, insecure: bool) -> Finding {
    let by = match (&spec.fingerprint, &spec.ca) {
        (Some(_), _) => "its fingerprint is pinned",
        (None, Some(_)) => "its authority is in `ca`",
        (None, None) if insecure => {
            let why = format!("the certificate of {endpoint} is not verified: PROXMOX_VE_INSECURE is set");
            return warn("tls", None, why, "copy /etc/pve/pve-root-ca.pem from a host, and name that file as `ca`");
        }
        (None, None) => "a public authority signed it",
    };
    ok("tls", None, format!("the certificate of {endpoint} is trusted: {by}"))
}

/// Whether a release can import disk images, where they come so.
pub(super) fn version(spec: &ProxmoxSpec, host: Option<&str>, version: &str, minor: (u32, u32)) -> Finding {
    match minor < (8, 4) && via(spec) != Via::Iso {
        true => fail(
            "version",
            host,
            format!("Proxmox VE {version} can't import disk images"),
            "upgrade to Proxmox VE 8.4 or later, or use `via: iso` in `images`",
        ),
        false => ok("version", host, format!("Proxmox VE {version}")),
    }
}

/// The privileges that the token lacks, each where it is needed.
pub(super) fn privileges(rights: &Rights, token: &str, spec: &ProxmoxSpec, release: (u32, u32)) -> Vec<Finding> {
    let commands = |path: &str| rights::commands(token, path, &rights::role(release));
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
    let agent = rights::agent_privilege(release);
    if !place(rights, agent, spec).1 {
        let why = format!("{agent} is missing on /vms: nodes without a static address can't be found");
        found.push(warn("privileges", None, why, commands("/vms")));
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

/// How the image gets to the hosts.
fn via(spec: &ProxmoxSpec) -> Via {
    spec.images.as_ref().map(|images| images.via).unwrap_or_default()
}

/// What a cluster without guest agents lacks: its nodes without a static address are found by their consoles only.
pub(super) fn console(rights: &Rights, token: &str, spec: &ClusterSpec, release: (u32, u32)) -> Option<Finding> {
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
    let fix = format!("{agent}, or {}", rights::commands(token, &path, &role));
    Some(warn("privileges", None, why(&format!("{} is missing on {path}", console::PRIVILEGE)), fix))
}

/// Where a privilege is needed, and whether it is held there.
fn place(rights: &Rights, privilege: &str, spec: &ProxmoxSpec) -> (String, bool) {
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

/// Whether enough hosts are connected.
pub(super) fn quorum(parts: Option<&[ClusterPart]>) -> Finding {
    let cluster = parts.and_then(|parts| parts.iter().find(|part| part.kind == "cluster"));
    match (parts, cluster) {
        (None, _) => unknown("quorum", None, "without Sys.Audit on / nobody says", "give the token Sys.Audit on /"),
        (Some(_), None) => ok("quorum", None, "a single host needs none"),
        (Some(_), Some(cluster)) if cluster.quorate == Some(false) => fail(
            "quorum",
            None,
            format!("cluster {} has no quorum: nothing can be changed", cluster.name),
            "switch the other hosts on, or see `pvecm status` on a host",
        ),
        (Some(_), Some(cluster)) => ok("quorum", None, format!("cluster {} has quorum", cluster.name)),
    }
}

/// Whether a host is there.
pub(super) fn host(row: &Resource) -> Finding {
    match row.status.as_str() {
        "offline" => {
            fail("host", Some(&row.node), "it is offline: its VMs can't be seen", format!("switch {} on", row.node))
        }
        _ => ok("host", Some(&row.node), "it is online"),
    }
}

/// Whether the storages of the file are there and may hold what they have to.
pub(super) fn storages(spec: &ProxmoxSpec, host: &str, rows: &[Storage], rights: &Rights) -> Vec<Finding> {
    let images = spec.images.as_ref().map(|images| (images.storage.as_str(), images.via.content()));
    let wanted = [
        (spec.storage.as_ref().and_then(|storage| storage.on(host)), "images"),
        (images.map(|(name, _)| name), images.map_or("import", |(_, content)| content)),
    ];
    let one = |(name, content): (Option<&str>, &str)| {
        let name = name?;
        Some(match storage_finding(rows, name, content, rights) {
            None => ok("storage", Some(host), format!("{name} holds `{content}`")),
            Some((_, why, fix)) => {
                let other = || "name a storage of this host in the file, or see `pvesm status` there".to_owned();
                fail("storage", Some(host), why, fix.unwrap_or_else(other))
            }
        })
    };
    wanted.into_iter().filter_map(one).collect()
}

/// Whether the bridge of the file is there, and whether it lets VLAN tags through.
pub(super) fn bridge(spec: &ProxmoxSpec, host: &str, rows: &[Bridge], sees_all: bool) -> Option<Finding> {
    let name = spec.bridge.as_deref()?;
    Some(match rows.iter().find(|row| row.iface == name) {
        Some(row) if row.active == Some(false) => {
            fail("bridge", Some(host), format!("{name} is down"), format!("switch it on: `ifup {name}` on {host}"))
        }
        Some(row) => {
            let aware = match (row.kind.as_str(), row.bridge_vlan_aware) {
                ("bridge", true) => "VLAN aware",
                ("bridge", false) => "not VLAN aware",
                (kind, _) => kind,
            };
            ok("bridge", Some(host), format!("{name} is there ({aware})"))
        }
        None if !sees_all => {
            unknown("bridge", Some(host), format!("{name} can't be seen"), "give the token SDN.Use on /sdn/zones")
        }
        None => {
            let names: Vec<&str> = rows.iter().map(|row| row.iface.as_str()).collect();
            let why = format!("it has no bridge {name} (bridges: {})", names.join(", "));
            fail("bridge", Some(host), why, "create the bridge on that host, or name another one in `bridge`")
        }
    })
}

/// Whether an image of this release is on the host.
pub(super) fn image(host: &str, version: &str, volume: Option<&str>, contents: &[Content]) -> Finding {
    let is_it = |content: &&Content| match volume {
        Some(volume) => content.volid == volume,
        None => content.volid.contains(&format!("/talos-{version}-")),
    };
    match contents.iter().find(is_it) {
        Some(content) => ok("image", Some(host), format!("{} is there", content.volid)),
        None => warn(
            "image",
            Some(host),
            format!("the image of Talos {version} is not there yet"),
            "`talos-image` brings it",
        ),
    }
}

/// Whether the pool of the file is there; `None` if the token may not know.
pub(super) fn pool(name: &str, is_there: Option<bool>) -> Finding {
    match is_there {
        Some(true) => ok("pool", None, format!("{name} is there")),
        Some(false) => {
            let fix = format!("correct `pool` in the file, or on a host: `pveum pool add {name}`");
            fail("pool", None, format!("there is no pool {name}"), fix)
        }
        None => {
            let why = format!("{name} can't be seen: no VM is recreated in it");
            unknown("pool", None, why, format!("give the token Pool.Audit on /pool/{name}"))
        }
    }
}

/// How much room a host has.
pub(super) fn room(host: &crate::placement::Host, storage: Option<&Storage>) -> Finding {
    let gib = |bytes: u64| bytes >> 30;
    let mut parts = Vec::new();
    if let Some(memory) = host.memory {
        parts.push(format!(
            "{} of {} GiB of memory unassigned",
            gib(memory.saturating_sub(host.assigned)),
            gib(memory)
        ));
    }
    if host.cpus > 0 {
        parts.push(format!("{} CPUs, {} cores assigned", host.cpus, host.cores_assigned));
    }
    let free = storage.and_then(|row| Some((row.storage.as_str(), row.avail?)));
    parts.extend(free.map(|(name, avail)| format!("{} GiB free on {name}", gib(avail))));
    let text = if parts.is_empty() { "it doesn't say".to_owned() } else { parts.join("; ") };
    match free {
        Some((name, avail)) if gib(avail) < ROOM => {
            warn("room", Some(&host.name), text, format!("free space on {name}, or name another storage"))
        }
        _ if parts.is_empty() => unknown("room", Some(&host.name), text, "give the token Sys.Audit on /nodes"),
        _ => ok("room", Some(&host.name), text),
    }
}

/// Whether a host's clock is right, as far as ours is.
pub(super) fn clock(host: &str, theirs: u64, ours: u64) -> Finding {
    let off = theirs.abs_diff(ours);
    match off <= CLOCK {
        true => ok("clock", Some(host), "it is right"),
        false => warn(
            "clock",
            Some(host),
            format!("it is {off} s {}", if theirs > ours { "ahead of ours" } else { "behind ours" }),
            format!("see `chronyc tracking` on {host}, and whether the clock of this machine is right"),
        ),
    }
}

/// Disks on a storage whose VM doesn't exist: `taken` are the IDs of guests, seen or not.
pub(super) fn leftovers(host: &str, volumes: &[Content], taken: &BTreeSet<u32>) -> Vec<Finding> {
    let orphan = |content: &&Content| content.vmid.is_some_and(|vmid| !taken.contains(&vmid));
    let one = |content: &Content| {
        let (volume, vmid) = (&content.volid, content.vmid.unwrap_or_default());
        let why = format!("{volume} was allocated for VM {vmid}, which doesn't exist");
        warn("leftover", Some(host), why, format!("if nothing needs it: `pvesm free {volume}` on {host}"))
    };
    volumes.iter().filter(orphan).map(one).collect()
}

/// Disks that a VM of ours has, and doesn't use.
pub(super) fn unused(vmid: u32, host: &str, config: &Config) -> Vec<Finding> {
    let is_unused = |name: &str| name.strip_prefix("unused").is_some_and(|index| index.parse::<u32>().is_ok());
    let one = |(name, volume): (&str, &str)| {
        let why = format!("VM {vmid} has {volume} as {name}: a disk that was detached");
        warn("leftover", Some(host), why, format!("if nothing needs it: `qm set {vmid} -delete {name}` on {host}"))
    };
    config.values().filter(|(name, _)| is_unused(name)).map(one).collect()
}

/// The ISO that a VM of ours was installed from: it keeps the VM on its host, and from starting once it is deleted.
pub(super) fn medium(vmid: u32, host: &str, config: &Config) -> Option<Finding> {
    let is_iso = |value: &str| value.split(',').next().is_some_and(|volume| volume.contains(":iso/talos-"));
    let (slot, value) = config.values().find(|(_, value)| is_iso(value))?;
    let volume = value.split(',').next().unwrap_or_default();
    let why = format!("VM {vmid} has {volume} in its CD drive: it can't be migrated, nor started without that file");
    let fix = format!("once Talos is installed: `qm set {vmid} -{slot} none,media=cdrom` on {host}");
    Some(warn("image", Some(host), why, fix))
}

/// A VM of ours that the file doesn't list, with the node that it was and the command that destroys it, if that is certain.
pub(super) fn unlisted(known: &Known, orphan: Option<(&str, String)>) -> Finding {
    let (why, fix) = match orphan {
        Some((node, removal)) => (
            format!("{} belongs to this cluster but isn't in the file: kept", orphans::told(known)),
            format!("put {node} into the file again, or destroy its VM: {removal}"),
        ),
        None => (orphans::copy(known), "remove the mark from its description and tags, or the VM".to_owned()),
    };
    warn("vm", Some(&known.host), why, fix)
}

/// The exit status of these findings, and the words of those that failed.
pub(super) fn verdict(findings: &[Finding]) -> Option<(Exit, String, String)> {
    let failed: Vec<&Finding> = findings.iter().filter(|found| found.state == FindingState::Fail).collect();
    let is_right = failed.iter().any(|found| found.check == "privileges");
    let exit = if is_right { Exit::NotAllowed } else { Exit::Failed };
    let text = |found: &&Finding| match &found.host {
        Some(host) => format!("{host}: {}", found.reason),
        None => found.reason.clone(),
    };
    let mut fixes: Vec<&str> = failed.iter().filter_map(|found| found.fix.as_deref()).collect();
    fixes.dedup();
    let reasons: Vec<String> = failed.iter().map(text).collect();
    (!failed.is_empty()).then(|| (exit, reasons.join("; "), fixes.join("; ")))
}

#[cfg(test)]
mod tests;
