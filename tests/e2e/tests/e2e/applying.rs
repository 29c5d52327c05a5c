use tonic::Code;

use crate::support::{Outcome, SOON, Shape, World};

const TWO: Shape = Shape { workers: 2, ..Shape::SMALL };
/// What a node answers while it goes down for the config of another run (the text of Talos 1.13.9).
const GOES_DOWN: &str = "configuration was already applied and node is rebooting, cannot apply more configuration changes until next reboot";

/// A lab whose nodes wait for their first config, which is in `lab.jsonl`.
async fn waiting() -> World {
    let world = World::start(TWO).await;
    world.sh("talos-image | pve-vm | talos-gen > lab.jsonl").await.exits(0);
    world
}

/// A lab that is up.
async fn up() -> World {
    let world = World::start(TWO).await;
    world.up().await.exits(0);
    world
}

/// Runs talos-apply alone on a node.
async fn apply(world: &World, node: &str, more: &str) -> Outcome {
    let address = world.node(node).address().unwrap();
    world.sh(&format!("talos-apply -n {address} --talosconfig lab/talosconfig {more}")).await
}

/// The config of w-1 with a value that a running node takes.
fn with_tier(tier: &str) -> String {
    format!("-f lab/nodes/w-1.yaml -p 'machine: {{sysctls: {{example.tier: {tier}}}}}'")
}

fn applied(outcome: &Outcome) -> serde_json::Value {
    outcome.nodes()[0]["status"]["applied"].clone()
}

/// A node of Talos 1.13.9 in maintenance mode stays there with `staged`, and comes to no good end with `try`.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_config_is_not_sent_in_a_mode_that_leaves_the_node_without_one() {
    let world = waiting().await;
    let address = world.node("w-1").address().unwrap();
    for mode in ["staged", "try", "try --timeout 10s", "staged --dry-run"] {
        let alone = format!("talos-apply -n {address} -i -f lab/nodes/w-1.yaml --mode {mode}");
        world.sh(&alone).await.exits(2).says("can't be used for the first config of a node");
        world.sh(&format!("talos-apply -f lab.jsonl --mode {mode}")).await.exits(2).says("for the first config");
    }
    let counts: u32 = world.names().iter().map(|name| world.node(name).counts().applied).sum();
    assert_eq!(counts, 0, "something was sent");
}

/// The texts are those of Talos 1.13.9.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_another_run_configures_is_looked_at_again() {
    let world = waiting().await;
    let node = world.node("w-1");
    node.fail_next(Some("ApplyConfiguration"), Code::PermissionDenied, "not authorized");
    let busy = "another apply configuration is already in progress";
    node.fail_next(Some("ApplyConfiguration"), Code::FailedPrecondition, busy);
    world.sh("talos-apply -f lab.jsonl").await.exits(0).says("w-1 configured");
    world.sh("talos-apply -f lab.jsonl | talos-bootstrap > up.jsonl").await.exits(0);
    world.sh("talos-wait -f up.jsonl --for reachable").await.exits(0);

    // Twice: the node is asked what the change means, and then to make it.
    let changed = with_tier("gold");
    node.fail_next(Some("ApplyConfiguration"), Code::FailedPrecondition, GOES_DOWN);
    let outcome = apply(&world, "w-1", &changed).await.exits(0);
    assert_eq!(applied(&outcome)["outcome"], "applied");
    assert!(node.config().unwrap().contains("example.tier: gold"));
    node.fail_next(Some("ApplyConfiguration"), Code::FailedPrecondition, GOES_DOWN);
    apply(&world, "w-1", &format!("{} --dry-run", with_tier("silver"))).await.exits(3).says("changes not known");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_deliveries_at_once_none_fails() {
    let world = waiting().await;
    let one = "talos-apply -f lab.jsonl > /dev/null";
    world.sh(&format!("{one} & first=$!; {one}; second=$?; wait $first && exit $second")).await.exits(0);
    for name in world.names() {
        let config = world.scratch.read(&format!("lab/nodes/{name}.yaml"));
        assert_eq!(world.node(&name).config(), Some(config), "{name}");
    }
}

