//! Numbers about a machine, as its dashboard shows them: made up, but steady and growing with time.

use talos_proto::machine::{
    CpUsFreqStats, CpUsInfo, CpuFreqStats, CpuFreqStatsResponse, CpuInfo, CpuInfoResponse, CpuStat, DiskStat,
    DiskStats, DiskStatsResponse, LoadAvg, LoadAvgResponse, MemInfo, Memory, MemoryResponse, MountStat, Mounts,
    MountsResponse, NetDev, NetworkDeviceStats, NetworkDeviceStatsResponse, Process, ProcessInfo, ProcessesResponse,
    SoftIrqStat, SystemStat, SystemStatResponse,
};
use tonic::Status;

use super::Call;
use crate::world::World;

/// Seconds since the node booted.
fn uptime(call: &Call<'_>) -> u64 {
    call.ask(|world, id| world.now.saturating_sub(world.nodes[id].booted_at).as_secs())
}

fn cores(call: &Call<'_>) -> u32 {
    call.see(|node| node.machine.cores.max(1))
}

pub(super) fn memory(call: &Call<'_>, (): &()) -> Result<MemoryResponse, Status> {
    let total = call.see(|node| node.machine.memory) * 1024;
    let meminfo = MemInfo {
        memtotal: total,
        memfree: total / 2,
        memavailable: total / 4 * 3,
        buffers: 4096,
        cached: total / 5,
        active: total / 10,
        inactive: total / 4,
        activeanon: total / 12,
        inactiveanon: total / 40,
        activefile: total / 60,
        inactivefile: total / 5,
        unevictable: 3072,
        dirty: 96,
        anonpages: total / 9,
        mapped: total / 16,
        shmem: 6144,
        slab: total / 30,
        sreclaimable: total / 50,
        sunreclaim: total / 75,
        kernelstack: 6272,
        pagetables: 7216,
        commitlimit: total / 2,
        committedas: total / 3,
        vmalloctotal: 34_359_738_367,
        vmallocused: 24_576,
        hugepagesize: 2048,
        directmap4k: 131_072,
        directmap2m: total - 131_072,
        ..MemInfo::default()
    };
    Ok(MemoryResponse { messages: vec![Memory { metadata: None, meminfo: Some(meminfo) }] })
}

pub(super) fn load(_: &Call<'_>, (): &()) -> Result<LoadAvgResponse, Status> {
    Ok(LoadAvgResponse { messages: vec![LoadAvg { metadata: None, load1: 0.25, load5: 0.5, load15: 0.25 }] })
}

pub(super) fn cpus(call: &Call<'_>, (): &()) -> Result<CpuInfoResponse, Status> {
    let count = cores(call);
    let one = |processor: u32| CpuInfo {
        processor,
        vendor_id: "GenuineIntel".to_owned(),
        cpu_family: "6".to_owned(),
        model: "143".to_owned(),
        model_name: "Intel(R) Xeon(R) Processor".to_owned(),
        stepping: "8".to_owned(),
        cpu_mhz: 2300.0,
        cache_size: "16384 KB".to_owned(),
        physical_id: "0".to_owned(),
        siblings: count,
        core_id: processor.to_string(),
        cpu_cores: count,
        fpu: "yes".to_owned(),
        fpu_exception: "yes".to_owned(),
        wp: "yes".to_owned(),
        flags: ["cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"].map(str::to_owned).to_vec(),
        ..CpuInfo::default()
    };
    let cpu_info = (0..count).map(one).collect();
    Ok(CpuInfoResponse { messages: vec![CpUsInfo { metadata: None, cpu_info }] })
}

