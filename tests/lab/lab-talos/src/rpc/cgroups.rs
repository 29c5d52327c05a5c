//! The control groups of a node as files: who is in them, and what they take.

use std::collections::BTreeMap;

use super::tree::{Entry, Tree};
use crate::world::{Id, Process, World};

const ROOT: &str = "/sys/fs/cgroup";
const MEBIBYTE: u64 = 1 << 20;

/// What Talos reserves for its groups, and where it stops them: least memory, most memory, thousandths of a core.
const RESERVED: &[(&str, u64, u64, u64)] = &[
    ("init", 96 * MEBIBYTE, 0, 2000),
    ("podruntime", 292 * MEBIBYTE, 0, 4000),
    ("podruntime/etcd", 256 * MEBIBYTE, 0, 2000),
    ("podruntime/kubelet", 96 * MEBIBYTE, 0, 1000),
    ("podruntime/runtime", 196 * MEBIBYTE, 0, 1000),
    ("system", 96 * MEBIBYTE, 0, 1500),
    ("system/apid", 16 * MEBIBYTE, 128 * MEBIBYTE, 500),
    ("system/dashboard", 0, 128 * MEBIBYTE, 200),
    ("system/runtime", 48 * MEBIBYTE, 0, 500),
    ("system/trustd", 8 * MEBIBYTE, 128 * MEBIBYTE, 250),
    ("system/udevd", 8 * MEBIBYTE, 0, 250),
];

/// A group with what is in it and below.
#[derive(Default)]
struct Group {
    own: Vec<i32>,
    memory: u64,
    count: u64,
}

/// Adds the groups to the files of a node.
pub(super) fn add(tree: &mut Tree, world: &World, id: Id) {
    let seconds = world.now.saturating_sub(world.nodes[id].booted_at).as_secs();
    let cores = world.nodes[id].machine.cores.max(1);
    for (name, group) in groups(&world.processes(id)) {
        for (file, content) in files(&name, &group, seconds, cores) {
            let folder = if name.is_empty() { ROOT.to_owned() } else { format!("{ROOT}/{name}") };
            tree.put(&format!("{folder}/{file}"), Entry::File(content));
        }
    }
}

/// Every group by name, the root (with no name) included.
fn groups(processes: &[Process]) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for process in processes {
        groups.entry(process.cgroup.clone()).or_default().own.push(process.pid);
        let mut name = process.cgroup.as_str();
        loop {
            let group = groups.entry(name.to_owned()).or_default();
            group.memory += process.memory;
            group.count += 1;
            if name.is_empty() {
                break;
            }
            name = name.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }
    groups
}

/// The kernel's scale of weights, from thousandths of a core as Talos counts them.
fn weight(millicores: u64) -> u64 {
    let shares = (millicores * 1024 / 1000).max(2);
    (1 + (shares - 2) * 9999 / 262_142).max(1)
}

fn files(name: &str, group: &Group, seconds: u64, cores: u32) -> Vec<(&'static str, String)> {
    let reserved = RESERVED.iter().find(|(other, ..)| *other == name);
    let (least, most, millicores) = reserved.map_or((0, 0, 0), |(_, least, most, cores)| (*least, *most, *cores));
    let limit = |bytes: u64| if bytes == 0 { "max".to_owned() } else { bytes.to_string() };
    let line = |value: String| format!("{value}\n");
    let pressure = || {
        let row =
            |kind: &str| format!("{kind} avg10=0.00 avg60=0.00 avg300=0.00 total={}\n", seconds * 50 * group.count);
        row("some") + &row("full")
    };
    let members: String = group.own.iter().map(|pid| format!("{pid}\n")).collect();
    let (user, system) = (seconds * 9000 * group.count, seconds * 4000 * group.count);
    let throttle = "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n";
    let cpus = format!("0-{}\n", cores.saturating_sub(1)).replace("0-0", "0");
    let mut files = vec![
        ("cgroup.procs", members.clone()),
        ("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n".to_owned()),
        ("cgroup.threads", members),
        ("cpu.pressure", pressure()),
        ("cpu.stat", format!("usage_usec {}\nuser_usec {user}\nsystem_usec {system}\n{throttle}", user + system)),
        ("cpuset.cpus.effective", cpus),
        ("cpuset.mems.effective", "0\n".to_owned()),
        ("io.pressure", pressure()),
        (
            "io.stat",
            format!(
                "8:0 rbytes={} wbytes={} rios={} wios={} dbytes=0 dios=0\n",
                4 * group.memory / 5,
                seconds * 4096 * group.count,
                group.count * 900,
                seconds * group.count
            ),
        ),
        ("memory.pressure", pressure()),
        ("memory.stat", format!("anon {}\nfile {}\nkernel {}\n", group.memory / 2, group.memory / 3, group.memory / 6)),
    ];
    if name.is_empty() {
        return files;
    }
    files.extend([
        ("cgroup.events", format!("populated {}\nfrozen 0\n", u8::from(group.count > 0))),
        ("cgroup.freeze", "0\n".to_owned()),
        ("cpu.max", "max 100000\n".to_owned()),
        ("cpu.max.burst", "0\n".to_owned()),
        ("cpu.weight", line(if millicores == 0 { "100".to_owned() } else { weight(millicores).to_string() })),
        ("cpu.weight.nice", "0\n".to_owned()),
        ("cpuset.cpus", "\n".to_owned()),
        ("cpuset.mems", "\n".to_owned()),
        ("memory.current", line(group.memory.to_string())),
        ("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n".to_owned()),
        ("memory.high", line("max".to_owned())),
        ("memory.low", line((least * 2).to_string())),
        ("memory.max", line(limit(most))),
        ("memory.min", line(least.to_string())),
        ("memory.oom.group", "0\n".to_owned()),
        ("memory.peak", line((group.memory / 4 * 5).to_string())),
        ("memory.swap.current", "0\n".to_owned()),
        ("memory.swap.high", line("max".to_owned())),
        ("memory.swap.max", line("max".to_owned())),
        ("memory.swap.peak", "0\n".to_owned()),
        ("memory.zswap.current", "0\n".to_owned()),
        ("memory.zswap.max", line("max".to_owned())),
        ("memory.zswap.writeback", "1\n".to_owned()),
        ("pids.current", line((group.count * 10).to_string())),
        ("pids.events", "max 0\n".to_owned()),
        ("pids.max", line("max".to_owned())),
        ("pids.peak", line((group.count * 12).to_string())),
    ]);
    files
}