/// What is staged already was called changed each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_is_staged_twice_is_unchanged_the_second_time_and_still_pending() {
    let world = up().await;
    let staged = format!("{} --mode staged", with_tier("gold"));
    let first = apply(&world, "w-1", &staged).await.exits(0).says("it takes effect with the next boot");
    assert_eq!((&applied(&first)["outcome"], &applied(&first)["changed"]), (&"staged".into(), &true.into()));
    let sent = world.node("w-1").counts().applied;
    let again = apply(&world, "w-1", &staged).await.exits(0).says("staged already");
    assert_eq!((&applied(&again)["outcome"], &applied(&again)["changed"]), (&"staged".into(), &false.into()));
    assert_eq!(applied(&again)["verified"], false);
    assert_eq!(world.node("w-1").counts().applied, sent, "it was sent again");
    assert!(!world.node("w-1").config().unwrap().contains("gold"), "it runs already");

    // What runs now isn't what the node boots with: the old config isn't "unchanged".
    let back = apply(&world, "w-1", "-f lab/nodes/w-1.yaml").await.exits(0);
    assert_eq!((&applied(&back)["outcome"], &applied(&back)["changed"]), (&"applied".into(), &true.into()));
    apply(&world, "w-1", "-f lab/nodes/w-1.yaml").await.exits(0).says("1 unchanged");
    let again = apply(&world, "w-1", &staged).await.exits(0);
    assert_eq!(applied(&again)["changed"], true, "{again}");
}

/// A node of Talos 1.13.9 goes back to the old config without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_is_tried_is_not_called_applied_and_can_be_applied_for_good_while_it_runs() {
    let world = up().await;
    let config = with_tier("gold");
    let tried = apply(&world, "w-1", &format!("{config} --mode try --timeout 90m")).await.exits(0);
    let tried = tried.says("tried: the node reverts it after 1h 30m");
    let record = applied(&tried);
    let expected = (&"tried".into(), &"1h 30m".into(), &false.into());
    assert_eq!((&record["outcome"], &record["reverts"], &record["verified"]), expected);
    assert!(world.node("w-1").config().unwrap().contains("gold"));

    apply(&world, "w-1", &format!("{config} --dry-run")).await.exits(3).says("differs:");
    let kept = apply(&world, "w-1", &config).await.exits(0);
    assert_eq!((&applied(&kept)["outcome"], &applied(&kept)["changed"]), (&"applied".into(), &true.into()));
    apply(&world, "w-1", &config).await.exits(0).says("1 unchanged");
}

/// What runs and what the node boots with are the same then, and the node goes back to the one before all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_is_tried_after_it_was_staged_is_applied_for_good_and_a_plan_does_not_end_a_try() {
    let world = up().await;
    let config = with_tier("gold");
    let node = world.node("w-1");
    let runs =
        |tier: &'static str| move |node: &lab::talos::NodeHandle| node.config().is_some_and(|text| text.contains(tier));
    apply(&world, "w-1", &format!("{config} --mode staged")).await.exits(0);
    apply(&world, "w-1", &format!("{config} --mode try --timeout 90m")).await.exits(0).says("tried");
    apply(&world, "w-1", &format!("{config} --dry-run")).await.exits(3).says("which the node reverts");
    let kept = apply(&world, "w-1", &config).await.exits(0);
    assert_eq!((&applied(&kept)["outcome"], &applied(&kept)["changed"]), (&"applied".into(), &true.into()));
    // Whether a node has the log that says so is no condition for anything; one that is busy is asked again.
    for (code, words) in [(Code::Unimplemented, "unknown method Logs"), (Code::Unavailable, "the node is busy")] {
        node.fail_next(Some("Logs"), code, words);
        apply(&world, "w-1", &config).await.exits(0).says("1 unchanged");
    }

    let silver = with_tier("silver");
    apply(&world, "w-1", &format!("{silver} --mode try --timeout 15s")).await.exits(0).says("tried");
    let other = with_tier("bronze");
    for mode in ["auto", "no-reboot", "reboot --reboot", "staged", "try"] {
        apply(&world, "w-1", &format!("{other} --mode {mode} --dry-run")).await.exits(3);
    }
    assert!(node.until(SOON, runs("gold")).await, "the plan ended the try");
}

