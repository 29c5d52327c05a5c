//! Errors of `pve-vm`.

use std::collections::BTreeMap;

use pve_client::rights;
use record::{Classify, Code, Exit, Facts};

use crate::leftovers::{self, Left};

/// One variant for each problem that users solve differently.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("spec.proxmox.{0} is missing")]
    Unset(&'static str),
    #[error("{}.{key} must be {wanted}, got {found}", at(node))]
    Value { node: String, key: String, wanted: &'static str, found: String },
    #[error("{}.{key}: {why}", at(node))]
    Key { node: String, key: String, why: String },
    #[error("{}.{key} is {found}, and {place} gives {wanted}", at(node))]
    Clash { node: String, key: String, found: String, place: &'static str, wanted: String },
    #[error("{}.{key} is not supported: {why}", at(node))]
    Refused { node: String, key: String, why: &'static str },
    #[error("{}.{key} is no parameter of a VM{}", at(node), guess(*.meant))]
    Unknown { node: String, key: String, meant: Option<&'static str> },
    #[error("{}.{key} can be set by root@pam only, never by a token", at(node))]
    RootOnly { node: String, key: String },
    #[error("spec.proxmox.vmids is {0:?}, not a range like 900-999")]
    Range(String),
    #[error(
        "spec.proxmox.names is {0:?}, not a pattern with {{node}} like {{cluster}}-{{node}} that gives names of letters, digits, - and ."
    )]
    Names(String),
    #[error("no VM ID between {0} and {1} is free")]
    RangeFull(u32, u32),
    #[error("VM ID {vmid}, which node {node} wants, is taken: {holder}")]
    Taken { vmid: u32, holder: String, node: String },
    #[error("a volume of an earlier VM {vmid} is in the way on {host}: {volume}")]
    InTheWay { vmid: u32, host: String, volume: String },
    #[error("{}", leftovers::told(*vmid, left))]
    Leftover { vmid: Option<u32>, left: Vec<Left> },
    #[error("the token {token} has no rights at all")]
    NoRights { token: String },
    #[error("the token {token} lacks {} on {path}: it can't {} the cluster's VMs", missing.join(" and "), barred(missing))]
    Privileges { token: String, missing: Vec<&'static str>, path: String, commands: String },
    #[error("no host has the image: status.image.volumes is empty")]
    NoImage,
    #[error("the image is not on {0}")]
    NoImageOn(String),
    #[error(
        "node {node}: {slot} brings data, and while Talos installs itself from an ISO it could be taken for the system disk"
    )]
    Endangered { node: String, slot: String },
    #[error("node {node}: {slot} is a volume of VM {vmid}, and would be destroyed with it")]
    GoesWithVm { node: String, slot: String, vmid: u32 },
    #[error(
        "node {node}: spec.vm.{key} names {volume}, which isn't on {host}{}",
        if *exit == Exit::NotAllowed { ", or the token may not use it" } else { "" }
    )]
    NoVolume { node: String, key: String, volume: String, host: String, exit: Exit, rights: Option<String> },
    #[error("VM {vmid} on {host} has the name {name} of a trial, and isn't one, or runs")]
    NoTrial { vmid: u32, host: String, name: String },
    #[error("no host can take node {node}: {}", listed(reasons))]
    NoRoom { node: String, reasons: BTreeMap<String, String>, right: Option<String> },
    #[error("node {node} can't be placed on {host}: {reason}")]
    Host { node: String, host: String, reason: String, right: Option<String> },
    #[error("node {node}: there is no pool {pool}")]
    NoPool { node: String, pool: String },
    #[error(
        "node {node}: the token {token} can't see whether there is a pool {pool}: no VM is destroyed to be made again in it"
    )]
    UnseenPool { node: String, pool: String, token: String },
    #[error("--replace-disk names node {0}, which isn't in cluster {1} (nodes: {2})")]
    NoSuchDiskNode(String, String, String),
    #[error("node {node}: Proxmox VE {}.{} has no spec.vm.ha.{key}", release.0, release.1)]
    HaRelease { node: String, key: &'static str, release: (u32, u32) },
    #[error("node {node}: spec.vm.ha.group is {group}, and there is no such group of HA (groups: {groups})")]
    NoHaGroup { node: String, group: String, groups: String },
    #[error("node {node}: spec.vm.ha.nodes names {host}, and there is no such host (hosts: {hosts})")]
    HaHost { node: String, host: String, hosts: String },
    #[error("node {node}: spec.vm.ha.separate: {why}")]
    Crowded { node: String, why: String },
    #[error(
        "VM {vmid} is in the HA rule {rule} already, which isn't this cluster's: Proxmox VE takes no second one for spec.vm.ha.nodes of node {node}"
    )]
    ForeignRule { vmid: u32, node: String, rule: String },
    #[error("node {node}: the rules of HA can't be changed: {last}")]
    RulesBusy { node: String, last: String },
    #[error("VM {vmid} on {host} has the name {node}, but doesn't belong to this cluster")]
    Foreign { vmid: u32, host: String, node: String },
    #[error("VM {vmid} ({node}) on {host} was created from another ichor.lock of cluster {cluster:?}")]
    OtherLock { vmid: u32, host: String, node: String, cluster: String },
    #[error(
        "VMs {own} and {other} are both node {node} of a cluster {cluster:?}, from two folders with an ichor.lock each"
    )]
    TwoSets { own: u32, other: u32, node: String, cluster: String },
    #[error("VM {vmid} on {host} has the UUID of node {node}, but not the mark of its cluster")]
    Unmarked { vmid: u32, host: String, node: String },
    #[error("VMs {first} and {second} both have the UUID of node {node}")]
    Twice { first: u32, second: u32, node: String },
    #[error("{}", offline(*vmid, host, name.as_deref(), node, why.as_deref()))]
    Offline { vmid: u32, host: String, name: Option<String>, node: String, why: Option<String> },
    #[error("{}", offline_orphan(*vmid, host, name.as_deref(), why.as_deref()))]
    OfflineOrphan { vmid: u32, host: String, name: Option<String>, why: Option<String> },
    #[error(
        "{vm} belongs to this cluster but isn't in the file, and nothing says whether node {node} is a control plane or a worker: {}",
        why.join("; ")
    )]
    UnknownRole { vm: String, node: String, why: Vec<String> },
    #[error("node {node} is in the cluster file: it is no orphan")]
    Listed { node: String },
    #[error("{0} needs the cluster file itself: records don't say which nodes the file lists")]
    NotTheFile(&'static str),
    #[error("VM {vmid} on {host} is marked as node {node} of this cluster, but has another UUID")]
    OtherUuid { vmid: u32, host: String, node: String },
    #[error("--vm names node {0}, which isn't in cluster {1}")]
    NoSuchNode(String, String),
    #[error("there is no VM {wanted} on Proxmox VE, which node {node} is to have")]
    NoSuchVm { wanted: String, node: String },
    #[error("several VMs have the name {name}: {}", vms.join(", "))]
    SameName { name: String, vms: Vec<String> },
    #[error("{vmid} is a container, not a VM")]
    Container { vmid: u32 },
    #[error("the token may not see VM {vmid}, which may be {wanted}")]
    Unseen { vmid: u32, wanted: String },
    #[error("node {node} has a VM already: {vm}")]
    HasVm { node: String, vm: String },
    #[error("node {node} can't have {vm} as it is: {}", why.join("; "))]
    NotAdoptable { vm: String, node: String, why: Vec<String>, hints: Vec<String> },
    #[error("VM {vmid} on {host} got another UUID meanwhile")]
    ChangedMeanwhile { vmid: u32, host: String },
    #[error("adopting needs --yes, or confirmation on a terminal")]
    UnconfirmedAdoption,
    #[error("this is not the node's name: nothing was adopted")]
    OtherNode,
    #[error("nodes {0} and {1} get the same MAC address")]
    SameMac(String, String),
    #[error("VM {vmid} on {host} must be switched off and on: {what}")]
    NeedsReboot { vmid: u32, host: String, what: String },
    #[error("VM {vmid} on {host} must be recreated: {why}")]
    NeedsRecreate { vmid: u32, host: String, why: String },
    #[error("VM {vmid} on {host}: an empty disk would take the place of {slot}: {why}")]
    NeedsDisk { vmid: u32, host: String, node: String, slot: String, why: String },
    #[error("VM {vmid} on {host}: {slot} is left alone: {why}")]
    Moved { vmid: u32, host: String, slot: String, why: String },
    #[error("VM {vmid} on {host} must be recreated: {why}; its disks {} would be lost with it", .disks.join(", "))]
    NeedsDisks { vmid: u32, host: String, node: String, why: String, disks: Vec<String> },
    #[error(
        "VM {vmid} ({name}) on {host} belongs to this cluster but isn't in the file, and has the address {address}"
    )]
    AddressTaken { vmid: u32, host: String, name: String, address: String, node: Option<String> },
    #[error("{address} is the address of VM {vmid} ({name}) on {host}, which isn't this cluster's")]
    AddressInUse { vmid: u32, host: String, name: String, address: String },
    #[error("something responds at {address} already, while the VM that is to have this address is off")]
    AddressAnswers { address: String },
    #[error("VM {vmid} on {host} doesn't start with its changes, {}: {why}", standing(*.is_up))]
    NotStarted { vmid: u32, host: String, exit: Exit, why: String, is_up: bool },
    #[error("VM {vmid} on {host} was made for a {was}, the file says {wanted}: a node doesn't change its role")]
    OtherRole { vmid: u32, host: String, was: record::Role, wanted: record::Role },
    #[error("VM {vmid} on {host} is still busy: {last}")]
    StillBusy { vmid: u32, host: String, last: String },
    #[error("VM {vmid} on {host} was moved, destroyed or made anew by another run meanwhile: it is left as it is")]
    MadeAnew { vmid: u32, host: String },
    #[error("destroying needs --yes, or confirmation on a terminal")]
    Unconfirmed,
    #[error("this is not the cluster's name: nothing was destroyed")]
    OtherName,
    #[error("{reasons}")]
    Unfit { exit: Exit, reasons: String, fixes: String },
}

