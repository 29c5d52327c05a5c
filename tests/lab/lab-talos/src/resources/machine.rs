//! Resources about the machine and its configuration.

use serde_json::json;
use talos_proto::definitions as proto;

use super::Source;
use super::spec::Item;
use crate::config::Role;
use crate::node::Api;
use crate::world::{Id, World};

pub(super) const SOURCES: &[Source] = &[
    ("MachineStatuses.runtime.talos.dev", status),
    ("MachineConfigs.config.talos.dev", config),
    ("MachineTypes.config.talos.dev", kind),
    ("SystemInformations.hardware.talos.dev", system),
    ("Services.v1alpha1.talos.dev", services),
    ("Versions.runtime.talos.dev", version),
    ("TimeStatuses.v1alpha1.talos.dev", time),
    ("NTPStatuses.v1alpha1.talos.dev", time_client),
    ("BootIDs.runtime.talos.dev", boot_id),
    ("Disks.block.talos.dev", disks),
    ("SystemDisks.block.talos.dev", system_disk),
    ("SecurityStates.talos.dev", security),
    ("ExtensionStatuses.runtime.talos.dev", extensions),
    ("PlatformMetadatas.talos.dev", platform),
    ("Diagnostics.runtime.talos.dev", diagnostics),
    ("MetaKeys.runtime.talos.dev", meta_keys),
    ("UnattendedInstallStatuses.runtime.talos.dev", unattended),
    ("APIServiceConfigs.runtime.talos.dev", api_service),
    ("SiderolinkStatuses.siderolink.talos.dev", |_, _| Vec::new()),
];

fn diagnostics(world: &World, id: Id) -> Vec<Item> {
    let item = |(name, message): (&String, &String)| {
        let spec = proto::DiagnosticSpec { message: message.clone(), details: Vec::new() };
        Item::new(name, &spec, &json!({"message": message, "details": []}))
    };
    world.nodes[id].diagnostics.iter().map(item).collect()
}

fn meta_keys(world: &World, id: Id) -> Vec<Item> {
    let keys = world.disk(id).map(|disk| disk.meta.clone()).unwrap_or_default();
    let item = |(key, value): (u8, String)| {
        let yaml = json!({"value": value});
        Item::new(&format!("0x{key:02x}"), &proto::MetaKeySpec { value }, &yaml)
    };
    keys.into_iter().map(item).collect()
}

fn unattended(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let Some(config) = node.config.as_ref().filter(|config| config.unattended_install) else { return Vec::new() };
    let (phase, name) = match (node.installing, world.is_installed(id)) {
        (true, _) => (proto::UnattendedInstallPhase::Installing, "installing"),
        (false, true) => (proto::UnattendedInstallPhase::Installed, "installed"),
        (false, false) => (proto::UnattendedInstallPhase::Pending, "pending"),
    };
    let image = config.install_image.clone();
    let yaml = json!({"image": image, "phase": name, "error": ""});
    let spec = proto::UnattendedInstallStatusSpec { image, phase: phase as i32, error: String::new() };
    vec![Item::new("unattended-install", &spec, &yaml)]
}

fn api_service(world: &World, id: Id) -> Vec<Item> {
    let maintenance = world.nodes[id].api == Api::Maintenance;
    let spec = proto::ApiServiceConfigSpec {
        listen_address: ":50000".to_owned(),
        node_routing_disabled: maintenance,
        readonly_role_mode: maintenance,
        skip_verifying_client_cert: maintenance,
    };
    let yaml = json!({
        "listenAddress": ":50000", "nodeRoutingDisabled": maintenance, "readonlyRoleMode": maintenance,
        "skipVerifyingClientCert": maintenance,
    });
    vec![Item::new("apid", &spec, &yaml)]
}

fn status(world: &World, id: Id) -> Vec<Item> {
    let unmet = world.unmet(id);
    let conditions =
        unmet.iter().map(|(name, reason)| proto::UnmetCondition { name: name.clone(), reason: reason.clone() });
    let stage = world.nodes[id].stage;
    let spec = proto::MachineStatusSpec {
        stage: stage as i32,
        status: Some(proto::MachineStatusStatus { ready: unmet.is_empty(), unmet_conditions: conditions.collect() }),
    };
    let conditions: Vec<_> = unmet.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
    let yaml = json!({"stage": stage.name(), "status": {"ready": unmet.is_empty(), "unmetConditions": conditions}});
    vec![Item::new("machine", &spec, &yaml)]
}

