use crate::support::{Shape, World};

/// A lab whose nodes are configured, with nothing bootstrapped yet.
async fn configured() -> World {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm | talos-gen | talos-apply > lab.jsonl").await.exits(0);
    world
}

fn address(world: &World, node: &str) -> String {
    world.node(node).address().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_after_the_config_work_with_talosctls_flags() {
    let world = configured().await;
    let (cp, w) = (address(&world, "cp-1"), address(&world, "w-1"));
    let sh = async |command: &str| world.sh(&command.replace("CP", &cp).replace("WORKER", &w)).await;

    let early = sh("talos-wait -n CP --talosconfig lab/talosconfig --for etcd --wait-timeout 1s").await.exits(5);
    early.says("etcd on it is not a member yet");
    sh("talos-bootstrap -n CP --talosconfig lab/talosconfig").await.exits(0).says("started etcd");
    sh("talos-bootstrap -n CP --talosconfig lab/talosconfig").await.exits(0).never_says("started etcd");
    assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 1);
    sh("talos-wait -n CP,WORKER --talosconfig lab/talosconfig --for ready").await.exits(0);
    let table = sh("talos-wait -e CP --talosconfig lab/talosconfig --for ready --format table").await.exits(0);
    assert!(table.stdout.lines().nth(1).unwrap().ends_with("ready"), "{table}");

    let kubeconfig = sh("kubeconfig-export -n CP --talosconfig lab/talosconfig --raw").await.exits(0).stdout;
    assert!(kubeconfig.starts_with("apiVersion: v1") && kubeconfig.contains(&format!("https://{cp}:6443")));
    assert_eq!(world.scratch.files("").iter().filter(|file| file.contains("kubeconfig")).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talosconfig_as_talosctl_writes_it_is_used_whatever_its_context_is_called() {
    let world = configured().await;
    let (cp, name) = (address(&world, "cp-1"), world.lab.name());
    world.sh("talos-gen config other https://127.0.0.9:6443 -o other").await.exits(0);
    // `talosctl config new --roles os:reader` calls it `ROLE@CLUSTER`; and there is one of the name that we make of that.
    let text = |file: &str, from: &str, to: &str| {
        world
            .scratch
            .read(file)
            .replace(&format!("context: {from}\n"), &format!("context: {to}\n"))
            .replace(&format!("    {from}:\n"), &format!("    {to}:\n"))
    };
    let ours = text(&format!("{name}/talosconfig"), name, &format!("reader@{name}"));
    let other = text("other/talosconfig", "other", &format!("reader-{name}"));
    let (_, other) = other.split_once("contexts:\n").unwrap();
    world.scratch.write("talosconfig", format!("{ours}{other}"));

    for command in ["talos-bootstrap", "talos-wait --for etcd", "kubeconfig-export --raw"] {
        world.sh(&format!("{command} -n {cp} --talosconfig talosconfig")).await.exits(0);
    }
    let apply = format!("talos-apply -n {cp} -f {name}/nodes/cp-1.yaml --talosconfig talosconfig");
    world.sh(&apply).await.exits(0).says("1 unchanged");
    let missing = world.sh(&format!("talos-bootstrap -n {cp} --talosconfig talosconfig --context a@b")).await.exits(8);
    missing.says("context \"a@b\" not found in config");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_do_is_refused_with_the_role_that_it_takes() {
    let world = configured().await;
    let (cp, name) = (address(&world, "cp-1"), world.lab.name());
    for role in ["os:reader", "os:operator", "os:etcd:backup"] {
        let file = role.replace(':', "-");
        let made = format!(
            "talos-gen talosconfig {name} --with-secrets {name}/secrets.yaml --role {role} --endpoints {cp} -o {file}"
        );
        world.sh(&made).await.exits(0);
    }
    let sh = async |command: &str, role: &str| world.sh(&format!("{command} -n {cp} --talosconfig {role}")).await;
    let apply = format!("talos-apply -f {name}/nodes/cp-1.yaml");
    let admin = "the role `os:admin`";

    for role in ["os-reader", "os-operator", "os-etcd-backup"] {
        sh("talos-bootstrap", role).await.exits(6).says("use credentials with the role `os:");
        sh("kubeconfig-export --raw", role).await.exits(6).says("use credentials with the role `os:");
        sh(&apply, role).await.exits(6).says("use credentials with the role `os:");
    }
    assert_eq!(world.node("cp-1").counts().bootstrapped, 0);
    sh("talos-bootstrap", &format!("{name}/talosconfig")).await.exits(0);
    for role in ["os-reader", "os-operator"] {
        sh("talos-bootstrap", role).await.exits(0).says("unchanged");
        sh("talos-wait --for etcd", role).await.exits(0);
        sh(&apply, role).await.exits(6).says(admin);
        sh("kubeconfig-export --raw", role).await.exits(6).says(admin);
    }
    sh("talos-wait --for etcd", "os-etcd-backup").await.exits(6).says("the role `os:reader`");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_another_cluster_are_refused_and_not_retried() {
    let world = configured().await;
    let cp = address(&world, "cp-1");
    world.sh("talos-gen config other https://127.0.0.9:6443 -o other").await.exits(0);
    for command in ["talos-bootstrap", "kubeconfig-export --raw", "talos-wait --for ready"] {
        let outcome = world.sh(&format!("{command} -n {cp} --talosconfig other/talosconfig --wait-timeout 20s")).await;
        assert!([6, 7].contains(&outcome.status), "{command}: {outcome}");
    }
    assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_config_is_applied_as_talosctl_does() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm | talos-gen > lab.jsonl").await.exits(0);
    let w = address(&world, "w-1");
    let config = "-f lab/nodes/w-1.yaml";

    world.sh(&format!("talos-apply -n {w} {config} --talosconfig lab/talosconfig")).await.exits(6).says("--insecure");
    let wrong = "AAAAMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM=";
    let refused = world.sh(&format!("talos-apply -n {w} {config} -i --cert-fingerprint {wrong}")).await.exits(7);
    refused.says(wrong);
    assert!(world.node("w-1").config().is_none(), "it was configured all the same");
    let shown = world.node("w-1").fingerprint().unwrap();
    let applied = world.sh(&format!("cat lab/nodes/w-1.yaml | talos-apply -n {w} -i -f -")).await.exits(0);
    let applied = applied.says(&format!("certificate not verified; fingerprint {shown}"));
    assert_eq!(applied.nodes()[0]["status"]["applied"]["outcome"], "applied");
    assert_eq!(world.node("w-1").config().as_deref(), Some(world.scratch.read("lab/nodes/w-1.yaml").as_str()));
    let (cp, right) = (address(&world, "cp-1"), world.node("cp-1").fingerprint().unwrap());
    let pinned = format!("talos-apply -n {cp} -f lab/nodes/cp-1.yaml -i --cert-fingerprint {right}");
    let pinned = world.sh(&pinned).await.exits(0);
    assert!(!pinned.stderr.contains("unpinned"), "{pinned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_other_kind_is_called_by_its_name() {
    let world = configured().await;
    let (cp, file) = (address(&world, "cp-1"), world.lab.cluster_file());
    world.sh("talos-apply -f lab/nodes/cp-1.yaml").await.exits(8).says("this is a Talos machine config");
    let outcome = world.sh(&format!("talos-apply -n {cp} -f {}", file.display())).await;
    outcome.exits(8).says("with -n, -f takes a machine config");
    world.sh(&format!("talos-apply -n {cp} -f /dev/zero")).await.exits(8).says("larger than 32 MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_reads_the_file_itself_takes_the_talosconfig_of_the_clusters_folder() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-wait --for ready").await.exits(8).says("status.access is missing; talos-gen writes it");
    world.up().await.exits(0);
    let (before, files) = (world.touches(), world.scratch.files(""));
    world.sh("talos-wait --for ready").await.exits(0);
    let kubeconfig = world.sh("kubeconfig-export --raw").await.exits(0).stdout;
    assert!(kubeconfig.contains("client-certificate-data"));
    assert_eq!((world.touches(), world.scratch.files("")), (before, files));
    // In a pipe, a step doesn't invent what an earlier step should have written.
    world.sh("talos-image | kubeconfig-export").await.exits(8).says("is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_tell_people_what_the_step_knows_of_a_node() {
    let world = configured().await;
    let table = world.sh("pve-vm list --format table").await.exits(0).stdout;
    assert!(table.lines().skip(1).all(|line| line.contains(" VM ") && line.ends_with(" on pve1")), "{table}");
    let url = world.sh("talos-image --raw").await.exits(0).stdout;
    assert!(url.starts_with("http") && url.ends_with("nocloud-amd64.qcow2\n"), "{url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_pipes_that_are_named_as_output_stay_what_they_are() {
    let world = configured().await;
    let cp = address(&world, "cp-1");
    world.sh(&format!("talos-bootstrap -n {cp} --talosconfig lab/talosconfig")).await.exits(0);
    let export = format!("kubeconfig-export -n {cp} --talosconfig lab/talosconfig");
    world.sh(&format!("{export} --to /dev/null && test -c /dev/null")).await.exits(0);
    let through = world.sh(&format!("mkfifo pipe; cat pipe > copy & {export} --to pipe; wait; test -p pipe")).await;
    through.exits(0);
    assert!(world.scratch.read("copy").contains("client-key-data"));
    let config = "talos-gen config lab https://127.0.0.9:6443 --with-secrets lab/secrets.yaml -t worker";
    world.sh(&format!("{config} -o /dev/null --force && test -c /dev/null")).await.exits(0);
    let printed = world.sh(&format!("{config} -o /dev/stdout | cat")).await.exits(0).stdout;
    assert!(printed.starts_with("version: v1alpha1"), "{printed}");
}