/// A virtual machine reports no frequencies.
pub(super) fn frequencies(call: &Call<'_>, (): &()) -> Result<CpuFreqStatsResponse, Status> {
    let cpu_freq_stats = (0..cores(call)).map(|_| CpuFreqStats::default()).collect();
    Ok(CpuFreqStatsResponse { messages: vec![CpUsFreqStats { metadata: None, cpu_freq_stats }] })
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a lab are few")]
fn cpu(seconds: u64, share: f64) -> CpuStat {
    let seconds = seconds as f64 * share;
    CpuStat { user: seconds * 0.05, system: seconds * 0.03, idle: seconds * 0.92, ..CpuStat::default() }
}

pub(super) fn system(call: &Call<'_>, (): &()) -> Result<SystemStatResponse, Status> {
    let (seconds, count) = (uptime(call), cores(call));
    let booted = call.ask(World::boot_time);
    let stat = SystemStat {
        boot_time: booted,
        cpu_total: Some(cpu(seconds, f64::from(count))),
        cpu: (0..count).map(|_| cpu(seconds, 1.0)).collect(),
        irq_total: seconds * 400,
        context_switches: seconds * 1200,
        process_created: 400 + seconds,
        process_running: 1,
        soft_irq_total: seconds * 200,
        soft_irq: Some(SoftIrqStat { timer: seconds * 100, net_rx: seconds * 50, ..SoftIrqStat::default() }),
        ..SystemStat::default()
    };
    Ok(SystemStatResponse { messages: vec![stat] })
}

pub(super) fn network(call: &Call<'_>, (): &()) -> Result<NetworkDeviceStatsResponse, Status> {
    let seconds = uptime(call);
    let device = |name: &str, factor: u64| NetDev {
        name: name.to_owned(),
        rx_bytes: seconds * 9000 * factor,
        rx_packets: seconds * 30 * factor,
        tx_bytes: seconds * 7000 * factor,
        tx_packets: seconds * 25 * factor,
        ..NetDev::default()
    };
    let cards = call.see(|node| node.machine.macs.len());
    let mut devices = vec![device("lo", 2)];
    devices.extend((0..cards).map(|index| device(&format!("eth{index}"), 1)));
    let message = NetworkDeviceStats { metadata: None, total: Some(device("total", 1 + cards as u64)), devices };
    Ok(NetworkDeviceStatsResponse { messages: vec![message] })
}

pub(super) fn disks(call: &Call<'_>, (): &()) -> Result<DiskStatsResponse, Status> {
    let seconds = uptime(call);
    let disk = |name: &str| DiskStat {
        name: name.to_owned(),
        read_completed: 2000 + seconds,
        read_sectors: 90_000 + seconds * 8,
        write_completed: seconds * 12,
        write_sectors: seconds * 300,
        ..DiskStat::default()
    };
    let message = DiskStats { metadata: None, total: Some(disk("total")), devices: vec![disk("sda")] };
    Ok(DiskStatsResponse { messages: vec![message] })
}

pub(super) fn mounts(call: &Call<'_>, (): &()) -> Result<MountsResponse, Status> {
    let size = call.see(|node| node.machine.disk_size);
    let mount = |filesystem: &str, mounted_on: &str, size: u64| MountStat {
        filesystem: filesystem.to_owned(),
        size,
        available: size / 4 * 3,
        mounted_on: mounted_on.to_owned(),
    };
    let mut stats = vec![mount("/dev/loop0", "/", 64 << 20), mount("tmpfs", "/run", 512 << 20)];
    if call.see(|node| node.config.is_some()) {
        stats.push(mount("/dev/sda5", "/system/state", 100 << 20));
        stats.push(mount("/dev/sda6", "/var", size));
    }
    Ok(MountsResponse { messages: vec![Mounts { metadata: None, stats }] })
}

pub(super) fn processes(call: &Call<'_>, (): &()) -> Result<ProcessesResponse, Status> {
    let seconds = uptime(call);
    let process = |process: crate::world::Process| ProcessInfo {
        pid: process.pid,
        ppid: process.parent,
        state: if process.executable.is_empty() { "I" } else { "S" }.to_owned(),
        threads: if process.executable.is_empty() { 1 } else { 10 },
        #[expect(clippy::cast_precision_loss, reason = "seconds of a lab are few")]
        cpu_time: if process.memory == 0 { 0.0 } else { seconds as f64 * 0.01 },
        virtual_memory: if process.memory == 0 { 0 } else { 1 << 30 },
        resident_memory: process.memory,
        command: process.command,
        executable: process.executable,
        args: process.arguments,
        ..ProcessInfo::default()
    };
    let processes = call.ask(World::processes).into_iter().map(process).collect();
    Ok(ProcessesResponse { messages: vec![Process { metadata: None, processes }] })
}
