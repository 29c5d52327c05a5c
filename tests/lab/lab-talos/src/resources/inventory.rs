//! What a machine is made of and how it was set up: resources that people look at and programs don't read.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;
use talos_proto::common::NetIpPort;
use talos_proto::definitions as proto;

use super::Source;
use super::spec::{Item, mac, octets};
use crate::world::{Id, World};

pub(super) const SOURCES: &[Source] = &[
    ("Processors.hardware.talos.dev", processors),
    ("MemoryModules.hardware.talos.dev", memory_modules),
    ("PCIDevices.hardware.talos.dev", pci_devices),
    ("KernelParamStatuses.runtime.talos.dev", kernel_params),
    ("KernelCmdlines.runtime.talos.dev", command_line),
    ("MountStatuses.runtime.talos.dev", mounts),
    ("UniqueMachineTokens.runtime.talos.dev", |_, _| {
        vec![Item::new("unique-machine-token", &proto::UniqueMachineTokenSpec::default(), &json!({"token": ""}))]
    }),
    ("DevicesStatuses.runtime.talos.dev", |_, _| {
        vec![Item::new("devices", &proto::DevicesStatusSpec { ready: true }, &json!({"ready": true}))]
    }),
    ("MetaLoads.runtime.talos.dev", |_, _| {
        vec![Item::new("meta-loaded", &proto::MetaLoadedSpec { done: true }, &json!({"done": true}))]
    }),
    ("BlockDevices.block.talos.dev", block_devices),
    ("MemoryStats.perf.talos.dev", memory),
    ("HardwareAddresses.net.talos.dev", hardware_address),
    ("HostDNSConfigs.net.talos.dev", host_dns),
    ("DNSUpstreams.net.talos.dev", dns_upstreams),
    ("EthernetStatuses.net.talos.dev", ethernet),
];

fn command_line(world: &World, id: Id) -> Vec<Item> {
    let cmdline = world.kernel_command_line(id);
    let yaml = json!({"cmdline": cmdline});
    vec![Item::new("cmdline", &proto::KernelCmdlineSpec { cmdline }, &yaml)]
}

fn processors(world: &World, id: Id) -> Vec<Item> {
    let cores = world.nodes[id].machine.cores.max(1);
    let spec = proto::ProcessorSpec {
        socket: "CPU 0".to_owned(),
        manufacturer: "QEMU".to_owned(),
        product_name: "pc-q35-10.1".to_owned(),
        max_speed: 2000,
        boot_speed: 2000,
        status: 65,
        core_count: cores,
        core_enabled: cores,
        thread_count: cores,
    };
    let yaml = json!({
        "socket": spec.socket, "manufacturer": spec.manufacturer, "productName": spec.product_name,
        "maxSpeedMhz": spec.max_speed, "bootSpeedMhz": spec.boot_speed, "status": spec.status,
        "coreCount": cores, "coreEnabled": cores, "threadCount": cores,
    });
    vec![Item::new("CPU-0", &spec, &yaml)]
}

fn memory_modules(world: &World, id: Id) -> Vec<Item> {
    let size = world.nodes[id].machine.memory;
    let spec = proto::MemoryModuleSpec {
        size: u32::try_from(size).unwrap_or(u32::MAX),
        device_locator: "DIMM 0".to_owned(),
        manufacturer: "QEMU".to_owned(),
    };
    let yaml = json!({"sizeMiB": spec.size, "deviceLocator": spec.device_locator, "manufacturer": spec.manufacturer});
    vec![Item::new("DIMM-0", &spec, &yaml)]
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

/// `/proc/bus/pci/devices`: place, numbers, interrupt, seven regions with their sizes, and driver.
pub(crate) fn pci_file() -> String {
    let line = |(slot, _, numbers, driver): &(&str, [&str; 3], [&str; 4], &str)| {
        let (device, function) = slot.rsplit_once(':').and_then(|(_, place)| place.split_once('.')).unwrap_or_default();
        let [device, function] = [device, function].map(|digits| u8::from_str_radix(digits, 16).unwrap_or_default());
        let [vendor, product] = [numbers[2], numbers[3]].map(|number| number.trim_start_matches("0x"));
        let regions = format!("\t{:>16x}", 0).repeat(14);
        format!("00{:02x}\t{vendor}{product}\t0{regions}\t{driver}\n", device << 3 | function)
    };
    PCI.iter().map(line).collect()
}

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
        let [class, subclass, product] = names.map(str::to_owned);
        let [class_id, subclass_id, vendor_id, product_id] = numbers.map(str::to_owned);
        let (vendor, driver) = (vendor.to_owned(), (*driver).to_owned());
        let spec = proto::PciDeviceSpec {
            class,
            subclass,
            vendor,
            product,
            class_id,
            subclass_id,
            vendor_id,
            product_id,
            driver,
        };
        Item::new(slot, &spec, &yaml)
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
        let yaml = json!({"current": current, "default": default, "unsupported": false});
        let (current, default) = (current.to_owned(), default.to_owned());
        Item::new(name, &proto::KernelParamStatusSpec { current, default, unsupported: false }, &yaml)
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
        let spec = proto::MountStatusSpec {
            source: source.to_owned(),
            target: target.to_owned(),
            filesystem_type: "xfs".to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            encrypted: false,
        };
        Item::new(label, &spec, &yaml)
    };
    vec![
        item("EPHEMERAL", "/dev/sda6", "/var", &["rw", "nosuid", "nodev", "relatime"]),
        item("STATE", "/dev/sda5", "/system/state", &["rw", "nosuid", "nodev", "noexec", "relatime"]),
    ]
}

