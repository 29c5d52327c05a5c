//! The words of a plan, and what a destruction takes with it.

use record::{Change, Failure, Impact};

use crate::{
    changes::VmOperation,
    difference::{Difference, drives::unused},
    disks::{Found, SYSTEM, is_on_a_bus},
    fleet::Fleet,
    inventory::Namesakes,
    reconcile::{Allowed, Reconcile},
};

impl Reconcile<'_> {
    /// Says what a run would do, each with the flags that it needs.
    pub(crate) fn say_plan(&self, vmid: u32, difference: &Difference, running: bool, allowed: &Allowed) {
        let node = &self.machine.name;
        let needs = |flags: &[(&str, bool)]| {
            let missing: Vec<&str> = flags.iter().filter(|(_, is_given)| !is_given).map(|(flag, _)| *flag).collect();
            if missing.is_empty() { String::new() } else { format!(" (needs {})", missing.join(" ")) }
        };
        let texts = difference.others();
        let recreate = difference.recreate();
        if !recreate.is_empty() {
            let with = if texts.is_empty() { String::new() } else { format!("; with it: {}", texts.join(", ")) };
            let needs = needs(&[("--recreate", allowed.recreate)]);
            self.run.say(self.node, &format!("would recreate VM {vmid}: {}{with}{needs}", recreate.join(", ")));
            for slot in difference.lost().filter(|slot| !allowed.names(node, slot)) {
                self.run
                    .say(self.node, &format!("would lose disk {slot} with it (needs --replace-disk {node}:{slot})"));
            }
            return;
        }
        for (slot, why) in difference.replaced() {
            let flag = format!("--replace-disk {node}:{slot}");
            let is_off_for_it = running && difference.needs_power_cycle();
            let needs = needs(&[("--reboot", allowed.reboot || !is_off_for_it), (&flag, allowed.names(node, slot))]);
            self.run.say(self.node, &format!("would give up disk {slot} of VM {vmid}: {why}{needs}"));
        }
        if !texts.is_empty() {
            let is_allowed = !running || !difference.others_need_power_cycle() || allowed.reboot;
            let needs = needs(&[("--reboot", is_allowed)]);
            self.run.say(self.node, &format!("would change VM {vmid}: {}{needs}", texts.join(", ")));
        }
    }
}

impl Fleet {
    /// The VM of a node and what goes with it, for the question before it is destroyed: `w-1: VM 101 on pve1, data disk
    /// scsi1 (…)`; nothing for a node without a VM. What can't be seen is said by the node itself.
    pub(crate) async fn told_to_go(&self, node: &str) -> Result<Option<String>, Failure> {
        let found = self.inventory.find(&self.identity, &self.cluster, node, Namesakes::Ignored);
        let Ok(Some(known)) = found else { return Ok(None) };
        let mut parts = vec![format!("VM {} on {}", known.vmid, known.host)];
        if let Ok(config) = &known.config {
            let data = config.values().filter(|(slot, _)| is_on_a_bus(slot) && *slot != SYSTEM);
            let found = data.map(|(slot, text)| (slot, Found::parse(text))).filter(|(_, found)| found.holds_data());
            parts.extend(found.map(|(slot, found)| format!("data disk {slot} ({})", found.told())));
            parts.extend(unused(config).map(|(slot, volume)| format!("detached disk {slot} ({volume})")));
        }
        let snapshots = self.snapshots(&known.host, known.vmid).await?;
        if !snapshots.is_empty() {
            parts.push(format!("snapshots {}", snapshots.join(", ")));
        }
        Ok(Some(format!("{node}: {}", parts.join(", "))))
    }
}

impl VmOperation<'_> {
    /// The snapshots that are lost with the VM, said and as a change.
    pub(crate) async fn snapshots_lost(&self) -> Result<Vec<Change>, Failure> {
        let names = self.fleet.snapshots(&self.location.host, self.location.vmid).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let (names, vmid) = (names.join(", "), self.location.vmid);
        let verb = if self.run.is_dry_run() { "would be lost" } else { "are lost" };
        self.run.say(self.node, &format!("the snapshots of VM {vmid} {verb} with it: {names}"));
        Ok(vec![Change::new("snapshots", Impact::DataLoss).from(names)])
    }
}