impl Error {
    /// The key of `vm` that this is about, if it is about one that stands in the file.
    pub(crate) fn key(&self) -> Option<&str> {
        let (Self::Value { key, .. } | Self::Key { key, .. } | Self::Refused { key, .. } | Self::Unknown { key, .. }) =
            self
        else {
            return None;
        };
        key.split(['.', '[']).next()
    }
}

/// Where the keys of `vm` stand: a node's own, or those of a layer above the nodes, whose path is no name of a node.
fn at(node: &str) -> String {
    if node.starts_with("spec.") { node.to_owned() } else { format!("node {node}: spec.vm") }
}

fn guess(meant: Option<&str>) -> String {
    meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

/// What a token can't do without these privileges.
fn barred(missing: &[&str]) -> &'static str {
    if missing.contains(&"VM.Audit") { "see" } else { "create or destroy" }
}

/// What became of a VM that doesn't start with its changes.
fn standing(is_up: bool) -> &'static str {
    if is_up { "and runs as before" } else { "nor as it was before: it is off" }
}

fn listed(reasons: &BTreeMap<String, String>) -> String {
    reasons.iter().map(|(host, reason)| format!("{host}: {reason}")).collect::<Vec<_>>().join("; ")
}

/// The same for a VM that may be one that the file doesn't list.
fn offline_orphan(vmid: u32, host: &str, name: Option<&str>, why: Option<&str>) -> String {
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let why = why.map_or_else(|| "is offline".to_owned(), |why| format!("doesn't answer: {why}"));
    format!("VM {vmid}{name}, which may belong to this cluster without being in the file, is on {host}, which {why}")
}

