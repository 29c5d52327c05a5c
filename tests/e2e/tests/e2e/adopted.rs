use record::Lock;

use crate::support::{Shape, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_cluster_of_another_tool_is_adopted_and_the_whole_pipe_finds_nothing_to_do() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.up().await.exits(0);
    let objects = world.lab.talos().kubernetes_uid(world.lab.name());
    // As another tool would have left it: no mark on the VMs, no lock, UUIDs and MACs that derive from nothing here.
    let lock = world.scratch.path(world.lab.name()).join("ichor.lock");
    std::fs::remove_file(&lock).unwrap();
    let mut pairs = Vec::new();
    for vm in world.lab.pve().vms() {
        pairs.push(format!("{}:{}", vm.name, vm.id));
        world.lab.pve().set_option(vm.id, "description", Some("made by Terraform"));
        world.lab.pve().set_option(vm.id, "tags", Some("terraform"));
    }
    let (before, pairs) = (world.lab.pve().vms(), pairs.join(","));
    world.sh("talos-image | pve-vm").await.exits(7).says("doesn't belong to this cluster");

    let (cp, worker) = (world.lab.pve().vm_by_name("cp-1").unwrap().id, world.lab.pve().vm_by_name("w-1").unwrap().id);
    let swapped = world.sh(&format!("pve-vm adopt --vm cp-1:{worker},w-1:{cp} --yes")).await.exits(7);
    swapped.says("Talos on it is a controlplane, and the file says worker");
    let plan = world.sh(&format!("pve-vm adopt --vm {pairs} --dry-run")).await.exits(3);
    assert!(plan.node("cp-1")["status"]["adopted"]["differs"].is_null(), "{plan}");
    world.sh(&format!("pve-vm adopt --vm {pairs} --yes")).await.exits(0).says("nothing else differs from the file");

    let up = world.up().await.exits(0);
    for node in up.nodes() {
        let status = &node["status"];
        assert_eq!((&status["vm"]["changed"], &status["applied"]["changed"]), (&false.into(), &false.into()), "{up}");
    }
    world.assert_up(&world.names());
    assert_eq!(world.lab.talos().kubernetes_uid(world.lab.name()), objects, "another etcd");
    let uuids = |vms: Vec<lab::pve::VmView>| vms.into_iter().map(|vm| (vm.id, vm.uuid, vm.running)).collect::<Vec<_>>();
    assert_eq!(uuids(world.lab.pve().vms()), uuids(before));
    let lock = Lock::parse(&std::fs::read_to_string(lock).unwrap(), world.lab.name()).unwrap();
    assert!(lock.etcd().is_bootstrapped() && lock.adopted().len() == 2);
    // The guard of etcd knows the adopted machine.
    world.sh("pve-vm destroy --only cp-1 --yes").await.exits(7).says("this node is its only member");
}
