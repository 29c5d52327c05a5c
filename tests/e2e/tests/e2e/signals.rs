use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::{SOON, Shape, World};

/// Waits until a condition holds.
async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("{what} does not happen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_to_the_whole_group_leaves_a_complete_stream_and_the_next_run_goes_on() {
    let world = World::start(Shape::SMALL).await;
    world.lab.pve().hold(&world.vm_name("w-1"));
    let pipe = World::pipe().replacen("| talos-wait", "| tee -i lab.jsonl | talos-wait", 1);
    let child = world.scratch.command(&pipe).spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    let saved = || std::fs::read_to_string(world.scratch.path("lab.jsonl")).unwrap_or_default();
    until("the first node", || saved().contains(r#""kind":"Node""#)).await;
    kill_process_group(group, Signal::INT).unwrap();
    world.lab.pve().release(&world.vm_name("w-1"));
    let output = tokio::time::timeout(SOON, child.wait_with_output()).await.expect("the pipe does not end").unwrap();
    assert!(!output.status.success());
    let last: serde_json::Value = serde_json::from_str(saved().lines().last().unwrap()).unwrap();
    assert_eq!(last["end"], true, "the saved stream is not complete");
    let kinds: Vec<_> = saved().lines().filter(|line| line.contains(r#""kind":"Node""#)).map(str::to_owned).collect();
    assert_eq!(kinds.len(), 3, "a node got lost");
    world.up().await.exits(0);
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_a_step_at_once() {
    let world = World::start(Shape::SMALL).await;
    world.lab.pve().hold(&world.vm_name("w-1"));
    let child = world.scratch.command("talos-image | pve-vm > lab.jsonl 2> said").spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    until("the VM of w-1", || world.lab.pve().vms().iter().any(|vm| vm.name == world.vm_name("w-1"))).await;
    kill_process_group(group, Signal::INT).unwrap();
    until("the first signal", || world.scratch.read("said").contains("a second signal ends it at once")).await;
    kill_process_group(group, Signal::INT).unwrap();
    let output = tokio::time::timeout(SOON, child.wait_with_output()).await.expect("the step does not end").unwrap();
    assert!(!output.status.success());
    world.lab.pve().release(&world.vm_name("w-1"));
    world.up().await.exits(0);
    world.assert_up(&world.names());
}
