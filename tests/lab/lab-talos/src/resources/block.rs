//! Resources about the disk of a node and what is on it.

use serde_json::json;
use talos_proto::definitions as proto;

use super::Source;
use super::machine::pretty;
use super::spec::Item;
use crate::world::{Id, World};

pub(super) const SOURCES: &[Source] =
    &[("VolumeStatuses.block.talos.dev", volumes), ("DiscoveredVolumes.block.talos.dev", discovered)];

/// The partitions of a Talos disk: label, number, bytes (none: the rest of the disk), file system.
const PARTITIONS: &[(&str, u64, Option<u64>, &str)] = &[
    ("EFI", 1, Some(105 << 20), "vfat"),
    ("BIOS", 2, Some(1 << 20), ""),
    ("BOOT", 3, Some(1000 << 20), "xfs"),
    ("META", 4, Some(1 << 20), "talosmeta"),
    ("STATE", 5, Some(100 << 20), "xfs"),
    ("EPHEMERAL", 6, None, "xfs"),
];

/// The partitions that a node has at the moment, with their sizes.
pub(super) fn partitions(world: &World, id: Id) -> Vec<(&'static str, u64, u64, &'static str)> {
    let node = &world.nodes[id];
    let installed = node.machine.image.is_some() || world.disk(id).is_some_and(|disk| disk.installed.is_some());
    if !installed {
        return Vec::new();
    }
    let taken: u64 = PARTITIONS.iter().filter_map(|(_, _, size, _)| *size).sum();
    let rest = node.machine.disk_size.saturating_sub(taken);
    let configured = node.config.is_some();
    let present = PARTITIONS.iter().filter(|(label, ..)| configured || *label != "EPHEMERAL");
    present.map(|(label, number, size, filesystem)| (*label, *number, size.unwrap_or(rest), *filesystem)).collect()
}

/// Where the partition for everything that is not part of Talos lies, and its size in bytes.
pub(crate) fn ephemeral(world: &World, id: Id) -> Option<(String, u64)> {
    let found = partitions(world, id).into_iter().find(|(label, ..)| *label == "EPHEMERAL");
    found.map(|(_, number, size, _)| (format!("/dev/sda{number}"), size))
}

const VOLUMES: [&str; 3] = ["META", "STATE", "EPHEMERAL"];

/// Volumes by name, each with the partition that it is on.
pub(crate) fn volumes_on_disk(world: &World, id: Id) -> Vec<(&'static str, String)> {
    let present = partitions(world, id).into_iter().filter(|(label, ..)| VOLUMES.contains(label));
    let mut found: Vec<_> = present.map(|(label, number, ..)| (label, format!("sda{number}"))).collect();
    found.sort_unstable();
    found
}

/// The disk and its partitions.
pub(crate) fn devices(world: &World, id: Id) -> Vec<String> {
    let parts = partitions(world, id).into_iter().map(|(_, number, ..)| format!("sda{number}"));
    std::iter::once("sda".to_owned()).chain(parts).collect()
}

/// The folders that a configured node keeps as volumes: name, SELinux label, mode, and owner if it isn't root (1.13.9,
/// vectors/talos-real/configured-before-bootstrap).
const FOLDERS: &[(&str, &str, u32, Option<u32>)] = &[
    ("/var/lib", "ephemeral_t", 0o700, None),
    ("/var/lib/cni", "cni_state_t", 0o700, None),
    ("/var/lib/containerd", "containerd_state_t", 0, None),
    ("/var/lib/kubelet", "kubelet_state_t", 0o700, None),
    ("/var/lib/kubelet/seccomp", "seccomp_profile_t", 0o700, None),
    ("/var/lib/kubelet/seccomp/profiles", "seccomp_profile_t", 0o700, None),
    ("/var/log", "var_log_t", 0o755, None),
    ("/var/log/audit", "audit_log_t", 0o700, None),
    ("/var/log/audit/kube", "kube_log_t", 0o700, Some(65534)),
    ("/var/log/containers", "containers_log_t", 0o755, None),
    ("/var/log/pods", "pods_log_t", 0o755, None),
    ("/var/mnt", "ephemeral_t", 0o755, None),
    ("/var/run/lock", "var_lock_t", 0o755, None),
    ("ETCD", "etcd_data_t", 0o700, Some(60)),
];
/// Those whose content is labelled, too.
const RELABELLED: [&str; 4] = ["/var/lib/cni", "/var/lib/kubelet/seccomp/profiles", "/var/log/audit/kube", "ETCD"];

