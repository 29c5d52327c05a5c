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
    pub(crate) cpus: u64,
    pub(crate) cores_assigned: u64,
    /// Nodes of this cluster on it.
    pub(crate) control_planes: u32,
    pub(crate) workers: u32,
}

/// What a VM needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) memory: u64,
    pub(crate) cores: u64,
    pub(crate) control_plane: bool,
}

impl Host {
    /// Why the host can't take this VM.
    fn refusal(&self, request: Request) -> Option<String> {
        if let Some(obstacle) = &self.obstacle {
            return Some(obstacle.clone());
        }
        let memory = self.memory?;
        let free = memory.saturating_sub(RESERVE).saturating_sub(self.assigned);
        (free < request.memory).then(|| format!("only {} of {} MiB are free", free >> 20, memory >> 20))
    }

    /// Counts a VM that will be created there.
    pub(crate) fn take(&mut self, request: Request) {
        self.assigned += request.memory;
        self.cores_assigned += request.cores;
        if request.control_plane { self.control_planes += 1 } else { self.workers += 1 }
    }

    /// Smaller is better: few nodes of the same role, few of the cluster, much memory left, few cores taken.
    fn score(&self, request: Request) -> (u32, u32, std::cmp::Reverse<u64>, u64, &str) {
        let same = if request.control_plane { self.control_planes } else { self.workers };
        let free = self.memory.unwrap_or_default().saturating_sub(self.assigned);
        let load = self.cores_assigned * 100 / self.cpus.max(1);
        (same, self.control_planes + self.workers, std::cmp::Reverse(free), load, &self.name)
    }
}

/// The best host, or why none can take the VM.
pub(crate) fn place(hosts: &[Host], request: Request) -> Result<&str, BTreeMap<String, String>> {
    let fitting = hosts.iter().filter(|host| host.refusal(request).is_none());
    match fitting.min_by_key(|host| host.score(request)) {
        Some(host) => Ok(&host.name),
        None => Err(hosts.iter().filter_map(|host| Some((host.name.clone(), host.refusal(request)?))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Request = Request { memory: 4 << 30, cores: 2, control_plane: true };

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
    fn a_host_that_does_not_report_its_memory_is_taken() {
        let host = Host { memory: None, ..host("pve1", 0) };
        assert_eq!(place(&[host], SMALL), Ok("pve1"));
    }
}
