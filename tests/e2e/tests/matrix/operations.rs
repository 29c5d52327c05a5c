//! The operations, and what must be so after them.

use std::collections::BTreeMap;

use lab::pve::{DiskView, VmView};

use crate::cells::Fate;
use crate::support::{Shape, World};

/// What pve-vm is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// Two VMs, one of them with a data disk.
    Create,
    /// Another description and another tag.
    ChangeLive,
    /// More memory, which a running VM only takes when it is switched off and on.
    ChangeOff,
    /// A larger system disk and a larger data disk.
    Grow,
    /// A smaller system disk: the VM is recreated.
    Recreate,
    /// Everything is destroyed.
    Destroy,
    /// The worker left the file, and its VM is destroyed.
    Orphans,
    /// The worker's VM is another tool's, and is adopted.
    Adopt,
}

/// The worker's VM as the file has it at first, and with each change.
const WORKER: &str = "worker: {vm: {cores: 2, memory: 2048, disk: 20}}";
const FIRST: &str = "worker: {vm: {cores: 2, memory: 2048, disk: 20, scsi1: \"local-lvm:4\"}}";

impl Operation {
    pub(crate) const ALL: [Self; 8] = [
        Self::Create,
        Self::ChangeLive,
        Self::ChangeOff,
        Self::Grow,
        Self::Recreate,
        Self::Destroy,
        Self::Orphans,
        Self::Adopt,
    ];

    /// The command that is run, and run again.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Create | Self::ChangeLive | Self::Grow => "pve-vm -f image.jsonl --wait-timeout 3s",
            Self::ChangeOff => "pve-vm -f image.jsonl --wait-timeout 3s --reboot",
            Self::Recreate => "pve-vm -f image.jsonl --wait-timeout 3s --recreate --replace-disk w-1:scsi1",
            Self::Destroy => "pve-vm destroy -f image.jsonl --wait-timeout 3s --yes --all",
            Self::Orphans => "pve-vm destroy -f cluster.yaml --wait-timeout 3s --yes --orphans",
            Self::Adopt => "pve-vm adopt -f cluster.yaml --wait-timeout 3s --yes --vm w-1:k8s-w1",
        }
    }

    /// The worker's line in the file when the command runs.
    fn worker(self) -> &'static str {
        match self {
            Self::Create | Self::Destroy | Self::Orphans | Self::Adopt => FIRST,
            Self::ChangeLive => {
                "worker: {vm: {cores: 2, memory: 2048, disk: 20, scsi1: \"local-lvm:4\", description: new, tags: new}}"
            }
            Self::ChangeOff => "worker: {vm: {cores: 2, memory: 3072, disk: 20, scsi1: \"local-lvm:4\"}}",
            Self::Grow => "worker: {vm: {cores: 2, memory: 2048, disk: 24, scsi1: \"local-lvm:6\"}}",
            Self::Recreate => "worker: {vm: {cores: 2, memory: 2048, disk: 10, scsi1: \"local-lvm:4\"}}",
        }
    }

    /// A lab in which the command has something to do.
    pub(crate) async fn prepared(self) -> World {
        let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
        world.edit(WORKER, FIRST);
        if self != Self::Create {
            world.sh("talos-image | pve-vm").await.exits(0);
        }
        if self.worker() != FIRST {
            world.edit(FIRST, self.worker());
        }
        world.sh("talos-image > image.jsonl").await.exits(0);
        match self {
            Self::Orphans => forget_worker(&world),
            Self::Adopt => disown(&world),
            _ => {}
        }
        world
    }

    /// Whether a VM may be off, or another one, while the operation is under way and afterwards.
    fn disturbs(self, node: &str) -> bool {
        match self {
            Self::Create | Self::Destroy => true,
            Self::ChangeOff | Self::Recreate | Self::Orphans => node == "w-1",
            Self::ChangeLive | Self::Grow | Self::Adopt => false,
        }
    }
}

/// Takes the worker out of the file.
fn forget_worker(world: &World) {
    let text = world.file();
    let line = text.lines().find(|line| line.contains("name: w-1,")).unwrap().to_owned();
    world.edit(&format!("{line}\n"), "");
}

/// Makes the VMs another tool's: they have no mark, and there is no lock that they derive from.
fn disown(world: &World) {
    std::fs::remove_file(world.scratch.path(world.lab.name()).join("ichor.lock")).unwrap();
    for vm in world.lab.pve().vms() {
        world.lab.pve().set_option(vm.id, "description", Some("mine"));
        world.lab.pve().set_option(vm.id, "tags", Some("mine"));
    }
    let worker = world.lab.pve().vm_by_name("w-1").unwrap();
    world.lab.pve().set_option(worker.id, "name", Some("k8s-w1"));
}

/// What must not be lost: disks, and what runs.
pub(crate) struct Before {
    /// The volume of each drive, by node and slot.
    drives: BTreeMap<(String, String), DiskView>,
    boots: BTreeMap<String, String>,
}