/// A VM that can't be looked at, and why: after the host that answers was restarted, its name isn't known either.
fn offline(vmid: u32, host: &str, name: Option<&str>, node: &str, why: Option<&str>) -> String {
    let who = match name {
        Some(name) => format!("VM {vmid} ({name})"),
        None => format!("VM {vmid}, which may be node {node},"),
    };
    match why {
        None => format!("{who} is on {host}, which is offline"),
        Some(why) => format!("{who} is on {host}, which doesn't answer: {why}"),
    }
}

impl Classify for Error {
    fn facts(&self) -> Facts {
        let guard = |code| Facts::new(Exit::Guard, code);
        let unusable = |code| Facts::new(Exit::Unusable, code);
        match self {
            Self::Unset(_) | Self::Value { .. } | Self::Key { .. } | Self::Range(_) | Self::Names(_) => unusable(Code::Spec),
            Self::Clash { key, place, .. } => {
                unusable(Code::Spec).hint(format!("remove spec.vm.{key}, or make it say what {place} gives"))
            }
            Self::Refused { key, .. } => unusable(Code::Spec).hint(format!("remove `{key}`")),
            Self::Unknown { .. } => unusable(Code::Spec),
            Self::RootOnly { key, .. } => unusable(Code::Spec).hint(format!(
                "remove `{key}`; root sets it with `qm set` on the host, and the file may have it then. Devices of a host need a mapping (`mapping=NAME`) and the privilege Mapping.Use"
            )),
            Self::RangeFull(..) => Facts::new(Exit::Failed, Code::Vmid).hint("widen `vmids` in the file"),
            Self::Taken { .. } => guard(Code::Vmid).hint("choose another `vmid`, or leave it out"),
            Self::InTheWay { host, volume, .. } => guard(Code::Leftover)
                .hint(format!("if nothing needs it: `pvesm free {volume}` on {host}; or choose another `vmid`")),
            Self::Leftover { left, .. } => {
                let exit = left.iter().map(|it| it.exit).find(|exit| *exit == Exit::NotAllowed);
                Facts::new(exit.unwrap_or(Exit::Partial), Code::Leftover).hint(leftovers::removal(left))
            }
            Self::NoRights { token } => Facts::new(Exit::NotAllowed, Code::NotAllowed).hint(format!(
                "a token with privilege separation has only the rights that are given to itself, within its user's; {}",
                rights::commands(token, "/", &least())
            )),
            Self::Privileges { commands, .. } => Facts::new(Exit::NotAllowed, Code::NotAllowed).hint(commands.clone()),
            Self::NoImage => {
                unusable(Code::Image).hint("set `spec.proxmox.images` to the storage for images, and run talos-image before pve-vm")
            }
            Self::NoImageOn(_) => unusable(Code::Image)
                .hint("run talos-image again; check whether the host was offline or has no image storage"),
            Self::Endangered { slot, .. } => guard(Code::Spec).hint(format!(
                "create the VM without {slot} and add it when the node is ready, or set `via: download` or `via: upload` in `images`"
            )),
            Self::GoesWithVm { vmid, slot, .. } => guard(Code::NeedsDisk).hint(format!(
                "give the volume to another VM first (`qm disk move {vmid} {slot} --target-vmid OTHER --target-disk {slot}`), or let the file ask for a new disk"
            )),
            Self::NoVolume { key, exit, rights, .. } => {
                let rights = rights.as_ref().map(|rights| format!("; {rights}")).unwrap_or_default();
                Facts::new(*exit, if *exit == Exit::NotAllowed { Code::NotAllowed } else { Code::Storage })
                    .hint(format!("correct `{key}`{rights}"))
            }
            Self::NoTrial { name, .. } => guard(Code::NotOurs)
                .hint(format!("if nothing needs it: `pve-vm destroy -f FILE --orphan {name}`, then run again")),
            Self::NoRoom { right: Some(right), .. } | Self::Host { right: Some(right), .. } => {
                Facts::new(Exit::NotAllowed, Code::NotAllowed).hint(right.clone())
            }
            Self::NoRoom { .. } | Self::Host { .. } => Facts::new(Exit::Failed, Code::Placement),
            Self::HaRelease { key, .. } if *key == "group" => unusable(Code::Spec)
                .hint("groups of hosts became rules: write the hosts as `nodes`, as in `nodes: \"pve1:2,pve2\"`"),
            Self::HaRelease { .. } => unusable(Code::Spec)
                .hint("rules and failback come with Proxmox VE 9: before, name a group of hosts as `group`, or leave it out"),
            Self::NoHaGroup { .. } => Facts::new(Exit::Failed, Code::Spec)
                .hint("make the group in Proxmox VE (Datacenter, HA, Groups), or correct `group`"),
            Self::HaHost { .. } | Self::Crowded { .. } => {
                Facts::new(Exit::Failed, Code::Placement).hint("correct `ha` in the file, or add hosts")
            }
            Self::ForeignRule { rule, .. } => guard(Code::NotOurs)
                .hint(format!("on a host: `ha-manager rules remove {rule}`, or leave `nodes` out")),
            Self::RulesBusy { .. } => Facts::new(Exit::Unreachable, Code::Unreachable).hint("run again"),
            Self::Foreign { vmid, node, .. } => guard(Code::NotOurs).hint(format!(
                "rename the node or that VM; or see what it takes to have it as the node's: `pve-vm adopt -f FILE --vm {node}:{vmid} --dry-run`"
            )),
            Self::OtherLock { .. } => {
                guard(Code::OtherLock).hint("restore ichor.lock from version control, or remove that VM yourself")
            }
            Self::TwoSets { .. } => guard(Code::OtherLock)
                .hint("keep one set of VMs: destroy the other one from its folder with `pve-vm destroy -f FILE`, and use one ichor.lock"),
            Self::Unmarked { vmid, node, .. } => guard(Code::NotOurs).hint(format!(
                "if it belongs to this cluster, mark it again: `pve-vm adopt -f FILE --vm {node}:{vmid}`"
            )),
            Self::Twice { .. } => {
                guard(Code::Ambiguous).hint(
                    "one is a copy of the other, or two runs made one each: look at both, then give one another UUID, or destroy it on its host",
                )
            }
            Self::Offline { host, .. } => Facts::new(Exit::Unreachable, Code::HostOffline)
                .hint(format!("switch {host} on and run again; a VM that can't be seen is not made a second time")),
            Self::OfflineOrphan { host, .. } => Facts::new(Exit::Unreachable, Code::HostOffline)
                .hint(format!("switch {host} on and run again, or name the nodes to act on with --only")),
            Self::UnknownRole { .. } => guard(Code::UnknownRole).hint(
                "start the VM, so that Talos on it can be asked; or write what it is into its description, as a line of its own below `ichor-uid`: `ichor-role: worker` or `ichor-role: controlplane`",
            ),
            Self::Listed { node } => Facts::new(Exit::Usage, Code::Usage)
                .hint(format!("`pve-vm destroy -f FILE --only {node}` destroys the VM of a node of the file")),
            Self::NotTheFile(_) => Facts::new(Exit::Usage, Code::Usage)
                .hint("name the cluster file with -f; for the steps of a pipe, `pve-vm list -f FILE --orphans` adds these nodes"),
            Self::OtherUuid { .. } => guard(Code::Ambiguous).hint(
                "restore ichor.lock from version control if the VM was adopted with it; remove the mark from its description and tags if it is a copy",
            ),
            Self::NoSuchNode(..) => unusable(Code::UnusableInput).hint("--vm NODE:VM takes a node of the cluster file"),
            Self::NoPool { pool, .. } => Facts::new(Exit::Failed, Code::Spec)
                .hint(format!("correct `pool` in the file, or on a host: `pveum pool add {pool}`")),
            Self::UnseenPool { pool, .. } => Facts::new(Exit::NotAllowed, Code::NotAllowed)
                .hint(format!("give the token Pool.Audit on /pool/{pool}")),
            Self::NoSuchDiskNode(..) => Facts::new(Exit::Usage, Code::Usage)
                .hint("--replace-disk NODE:SLOT takes a node of the cluster file and one of its disks"),
            Self::NoSuchVm { .. } => unusable(Code::NotAdoptable).hint("--vm NODE:VM takes the ID or the name of a VM"),
            Self::SameName { .. } => guard(Code::Ambiguous).hint("name the VM by its ID"),
            Self::Container { .. } => guard(Code::NotAdoptable).hint("a node of Talos needs a VM"),
            Self::Unseen { vmid, .. } => Facts::new(Exit::NotAllowed, Code::NotAllowed)
                .hint(format!("give it VM.Audit on /vms/{vmid}, or remove the ACL entry there")),
            Self::HasVm { node, .. } => guard(Code::NotAdoptable).hint(format!(
                "to give the node another VM, destroy that one first: `pve-vm destroy -f FILE --only {node}`"
            )),
            Self::NotAdoptable { hints, .. } => guard(Code::NotAdoptable).hint(hints.join("; ")),
            Self::ChangedMeanwhile { .. } => guard(Code::NotAdoptable).hint("look at it again with --dry-run"),
            Self::UnconfirmedAdoption => {
                Facts::new(Exit::Usage, Code::Unconfirmed).hint("--dry-run shows what differs, and adopts nothing")
            }
            Self::OtherNode => guard(Code::Unconfirmed),
            Self::SameMac(..) => Facts::new(Exit::Failed, Code::Ambiguous).hint("rename one of the two"),
            Self::NeedsReboot { .. } => guard(Code::NeedsReboot).hint("--reboot allows it"),
            Self::NeedsRecreate { .. } => {
                guard(Code::NeedsRecreate).hint("--recreate allows it; the data on its disks is lost")
            }
            Self::NeedsDisk { node, slot, .. } => guard(Code::NeedsDisk).hint(format!(
                "--replace-disk {node}:{slot} allows an empty disk there; no disk is deleted. Or correct the file"
            )),
            Self::Moved { host, .. } => guard(Code::MovedDisk).hint(format!(
                "look on {host} which disk is which before you move one; then put them back; if they are to stay so, write that into the file and remove the line `ichor-disks:` from the VM's notes"
            )),
            Self::NeedsDisks { node, disks, .. } => {
                let named: Vec<String> = disks.iter().map(|disk| format!("{node}:{disk}")).collect();
                let named = named.join(",");
                guard(Code::NeedsDisk)
                    .hint(format!("--replace-disk {named} allows it; the data on these disks is lost"))
            }
            Self::AddressTaken { node, .. } => guard(Code::AddressTaken).hint(format!(
                "if the node was renamed, restore its old name (it identifies the VM), or remove that VM first{}",
                node.as_ref().map(|node| format!(": `pve-vm destroy -f FILE --orphan {node}`")).unwrap_or_default()
            )),
            Self::AddressInUse { .. } => {
                guard(Code::AddressTaken).hint("give the node another `address`, or change that VM's")
            }
            Self::AddressAnswers { .. } => guard(Code::AddressTaken)
                .hint("give the node another `address`, or find the machine that has it and switch it off"),
            Self::OtherRole { .. } => guard(Code::OtherRole).hint(
                "restore the role in the file; if the VM's notes are wrong, correct their line `ichor-role:`; to replace the node, destroy its VM first (`pve-vm destroy`, which asks etcd)",
            ),
            Self::NotStarted { exit, .. } => {
                Facts::new(*exit, Code::ProxmoxRefused).hint("correct the values in the file, and run again")
            }
            Self::MadeAnew { .. } => Facts::new(Exit::Unreachable, Code::Busy).hint("run again: what differs then is looked at anew"),
            Self::StillBusy { .. } => Facts::new(Exit::Unreachable, Code::Timeout),
            Self::Unconfirmed => Facts::new(Exit::Usage, Code::Unconfirmed),
            Self::OtherName => guard(Code::Unconfirmed),
            Self::Unfit { exit, fixes, .. } => Facts::new(*exit, Code::Unfit).hint(fixes.clone()),
        }
    }
}

/// The privileges of the role, but that for guest agents, whose name depends on the release.
pub(crate) fn least() -> Vec<&'static str> {
    rights::NEEDED.into_iter().chain([rights::USEFUL]).collect()
}