/// The config as text; up to 1.11 its YAML form is the text itself, later a string with a mark.
fn config(world: &World, id: Id) -> Vec<Item> {
    let release = world.nodes[id].version();
    let active = world.nodes[id].config.as_ref().map(|config| config.text.clone());
    let stored = world.disk(id).and_then(|disk| disk.config.clone()).filter(|_| release.minor >= 10);
    let item = |id: &str, text: String| {
        let spec = proto::MachineConfigSpec { yaml_marshalled: text.clone().into_bytes() };
        let item = Item::new(id, &spec, &json!(text));
        match release.minor {
            ..=11 => Item { yaml: text, ..item },
            _ => item.annotated("talos.dev/yaml-spec", "1"),
        }
    };
    let active = active.map(|text| item("v1alpha1", text));
    active.into_iter().chain(stored.map(|text| item("persistent", text))).collect()
}

fn kind(world: &World, id: Id) -> Vec<Item> {
    let (number, name) = match world.nodes[id].role() {
        Some(Role::ControlPlane) => (proto::MachineType::ControlPlane, "controlplane"),
        Some(Role::Worker) => (proto::MachineType::Worker, "worker"),
        None => (proto::MachineType::Unknown, "unknown"),
    };
    vec![Item::new("machine-type", &proto::MachineTypeSpec { machine_type: number as i32 }, &json!(name))]
}

fn system(world: &World, id: Id) -> Vec<Item> {
    let uuid = world.nodes[id].machine.uuid.to_lowercase();
    let spec = proto::SystemInformationSpec {
        manufacturer: "QEMU".to_owned(),
        product_name: "Standard PC (Q35 + ICH9, 2009)".to_owned(),
        version: "pc-q35-10.1".to_owned(),
        uuid,
        wake_up_type: "Power Switch".to_owned(),
        ..proto::SystemInformationSpec::default()
    };
    let yaml = json!({
        "manufacturer": spec.manufacturer,
        "productName": spec.product_name,
        "version": spec.version,
        "uuid": spec.uuid,
        "wakeUpType": spec.wake_up_type,
    });
    vec![Item::new("systeminformation", &spec, &yaml)]
}

fn services(world: &World, id: Id) -> Vec<Item> {
    let item = |service: crate::world::Service| {
        let running = service.state == "Running";
        let spec = proto::ServiceSpec { running, healthy: service.healthy, unknown: service.unknown };
        let yaml = json!({"running": running, "healthy": service.healthy, "unknown": service.unknown});
        Item::new(&service.id, &spec, &yaml)
    };
    // One that has never run is no resource (seen on 1.13.9), though the list of services has it.
    let begins = |service: &crate::world::Service| ["Preparing", "Starting", "Waiting"].contains(&service.state);
    world.services(id).into_iter().filter(|service| !begins(service)).map(item).collect()
}

fn version(world: &World, id: Id) -> Vec<Item> {
    let spec = proto::VersionSpec { version: world.nodes[id].tag(), name: "Talos".to_owned() };
    let yaml = json!({"name": spec.name, "version": spec.version});
    vec![Item::new("version", &spec, &yaml)]
}

fn time(world: &World, id: Id) -> Vec<Item> {
    let synced = world.nodes[id].time_synced;
    let spec = proto::TimeStatusSpec { synced, epoch: 0, sync_disabled: false };
    vec![Item::new("node", &spec, &json!({"synced": synced, "epoch": 0, "syncDisabled": false}))]
}

/// What the client of the time servers saw last (api/resource/definitions/time at v1.14.1).
#[derive(Clone, PartialEq, prost::Message)]
struct NtpStatus {
    #[prost(bool, tag = "1")]
    spike_detected: bool,
    #[prost(int64, tag = "2")]
    consecutive_spikes: i64,
}

fn time_client(_: &World, _: Id) -> Vec<Item> {
    let yaml = json!({"spikeDetected": false, "consecutiveSpikes": 0});
    vec![Item::new("node", &NtpStatus::default(), &yaml)]
}

fn boot_id(world: &World, id: Id) -> Vec<Item> {
    let spec = proto::BootIdSpec { boot_id: world.nodes[id].boot_id.clone() };
    let yaml = json!({"bootID": spec.boot_id});
    vec![Item::new("boot-id", &spec, &yaml)]
}

