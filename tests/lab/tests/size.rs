//! How large a lab may be.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use lab::machine::{Image, Machine, Machines, NicConfig};
use lab::talos::Stage;
use lab::{Lab, Options};

/// A machine with a disk image that asks DHCP.
fn machine(number: usize) -> Machine {
    Machine {
        uuid: format!("00000000-0000-4000-8000-{number:012}"),
        name: format!("n-{number}"),
        host: "pve1".to_owned(),
        macs: vec![format!("BC:24:11:00:{:02X}:{:02X}", number / 256, number % 256)],
        disk: format!("disk-{number}"),
        image: Some(Image {
            schematic: "0".repeat(64),
            version: "v1.13.9".to_owned(),
            platform: "nocloud".to_owned(),
            extensions: Vec::new(),
        }),
        iso: None,
        network: vec![NicConfig::Dhcp],
        nameservers: Vec::new(),
        agent: false,
        cores: 2,
        memory: 4096,
        disk_size: 20 << 30,
    }
}

/// The most memory that this process has held, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_nodes_wait_for_their_configs_within_half_a_gigabyte() {
    let lab = Lab::start(Options { workers: 997, control_planes: 3, ..Options::default() }).await.unwrap();
    for number in 0..1000 {
        lab.talos().power_on(machine(number));
    }
    let waiting = |talos: &std::sync::Arc<lab::talos::Talos>| {
        let nodes = talos.nodes();
        nodes.len() == 1000 && nodes.iter().all(|node| node.stage() == Stage::Maintenance)
    };
    assert!(lab.talos().until(Duration::from_secs(30), waiting).await);
    assert!(peak() < 500 << 10, "{} KiB", peak());
}
