//! What names a VM by its ID goes on with the VM that takes its place, or its loss is told before.

use pve_client::request;

use crate::{
    by_hand::{PLAIN, grant, remove},
    world::{World, options},
};

const SMALLER: &str = "memory: 2048, disk: 10";

/// Jobs that make backups, each with the IDs that it names.
async fn jobs(world: &World) -> Vec<(String, String)> {
    let jobs = world.client().ask(&request::backup_jobs()).await.unwrap();
    jobs.into_iter().map(|job| (job.id, job.vmid.unwrap_or_default())).collect()
}

/// A running cluster, with a token that has the usual role, which sees jobs.
async fn world() -> World {
    let world = World::start(options()).await;
    grant(&world, &[]);
    world.run(&[]).await.exits(0);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_is_made_again_keeps_its_id_and_what_is_lost_with_it_is_told() {
    let world = world().await;
    let id = world.vm("w-1").id;
    let next = world.client().ask(&request::next_id()).await.unwrap().0;
    let before = [("own", id.to_string()), ("both", format!("{id},999")), ("next", next.to_string())];
    before.iter().for_each(|(job, vmids)| world.lab.pve().add_backup_job(job, vmids));
    let firewall = format!("/nodes/pve1/qemu/{id}/firewall");
    let pve = world.lab.pve();
    pve.call_as("root@pam", "PUT", &format!("{firewall}/options"), &[("enable", "1")]).unwrap();
    pve.add_firewall_rule(id);
    world.edit(PLAIN, SMALLER);

    let plan = world.run(&["plan", "--recreate"]).await.exits(3);
    plan.says(&format!("with VM {id} would be lost: firewall (on, rules: 1)")).never_says("backup jobs");
    let made = world.run(&["--recreate"]).await.exits(0).says(" is lost: firewall (on, rules: 1)");

    let changes = made.status("w-1")["vm"]["changes"].to_string();
    assert!(changes.contains(r#""what":"firewall""#), "{changes}");
    assert_eq!((world.vm("w-1").id, world.vm("w-1").running), (id, true));
    assert_eq!(
        jobs(&world).await,
        before.map(|(job, vmids)| (job.to_owned(), vmids)),
        "the trial's ID is no loss either"
    );
    world.run(&[]).await.exits(0).says("2 unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_id_changes_the_jobs_that_name_the_old_one_are_told() {
    let world = world().await;
    let id = world.vm("w-1").id;
    world.lab.pve().add_backup_job("nightly", &format!("{id},999"));
    world.edit(PLAIN, &format!("{SMALLER}, vmid: 950"));
    let lost = |verb: &str, what: &str| format!("with VM {id} {verb} lost: backup jobs ({what}");

    world.run(&["plan", "--recreate"]).await.exits(3).says(&lost("would be", "nightly)"));
    // Who doesn't see jobs doesn't call them absent.
    let (name, secret) = world.lab.pve().token().split_once('=').unwrap();
    let role: Vec<&str> = pve_vm::privileges().into_iter().filter(|privilege| *privilege != "Sys.Audit").collect();
    world.lab.pve().add_token(name, secret, &[("/", &role)]);
    world.run(&["plan", "--recreate"]).await.exits(3).says(&lost("would be", "unknown"));
    grant(&world, &[]);
    world.run(&["--recreate"]).await.exits(0).says(&lost("is", "nightly)"));

    assert_eq!(world.vm("w-1").id, 950);
    assert_eq!(jobs(&world).await, [("nightly".to_owned(), "999".to_owned())]);
}

/// As after a kill between the end of the old VM and the beginning of the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_vm_is_gone_has_the_id_of_its_last_one() {
    let world = world().await;
    let id = world.vm("w-1").id;
    world.lab.pve().add_backup_job("nightly", &id.to_string());
    remove(&world, id);
    world.lab.pve().until(|pve| pve.vm(id).is_none()).await;
    // A lower one is free.
    world.lab.pve().set_next_ids(id - 50, 1_000_000);

    world.run(&[]).await.exits(0);

    assert_eq!((world.vm("w-1").id, world.lab.pve().vms().len()), (id, 2));
    assert_eq!(jobs(&world).await, [("nightly".to_owned(), id.to_string())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreation_that_was_killed_is_completed_with_the_same_id() {
    let world = world().await;
    let id = world.vm("w-1").id;
    world.edit(PLAIN, SMALLER);
    // The first is the trial's.
    world.killed_after(2, ("POST", "/nodes/pve1/qemu"), &["--recreate"]).await;
    let is_made = |pve: &lab::pve::Pve| pve.vms().iter().all(|vm| !vm.config.contains_key("lock"));
    world.lab.pve().until(is_made).await;

    world.run(&[]).await.exits(0);

    assert_eq!((world.vm("w-1").id, world.lab.pve().vms().len()), (id, 2));
}

/// The usual role doesn't see snippets.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_not_destroyed_for_one_whose_cloud_init_can_not_be_written() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1").id;
    world.edit(PLAIN, &format!("{SMALLER}, cicustom: \"user=local:snippets/w-1.yaml\""));

    grant(&world, &[]);
    for verb in [&["plan", "--recreate"][..], &["--recreate"]] {
        world.run(verb).await.exits(6).says("Datastore.Allocate on /storage/local, or VM.Config.Cloudinit on /vms");
    }
    grant(&world, &["VM.Config.Cloudinit"]);
    let refused = world.run(&["--recreate"]).await.exits(1).says("local:snippets/w-1.yaml");
    refused.says(&format!("so VM {before} on pve1 is kept")).never_says(&format!("destroyed VM {before}"));
    assert_eq!((world.vm("w-1").id, world.vm("w-1").running, world.lab.pve().vms().len()), (before, true, 2));

    world.lab.pve().add_image("pve1", "local", "snippets", "w-1.yaml", 100);
    world.run(&["--recreate"]).await.exits(0);
    assert!(world.vm("w-1").running && world.vm("w-1").config.contains_key("cicustom"));
}
