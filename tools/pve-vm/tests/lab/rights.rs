//! A token that can't see the VMs makes and destroys none, and the commands in our texts give it the rights.

use lab::pve::Storage;
use pve_client::{Rights, request};

use crate::{
    by_hand::{self, PLAIN, allow},
    world::{Outcome, World, options},
};

/// Gives the lab's own token these rights and no others.
pub(crate) fn grant(world: &World, grants: &[(&str, &[&str])]) {
    let (name, secret) = world.lab.pve().token().split_once('=').unwrap();
    world.lab.pve().add_token(name, secret, grants);
}

/// Makes the token's user one of its own, with no rights: with privilege separation both need them.
fn separate(world: &World) {
    let (name, secret) = world.lab.pve().token().split_once('=').unwrap();
    let user = name.split('!').next().unwrap();
    world.lab.pve().call_as("root@pam", "DELETE", &format!("/access/users/{user}"), &[]).unwrap();
    world.lab.pve().call_as("root@pam", "POST", "/access/users", &[("userid", user)]).unwrap();
    world.lab.pve().add_token(name, secret, &[]);
}

/// A world whose token sees VMs in the pool of the file only.
async fn pooled() -> World {
    let world = World::start(options()).await;
    world.lab.pve().add_pool("talos");
    world.edit("    bridge: vmbr0", "    bridge: vmbr0\n    pool: talos");
    let (vms, others): (Vec<&str>, Vec<&str>) = role("").into_iter().partition(|it| it.starts_with("VM."));
    let grants: [(&str, &[&str]); 4] =
        [("/pool/talos", &vms), ("/storage", &others), ("/nodes", &others), ("/sdn/zones/localnetwork", &others)];
    grant(&world, &grants);
    world
}

pub(crate) fn role(without: &str) -> Vec<&'static str> {
    pve_vm::privileges().into_iter().filter(|privilege| *privilege != without).collect()
}