/// Seen in the code of 1.13.9 and 1.14.1: a node goes back to what runs when the last try begins, and `staged` ends a try.
#[tokio::test(flavor = "multi_thread")]
async fn a_try_is_neither_repeated_nor_ended_by_another_config_that_is_tried_or_staged() {
    let world = up().await;
    let node = world.node("w-1");
    let gold = with_tier("gold");
    apply(&world, "w-1", &format!("{gold} --mode try --timeout 90m")).await.exits(0).says("after 1h 30m");
    let sent = node.counts().applied;
    let again = apply(&world, "w-1", &format!("{gold} --mode try --timeout 3h")).await.exits(0);
    let again = again.says("tried already, and not sent");
    let record = applied(&again);
    let expected = (&"tried".into(), &false.into(), &false.into(), &serde_json::Value::Null);
    assert_eq!((&record["outcome"], &record["changed"], &record["verified"], &record["reverts"]), expected, "{again}");
    for mode in ["try", "staged"] {
        let other = format!("{} --mode {mode} --wait-timeout 2s", with_tier("silver"));
        apply(&world, "w-1", &other).await.exits(5).says("it tries another config");
    }
    assert_eq!(node.counts().applied, sent);
    apply(&world, "w-1", "-f lab/nodes/w-1.yaml").await.exits(0).says("1 changed");

    apply(&world, "w-1", &format!("{gold} --mode try --timeout 8s")).await.exits(0);
    let silver = format!("{} --mode try --timeout 90m", with_tier("silver"));
    apply(&world, "w-1", &silver).await.exits(0).says("tried: ");
    apply(&world, "w-1", "-f lab/nodes/w-1.yaml").await.exits(0);
    assert!(!node.config().unwrap().contains("example.tier"));
}

/// Role and cluster are the same, so nothing else would refuse it.
#[tokio::test(flavor = "multi_thread")]
async fn the_config_of_another_node_is_refused_before_it_is_sent() {
    let world = waiting().await;
    let address = world.node("w-1").address().unwrap();
    let first = format!("talos-apply -n {address} -i -f lab/nodes/w-2.yaml");
    let refused = world.sh(&first).await.exits(7).says("and the node has others");
    assert_eq!(refused.nodes()[0]["status"]["error"]["code"], "other-machine");
    world.sh(&format!("{first} --dry-run")).await.exits(3).says("needs --other-machine");
    assert_eq!(world.node("w-1").counts().applied, 0, "it was sent");
    world.sh("talos-apply -f lab.jsonl | talos-bootstrap | talos-wait --for ready").await.exits(0);

    let before = world.node("w-1").config();
    apply(&world, "w-1", "-f lab/nodes/w-2.yaml").await.exits(7).says("--other-machine");
    assert_eq!(world.node("w-1").config(), before);
    // A node may get another name, if that is what is wanted.
    let config = world.scratch.read("lab/nodes/w-1.yaml");
    world.scratch.write("lab/nodes/renamed.yaml", config.replacen("hostname: w-1", "hostname: store-1", 1));
    let renamed = "-f lab/nodes/renamed.yaml";
    apply(&world, "w-1", renamed).await.exits(7).says("the config is for store-1, but the node runs as w-1");
    let plan = apply(&world, "w-1", &format!("{renamed} --dry-run")).await.exits(3);
    assert_eq!(applied(&plan)["changes"][0]["needs"], "--other-machine", "{plan}");
    let reboots = format!("{renamed} -p '{{machine: {{env: {{A: b}}}}}}' --dry-run");
    let plan = apply(&world, "w-1", &reboots).await.exits(3);
    assert_eq!(applied(&plan)["changes"][0]["needs"], "--reboot --other-machine", "{plan}");
    apply(&world, "w-1", &format!("{renamed} --other-machine")).await.exits(0);
    assert_eq!(world.node("w-1").hostname(), "store-1");
}

/// A config that is equal says nothing of the image that the node was installed from.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_config_asks_for_and_the_node_does_not_run_is_told_each_time() {
    let world = up().await;
    apply(&world, "w-1", "-f lab/nodes/w-1.yaml").await.exits(0).never_says("takes an upgrade");
    let (schematic, text) = ("c".repeat(64), world.scratch.read("lab/nodes/w-1.yaml"));
    let image =
        text.lines().find_map(|line| line.trim().strip_prefix("image: ").filter(|image| image.contains("installer")));
    let image = image.unwrap();
    let (path, tag) = image.rsplit_once(':').unwrap();
    let runs = path.rsplit('/').next().unwrap();
    world
        .scratch
        .write("lab/nodes/other.yaml", text.replacen(image, &format!("{}:{tag}", path.replace(runs, &schematic)), 1));
    for outcome in ["applied", "unchanged"] {
        let told = apply(&world, "w-1", "-f lab/nodes/other.yaml").await.exits(0);
        let told =
            told.says(&format!("runs schematic {runs}, and its config asks for {schematic}: that takes an upgrade"));
        assert_eq!(applied(&told)["outcome"], outcome);
    }
}

