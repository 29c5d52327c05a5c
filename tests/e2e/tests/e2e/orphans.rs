use crate::support::{Shape, World};

const THREE: Shape = Shape { workers: 1, ..Shape::HA };

/// Takes a node out of the cluster file.
fn forget(world: &World, node: &str) {
    let text = world.file();
    let line = text.lines().find(|line| line.contains(&format!("name: {node},"))).unwrap().to_owned();
    world.edit(&format!("{line}\n"), "");
}

/// Makes a VM what an earlier release would have made it: its mark doesn't say its role.
fn of_an_earlier_release(world: &World, node: &str) {
    let vm = world.lab.pve().vm_by_name(node).unwrap();
    let text = vm.config["description"].split("\nichor-role").next().unwrap();
    world.lab.pve().set_option(vm.id, "description", Some(text));
}

fn left(world: &World, names: &[&str]) {
    world.assert_one_vm_each(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_left_the_file_go_through_a_pipe_and_take_no_quorum_with_them() {
    let world = World::start(THREE).await;
    world.up().await.exits(0);
    forget(&world, "cp-3");
    forget(&world, "w-1");
    // Its mark doesn't say what it is, so Talos on it is asked.
    of_an_earlier_release(&world, "w-1");

    let all = world.sh("pve-vm list --orphans").await.exits(0);
    let nodes = all.end()["status"]["nodes"].to_string();
    assert!(nodes.contains(r#"{"name":"w-1","role":"worker","orphan":true}"#), "{nodes}");
    world.sh("pve-vm list --orphans | pve-vm destroy --yes").await.exits(2).says("no nodes given");
    left(&world, &["cp-1", "cp-2", "cp-3", "w-1"]);
    world.sh("pve-vm list --orphans --only w-1 | pve-vm destroy --yes").await.exits(0);
    left(&world, &["cp-1", "cp-2", "cp-3"]);
    let gone = world.sh("pve-vm list --orphans --only cp-3 | pve-vm destroy --yes").await.exits(0);
    assert_eq!(gone.node("cp-3")["status"]["destroyed"]["changed"], true);
    gone.says("stays in etcd: `talosctl etcd remove-member ");
    left(&world, &["cp-1", "cp-2"]);

    // etcd can't do without another one, whether the file lists it or not.
    forget(&world, "cp-2");
    world.sh("pve-vm list --orphans --only cp-2 | pve-vm destroy --yes").await.exits(7).says("etcd would lose quorum");
    let refused = world.sh("pve-vm destroy --orphans --yes").await.exits(7);
    assert_eq!(refused.node("cp-2")["status"]["error"]["code"], "one-at-a-time");
    left(&world, &["cp-1", "cp-2"]);
    let whole = world.sh("pve-vm destroy --yes").await.exits(0).says("also destroys VM");
    whole.says("its etcd is taken out of ichor.lock");
    left(&world, &[]);
}
