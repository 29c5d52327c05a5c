//! What a machine is made of and how it was set up: resources that people look at and programs don't read.

use serde_json::{Value, json};

use super::Source;
use super::machine::pretty;
use super::spec::Item;
use crate::talos::world::{Id, World};

pub(super) const SOURCES: &[Source] = &[
    ("Processors.hardware.talos.dev", processors),
    ("MemoryModules.hardware.talos.dev", memory_modules),
    ("PCIDevices.hardware.talos.dev", pci_devices),
    ("KernelParamStatuses.runtime.talos.dev", kernel_params),
    ("KernelCmdlines.runtime.talos.dev", |world, id| {
        vec![Item::shown("cmdline", &json!({"cmdline": world.kernel_command_line(id)}))]
    }),
    ("MountStatuses.runtime.talos.dev", mounts),
    ("UniqueMachineTokens.runtime.talos.dev", |_, _| vec![Item::shown("unique-machine-token", &json!({"token": ""}))]),
    ("DevicesStatuses.runtime.talos.dev", |_, _| vec![Item::shown("devices", &json!({"ready": true}))]),
    ("MetaLoads.runtime.talos.dev", |_, _| vec![Item::shown("meta-loaded", &json!({"done": true}))]),
    ("BlockDevices.block.talos.dev", block_devices),
    ("MemoryStats.perf.talos.dev", memory),
    ("HardwareAddresses.net.talos.dev", hardware_address),
    ("HostDNSConfigs.net.talos.dev", host_dns),
    ("DNSUpstreams.net.talos.dev", dns_upstreams),
    ("EthernetStatuses.net.talos.dev", ethernet),
];

fn processors(world: &World, id: Id) -> Vec<Item> {
    let cores = world.nodes[id].machine.cores.max(1);
    let yaml = json!({
        "socket": "CPU 0", "manufacturer": "QEMU", "productName": "pc-q35-10.1", "maxSpeedMhz": 2000,
        "bootSpeedMhz": 2000, "status": 65, "coreCount": cores, "coreEnabled": cores, "threadCount": cores,
    });
    vec![Item::shown("CPU-0", &yaml)]
}

fn memory_modules(world: &World, id: Id) -> Vec<Item> {
    let size = world.nodes[id].machine.memory;
    let yaml = json!({"sizeMiB": size, "deviceLocator": "DIMM 0", "manufacturer": "QEMU"});
    vec![Item::shown("DIMM-0", &yaml)]
}

/// The devices of a virtual machine: slot, class, subclass and product with their numbers, and driver.
const PCI: &[(&str, [&str; 3], [&str; 4], &str)] = &[
    (
        "0000:00:00.0",
        ["Bridge", "Host bridge", "82G33/G31/P35/P31 Express DRAM Controller"],
        ["0x06", "0x00", "0x8086", "0x29c0"],
        "",
    ),
    ("0000:00:01.0", ["Display controller", "VGA compatible controller", ""], ["0x03", "0x00", "0x1234", "0x1111"], ""),
    (
        "0000:00:05.0",
        ["Mass storage controller", "SCSI storage controller", "Virtio SCSI"],
        ["0x01", "0x00", "0x1af4", "0x1004"],
        "virtio-pci",
    ),
    (
        "0000:00:12.0",
        ["Network controller", "Ethernet controller", "Virtio network device"],
        ["0x02", "0x00", "0x1af4", "0x1000"],
        "virtio-pci",
    ),
];

fn pci_devices(_: &World, _: Id) -> Vec<Item> {
    let item = |(slot, names, numbers, driver): &(&str, [&str; 3], [&str; 4], &str)| {
        let vendor = match numbers[2] {
            "0x8086" => "Intel Corporation",
            "0x1af4" => "Red Hat, Inc.",
            _ => "",
        };
        let mut yaml = json!({
            "class": names[0], "subclass": names[1], "vendor": vendor, "product": names[2], "class_id": numbers[0],
            "subclass_id": numbers[1], "vendor_id": numbers[2], "product_id": numbers[3], "driver": driver,
        });
        if let Some(fields) = yaml.as_object_mut() {
            fields.retain(|_, value| *value != json!(""));
        }
        Item::shown(slot, &yaml)
    };
    PCI.iter().map(item).collect()
}

