//! How large a lab may be.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lab::{Lab, Options};

/// The most memory that this process has held, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_a_thousand_nodes_is_ready_within_half_a_gigabyte() {
    let lab = Lab::start(Options { workers: 997, control_planes: 3, ..Options::default() }).await.unwrap();
    lab.bring_up().await.unwrap();
    let ready = lab.talos().nodes().iter().filter(|node| node.is_ready()).count();
    assert_eq!(ready, 1000);
    assert!(peak() < 500 << 10, "{} KiB", peak());
}
