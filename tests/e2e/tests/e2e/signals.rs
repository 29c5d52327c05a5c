use std::os::unix::process::ExitStatusExt;

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

#[tokio::test(flavor = "multi_thread")]
async fn the_statuses_of_all_steps_tell_the_signal_and_the_records_what_it_kept_from_being_done() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let world = World::start(Shape::SMALL).await;
        world.lab.pve().hold(&world.vm_name("w-1"));
        let script = "exec bash -c 'trap : INT TERM; pve-vm -f image.jsonl 2> said | talos-gen > lab.jsonl; echo ${PIPESTATUS[*]}'";
        world.sh("talos-image > image.jsonl").await.exits(0);
        let child = world.scratch.command(script).spawn().unwrap();
        let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        until("the VM of w-1", || world.lab.pve().vms().iter().any(|vm| vm.name == world.vm_name("w-1"))).await;
        kill_process_group(group, signal).unwrap();
        until("the signal", || world.scratch.read("said").contains("a second signal ends it at once")).await;
        world.lab.pve().release(&world.vm_name("w-1"));
        let output =
            tokio::time::timeout(SOON, child.wait_with_output()).await.expect("the pipe does not end").unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{status} {status}\n"));
        let saved = world.scratch.read("lab.jsonl");
        assert!(saved.contains(r#""code":"interrupted""#), "{saved}");
        assert!(saved.trim_end().ends_with(r#""end":true}"#), "{saved}");
        assert!(!world.scratch.read("said").contains("error:"), "{}", world.scratch.read("said"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_begins_while_an_ended_one_still_winds_down_makes_nothing_twice() {
    let world = World::start(Shape::SMALL).await;
    world.lab.pve().hold(&world.vm_name("w-1"));
    let child = world.scratch.command("talos-image | pve-vm 2> said > lab.jsonl").spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    until("the VM of w-1", || world.lab.pve().vms().iter().any(|vm| vm.name == world.vm_name("w-1"))).await;
    kill_process_group(group, Signal::TERM).unwrap();
    let release = async {
        until("the first run winds down", || world.scratch.read("said").contains("a second signal")).await;
        world.lab.pve().release(&world.vm_name("w-1"));
    };
    let (second, ()) = tokio::join!(world.up(), release);
    second.exits(0);
    world.assert_up(&world.names());
    drop(child);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_aborted_leaves_no_core_dump_with_keys_in_it() {
    let world = World::start(Shape::SMALL).await;
    world.lab.pve().hold(&world.vm_name("w-1"));
    let script = "talos-image > image.jsonl; ulimit -c unlimited; exec pve-vm < image.jsonl 2> said > lab.jsonl";
    let mut child = world.scratch.command(script).spawn().unwrap();
    let process = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    until("the VM of w-1", || world.lab.pve().vms().iter().any(|vm| vm.name == world.vm_name("w-1"))).await;
    rustix::process::kill_process(process, Signal::ABORT).unwrap();
    let status = tokio::time::timeout(SOON, child.wait()).await.expect("the step does not end").unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(Signal::ABORT.as_raw()), false));
}
