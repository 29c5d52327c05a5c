use crate::support::{SOON, Shape, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_fails_keeps_nobody_else_from_going_all_the_way() {
    let world = World::start(Shape::SMALL).await;
    world.lab.pve().fail_create(&world.vm_name("w-1"), "unable to create VM - can't lock file - got timeout", 100);
    let outcome =
        world.sh(&format!("pve_timeout=1; {}", World::pipe().replacen("pve-vm", "pve-vm --wait-timeout 2s", 1))).await;
    let outcome = outcome.exits(4);
    assert_eq!(outcome.node("w-1")["status"]["error"]["step"], "pve-vm");
    assert_eq!(outcome.node("w-2")["status"]["waited"]["for"], "ready");
    world.assert_up(&["cp-1".into(), "w-2".into()]);
    world.lab.pve().heal();
    world.up().await.exits(0);
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_bootstrapped_on_the_status_of_an_earlier_run() {
    let world = World::start(Shape::HA).await;
    // A first run up to the configured nodes is saved.
    let part = "talos-image | pve-vm | talos-gen | talos-apply > lab.jsonl";
    world.sh(part).await.exits(0);
    // From the saved stream, one control plane fails in pve-vm: what talos-apply wrote earlier must not count.
    world.lab.pve().refuse_reads_of(&world.vm_name("cp-2"));
    let rest = "pve-vm -f lab.jsonl --wait-timeout 2s | talos-gen | talos-apply | talos-bootstrap --wait-timeout 2s";
    let outcome = world.sh(rest).await;
    assert_ne!(outcome.status, 0, "{outcome}");
    assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 0, "bootstrapped without an answer from cp-2");
    world.lab.pve().heal();
    world.up().await.exits(0);
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_left_out_is_named_with_the_field_that_it_writes() {
    let world = World::start(Shape::SMALL).await;
    let left_out = [
        ("pve-vm", "talos-image"),
        ("talos-apply", "talos-gen"),
        ("talos-bootstrap", "talos-apply"),
        ("kubeconfig-export", "talos-bootstrap"),
    ];
    for (reader, writer) in left_out {
        let pipe = World::pipe();
        let steps: Vec<&str> = pipe.split(" | ").filter(|step| !step.starts_with(writer)).collect();
        let outcome = world.sh(&steps.join(" | ")).await.exits(8);
        outcome.says("is missing").says(&format!("{writer} writes it")).says(&format!("{reader} "));
    }
    assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_filtered_out_before_the_bootstrap_is_refused() {
    if judges::require("jq").is_none() {
        return;
    }
    let world = World::start(Shape::HA).await;
    let pipe = World::pipe().replacen("| talos-bootstrap", "| jq -c 'select(.name!=\"cp-1\")' | talos-bootstrap", 1);
    world.sh(&pipe).await.exits(8).says("cp-1");
    assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 0, "bootstrapped without an answer from cp-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_talks_talos_bootstrap_into_acting_without_every_control_plane() {
    if judges::require("jq").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 1, ..Shape::HA }).await;
    world.sh("talos-image | pve-vm | talos-gen | talos-apply > applied.jsonl").await.exits(0);
    let without_cp_1 = "jq -c 'select(.name!=\"cp-1\")' applied.jsonl";
    let planned = "jq -c 'if .name==\"cp-2\" then .status.applied.pending=true else . end' applied.jsonl";
    for (command, status) in [
        (format!("{without_cp_1} | talos-bootstrap --allow-missing --wait-timeout 2s"), 7),
        (format!("{planned} | talos-bootstrap --wait-timeout 2s"), 8),
        ("talos-bootstrap -f applied.jsonl --only w-1".to_owned(), 7),
        ("talos-bootstrap -f applied.jsonl --without cp-77".to_owned(), 2),
    ] {
        let outcome = world.sh(&command).await;
        assert_eq!(outcome.status, status, "{command}: {outcome}");
        assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 0, "{command}");
    }
    world.sh(&format!("{without_cp_1} | talos-bootstrap --allow-missing --without cp-1")).await.exits(0);
    assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_logs_in_one_input_are_refused() {
    let world = World::start(Shape::SMALL).await;
    world.sh(&format!("{} > lab.jsonl", World::pipe())).await.exits(0);
    world.sh("cat lab.jsonl lab.jsonl | talos-wait --for ready").await.exits(8).says("a second stream follows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_held_back_does_not_hold_back_the_others() {
    let world = World::start(Shape::SMALL).await;
    world.lab.pve().hold(&world.vm_name("w-1"));
    let script = format!("{} > lab.jsonl", World::pipe());
    let running = tokio::spawn(crate::support::finish(world.scratch.command(&script), "the pipe"));
    let others = || {
        let text = std::fs::read_to_string(world.scratch.path("lab.jsonl")).unwrap_or_default();
        ["cp-1", "w-2"].iter().all(|name| text.contains(&format!(r#""kind":"Node","name":"{name}""#)))
    };
    let arrived = tokio::time::timeout(SOON, async {
        while !others() {
            tokio::task::yield_now().await;
        }
    });
    arrived.await.expect("the others do not arrive at the end of the pipe");
    assert!(!world.scratch.read("lab.jsonl").contains(r#""kind":"Node","name":"w-1""#));
    world.lab.pve().release(&world.vm_name("w-1"));
    running.await.unwrap().exits(0);
    world.assert_up(&world.names());
}

/// A VM whose creation is just being answered has neither name nor mark: it must not pass for a twin of somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_not_held_back_by_a_creation_of_the_same_run_that_is_just_being_answered() {
    let world = World::start(Shape { hosts: 2, ..Shape::SMALL }).await;
    // A storage of a host takes two creations at once: the workers' would keep the control plane from beginning.
    world.edit("controlplane: {vm: {cores: 2", "controlplane: {vm: {node: pve2, cores: 2");
    world.edit("worker: {vm: {cores: 2", "worker: {vm: {node: pve1, cores: 2");
    let pve = world.lab.pve();
    for name in ["w-1", "w-2"] {
        pve.hold(&world.vm_name(name));
    }
    for _ in ["cp-1", "w-1", "w-2"] {
        pve.fault("POST", "/qemu", lab::pve::Fault::Slow { by: Some(std::time::Duration::from_millis(1500)) });
    }
    let command = world.scratch.command("talos-image | pve-vm > lab.jsonl");
    let running = tokio::spawn(crate::support::finish(command, "the pipe"));
    let has_come = || {
        let text = std::fs::read_to_string(world.scratch.path("lab.jsonl")).unwrap_or_default();
        text.contains(r#""kind":"Node","name":"cp-1""#)
    };
    let arrived = tokio::time::timeout(SOON, async {
        while !has_come() {
            tokio::task::yield_now().await;
        }
    });
    arrived.await.expect("the control plane waits for the workers");
    for name in ["w-1", "w-2"] {
        pve.release(&world.vm_name(name));
    }
    running.await.unwrap().exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_stops_the_pipe_and_the_next_run_goes_on() {
    let world = World::start(Shape::SMALL).await;
    let statuses =
        world.sh("bash -c 'talos-image | pve-vm | head -n 1 > /dev/null; echo ${PIPESTATUS[1]}'").await.exits(0);
    assert_eq!(statuses.stdout, "141\n", "{statuses}");
    statuses.never_says("panicked");
    // Of a stream that was cut on both sides, nothing is concluded and nothing said.
    world.sh(&format!("{} > lab.jsonl", World::pipe())).await.exits(0);
    let cut = "mkfifo gone; bash -c '{ head -n 2 lab.jsonl; cat gone; } | talos-bootstrap | { exec 0<&-; : > gone; }; \
               echo ${PIPESTATUS[1]}'";
    let cut = world.sh(cut).await.exits(0).never_says("cut").never_says("--without");
    assert_eq!(cut.stdout, "141\n", "{cut}");
    world.up().await.exits(0);
    world.assert_up(&world.names());
}