/// The volumes of a configured node that are no partitions.
fn folders(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    if node.config.is_none() {
        return Vec::new();
    }
    let ready = |name: &str, yaml: &serde_json::Value| {
        let spec = proto::VolumeStatusSpec { phase: proto::VolumePhase::Ready as i32, ..Default::default() };
        Item::new(name, &spec, yaml).labelled("talos.dev/system-volume", "")
    };
    let folders = FOLDERS.iter().filter(|(name, ..)| *name != "ETCD" || node.is_control_plane());
    let folders = folders.map(|(name, label, mode, owner)| {
        let path = if *name == "ETCD" { "/var/lib/etcd" } else { name };
        let (parent, target) = path.rsplit_once('/').unwrap_or_default();
        let parent = if parent == "/var" { "EPHEMERAL" } else { parent };
        let label = format!("system_u:object_r:{label}:s0");
        let mut mount = json!({
            "targetPath": target, "selinuxLabel": label, "projectQuotaSupport": false, "parentId": parent,
        });
        if *mode != 0 {
            mount["fileMode"] = json!(mode);
        }
        if let Some(owner) = owner {
            (mount["uid"], mount["gid"]) = (json!(owner), json!(owner));
        }
        if RELABELLED.contains(name) {
            mount["recursiveRelabel"] = json!(true);
        }
        ready(name, &json!({"phase": "ready", "type": "directory", "mountSpec": mount}))
    });
    let link = json!({
        "phase": "ready", "type": "symlink",
        "mountSpec": {"targetPath": "/var/run", "selinuxLabel": "", "projectQuotaSupport": false},
        "symlink": {"symlinkTargetPath": "/run", "force": true},
    });
    folders.chain([ready("/var/run", &link)]).collect()
}

fn volumes(world: &World, id: Id) -> Vec<Item> {
    let present = partitions(world, id).into_iter().filter(|(label, ..)| VOLUMES.contains(label));
    let present = present.map(|(label, number, size, filesystem)| volume(label, number, size, filesystem));
    let present = present.chain(folders(world, id));
    present.chain(world.nodes[id].faults.volume.as_ref().map(|(name, why)| failed(name, why))).collect()
}

/// A volume that can't be made (1.13.9, internal/app/machined/pkg/controllers/block/volume_manager.go).
fn failed(name: &str, why: &str) -> Item {
    let phase = proto::VolumePhase::Failed as i32;
    let spec = proto::VolumeStatusSpec { phase, error_message: why.to_owned(), ..proto::VolumeStatusSpec::default() };
    Item::new(name, &spec, &json!({"phase": "failed", "type": "partition", "errorMessage": why}))
}

fn volume(label: &str, number: u64, size: u64, filesystem: &str) -> Item {
    // The numbers of Talos's enumerations: a partition, and the file systems none, xfs and vfat.
    let spec = proto::VolumeStatusSpec {
        phase: proto::VolumePhase::Ready as i32,
        location: format!("/dev/sda{number}"),
        parent_location: "/dev/sda".to_owned(),
        partition_index: number as i64,
        size,
        filesystem: match filesystem {
            "xfs" => 1,
            "vfat" => 2,
            _ => 0,
        },
        pretty_size: pretty(size),
        r#type: 0,
        ..proto::VolumeStatusSpec::default()
    };
    let mut yaml = json!({
        "phase": "ready", "type": "partition", "location": spec.location, "partitionIndex": number,
        "parentLocation": "/dev/sda", "size": size, "prettySize": spec.pretty_size,
    });
    if spec.filesystem != 0 {
        yaml["filesystem"] = json!(filesystem);
    }
    let mounted = match label {
        "STATE" => Some(("/system/state", "system_state_t", 0o700)),
        "EPHEMERAL" => Some(("/var", "ephemeral_t", 0o755)),
        _ => None,
    };
    if let Some((path, label, mode)) = mounted {
        let label = format!("system_u:object_r:{label}:s0");
        yaml["mountSpec"] =
            json!({"targetPath": path, "selinuxLabel": label, "projectQuotaSupport": false, "fileMode": mode});
    }
    Item::new(label, &spec, &yaml).labelled("talos.dev/system-volume", "")
}

fn discovered(world: &World, id: Id) -> Vec<Item> {
    let size = world.nodes[id].machine.disk_size;
    let whole = disk_item("sda", "disk", size, if partitions(world, id).is_empty() { "" } else { "gpt" }, None);
    // What comes before the first partition.
    let mut end: u64 = 1 << 20;
    let parts = partitions(world, id).into_iter().map(|(label, number, size, filesystem)| {
        let offset = end;
        end += size;
        disk_item(&format!("sda{number}"), "partition", size, filesystem, Some((label, number, offset)))
    });
    std::iter::once(whole).chain(parts).collect()
}

fn disk_item(name: &str, kind: &str, size: u64, found: &str, partition: Option<(&str, u64, u64)>) -> Item {
    let (label, index, offset) = partition.unwrap_or_default();
    let spec = proto::DiscoveredVolumeSpec {
        size,
        name: found.to_owned(),
        partition_label: label.to_owned(),
        partition_index: index,
        r#type: kind.to_owned(),
        device_path: format!("/sys/class/block/{name}"),
        parent: if partition.is_some() { "sda".to_owned() } else { String::new() },
        dev_path: format!("/dev/{name}"),
        pretty_size: pretty(size),
        offset,
    };
    let mut yaml = json!({
        "dev_path": spec.dev_path, "type": kind, "device_path": spec.device_path, "size": size, "offset": offset,
        "pretty_size": spec.pretty_size, "name": found,
    });
    if partition.is_some() {
        yaml["parent"] = json!(spec.parent);
        yaml["partition_label"] = json!(label);
        yaml["partition_index"] = json!(index);
    }
    Item::new(name, &spec, &yaml)
}