/// Runs the `pveum` commands of a text as root on a host would.
fn run_pveum(world: &World, text: &str) {
    for command in text.split('`').filter(|part| part.starts_with("pveum ")) {
        let words: Vec<&str> = command.split(' ').collect();
        let after = |flag: &str| {
            let at = words.iter().position(|word| *word == flag).unwrap_or_else(|| panic!("{flag} in {command}"));
            words[at + 1].trim_matches('\'')
        };
        let pve = world.lab.pve();
        match words[1..3] {
            ["role", "add"] => {
                let privileges = command.split('"').nth(1).unwrap().replace(' ', ",");
                let made = [("roleid", words[3]), ("privs", privileges.as_str())];
                match pve.call_as("root@pam", "POST", "/access/roles", &made) {
                    Err(error) if error.to_string().contains("already exists") => {
                        pve.call_as("root@pam", "PUT", &format!("/access/roles/{}", words[3]), &made[1..])
                    }
                    made => made,
                }
            }
            ["role", "modify"] | ["user", _] => Ok(()),
            ["acl", "modify"] => {
                let (user, token, role) = (after("--users"), after("--tokens"), after("--roles"));
                let given = [("path", words[3]), ("users", user), ("tokens", token), ("roles", role)];
                pve.call_as("root@pam", "PUT", "/access/acl", &given)
            }
            _ => panic!("{command}"),
        }
        .unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

fn hint(outcome: &Outcome) -> String {
    let hint = outcome.records.iter().rev().find_map(|record| record["status"]["error"]["hint"].as_str());
    hint.unwrap_or_else(|| panic!("{}", outcome.stderr)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_see_the_vms_makes_none_and_destroys_none() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.lab.pve().vms();
    for grants in [&[("/", &role("VM.Audit")[..])][..], &[], &[("/vms/100", &role("")[..])]] {
        grant(&world, grants);
        for verb in [&[][..], &["plan"], &["list"], &["destroy", "--yes", "--all"]] {
            world.run(verb).await.exits(6).says("pveum acl modify /");
        }
        assert_eq!(world.lab.pve().vms(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_in_the_hint_give_what_is_missing() {
    let world = World::start(options()).await;
    separate(&world);
    let refused = world.run(&[]).await.exits(6).says("has no rights at all");

    run_pveum(&world, &hint(&refused));

    world.run(&[]).await.exits(0);
    world.run(&["destroy", "--yes", "--all"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_are_accepted_and_enough() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let lines = readme.lines().filter(|line| line.starts_with("pveum role add ") || line.starts_with("pveum acl "));
    let token = |line: &str| line.replace("talos@pve!cli", "ichor@pve!lab").replace("talos@pve", "ichor@pve");
    let text: String = lines.map(|line| format!("`{}` ", token(line))).collect();
    let world = World::start(options()).await;
    separate(&world);

    run_pveum(&world, &text);

    world.run(&["doctor"]).await.exits(0).says("has every privilege");
    world.run(&[]).await.exits(0);
    world.run(&["destroy", "--yes", "--all"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_its_privilege_is_refused_before_any_of_it_is_made() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit("worker: {vm: {cores: 2, memory: 2048, disk: 20", "worker: {vm: {cores: 3, memory: 3072, disk: 30");
    let before = world.vm("w-1");
    for privilege in ["VM.Config.CPU", "VM.Config.Memory", "VM.Config.Disk", "VM.PowerMgmt"] {
        grant(&world, &[("/", &role(privilege))]);
        let said = format!("lacks {privilege} on /vms/{}", before.id);
        world.run(&["plan"]).await.exits(6).says(&said);
        world.run(&["--reboot"]).await.exits(6).says(&said);
        assert_eq!(world.vm("w-1"), before, "{privilege}");
    }
}

/// Seen on Proxmox VE 9.2: disk and notes were changed already when a worker refused the drive for cloud-init.
#[tokio::test(flavor = "multi_thread")]
async fn a_cd_that_an_existing_vm_lacks_takes_more_than_the_role_and_that_is_known_before_anything_is_changed() {
    for (before, after, exit, lacks) in [
        ("ide0", "", 6, Some("lacks VM.Config.CDROM on /vms/ID (ide0), VM.Config.Cloudinit on /vms/ID (ide0)")),
        ("", ", ide2: \"none,media=cdrom\"", 6, Some("lacks VM.Config.CDROM on /vms/ID (ide2)")),
        ("", "", 0, None),
    ] {
        let world = World::start(options()).await;
        world.run(&[]).await.exits(0);
        let id = world.vm("w-1").id;
        if !before.is_empty() {
            by_hand::stop(&world);
            allow(&world, "VM.Config.Cloudinit,VM.Config.CDROM");
            by_hand::change(&world, &[("delete", before)]);
        }
        grant(&world, &[("/", &role(""))]);
        world.edit(PLAIN, &format!("memory: 3072, disk: 20{after}"));
        let was = world.vm("w-1");
        let Some(lacks) = lacks else {
            world.run(&["doctor"]).await.exits(0);
            world.run(&["--reboot"]).await.exits(0);
            continue;
        };
        let said = lacks.replace("ID", &id.to_string());
        world.run(&["doctor"]).await.exits(exit).says(&said);
        world.run(&["plan"]).await.exits(exit).says(&said);
        let refused = world.run(&["--reboot"]).await.exits(exit).says(&said);
        assert_eq!(world.vm("w-1"), was, "nothing was changed");

        run_pveum(&world, &hint(&refused));
        world.run(&["doctor"]).await.exits(0);
        world.run(&["--reboot"]).await.exits(0);
    }
}

/// Seen on Proxmox VE 9.2: memory and cores were set, and then the disk could not grow.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_grows_takes_a_right_on_the_storage_that_it_is_on() {
    let fast = Storage { name: "fast".into(), ..Storage::local_lvm() };
    let storages = vec![Storage::local(), Storage::local_lvm(), fast];
    let world = World::start(lab::Options { storages, ..options() }).await;
    world.run(&[]).await.exits(0);
    world.edit(PLAIN, "memory: 3072, disk: 30, storage: fast");
    let (space, rest): (Vec<&str>, Vec<&str>) = role("").into_iter().partition(|it| *it == "Datastore.AllocateSpace");
    let grants = |on: &'static str| {
        [
            ("/", rest.clone()),
            ("/storage/local", space.clone()),
            ("/storage", vec!["Datastore.Audit"]),
            (on, [&space[..], &rest[..]].concat()),
        ]
    };
    let grant_on = |on| {
        let grants = grants(on);
        let grants: Vec<(&str, &[&str])> = grants.iter().map(|(path, held)| (*path, &held[..])).collect();
        grant(&world, &grants);
    };
    grant_on("/storage/fast");
    let before = world.vm("w-1");

    let said = "lacks Datastore.AllocateSpace on /storage/local-lvm (disk)";
    for arguments in [&["plan", "--only", "w-1"][..], &["--reboot", "--only", "w-1"]] {
        world.run(arguments).await.exits(6).says(said);
    }
    assert_eq!(world.vm("w-1"), before);

    grant_on("/storage/local-lvm");
    world.run(&["--reboot", "--only", "w-1"]).await.exits(0);
    assert!(world.vm("w-1").config["scsi0"].contains("size=30G"));
}

/// Seen on Proxmox VE 9.2: a role at /vms replaces what one at / gave there.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_in_a_hint_take_nothing_away() {
    let world = World::start(options()).await;
    separate(&world);
    let held = [&role("VM.Config.CPU")[..], &["VM.Console", "VM.Migrate"]].concat().join(" ");
    run_pveum(&world, &format!("`pveum role add Mine -privs \"{held}\"`"));
    run_pveum(&world, "`pveum acl modify / --users ichor@pve --tokens 'ichor@pve!lab' --roles Mine`");
    let refused = world.run(&[]).await.exits(6).says("lacks VM.Config.CPU on /vms");
    let doctor = world.run(&["doctor"]).await.exits(6).says("VM.Config.CPU is missing on /vms");

    for outcome in [refused, doctor] {
        run_pveum(&world, &hint(&outcome));
        let rights: Rights = world.client().ask(&request::permissions()).await.unwrap().into();
        for privilege in held.split(' ').chain(["VM.Config.CPU"]) {
            assert!(rights.holds_below("/vms", privilege), "{privilege}: {rights:?}");
        }
    }
    world.run(&[]).await.exits(0);
}

/// Seen on Proxmox VE 9.2: the hint for a pool's token named /vms, and VMs that it doesn't see were not said to be left out.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_the_pool_of_a_token_that_has_its_rights_there_and_what_it_does_not_count() {
    let world = pooled().await;
    let (vms, others): (Vec<&str>, Vec<&str>) =
        role("VM.GuestAgent.Audit").into_iter().partition(|it| it.starts_with("VM."));
    grant(
        &world,
        &[("/pool/talos", &vms), ("/storage", &others), ("/nodes", &others), ("/sdn/zones/localnetwork", &others)],
    );

    let outcome = world.run(&["doctor"]).await.exits(0);

    let said = "VM.GuestAgent.Audit is missing on /pool/talos: nodes without a static address can't be found";
    let outcome = outcome.says(said).says("pveum acl modify /pool/talos");
    outcome.says("0 cores assigned; VMs that the token may not see are not counted");
    grant(&world, &[("/", &role(""))]);
    assert!(!world.run(&["doctor"]).await.exits(0).stderr.contains("not counted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_enough_where_the_file_names_it() {
    let world = pooled().await;

    world.run(&[]).await.exits(0);
    let again = world.run(&[]).await.exits(0);
    assert_eq!(again.status("w-1")["vm"]["changed"], false);
    world.run(&["destroy", "--yes", "--all"]).await.exits(0);

    assert_eq!(world.lab.pve().vms(), []);
}

/// Whoever takes a VM out of the pool hides it from such a token.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_left_the_pool_is_not_made_again_and_not_taken_for_destroyed() {
    let world = pooled().await;
    world.run(&[]).await.exits(0);
    let id = world.vm("w-1").id.to_string();
    let pve = world.lab.pve();
    pve.call_as("root@pam", "POST", &format!("/nodes/pve1/qemu/{id}/status/stop"), &[]).unwrap();
    pve.call_as("root@pam", "PUT", "/pools/talos", &[("vms", &*id), ("delete", "1")]).unwrap();

    let said = format!("the token may not see VM {id}, which the node had last");
    for arguments in [&[][..], &["plan"], &["list"], &["destroy", "--yes", "--all"]] {
        world.run(arguments).await.exits(6).says(&said);
    }
    assert!(world.lab.pve().vm_by_name("w-1").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_which_right_is_missing_and_exits_with_that() {
    let world = World::start(options()).await;
    separate(&world);
    let incomplete = role("VM.Audit").join(" ");
    run_pveum(&world, &format!("`pveum role add Mine -privs \"{incomplete}\"`"));
    run_pveum(&world, "`pveum acl modify / --users ichor@pve --tokens 'ichor@pve!lab' --roles Mine`");

    let outcome = world.run(&["doctor"]).await.exits(6).says("VM.Audit is missing on /vms");

    run_pveum(&world, &hint(&outcome));
    world.run(&["doctor"]).await.exits(0);
}

/// What only some nodes of the file need is asked for them, whether their VMs are there or not.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_asks_for_what_the_nodes_of_the_file_need_besides() {
    for (parameter, lacks) in [
        ("startup: \"order=2\"", "lacks Sys.Modify on / (startup)"),
        ("ha: true", "lacks Sys.Console on / (ha)"),
        ("hostpci0: \"mapping=gpu\"", "lacks Mapping.Use on /mapping/pci/gpu (hostpci0)"),
        ("usb0: \"mapping=stick\"", "lacks Mapping.Use on /mapping/usb/stick (usb0)"),
        ("rng0: \"source=/dev/hwrng\"", "lacks Mapping.Use on /mapping/hwrng (rng0)"),
        ("storage: slow", "Datastore.AllocateSpace on /storage/slow"),
    ] {
        let world = World::start(options()).await;
        let (storage, rest): (Vec<&str>, Vec<&str>) =
            role("").into_iter().partition(|privilege| privilege.starts_with("Datastore."));
        grant(&world, &[("/", &rest), ("/storage/local", &storage), ("/storage/local-lvm", &storage)]);
        world.run(&[]).await.exits(0);
        world.run(&["doctor"]).await.exits(0).says("has every privilege that all VMs need").says("each node's own");
        world.edit(PLAIN, &format!("{PLAIN}, {parameter}"));

        world.run(&["doctor"]).await.exits(6).says(lacks);
        by_hand::remove(&world, world.vm("w-1").id);
        world.run(&["doctor"]).await.exits(6).says(lacks);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_the_token_can_not_see_is_a_missing_right_and_not_a_host_that_is_full() {
    let world = World::start(options()).await;
    let (storage, rest): (Vec<&str>, Vec<&str>) =
        role("").into_iter().partition(|privilege| privilege.starts_with("Datastore."));
    grant(&world, &[("/", &rest), ("/storage/local", &storage)]);

    let outcome = world.run(&[]).await.exits(6).says("the token can't see storage local-lvm");

    assert_eq!(outcome.status("w-1")["error"]["code"], "not-allowed");
    assert!(hint(&outcome).contains("Datastore.AllocateSpace on /storage/local-lvm"), "{}", hint(&outcome));
    assert_eq!(world.lab.pve().vms().len(), 0);
}