fn block_devices(world: &World, id: Id) -> Vec<Item> {
    const DISK: &str = "/devices/pci0000:00/0000:00:05.0/block/sda";
    let spec = proto::DeviceSpec {
        r#type: "disk".to_owned(),
        major: 8,
        generation: 1,
        device_path: DISK.to_owned(),
        ..proto::DeviceSpec::default()
    };
    let yaml = json!({"type": "disk", "major": 8, "minor": 0, "devicePath": DISK, "generation": 1});
    let disk = Item::new("sda", &spec, &yaml);
    let parts = super::block::partitions(world, id).into_iter().map(|(label, number, ..)| {
        let name = format!("sda{number}");
        let index = i64::try_from(number).unwrap_or_default();
        let spec = proto::DeviceSpec {
            r#type: "partition".to_owned(),
            major: 8,
            minor: index,
            partition_name: label.to_owned(),
            partition_number: index,
            generation: 1,
            device_path: format!("{DISK}/{name}"),
            parent: "sda".to_owned(),
        };
        let yaml = json!({
            "type": "partition", "major": 8, "minor": index, "partitionName": label, "partitionNumber": index,
            "devicePath": spec.device_path, "generation": 1, "parent": "sda",
        });
        Item::new(&name, &spec, &yaml)
    });
    std::iter::once(disk).chain(parts).collect()
}

/// What `/proc/meminfo` of a node of the lab has nothing of.
const NO_MEMORY: &[&str] = &[
    "buffers",
    "swapCached",
    "active",
    "inactive",
    "activeAnon",
    "inactiveAnon",
    "activeFile",
    "inactiveFile",
    "unevictable",
    "mlocked",
    "swapTotal",
    "swapFree",
    "dirty",
    "writeback",
    "anonPages",
    "mapped",
    "shmem",
    "slab",
    "sreclaimable",
    "sunreclaim",
    "kernelStack",
    "pageTables",
    "nfsunstable",
    "bounce",
    "writeBacktmp",
    "commitLimit",
    "commitTedas",
    "vmallocTotal",
    "vmallocUsed",
    "vmallocChunk",
    "hardwareCorrupted",
    "anonHugePages",
    "shmemHugePages",
    "shmemPmdMapped",
    "cmaTotal",
    "cmaFree",
    "hugePagesTotal",
    "hugePagesFree",
    "hugePagesRsvd",
    "hugePagesSurp",
    "hugepagesize",
    "directMap4k",
    "directMap2m",
    "directMap1g",
];

fn memory(world: &World, id: Id) -> Vec<Item> {
    let total = world.nodes[id].machine.memory << 10;
    let spec =
        proto::MemorySpec { mem_total: total, mem_used: total / 4, mem_available: total / 4 * 3, cached: total / 5 };
    let mut yaml = json!({
        "total": spec.mem_total, "used": spec.mem_used, "available": spec.mem_available, "cached": spec.cached,
    });
    for name in NO_MEMORY {
        yaml[name] = json!(0);
    }
    vec![Item::new("latest", &spec, &yaml)]
}

fn hardware_address(world: &World, id: Id) -> Vec<Item> {
    let item = |address: &String| {
        let spec = proto::HardwareAddrSpec { name: "eth0".to_owned(), hardware_addr: mac(address) };
        Item::new("first", &spec, &json!({"name": "eth0", "hardwareAddr": address.to_lowercase()}))
    };
    world.nodes[id].machine.macs.first().map(item).into_iter().collect()
}

fn host_dns(world: &World, id: Id) -> Vec<Item> {
    let enabled = world.nodes[id].config.is_some();
    let mut yaml = json!({"enabled": enabled});
    let mut spec = proto::HostDnsConfigSpec { enabled, listen_addresses: Vec::new() };
    if enabled {
        let address = Ipv4Addr::new(127, 0, 0, 53);
        yaml["listenAddresses"] = json!([format!("{address}:53")]);
        spec.listen_addresses.push(NetIpPort { ip: octets(IpAddr::V4(address)), port: 53 });
    }
    vec![Item::new("config", &spec, &yaml)]
}

/// Talos keeps connections in these resources, so their protobuf has nothing.
fn dns_upstreams(world: &World, id: Id) -> Vec<Item> {
    let servers = world.nodes[id].machine.nameservers.iter().enumerate();
    let item = |(index, server): (usize, &IpAddr)| {
        let yaml = json!({"healthy": "true", "addr": format!("{server}:53")});
        Item::new(&format!("#{index:03} {server}:53"), &(), &yaml)
    };
    servers.map(item).collect()
}

fn ethernet(world: &World, id: Id) -> Vec<Item> {
    let item = |index| {
        let spec = proto::EthernetStatusSpec { link_state: true, port: 0xff, duplex: 0xff };
        Item::new(&format!("eth{index}"), &spec, &json!({"linkState": true, "port": "Other", "duplex": "Unknown"}))
    };
    (0..world.nodes[id].machine.macs.len()).map(item).collect()
}
