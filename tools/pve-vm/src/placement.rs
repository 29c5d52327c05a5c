//! Which host a VM goes to.

use std::collections::BTreeMap;

/// Bytes of memory that a host keeps for itself.
const RESERVE: u64 = 2 << 30;

/// A host as placement sees it. Planned VMs count as created, because hosts report with a delay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    /// Why no VM can be placed there.
    pub(crate) obstacle: Option<String>,
    /// Total bytes of memory; unknown without the privilege to see it.
    pub(crate) memory: Option<u64>,
    /// Bytes of memory that its VMs may use together.
    pub(crate) assigned: u64,
    /// Its processors; 0 without the privilege to see them.
    pub(crate) cpus: u64,
    pub(crate) cores_assigned: u64,
    /// The bridges that a VM may use there; unknown until the host was asked, or where the token may not know.
    pub(crate) bridges: Option<Vec<String>>,
    /// The kinds of machine that it can run, without Proxmox VE's own suffix; unknown until it was asked.
    pub(crate) machines: Option<Vec<String>>,
    /// The models of CPU that it can run; unknown until it was asked.
    pub(crate) cpu_types: Option<Vec<String>>,
    /// Nodes of this cluster on it.
    pub(crate) control_planes: u32,
    pub(crate) workers: u32,
}

/// What a VM needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) memory: u64,
    /// Sockets times cores.
    pub(crate) cores: u64,
    pub(crate) bridges: &'a [String],
    pub(crate) control_plane: bool,
}

impl Host {
    /// Why the host can't run a VM with these cores, bytes of memory and bridges, whatever else runs there; and what to
    /// change in the file.
    pub(crate) fn unfit(&self, cores: u64, memory: u64, bridges: &[String]) -> Option<(String, &'static str)> {
        if self.cpus > 0 && cores > self.cpus {
            return Some((format!("it has {} CPUs, and {cores} cores are wanted", self.cpus), "`cores` or `sockets`"));
        }
        if let Some(all) = self.memory.filter(|all| memory > *all) {
            let why = format!("it has {} MiB of memory, and {} MiB are wanted", all >> 20, memory >> 20);
            return Some((why, "`memory`"));
        }
        let known = self.bridges.as_ref()?;
        let missing = bridges.iter().find(|bridge| !known.contains(bridge))?;
        let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Some((format!("it has no bridge {missing} (bridges: {has})"), "the bridge"))
    }

    /// Why the host can't take this VM, however much memory it has.
    pub(crate) fn refusal(&self, request: Request<'_>) -> Option<String> {
        let unfit = || self.unfit(request.cores, request.memory, request.bridges).map(|(why, _)| why);
        self.obstacle.clone().or_else(unfit)
    }

    /// Why the host can't take this VM.
    fn full(&self, request: Request<'_>) -> Option<String> {
        if let Some(refusal) = self.refusal(request) {
            return Some(refusal);
        }
        let memory = self.memory?;
        let free = memory.saturating_sub(RESERVE).saturating_sub(self.assigned);
        (free < request.memory).then(|| format!("only {} of {} MiB are free", free >> 20, memory >> 20))
    }

    /// Counts a VM that will be created there.
    pub(crate) fn take(&mut self, request: Request<'_>) {
        self.assigned += request.memory;
        self.cores_assigned += request.cores;
        if request.control_plane { self.control_planes += 1 } else { self.workers += 1 }
    }

    /// Takes back what a VM has that is going to be destroyed.
    pub(crate) fn give(&mut self, memory: u64, cores: u64, control_plane: bool) {
        self.assigned = self.assigned.saturating_sub(memory);
        self.cores_assigned = self.cores_assigned.saturating_sub(cores);
        let count = if control_plane { &mut self.control_planes } else { &mut self.workers };
        *count = count.saturating_sub(1);
    }

    /// Smaller is better: few nodes of the same role, few of the cluster, much memory left, few cores taken.
    fn score(&self, request: Request<'_>) -> (u32, u32, std::cmp::Reverse<u64>, u64, &str) {
        let same = if request.control_plane { self.control_planes } else { self.workers };
        let free = self.memory.unwrap_or_default().saturating_sub(self.assigned);
        let load = self.cores_assigned * 100 / self.cpus.max(1);
        (same, self.control_planes + self.workers, std::cmp::Reverse(free), load, &self.name)
    }
}

/// The best host, or why none can take the VM.
pub(crate) fn place<'a>(hosts: &'a [Host], request: Request<'_>) -> Result<&'a str, BTreeMap<String, String>> {
    let fitting = hosts.iter().filter(|host| host.full(request).is_none());
    match fitting.min_by_key(|host| host.score(request)) {
        Some(host) => Ok(&host.name),
        None => Err(hosts.iter().filter_map(|host| Some((host.name.clone(), host.full(request)?))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Request<'static> = Request { memory: 4 << 30, cores: 2, bridges: &[], control_plane: true };

    fn host(name: &str, gib: u64) -> Host {
        Host { name: name.into(), memory: Some(gib << 30), cpus: 8, ..Host::default() }
    }

    #[test]
    fn control_planes_spread_over_hosts_before_memory_counts() {
        let mut hosts = vec![host("pve1", 64), host("pve2", 32), host("pve3", 16)];
        let mut order = Vec::new();
        for _ in 0..4 {
            let name = place(&hosts, SMALL).unwrap().to_owned();
            hosts.iter_mut().find(|host| host.name == name).unwrap().take(SMALL);
            order.push(name);
        }
        assert_eq!(order, ["pve1", "pve2", "pve3", "pve1"]);
    }

    #[test]
    fn equal_hosts_are_taken_by_name() {
        assert_eq!(place(&[host("b", 8), host("a", 8)], SMALL), Ok("a"));
    }

    #[test]
    fn a_host_that_is_full_or_unfit_is_reported_with_the_reason() {
        let unfit = Host { obstacle: Some("it is offline".into()), ..host("pve2", 64) };
        let full = Host { assigned: 4 << 30, ..host("pve1", 8) };

        let reasons = place(&[full, unfit], SMALL).unwrap_err();

        assert_eq!(reasons["pve1"], "only 2048 of 8192 MiB are free");
        assert_eq!(reasons["pve2"], "it is offline");
    }

    #[test]
    fn a_host_with_too_few_cpus_or_without_the_bridge_is_no_place() {
        let bridges = ["vmbr9".to_owned()];
        let large = Request { cores: 12, ..SMALL };
        let wired = Request { bridges: &bridges, ..SMALL };
        let hosts = [Host { bridges: Some(vec!["vmbr0".into()]), ..host("pve1", 64) }];

        assert_eq!(place(&hosts, large).unwrap_err()["pve1"], "it has 8 CPUs, and 12 cores are wanted");
        let huge = Request { memory: 65 << 30, ..SMALL };
        assert_eq!(place(&hosts, huge).unwrap_err()["pve1"], "it has 65536 MiB of memory, and 66560 MiB are wanted");
        assert_eq!(place(&hosts, wired).unwrap_err()["pve1"], "it has no bridge vmbr9 (bridges: vmbr0)");
        assert_eq!(place(&[Host { bridges: None, ..host("pve1", 64) }], wired), Ok("pve1"), "who may not know tries");
        assert_eq!(place(&[Host { cpus: 0, ..host("pve1", 64) }], large), Ok("pve1"));
    }

    #[test]
    fn a_host_that_does_not_report_its_memory_is_taken() {
        let host = Host { memory: None, ..host("pve1", 0) };
        assert_eq!(place(&[host], SMALL), Ok("pve1"));
    }
}