impl Before {
    pub(crate) fn of(world: &World) -> Self {
        let vms = world.lab.pve().vms().into_iter();
        let boots = vms.map(|vm| (vm.name.clone(), world.node(node(&vm.name)).boot_id())).collect();
        Self { drives: drives(world), boots }
    }
}

/// The node that a VM is.
fn node(vm: &str) -> &str {
    if vm == "k8s-w1" { "w-1" } else { vm }
}

/// Slots of drives, those that nothing is attached to any more included.
const SLOTS: [&str; 9] = ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "unused", "mp", "rootfs"];

fn drives(world: &World) -> BTreeMap<(String, String), DiskView> {
    let disks = world.lab.pve().disks();
    let found = |vm: &VmView, (slot, value): (&String, &String)| {
        let is_slot = SLOTS.iter().any(|kind| {
            slot.strip_prefix(kind).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit()))
        });
        let volume = value.split(',').next().unwrap_or_default();
        let disk = disks.iter().find(|disk| disk.volume == volume);
        disk.filter(|_| is_slot).map(|disk| ((vm.name.clone(), slot.clone()), disk.clone()))
    };
    let vms = world.lab.pve().vms();
    vms.iter().flat_map(|vm| vm.config.iter().filter_map(|pair| found(vm, pair)).collect::<Vec<_>>()).collect()
}

/// Asserts what holds at every moment, also after a run that failed: nothing that existed is lost or stopped for nothing.
pub(crate) fn assert_nothing_lost(operation: Operation, world: &World, before: &Before) {
    for name in before.boots.keys().filter(|name| !operation.disturbs(name)) {
        let vm = world.lab.pve().vm_by_name(name).unwrap_or_else(|| panic!("{name} is gone"));
        assert!(vm.running, "{name} was switched off for nothing");
        assert_eq!(&world.node(node(name)).boot_id(), &before.boots[name], "{name} was restarted for nothing");
    }
    if matches!(operation, Operation::Recreate | Operation::Destroy) {
        return;
    }
    let disks = world.lab.pve().disks();
    let stay = before.drives.iter().filter(|((node, _), _)| operation != Operation::Orphans || node != "w-1");
    for ((node, slot), disk) in stay {
        assert!(disks.contains(disk), "{slot} of {node} is another disk: {disk:?} is gone, there are {disks:#?}");
    }
}

/// Asserts the end state after a run that says it is done: what the file says, every disk the same, and none that nobody
/// uses. `fate` is that of a call of this run.
pub(crate) fn assert_done(operation: Operation, fate: Fate, world: &World, before: &Before) {
    let (vms, disks, drives) = (world.lab.pve().vms(), world.lab.pve().disks(), drives(world));
    if operation == Operation::Destroy {
        assert!(vms.is_empty() && disks.is_empty(), "{vms:#?} {disks:#?}");
        return;
    }
    let worker = match operation {
        Operation::Orphans => None,
        Operation::Adopt => Some("k8s-w1"),
        _ => Some("w-1"),
    };
    let names: Vec<String> = ["cp-1"].into_iter().chain(worker).map(str::to_owned).collect();
    world.assert_one_vm_each(&names);
    for vm in &vms {
        assert!(vm.running, "{} is off", vm.name);
    }
    for disk in &disks {
        assert!(drives.values().any(|used| used == disk), "nobody uses {disk:?}: {vms:#?}");
    }
    let unused: Vec<_> = drives.keys().filter(|(_, slot)| slot.starts_with("unused")).collect();
    assert!(unused.is_empty(), "disks were detached: {unused:?}");
    let Some(worker) = vms.iter().find(|vm| Some(vm.name.as_str()) == worker) else { return };
    if !matches!(operation, Operation::Recreate | Operation::Create) {
        assert_eq!(drives, before.drives, "a disk was exchanged");
    }
    let option = |key: &str| worker.config.get(key).cloned().unwrap_or_default();
    let size = |slot: &str| option(slot).split(',').find_map(|part| part.strip_prefix("size=").map(str::to_owned));
    let (memory, system, data) = match operation {
        Operation::ChangeOff => ("3072", "20G", "4G"),
        Operation::Grow => ("2048", "24G", "6G"),
        Operation::Recreate => ("2048", "10G", "4G"),
        _ => ("2048", "20G", "4G"),
    };
    assert_eq!((option("memory").as_str(), size("scsi0").as_deref()), (memory, Some(system)), "{worker:#?}");
    assert_eq!(size("scsi1").as_deref(), Some(data), "{worker:#?}");
    if operation == Operation::ChangeLive {
        // Tags may be reserved for others: that they were refused is a warning.
        let has_tags = option("tags").contains("new") || fate == Fate::Forbidden;
        assert!(option("description").starts_with("new") && has_tags, "{worker:#?}");
    }
    if operation == Operation::Adopt {
        let has_tags = option("tags").contains("ichor") || fate == Fate::Forbidden;
        assert!(option("description").contains("\nichor-role: worker") && has_tags, "{worker:#?}");
        let lock = std::fs::read_to_string(world.scratch.path(world.lab.name()).join("ichor.lock")).unwrap();
        assert!(lock.contains(&worker.uuid), "{lock}");
    }
}
