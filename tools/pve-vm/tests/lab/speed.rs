//! How many calls are made, whatever the machine's speed.

use std::collections::BTreeMap;

use crate::world::{World, options};

fn cluster(control_planes: usize, workers: usize) -> lab::Options {
    let hosts = ["pve1", "pve2", "pve3"].map(str::to_owned).to_vec();
    lab::Options { hosts, control_planes, workers, ..options() }
}

/// The calls from then on, by their last words.
fn calls(world: &World, from: usize) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for (method, path) in world.lab.pve().requests().into_iter().skip(from) {
        let path = path.split('?').next().unwrap_or_default();
        let kind = match path.rsplit('/').next().unwrap_or_default() {
            last if path.contains("/tasks/") => format!("task {last}"),
            last => format!("{method} {last}"),
        };
        *calls.entry(kind).or_default() += 1;
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_unchanged_vms_are_planned_with_three_calls_one_a_host_and_one_a_vm() {
    let world = World::start(cluster(3, 97)).await;
    world.run(&[]).await.exits(0);
    let from = world.lab.pve().requests().len();

    let outcome = world.run(&["plan"]).await.exits(0);

    let expected =
        [("GET pending", 100), ("GET permissions", 1), ("GET qemu", 3), ("GET resources", 1), ("GET status", 1)];
    let expected: BTreeMap<String, usize> = expected.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!(calls(&world, from), expected, "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_vms_never_lists_them_all_after_each() {
    let world = World::start(cluster(3, 9)).await;
    let from = world.lab.pve().requests().len();

    world.run(&[]).await.exits(0);

    let calls = calls(&world, from);
    // Whether it is another cluster's lock that is missing is answered by the same look.
    assert_eq!((calls["GET qemu"], calls["GET status"], calls["GET permissions"]), (3, 1, 1), "{calls:?}");
    // Beside those that look for twins of a new VM, one when the last one is made: another run may have made one meanwhile.
    assert!(calls["GET resources"] <= 1 + 12 + 1, "{calls:?}");
}

/// Where a look is long, many new VMs wait for the same one: looks never take more than a part of the time.
#[tokio::test(flavor = "multi_thread")]
async fn vms_that_are_made_while_a_look_at_all_of_them_is_long_share_the_next_one() {
    let slow = "apiVersion: ichor-lab/v1\nkind: Scenario\nname: slow\nfaults:\n\
                - { on: pve, call: GET /cluster/resources, do: slow, by: 100ms, times: 1000 }\n";
    let scenario = Some(lab::scenario::Scenario::parse(slow).unwrap());
    let world = World::start(lab::Options { scenario, ..cluster(3, 21) }).await;
    let (from, begun) = (world.lab.pve().requests().len(), std::time::Instant::now());

    world.run(&[]).await.exits(0);

    let looks = calls(&world, from)["GET resources"];
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    // The inventory's, the first one's, the last one's, and one a second.
    assert!(looks <= 3 + seconds, "{looks} in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_listed_with_one_look_and_one_config_of_each_vm_that_may_be_one() {
    let world = World::start(cluster(1, 8)).await;
    world.run(&[]).await.exits(0);
    world.lab.pve().add_foreign_vm("somebody-elses");
    let text = std::fs::read_to_string(world.lab.cluster_file()).unwrap();
    std::fs::write(world.lab.cluster_file(), text.replace("name: w-8", "name: w-9")).unwrap();
    let from = world.lab.pve().requests().len();

    let outcome = world.run_file(&["list", "--orphans"]).await.exits(0);

    let expected =
        [("GET pending", 10), ("GET permissions", 1), ("GET qemu", 3), ("GET resources", 1), ("GET status", 1)];
    let expected: BTreeMap<String, usize> = expected.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!(calls(&world, from), expected, "{}", outcome.stderr);
}