/// The refusal is a multierror of Go's, as Talos 1.13.9 writes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_over_several_lines_is_readable_and_its_hint_fits_the_machine_config() {
    let world = waiting().await;
    let config = world.scratch.read("lab/nodes/w-1.yaml");
    let line = config.lines().find(|line| line.trim().starts_with("endpoint: ")).unwrap();
    world.scratch.write(
        "lab/nodes/wrong.yaml",
        config.replacen(line, "        endpoint: ''", 1).replacen("persist: true", "persist: false", 1),
    );
    let address = world.node("w-1").address().unwrap();
    let refused = world.sh(&format!("talos-apply -n {address} -i -f lab/nodes/wrong.yaml")).await.exits(1);
    let refused =
        refused.says("1 error occurred: * v1alpha1.Config: ").says("; * cluster controlplane endpoint is required");
    refused.never_says("\u{fffd}");
    world.scratch.write("lab/nodes/wrong.yaml", config.replacen("    token:", "    tokens:", 1));
    let unread = world.sh(&format!("talos-apply -n {address} -i -f lab/nodes/wrong.yaml")).await.exits(8);
    unread.never_says("--only names nodes");
}

/// Talos merges a selector or a size as a whole, nothing included, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_a_patch_erases_is_told_before_the_config_is_sent() {
    let world = waiting().await;
    let volume = "apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning:\n";
    for (file, more) in [("sized.yaml", "  minSize: 2GiB\n"), ("grows.yaml", "  grow: true\n")] {
        world.scratch.write(file, format!("{volume}{more}"));
    }
    let address = world.node("w-1").address().unwrap();
    let plan = format!("talos-apply -n {address} -i -f lab/nodes/w-1.yaml -p @sized.yaml -p @grows.yaml --dry-run");
    world.sh(&plan).await.exits(3).says("--config-patch 2 erases provisioning.minSize of VolumeConfig/EPHEMERAL");
}

/// It runs its config as soon as it is back, and its etcd joins later.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_reboots_is_waited_for_until_it_is_a_healthy_member_again() {
    let world = up().await;
    world.node("cp-1").hold_etcd_start(true);
    let changed = "-f lab/nodes/cp-1.yaml -p 'machine: {env: {A: b}}'";
    let waits = apply(&world, "cp-1", &format!("{changed} --reboot --wait-timeout 5s")).await.exits(5);
    waits.says("it is not a healthy member of etcd");
    world.node("cp-1").hold_etcd_start(false);
    apply(&world, "cp-1", changed).await.exits(0).says("1 unchanged");
}

/// Whoever answers there isn't the node, or the node was reset: with its seed it comes up with its config.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_in_maintenance_where_a_seeded_node_should_be_gets_no_config() {
    let world = waiting().await;
    let seed = "{volume: \"local:iso/w-1.iso\", slot: \"ide2\", addresses: .status.addresses}";
    let seeded = format!("if .name == \"w-1\" then .status.seed = {seed} else . end");
    world.sh(&format!("jq -c '{seeded}' lab.jsonl > seeded.jsonl")).await.exits(0);
    for more in ["--dry-run", ""] {
        let refused = world.sh(&format!("talos-apply -f seeded.jsonl --only w-1 {more}")).await.exits(7);
        assert_eq!(refused.node("w-1")["status"]["error"]["code"], "other-machine", "{refused}");
        refused.says("comes up with a config: it got one before");
    }
    assert_eq!(world.node("w-1").counts().applied, 0, "it was sent");
    world.sh("talos-apply -f lab.jsonl --only w-1").await.exits(0).says("w-1 configured");
}

/// Whether a config arrived whose reply was lost only the node shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_never_arrived_is_not_called_staged_nor_applied() {
    let world = up().await;
    let node = world.node("w-1");
    for (mode, unseen) in [("staged", "it doesn't keep the new config yet"), ("auto", "it doesn't ")] {
        // The node is asked what the change means, and then to make it.
        node.slow_next("ApplyConfiguration", std::time::Duration::from_millis(1));
        node.fail_next(Some("ApplyConfiguration"), Code::Unavailable, "the connection is gone");
        let config = format!("{} --mode {mode} --wait-timeout 3s", with_tier(mode));
        apply(&world, "w-1", &config).await.exits(5).says(unseen);
        apply(&world, "w-1", &config).await.exits(0).says("1 changed");
    }
}
