//! What the checks find, from data alone.

use std::collections::BTreeSet;

use pve_client::{
    Rights,
    answer::{Bridge, ClusterPart, Config, Content, Resource, Storage},
};
use record::{
    Exit,
    spec::{ProxmoxSpec, Via},
    status::{Finding, FindingState},
};

use crate::{inventory::Known, orphans, preflight::storage_finding, seeds::Stray};

/// Seconds that a host's clock may differ from ours.
const CLOCK: u64 = 5;
/// Minimum of free GiB on the storage for disks before it is worth a word.
const ROOM: u64 = 20;

mod privileges;

#[cfg(test)]
use privileges::place;
pub(super) use privileges::{console, privileges};

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

/// How the image gets to the hosts.
fn via(spec: &ProxmoxSpec) -> Via {
    spec.images.as_ref().map(|images| images.via).unwrap_or_default()
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
        (spec.seeds.as_deref(), "iso"),
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

/// Whether an image of this release is on the host; `mark` is what `talos-image` remembers of a volume that it compared: its
/// digest, size and time.
pub(super) fn image(
    host: &str,
    version: &str,
    volume: Option<&str>,
    contents: &[Content],
    mark: impl Fn(&str) -> Option<String>,
) -> Finding {
    let is_it = |content: &&Content| match volume {
        Some(volume) => content.volid == volume,
        None => content.volid.contains(&format!("/talos-{version}-")),
    };
    let Some(content) = contents.iter().find(is_it) else {
        let why = format!("the image of Talos {version} is not there yet");
        return warn("image", Some(host), why, "`talos-image` brings it");
    };
    let volume = &content.volid;
    let marked = mark(volume).unwrap_or_default();
    let mut compared = marked.split(' ').skip(1).map(|number| number.parse::<u64>().ok());
    match (compared.next().flatten(), compared.next().flatten()) {
        (Some(size), _) if content.size.is_some_and(|now| now != size) => {
            let now = content.size.unwrap_or_default();
            let why = format!("{volume} is not the image: it had {size} bytes when it was compared, and has {now} now");
            let fix = format!("if nothing needs it: `pvesm free {volume}` on {host}, then run `talos-image` again");
            fail("image", Some(host), why, fix)
        }
        (Some(_), time) if content.ctime.is_some() && content.ctime == time => {
            ok("image", Some(host), format!("{volume} is there, and was compared with its digest"))
        }
        (Some(_), _) => {
            let why = format!("{volume} has changed since it was compared with its digest");
            warn("image", Some(host), why, "`talos-image` compares it again")
        }
        (None, _) => ok("image", Some(host), format!("{volume} is there; `talos-image` has not compared it yet")),
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

/// How much room a host has; `sees_all` is whether the token sees every VM, for those that it doesn't are not counted.
pub(super) fn room(host: &crate::placement::Host, storage: Option<&Storage>, sees_all: bool) -> Finding {
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
    if !sees_all && !parts.is_empty() {
        parts.push("VMs that the token may not see are not counted".to_owned());
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

/// A volume that a destruction of ours left, by ichor.lock; `doubt` is why a run wouldn't remove it.
pub(super) fn remembered(host: &str, volume: &str, doubt: Option<&'static str>) -> Finding {
    let why = format!("{volume} was left by a VM that a run destroyed");
    let fix = match doubt {
        None => format!("the next `pve-vm` run removes it where the token may; or `pvesm free {volume}` on {host}"),
        Some(doubt) => format!("its ID is in use again: {doubt}"),
    };
    warn("leftover", Some(host), why, fix)
}

/// A seed whose VM is gone.
pub(super) fn stray(stray: &Stray) -> Finding {
    let (host, volume) = (stray.file.host.as_str(), &stray.file.volume);
    let fix = format!("the next `pve-vm` run removes it where the token may; or `pvesm free {volume}` on {host}");
    warn("leftover", Some(host), stray.told(), fix)
}

/// A VM that a run made only to try whether it can be made, and was cut off.
pub(super) fn trial(known: &Known) -> Finding {
    let why = format!("{} is a trial that was cut off", orphans::told(known));
    warn("leftover", Some(&known.host), why, "the next `pve-vm` run removes it".to_owned())
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
