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
    let asked = on_a_terminal(&world, "pve-vm destroy -f cluster.yaml", "prod\\n").await.exits(7);
    for name in ["cp-1", "w-1"] {
        let id = world.lab.pve().vm_by_name(name).unwrap().id;
        assert!(asked.stdout.contains(&format!("would destroy {name}: VM {id} on pve1")), "{asked}");
    }
    assert_eq!(world.lab.pve().vms().len(), 2);
    on_a_terminal(&world, "pve-vm destroy -f cluster.yaml", "lab\\n").await.exits(0);
    assert_eq!(world.lab.pve().vms(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_file_is_named_in_the_question_before_it_goes() {
    if judges::require("script").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm").await.exits(0);
    world.edit("name: w-1", "name: w-9");
    let asked = on_a_terminal(&world, "pve-vm destroy -f cluster.yaml", "no\\n").await.exits(7);
    let question = "type lab to destroy the VMs of this cluster, also of w-1, which aren't in the file";
    assert!(asked.stdout.contains("also destroys VM") && asked.stdout.contains(question), "{asked}");
    assert_eq!(world.lab.pve().vms().len(), 2);
    let asked = on_a_terminal(&world, "pve-vm destroy -f cluster.yaml --orphans", "lab\\n").await.exits(0);
    assert!(asked.stdout.contains("type lab to destroy the VMs of w-1, which aren't in the file"), "{asked}");
    assert_eq!(world.lab.pve().vms().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn adopting_shows_the_difference_and_wants_the_nodes_name() {
    if judges::require("script").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm").await.exits(0);
    let id = world.lab.pve().vm_by_name("w-1").unwrap().id;
    world.lab.pve().set_option(id, "description", Some("mine"));
    world.lab.pve().set_option(id, "tags", None);
    let adopt = format!("pve-vm adopt -f cluster.yaml --vm w-1:{id}");
    let asked = on_a_terminal(&world, &adopt, "lab\\n").await.exits(7);
    assert!(asked.stdout.contains("nothing else differs from the file"), "{asked}");
    assert!(asked.stdout.contains(&format!("type w-1 to adopt VM {id} (w-1) on pve1: ")), "{asked}");
    assert_eq!(world.lab.pve().vm(id).unwrap().config["description"], "mine");
    on_a_terminal(&world, &adopt, "w-1\\n").await.exits(0);
    assert!(world.lab.pve().vm(id).unwrap().config["description"].contains("ichor-uid"));
}
