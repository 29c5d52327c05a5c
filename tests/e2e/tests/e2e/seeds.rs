use std::process::Stdio;

use crate::support::{Shape, World, changes};

/// The pipe without a first contact; the file gets a storage for the discs.
pub(crate) fn pipe(world: &World) -> String {
    if !world.file().contains("seeds: local") {
        world.edit("    images: local\n", "    images: local\n    seeds: local\n");
    }
    World::pipe().replace("pve-vm |", "pve-vm --stopped |").replace("talos-gen |", "talos-gen | talos-seed |")
}

/// The discs on the storage.
fn discs(world: &World) -> Vec<String> {
    let volumes = world.lab.pve().volumes("pve1", "local");
    volumes.into_iter().filter(|volume| volume.ends_with("-seed.iso")).collect()
}

#[track_caller]
fn assert_no_contact(world: &World) {
    for name in world.names() {
        let node = world.node(&name);
        assert_eq!(node.counts().applied, 0, "{name} got a config over the network");
        assert!(!node.console().iter().any(|line| line.contains("entering maintenance")), "{name} was in maintenance");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_seeds_no_config_goes_over_the_network_and_they_are_removed_when_they_are_done_with() {
    let world = World::start(Shape { dhcp: true, ..Shape::SMALL }).await;
    let pipe = pipe(&world);

    world.sh(&format!("{} --dry-run", pipe.replace(" | ", " --dry-run | "))).await.exits(3);
    assert!(discs(&world).is_empty() && world.lab.pve().vms().is_empty(), "a plan makes nothing");

    let first = world.sh(&pipe).await.exits(0);
    world.assert_up(&world.names());
    assert_no_contact(&world);
    assert_eq!(first.stderr.matches("can read the secrets").count(), 1, "{first}");
    assert_eq!(discs(&world).len(), 3);
    for record in first.records().iter().filter(|record| record["kind"] == "Node") {
        let (seed, config) = (&record["status"]["seed"], &record["status"]["config"]);
        let file = format!("{}/{}", world.lab.name(), config["file"].as_str().unwrap());
        let found = world.lab.pve().user_data("pve1", seed["volume"].as_str().unwrap());
        assert_eq!(found, Some(world.scratch.read(&file)));
        assert_eq!((seed["slot"].as_str().map(|slot| &slot[..3]), &seed["changed"]), (Some("ide"), &true.into()));
        assert!(seed["addresses"][0].is_string());
        assert_eq!(record["status"]["applied"]["outcome"], "unchanged");
    }

    let second = world.sh(&pipe).await.exits(0);
    let changed: Vec<_> = changes(&second).into_iter().filter(|changed| changed.field != "vm").collect();
    assert_eq!(changed, [], "{second}");
    assert_eq!(second.stderr.matches("its seed is removed").count(), 3, "{second}");
    assert_eq!(discs(&world), [] as [String; 0]);

    let before = world.touches();
    let third = world.sh(&pipe).await.exits(0);
    assert_eq!((changes(&third), world.touches()), (Vec::new(), before), "{third}");
    let plain = world.up().await.exits(0);
    assert_eq!((changes(&plain), world.touches()), (Vec::new(), before), "the empty drive is no difference: {plain}");
    assert_no_contact(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_address_comes_with_the_seed_and_a_destroyed_vm_takes_it_along() {
    let world = World::start(Shape::SMALL).await;
    world.sh(&pipe(&world)).await.exits(0);
    world.assert_up(&world.names());
    assert_no_contact(&world);
    let vm = world.lab.pve().vm_by_name("w-1").unwrap();
    assert!(!vm.config.values().any(|value| value.contains("cloudinit")), "only one cidata is read: {:?}", vm.config);
    assert_eq!(discs(&world).len(), 3);

    world.sh("pve-vm destroy --yes -f \"$ICHOR_CLUSTER\" --only w-1").await.exits(0);
    assert_eq!(discs(&world).len(), 2);
    world.sh("pve-vm destroy --yes -f \"$ICHOR_CLUSTER\"").await.exits(0);
    assert_eq!((discs(&world), world.lab.pve().vms().len()), (Vec::new(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_remove_files_overwrites_them() {
    let mut world = World::start(Shape { workers: 0, ..Shape::SMALL }).await;
    let role: Vec<&str> = lab::pve::ROLE.iter().copied().filter(|name| *name != "Datastore.Allocate").collect();
    let secret = "00000000-1111-4222-8333-555555555555";
    world.lab.pve().add_token("ichor@pve!few", secret, &[("/", &role)]);
    world.scratch.set("PROXMOX_VE_API_TOKEN", &format!("ichor@pve!few={secret}"));
    let pipe = pipe(&world);

    world.sh(&pipe).await.exits(0);
    let disc = discs(&world).pop().unwrap();
    assert!(world.lab.pve().user_data("pve1", &disc).is_some());
    world.sh(&pipe).await.exits(0).says("it was overwritten");
    assert_eq!(discs(&world), std::slice::from_ref(&disc));
    assert_eq!(world.lab.pve().user_data("pve1", &disc), None, "nothing is left of the secrets");
    let before = world.touches();
    let third = world.sh(&pipe).await.exits(0);
    assert_eq!((changes(&third), world.touches()), (Vec::new(), before), "{third}");
}

/// A disc that its node may not have read yet must not go.
#[tokio::test(flavor = "multi_thread")]
async fn the_seed_of_a_vm_that_has_another_name_or_is_hidden_is_no_stray() {
    let mut world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh(&pipe(&world)).await.exits(0);
    let pve = world.lab.pve();
    let vm = pve.vm_by_name("w-1").unwrap();
    pve.set_option(vm.id, "name", Some("renamed"));
    world.sh("pve-vm list -f cluster.yaml").await.never_says("-seed.iso");

    pve.set_option(vm.id, "name", Some("w-1"));
    let (secret, below) = ("00000000-1111-4222-8333-777777777777", format!("/vms/{}", vm.id));
    pve.add_token("ichor@pve!blind", secret, &[("/", lab::pve::ROLE), (&below, &[])]);
    world.scratch.set("PROXMOX_VE_API_TOKEN", &format!("ichor@pve!blind={secret}"));
    for verb in ["list -f cluster.yaml", "destroy -f cluster.yaml --only cp-1 --yes --ignore-etcd"] {
        world.sh(&format!("pve-vm {verb}")).await.never_says("node w-1 that is gone");
    }
    let left = discs(&world);
    assert!(left.iter().any(|disc| disc.ends_with("-w-1-seed.iso")), "{left:?}");
}

/// What the README says that the token needs is enough, and nothing is written before the rights are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_the_rights_that_are_named_is_enough_and_one_without_writes_no_disc() {
    let mut world = World::start(Shape { workers: 0, ..Shape::SMALL }).await;
    let pipe = pipe(&world);
    let secret = "00000000-1111-4222-8333-666666666666";
    world.scratch.set("PROXMOX_VE_API_TOKEN", &format!("ichor@pve!some={secret}"));
    let with = |more: &[&'static str]| {
        let role: Vec<&str> = lab::pve::ROLE
            .iter()
            .copied()
            .filter(|name| !["VM.Config.CDROM", "VM.Config.Cloudinit", "Datastore.Allocate"].contains(name))
            .chain(more.iter().copied())
            .collect();
        world.lab.pve().add_token("ichor@pve!some", secret, &[("/", &role)]);
    };
    for (rights, lacks) in [(&[][..], "VM.Config.CDROM on /vms"), (&["VM.Config.CDROM"], "VM.Config.Cloudinit on /vms")]
    {
        with(rights);
        world.sh(&pipe).await.exits(6).says(&format!("lacks {lacks}"));
        assert_eq!(discs(&world), [] as [String; 0]);
        world.sh("pve-vm doctor -f cluster.yaml").await.exits(6).says("talos-seed can't put discs into VMs");
    }
    with(&["VM.Config.CDROM", "VM.Config.Cloudinit"]);
    world.sh(&pipe).await.exits(0);
    world.assert_up(&world.names());

    // Without the right to remove files, the seed of a VM that is gone is emptied, once.
    let id = world.lab.pve().vm_by_name("cp-1").unwrap().id;
    for (method, path) in [("POST", "/status/stop"), ("DELETE", "")] {
        world.lab.pve().call_as("root@pam", method, &format!("/nodes/pve1/qemu/{id}{path}"), &[]).unwrap();
    }
    let disc = discs(&world).pop().unwrap();
    assert!(world.lab.pve().user_data("pve1", &disc).is_some());
    world.sh("pve-vm destroy -f cluster.yaml --yes").await.exits(0).says("it was overwritten");
    assert_eq!(world.lab.pve().user_data("pve1", &disc), None);
    world.sh("pve-vm destroy -f cluster.yaml --yes").await.exits(0).never_says("-seed.iso");
}

/// The new VM has the ID of the old one, of which the lock knows that it had its config.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_was_deleted_by_hand_and_made_again_gets_a_seed_again() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    let pipe = pipe(&world);
    world.sh(&pipe).await.exits(0);
    world.sh(&pipe).await.exits(0);
    let id = world.lab.pve().vm_by_name("w-1").unwrap().id;
    for (method, path) in [("POST", "/status/stop"), ("DELETE", "")] {
        world.lab.pve().call(method, &format!("/nodes/pve1/qemu/{id}{path}"), &[]).unwrap();
    }

    world.sh(&pipe).await.exits(0);

    assert_eq!(world.lab.pve().vm_by_name("w-1").unwrap().id, id);
    world.assert_up(&world.names());
    assert_no_contact(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_of_a_vm_that_was_deleted_by_hand_is_named_and_goes_with_the_next_run() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh(&pipe(&world)).await.exits(0);
    let id = world.lab.pve().vm_by_name("w-1").unwrap().id;
    for (method, path) in [("POST", "/status/stop"), ("DELETE", "")] {
        world.lab.pve().call(method, &format!("/nodes/pve1/qemu/{id}{path}"), &[]).unwrap();
    }
    assert_eq!(discs(&world).len(), 2);
    let stray = "is the seed of a VM of node w-1 that is gone";
    for verb in ["list", "doctor --format table"] {
        let told = world.sh(&format!("pve-vm {verb} -f cluster.yaml")).await;
        assert!((told.stdout.clone() + &told.stderr).contains(stray), "{told}");
    }
    assert_eq!(discs(&world).len(), 2);

    world.sh("pve-vm destroy -f cluster.yaml --yes").await.exits(0).says(stray).never_says("node cp-1 that is gone");

    assert_eq!(discs(&world), [] as [String; 0]);
}

/// Kills a talos-seed at the call to Proxmox VE that is so many times this.
async fn killed_at(world: &World, method: &str, path: &str, times: usize) {
    let count = || {
        let is_it = |request: &&(String, String)| request.0 == method && request.1.ends_with(path);
        world.lab.pve().requests().iter().filter(is_it).count()
    };
    let before = count();
    let mut command = world.scratch.command("exec talos-seed -f gen.jsonl");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
    let reached = async {
        while count() < before + times {
            ticks.tick().await;
        }
    };
    let reached = tokio::time::timeout(crate::support::SOON, reached).await;
    child.kill().await.unwrap();
    assert!(reached.is_ok(), "no {method} {path}");
}

/// Between the drive that is emptied and the disc that comes into it, a VM has neither cloud-init nor a seed.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_seed_that_was_killed_anywhere_a_run_without_seeds_comes_up_too() {
    for (path, times) in [("/config", 1), ("/upload", 1), ("/config", 2), ("/config", 3)] {
        let world = World::start(Shape { workers: 0, ..Shape::SMALL }).await;
        let pipe = pipe(&world);
        let made = pipe.split_once(" | talos-seed | ").unwrap().0;
        world.sh(&format!("{made} > gen.jsonl")).await.exits(0);
        killed_at(&world, "POST", path, times).await;

        let outcome = world.up().await;

        assert!(outcome.status == 0, "killed at {path} {times}: {outcome}");
        world.assert_up(&world.names());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_is_killed_anywhere_is_continued_by_the_next_run() {
    for (method, path, times) in [
        ("POST", "/config", 1),
        ("POST", "/upload", 1),
        ("POST", "/config", 2),
        ("POST", "/config", 3),
        ("POST", "/status/start", 1),
    ] {
        let world = World::start(Shape { workers: 0, ..Shape::SMALL }).await;
        let pipe = pipe(&world);
        let (made, rest) = pipe.split_once(" | talos-seed | ").unwrap();
        world.sh(&format!("{made} > gen.jsonl")).await.exits(0);
        killed_at(&world, method, path, times).await;

        let outcome = world.sh(&format!("talos-seed -f gen.jsonl | {rest}")).await;
        assert!(outcome.status == 0, "killed at {method} {path} {times}: {outcome}");
        world.assert_up(&world.names());
        assert_no_contact(&world);
        world.sh(&pipe).await.exits(0);
        assert_eq!(discs(&world), [] as [String; 0], "killed at {method} {path} {times}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_talos_would_refuse_never_reaches_a_disc() {
    let world = World::start(Shape { workers: 0, ..Shape::SMALL }).await;
    let pipe = pipe(&world);
    let made = pipe.split_once(" | talos-seed | ").unwrap().0;
    world.sh(&format!("{made} > gen.jsonl")).await.exits(0);
    let records = world.scratch.read("gen.jsonl");
    let file = format!("{}/nodes/cp-1.yaml", world.lab.name());
    let config = world.scratch.read(&file);
    let sha256 = |text: &str| {
        let mut reader = lab::disk_image::Reader::default();
        reader.write(text.as_bytes());
        reader.finish().sha256
    };
    for (bad, why) in [
        (config.replace("  type: controlplane", "  type: worker"), "the machine config is for a worker"),
        (format!("#cloud-config\n{config}"), "begins with `#cloud-config`"),
        (config.replace("  type: controlplane", "  type: controlplane\n    nonsense: true"), "nonsense"),
    ] {
        assert_ne!(bad, config);
        world.scratch.write(&file, &bad);
        world.scratch.write("bad.jsonl", records.replace(&sha256(&config), &sha256(&bad)));
        let refused = world.sh("talos-seed -f bad.jsonl").await;
        assert!([7, 8].contains(&refused.status) && refused.stderr.contains(why), "{why}: {refused}");
        assert!(discs(&world).is_empty() && !world.lab.pve().vm_by_name("cp-1").unwrap().running);
    }
    world.scratch.write(&file, &config);

    let off = world.sh("talos-apply -f gen.jsonl").await.exits(8);
    assert!(off.stderr.contains("is off"), "{off}");
    world.sh("pve-vm -f gen.jsonl > /dev/null").await.exits(0);
    let found = world.sh("pve-vm -f gen.jsonl | talos-gen").await.exits(0).stdout;
    let met = found.replace("\"status\":{\"vm\"", "\"status\":{\"seed\":{},\"vm\"");
    assert_ne!(met, found);
    world.scratch.write("met.jsonl", met);
    let stranger = world.sh("talos-apply -f met.jsonl").await.exits(7);
    assert!(stranger.stderr.contains("is in maintenance mode, but the node comes up with a config"), "{stranger}");
    assert_eq!(world.node("cp-1").counts().applied, 0, "whoever answers there in maintenance mode gets nothing");
    let late = world.sh("talos-seed -f gen.jsonl").await.exits(7);
    assert!(late.stderr.contains("too late for a seed"), "{late}");
    world.lab.pve().set_option(world.lab.pve().vm_by_name("cp-1").unwrap().id, "description", Some("mine"));
    world.lab.pve().set_option(world.lab.pve().vm_by_name("cp-1").unwrap().id, "tags", None);
    let foreign = world.sh("talos-seed -f gen.jsonl").await.exits(7);
    assert!(foreign.stderr.contains("is not this node's VM"), "{foreign}");
    assert!(discs(&world).is_empty());
}