/// Parameters of the kernel that Talos sets by itself: name, value, and what the kernel has without.
const KERNEL_PARAMS: &[(&str, &str, &str)] = &[
    ("proc.sys.fs.inotify.max_user_instances", "8192", "128"),
    ("proc.sys.kernel.panic", "10", "0"),
    ("proc.sys.kernel.panic_on_oops", "1", "0"),
    ("proc.sys.kernel.pid_max", "262144", "32768"),
    ("proc.sys.net.ipv4.ip_forward", "1", "0"),
    ("proc.sys.net.ipv6.conf.default.forwarding", "1", "0"),
    ("proc.sys.vm.overcommit_memory", "1", "0"),
];

fn kernel_params(world: &World, id: Id) -> Vec<Item> {
    let item = |name: &str, current: &str, default: &str| {
        Item::shown(name, &json!({"current": current, "default": default, "unsupported": false}))
    };
    let own = KERNEL_PARAMS.iter().map(|(name, current, default)| item(name, current, default));
    let configured = world.nodes[id].config.iter().flat_map(|config| &config.sysctls);
    let configured = configured.map(|(name, value)| item(&format!("proc.sys.{name}"), value, ""));
    let mut items: Vec<Item> = configured.collect();
    items.extend(own.filter(|own| !items.iter().any(|item| item.id == own.id)).collect::<Vec<_>>());
    items
}

fn mounts(world: &World, id: Id) -> Vec<Item> {
    if world.nodes[id].config.is_none() {
        return Vec::new();
    }
    let item = |label: &str, source: &str, target: &str, options: &[&str]| {
        let yaml = json!({
            "source": source, "target": target, "filesystemType": "xfs", "options": options, "encrypted": false,
        });
        Item::shown(label, &yaml)
    };
    vec![
        item("EPHEMERAL", "/dev/sda6", "/var", &["rw", "nosuid", "nodev", "relatime"]),
        item("STATE", "/dev/sda5", "/system/state", &["rw", "nosuid", "nodev", "noexec", "relatime"]),
    ]
}

fn block_devices(world: &World, id: Id) -> Vec<Item> {
    let disk = json!({
        "type": "disk", "major": 8, "minor": 0, "devicePath": "/devices/pci0000:00/0000:00:05.0/block/sda", "generation": 1,
    });
    let parts = super::block::partitions(world, id).into_iter().map(|(label, number, ..)| {
        let name = format!("sda{number}");
        let yaml = json!({
            "type": "partition", "major": 8, "minor": number, "partitionName": label, "partitionNumber": number,
            "devicePath": format!("/devices/pci0000:00/0000:00:05.0/block/sda/{name}"), "generation": 1, "parent": "sda",
        });
        Item::shown(&name, &yaml)
    });
    std::iter::once(Item::shown("sda", &disk)).chain(parts).collect()
}

fn memory(world: &World, id: Id) -> Vec<Item> {
    let total = world.nodes[id].machine.memory << 20;
    let yaml = json!({
        "total": pretty(total), "used": pretty(total / 4), "available": pretty(total / 4 * 3),
        "cached": pretty(total / 5), "swapTotal": pretty(0), "swapFree": pretty(0),
    });
    vec![Item::shown("latest", &yaml)]
}

fn hardware_address(world: &World, id: Id) -> Vec<Item> {
    let first = world.nodes[id].machine.macs.first();
    let item = |mac: &String| Item::shown("first", &json!({"name": "eth0", "hardwareAddr": mac.to_lowercase()}));
    first.map(item).into_iter().collect()
}

fn host_dns(world: &World, id: Id) -> Vec<Item> {
    let configured = world.nodes[id].config.is_some();
    let mut yaml = json!({"enabled": configured});
    if configured {
        yaml["listenAddresses"] = json!(["127.0.0.53:53"]);
    }
    vec![Item::shown("config", &yaml)]
}

fn dns_upstreams(world: &World, id: Id) -> Vec<Item> {
    let servers = world.nodes[id].machine.nameservers.iter().enumerate();
    let item = |(index, server): (usize, &std::net::IpAddr)| {
        let yaml: Value = json!({"healthy": "true", "addr": format!("{server}:53")});
        Item::shown(&format!("#{index:03} {server}:53"), &yaml)
    };
    servers.map(item).collect()
}

fn ethernet(world: &World, id: Id) -> Vec<Item> {
    let item = |index| {
        let yaml = json!({"linkState": true, "port": "Other", "duplex": "Unknown", "wakeOnLAN": []});
        Item::shown(&format!("eth{index}"), &yaml)
    };
    (0..world.nodes[id].machine.macs.len()).map(item).collect()
}
