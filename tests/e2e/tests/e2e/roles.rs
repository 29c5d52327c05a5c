use crate::support::{Shape, World};

const ADMIN: &str = "use credentials with the role `os:admin`";
const READER: &str = "use credentials with the role `os:reader`, `os:operator` or `os:admin`";

/// What each program can do with a role that isn't `os:admin`, on a cluster that is up: `None` if it works, else the role
/// that it takes (1.13.9, internal/app/machined/pkg/system/services/machined.go). With `os:etcd:backup` only etcd's own
/// calls are allowed (members, status, snapshot), which no program makes first: none gets past asking who the node is.
const TABLE: [(&str, [Option<&str>; 3]); 14] = [
    ("talos-wait --for reachable", [None, None, None]),
    ("talos-wait --for configured", [None, None, Some(READER)]),
    ("talos-wait --for etcd", [None, None, Some(READER)]),
    ("talos-wait --for etcd-healthy", [None, None, Some(READER)]),
    ("talos-wait --for kubernetes-api", [None, None, Some(READER)]),
    ("talos-wait --for kubernetes", [None, None, Some(READER)]),
    ("talos-wait --for ready", [None, None, Some(READER)]),
    ("talos-wait --for version=VERSION", [None, None, Some(READER)]),
    ("talos-wait --for stage=running", [None, None, Some(READER)]),
    ("talos-wait --for service=etcd", [None, None, Some(READER)]),
    ("talos-bootstrap", [None, None, Some(READER)]),
    ("talos-apply -f lab/nodes/cp-1.yaml", [Some(ADMIN); 3]),
    ("talos-apply -f lab/nodes/cp-1.yaml --dry-run", [Some(ADMIN); 3]),
    ("kubeconfig-export --raw", [Some(ADMIN); 3]),
];
const ROLES: [&str; 3] = ["os:reader", "os:operator", "os:etcd:backup"];

#[tokio::test(flavor = "multi_thread")]
async fn each_program_works_with_a_role_or_ends_with_the_role_that_it_takes() {
    let world = World::start(Shape { workers: 0, ..Shape::SMALL }).await;
    world.up().await.exits(0);
    let (address, version) = (world.node("cp-1").address().unwrap(), world.node("cp-1").version());
    let before = world.touches();
    for (column, role) in ROLES.into_iter().enumerate() {
        let made = format!(
            "talos-gen talosconfig lab --with-secrets lab/secrets.yaml --role {role} --endpoints {address} -o role-{column}"
        );
        world.sh(&made).await.exits(0);
        for (command, outcomes) in TABLE {
            let command = command.replace("VERSION", &version);
            let outcome = world.sh(&format!("{command} -n {address} --talosconfig role-{column}")).await;
            match outcomes[column] {
                None => outcome.exits(0),
                Some(takes) => outcome.exits(6).says(takes),
            };
        }
    }
    assert_eq!(world.touches(), before, "somebody changed something");
}