fn disks(world: &World, id: Id) -> Vec<Item> {
    let size = world.nodes[id].machine.disk_size;
    let spec = proto::DiskSpec {
        size,
        io_size: 512,
        sector_size: 512,
        model: "QEMU HARDDISK".to_owned(),
        modalias: "scsi:t-0x00".to_owned(),
        bus_path: "/pci0000:00/0000:00:05.0/0000:01:01.0/virtio1/host2/target2:0:0/2:0:0:0".to_owned(),
        sub_system: "/sys/class/block".to_owned(),
        transport: "virtio".to_owned(),
        rotational: true,
        dev_path: "/dev/sda".to_owned(),
        pretty_size: pretty(size),
        ..proto::DiskSpec::default()
    };
    let yaml = json!({
        "dev_path": spec.dev_path,
        "size": spec.size,
        "pretty_size": spec.pretty_size,
        "io_size": spec.io_size,
        "sector_size": spec.sector_size,
        "readonly": false,
        "cdrom": false,
        "model": spec.model,
        "modalias": spec.modalias,
        "bus_path": spec.bus_path,
        "sub_system": spec.sub_system,
        "transport": spec.transport,
        "rotational": true,
    });
    vec![Item::new("sda", &spec, &yaml)]
}

/// `21 GB`, in powers of ten.
pub(super) fn pretty(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = size;
    let mut unit = 0;
    while value >= 1000 && unit < UNITS.len() - 1 {
        value /= 1000;
        unit += 1;
    }
    format!("{value} {}", UNITS[unit])
}

fn system_disk(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let installed = node.machine.image.is_some() || world.disk(id).is_some_and(|disk| disk.installed.is_some());
    if !installed {
        return Vec::new();
    }
    let spec = proto::SystemDiskSpec { disk_id: "sda".to_owned(), dev_path: "/dev/sda".to_owned() };
    vec![Item::new("system-disk", &spec, &json!({"diskID": "sda", "devPath": "/dev/sda"}))]
}

fn security(_: &World, _: Id) -> Vec<Item> {
    let spec = proto::SecurityStateSpec::default();
    vec![Item::new("securitystate", &spec, &json!({"secureBoot": false}))]
}

/// The extension by which the Image Factory says what it made an image from.
fn schematic(index: usize, id: &str) -> Item {
    let metadata = proto::ExtensionMetadata {
        name: "schematic".to_owned(),
        version: id.to_owned(),
        author: "Image Factory".to_owned(),
        description: "Virtual extension which specifies the schematic of the image built with Image Factory."
            .to_owned(),
    };
    let image = format!("{index:03}.schematic.sqsh");
    let yaml = json!({"image": image, "metadata": {
        "name": "schematic", "version": id, "author": metadata.author, "description": metadata.description,
        "compatibility": {"talos": {"version": ""}},
    }});
    let spec = proto::ExtensionStatusSpec { image, metadata: Some(metadata) };
    Item::new(&index.to_string(), &spec, &yaml)
}

fn extensions(world: &World, id: Id) -> Vec<Item> {
    let image = world.nodes[id].image.clone();
    let schematic = image.as_ref().map(|image| schematic(image.extensions.len(), &image.schematic));
    let names = image.into_iter().flat_map(|image| image.extensions);
    let tag = world.nodes[id].tag();
    let item = |(index, name): (usize, String)| {
        let short = name.rsplit('/').next().unwrap_or_default().to_owned();
        let metadata = proto::ExtensionMetadata {
            name: short.clone(),
            version: tag.clone(),
            author: "Sidero Labs".to_owned(),
            description: String::new(),
        };
        let image = format!("{index:03}.{short}.sqsh");
        let yaml = json!({"image": image, "metadata": {
            "name": short, "version": tag, "author": metadata.author, "description": metadata.description,
            "compatibility": {"talos": {"version": ""}},
        }});
        let spec = proto::ExtensionStatusSpec { image, metadata: Some(metadata) };
        Item::new(&index.to_string(), &spec, &yaml)
    };
    let mut items: Vec<Item> = names.enumerate().map(item).collect();
    items.extend(schematic);
    items
}

fn platform(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let platform = node.image.as_ref().map(|image| image.platform.clone()).unwrap_or_default();
    let hostname = if node.machine.network.is_empty() { String::new() } else { node.machine.name.clone() };
    let yaml = json!({"platform": platform, "hostname": hostname});
    vec![Item::new("platformmetadata", &proto::PlatformMetadataSpec { platform, hostname }, &yaml)]
}
