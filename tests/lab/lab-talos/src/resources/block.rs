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
    let folders = FOLDERS.iter().filter(|(name, ..)| *name != "ETCD" || node.is_control_plane());
    let folders = folders.map(|(name, label, mode, owner)| {
        let path = if *name == "ETCD" { "/var/lib/etcd" } else { name };
        let (parent, target) = path.rsplit_once('/').unwrap_or_default();
        let parent = if parent == "/var" { "EPHEMERAL" } else { parent };
        let label = format!("system_u:object_r:{label}:s0");
        let owner = i64::from(owner.unwrap_or_default());
        let mount = proto::VolumeMount {
            target_path: target.to_owned(),
            selinux_label: label,
            parent_id: parent.to_owned(),
            file_mode: *mode,
            uid: owner,
            gid: owner,
            recursive_relabel: RELABELLED.contains(name),
            ..proto::VolumeMount::default()
        };
        folder(name, "directory", mount, None)
    });
    let mount = proto::VolumeMount { target_path: "/var/run".to_owned(), ..proto::VolumeMount::default() };
    let link = proto::VolumeLink { symlink_target_path: "/run".to_owned(), force: true };
    folders.chain([folder("/var/run", "symlink", mount, Some(link))]).collect()
}

/// A volume that is a folder, or a link to one.
fn folder(name: &str, kind: &str, mount: proto::VolumeMount, link: Option<proto::VolumeLink>) -> Item {
    let mut yaml = json!({"phase": "ready", "type": kind, "mountSpec": mounted(&mount)});
    if let Some(link) = &link {
        yaml["symlink"] = json!({"symlinkTargetPath": link.symlink_target_path, "force": link.force});
    }
    let spec = proto::VolumeStatusSpec {
        phase: proto::VolumePhase::Ready as i32,
        // Talos's numbers of the two kinds.
        r#type: if kind == "directory" { 3 } else { 4 },
        mount_spec: Some(mount),
        symlink_spec: link,
        ..proto::VolumeStatusSpec::default()
    };
    Item::new(name, &spec, &yaml).labelled("talos.dev/system-volume", "")
}

/// A mount as YAML: what is zero is left out where Talos does.
fn mounted(mount: &proto::VolumeMount) -> serde_json::Value {
    let mut yaml = json!({
        "targetPath": mount.target_path, "selinuxLabel": mount.selinux_label,
        "projectQuotaSupport": mount.project_quota_support,
    });
    if !mount.parent_id.is_empty() {
        yaml["parentId"] = json!(mount.parent_id);
    }
    if mount.file_mode != 0 {
        yaml["fileMode"] = json!(mount.file_mode);
    }
    if mount.uid != 0 {
        (yaml["uid"], yaml["gid"]) = (json!(mount.uid), json!(mount.gid));
    }
    if mount.recursive_relabel {
        yaml["recursiveRelabel"] = json!(true);
    }
    yaml
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
    let mut spec = proto::VolumeStatusSpec {
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
    let place = match label {
        "STATE" => Some(("/system/state", "system_state_t", 0o700)),
        "EPHEMERAL" => Some(("/var", "ephemeral_t", 0o755)),
        _ => None,
    };
    if let Some((path, label, mode)) = place {
        let mount = proto::VolumeMount {
            target_path: path.to_owned(),
            selinux_label: format!("system_u:object_r:{label}:s0"),
            file_mode: mode,
            ..proto::VolumeMount::default()
        };
        yaml["mountSpec"] = mounted(&mount);
        spec.mount_spec = Some(mount);
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
