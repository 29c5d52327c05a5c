use crate::support::{Outcome, Shape, World};

/// Runs a command on a pseudo-terminal, with this typed; what it prints comes on stdout.
async fn on_a_terminal(world: &World, command: &str, typed: &str) -> Outcome {
    world.scratch.write("command", command);
    world.sh(&format!("printf '{typed}' | script -qec 'sh command' /dev/null")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_a_table_and_files_get_records() {
    if judges::require("script").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    let table = on_a_terminal(&world, "talos-gen --dry-run -f cluster.yaml", "").await.exits(3);
    assert!(table.stdout.contains("NAME") && table.stdout.contains("w-1"), "{table}");
    assert!(!table.stdout.contains("apiVersion"), "{table}");
    world.sh("talos-gen --dry-run -f cluster.yaml").await.exits(3).end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_input_tells_its_usage_and_never_hangs() {
    if judges::require("script").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    for command in ["unset ICHOR_CLUSTER; talos-gen", "talos-gen -f -"] {
        let outcome = on_a_terminal(&world, command, "").await.exits(2);
        assert!(outcome.stdout.contains("error:") && outcome.stdout.contains("hint:"), "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_reaches_a_terminal_by_way_of_inline() {
    if judges::require("script").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    let refused = on_a_terminal(&world, "talos-gen --inline -f cluster.yaml", "").await.exits(2);
    assert!(refused.stdout.contains("--inline puts secrets into the records"), "{refused}");
    let later = "talos-gen --inline -f cluster.yaml | talos-apply --dry-run --format jsonl";
    let later = on_a_terminal(&world, later, "").await.exits(3);
    assert!(later.stdout.contains("not shown on a terminal") && !later.stdout.contains("token:"), "{later}");
}

#[tokio::test(flavor = "multi_thread")]
async fn destroying_wants_the_clusters_name() {
    if judges::require("script").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm").await.exits(0);
    on_a_terminal(&world, "pve-vm destroy -f cluster.yaml", "prod\\n").await.exits(7);
    assert_eq!(world.lab.pve().vms().len(), 2);
    on_a_terminal(&world, "pve-vm destroy -f cluster.yaml", "lab\\n").await.exits(0);
    assert_eq!(world.lab.pve().vms(), []);
}
