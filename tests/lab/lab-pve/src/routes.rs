//! Every call that is played: its path, what it takes, who may make it and what answers it.

use super::id_formats;
use super::option_formats;
use super::reply::{Refusal, Reply};
use super::schema::{INTEGER, Kind, Param, TEXT};
use super::state::{Call, State};
use super::{
    access_routes, agent, cluster_routes, config, content, create, destroy, firewall, reads, resources, status, ties,
    vm_routes,
};

/// What a call takes.
pub(crate) enum Takes {
    /// These parameters.
    Only(&'static [Param]),
    /// These, and the options of a VM.
    Options(&'static [Param]),
}

/// The privileges that a call needs before its parameters are looked at.
pub(crate) enum Needs {
    /// A known token.
    Login,
    /// One of these on a path, in which names in braces are replaced.
    Any(&'static str, &'static [&'static str]),
}

/// A call.
pub(crate) struct Route {
    /// Its method.
    pub(crate) method: &'static str,
    /// Its path, with names in braces for the parts that vary.
    pub(crate) path: &'static str,
    /// Who may make it.
    pub(crate) needs: Needs,
    /// What it takes.
    pub(crate) takes: Takes,
    /// What answers it.
    pub(crate) run: Run,
}

/// The answer to a call.
pub(crate) type Run = fn(&mut State, &Call<'_>) -> Result<Reply, Refusal>;

pub(crate) const fn get(path: &'static str, needs: Needs, params: &'static [Param], run: Run) -> Route {
    Route { method: "GET", path, needs, takes: Takes::Only(params), run }
}

pub(crate) const fn change(method: &'static str, path: &'static str, needs: Needs, takes: Takes, run: Run) -> Route {
    Route { method, path, needs, takes, run }
}

pub(crate) const AUDIT_VM: Needs = Needs::Any("/vms/{vmid}", &["VM.Audit"]);
const AUDIT_STORAGE: Needs = Needs::Any("/storage/{storage}", &["Datastore.Audit", "Datastore.AllocateSpace"]);
const ANY_CONFIG: Needs = Needs::Any(
    "/vms/{vmid}",
    &[
        "VM.Config.Disk",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.HWType",
        "VM.Config.Options",
        "VM.Config.Cloudinit",
    ],
);
const AGENT: Needs = Needs::Any("/vms/{vmid}", &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"]);

/// Overrides the `lock` of a VM.
pub(crate) const SKIP_LOCK: Param = Param::optional("skiplock", Kind::Boolean);
/// What a change was decided on.
pub(crate) const DIGEST: Param = Param::optional("digest", Kind::Text(Some(40)));
const CONTENTS: Kind = Kind::OneOf(&["iso", "vztmpl", "import"]);
const ALGORITHMS: Kind = Kind::OneOf(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]);

/// All calls.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    [ROUTES, access_routes::ROUTES, cluster_routes::ROUTES, vm_routes::ROUTES, firewall::ROUTES, ties::ROUTES]
        .into_iter()
        .flatten()
}

const ROUTES: &[Route] = &[
    get("/version", Needs::Login, &[], reads::version),
    get("/cluster/nextid", Needs::Login, &[Param::optional("vmid", Kind::VmId)], reads::next_id),
    get("/cluster/status", Needs::Any("/", &["Sys.Audit"]), &[], reads::cluster_status),
    get(
        "/cluster/resources",
        Needs::Login,
        &[Param::optional("type", Kind::OneOf(&["vm", "storage", "node", "sdn"]))],
        resources::list,
    ),
    get(
        "/cluster/sdn/vnets",
        Needs::Login,
        &[Param::optional("pending", Kind::Boolean), Param::optional("running", Kind::Boolean)],
        reads::nothing,
    ),
    get("/cluster/sdn/ipams/{ipam}/status", Needs::Login, &[], reads::leases),
    get("/storage", Needs::Login, &[Param::optional("type", STORAGE_TYPES)], content::definitions),
    get("/nodes", Needs::Login, &[], resources::nodes),
    get("/nodes/{node}/version", Needs::Login, &[], reads::version),
    get("/nodes/{node}/status", Needs::Any("/nodes/{node}", &["Sys.Audit"]), &[], reads::node_status),
    get("/nodes/{node}/network", Needs::Login, &[Param::optional("type", NETWORK_TYPES)], reads::network),
    get(
        "/nodes/{node}/tasks",
        Needs::Login,
        &[
            Param::optional("vmid", Kind::VmId),
            Param::optional("typefilter", TEXT),
            Param::optional("source", Kind::OneOf(&["archive", "active", "all"])),
            Param::optional("since", INTEGER),
            Param::optional("until", INTEGER),
            Param::optional("start", Kind::Integer(Some(0), None)),
            Param::optional("limit", Kind::Integer(Some(0), None)),
            Param::optional("errors", Kind::Boolean),
            Param::optional("statusfilter", Kind::Each(id_formats::task_status)),
            Param::optional("userfilter", TEXT),
        ],
        reads::tasks,
    ),
    get("/nodes/{node}/tasks/{upid}/status", Needs::Login, &[], reads::task_status),
    get(
        "/nodes/{node}/tasks/{upid}/log",
        Needs::Login,
        &[
            Param::optional("start", Kind::Integer(Some(0), None)),
            Param::optional("limit", Kind::Integer(Some(0), None)),
            Param::optional("download", Kind::Boolean),
        ],
        reads::task_log,
    ),
    get(
        "/nodes/{node}/storage",
        Needs::Login,
        &[
            Param::optional("content", Kind::Each(id_formats::content)),
            Param::optional("enabled", Kind::Boolean),
            Param::optional("format", Kind::Boolean),
            Param::optional("storage", Kind::Format(id_formats::storage)),
            Param::optional("target", Kind::Format(id_formats::node)),
        ],
        content::storages,
    ),
    get("/nodes/{node}/storage/{storage}/status", AUDIT_STORAGE, &[], content::status),
    get(
        "/nodes/{node}/storage/{storage}/content",
        AUDIT_STORAGE,
        &[Param::optional("content", Kind::Each(id_formats::content)), Param::optional("vmid", Kind::VmId)],
        content::list,
    ),
    get("/nodes/{node}/storage/{storage}/content/{volume}", Needs::Login, &[], content::info),
    change(
        "DELETE",
        "/nodes/{node}/storage/{storage}/content/{volume}",
        Needs::Login,
        Takes::Only(&[Param::optional("delay", Kind::Integer(Some(1), Some(30)))]),
        content::remove,
    ),
    change(
        "POST",
        "/nodes/{node}/storage/{storage}/download-url",
        Needs::Any("/storage/{storage}", &["Datastore.AllocateTemplate"]),
        Takes::Only(&[
            Param::required("url", Kind::Pattern(option_formats::url)),
            Param::required("content", CONTENTS),
            Param::required("filename", Kind::Text(Some(255))),
            Param::optional("checksum", TEXT),
            Param::optional("checksum-algorithm", ALGORITHMS),
            Param::optional("compression", Kind::OneOf(&["gz", "lzo", "zst", "bz2"])),
            Param::optional("verify-certificates", Kind::Boolean),
        ]),
        content::download,
    ),
    get(
        "/nodes/{node}/query-url-metadata",
        Needs::Login,
        &[
            Param::required("url", Kind::Pattern(option_formats::url)),
            Param::optional("verify-certificates", Kind::Boolean),
        ],
        content::asked_about,
    ),
    get("/nodes/{node}/qemu", Needs::Login, &[Param::optional("full", Kind::Boolean)], reads::qemu),
    change(
        "POST",
        "/nodes/{node}/qemu",
        Needs::Login,
        Takes::Options(&[
            Param::required("vmid", Kind::VmId),
            Param::optional("archive", Kind::Text(Some(255))),
            Param::optional("unique", Kind::Boolean),
            Param::optional("force", Kind::Boolean),
            Param::optional("pool", Kind::Format(id_formats::pool)),
            Param::optional("start", Kind::Boolean),
            Param::optional("storage", Kind::Format(id_formats::storage)),
            Param::optional("bwlimit", Kind::Integer(Some(0), None)),
            Param::optional("ha-managed", Kind::Boolean),
            Param::optional("import-working-storage", Kind::Format(id_formats::storage)),
            Param::optional("live-restore", Kind::Boolean),
        ]),
        create::create,
    ),
    change(
        "DELETE",
        "/nodes/{node}/qemu/{vmid}",
        Needs::Any("/vms/{vmid}", &["VM.Allocate"]),
        Takes::Only(&[
            SKIP_LOCK,
            Param::optional("purge", Kind::Boolean),
            Param::optional("destroy-unreferenced-disks", Kind::Boolean),
        ]),
        destroy::remove,
    ),
    get(
        "/nodes/{node}/qemu/{vmid}/config",
        AUDIT_VM,
        &[
            Param::optional("current", Kind::Boolean),
            Param::optional("snapshot", Kind::Format(option_formats::config_id)),
        ],
        config::read,
    ),
    change("PUT", "/nodes/{node}/qemu/{vmid}/config", ANY_CONFIG, UPDATE, config::put),
    change("POST", "/nodes/{node}/qemu/{vmid}/config", ANY_CONFIG, UPDATE, config::post),
    get("/nodes/{node}/qemu/{vmid}/pending", AUDIT_VM, &[], config::pending),
    change(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/resize",
        Needs::Any("/vms/{vmid}", &["VM.Config.Disk"]),
        Takes::Only(&[
            SKIP_LOCK,
            DIGEST,
            Param::required("disk", Kind::Drive),
            Param::required("size", Kind::Pattern(option_formats::new_size)),
        ]),
        config::put_size,
    ),
    get("/nodes/{node}/qemu/{vmid}/status/current", AUDIT_VM, &[], status::current),
    get("/nodes/{node}/qemu/{vmid}/agent/{command}", AGENT, &[], agent::command),
    change("POST", "/nodes/{node}/qemu/{vmid}/agent/{command}", AGENT, Takes::Only(&[]), agent::command),
];

const UPDATE: Takes = Takes::Options(&[
    SKIP_LOCK,
    DIGEST,
    Param::optional("delete", Kind::Each(id_formats::option)),
    Param::optional("revert", Kind::Each(id_formats::option)),
    Param::optional("force", Kind::Boolean),
    Param::optional("background_delay", Kind::Integer(Some(1), Some(30))),
    Param::optional("import-working-storage", Kind::Format(id_formats::storage)),
]);

const NETWORK_TYPES: Kind = Kind::OneOfEither(
    &[
        "bridge",
        "bond",
        "eth",
        "alias",
        "vlan",
        "OVSBridge",
        "OVSBond",
        "OVSPort",
        "OVSIntPort",
        "vnet",
        "any_bridge",
        "any_local_bridge",
    ],
    &[
        "bridge",
        "bond",
        "eth",
        "alias",
        "vlan",
        "fabric",
        "OVSBridge",
        "OVSBond",
        "OVSPort",
        "OVSIntPort",
        "vnet",
        "any_bridge",
        "any_local_bridge",
        "include_sdn",
    ],
);
const STORAGE_TYPES: Kind = Kind::OneOfEither(
    &[
        "btrfs",
        "cephfs",
        "cifs",
        "dir",
        "esxi",
        "glusterfs",
        "iscsi",
        "iscsidirect",
        "lvm",
        "lvmthin",
        "nfs",
        "pbs",
        "rbd",
        "zfs",
        "zfspool",
    ],
    &[
        "btrfs",
        "cephfs",
        "cifs",
        "dir",
        "esxi",
        "iscsi",
        "iscsidirect",
        "lvm",
        "lvmthin",
        "nfs",
        "pbs",
        "rbd",
        "zfs",
        "zfspool",
    ],
);

const AGENT_GETS: &[&str] = &[
    "network-get-interfaces",
    "get-host-name",
    "get-osinfo",
    "get-users",
    "get-time",
    "get-timezone",
    "get-vcpus",
    "get-fsinfo",
    "info",
];

/// Whether a command that stands in the path exists for the method.
pub(crate) fn has_command(route: &Route, command: &str) -> bool {
    match route.method {
        "GET" => AGENT_GETS.contains(&command),
        _ => command == "ping",
    }
}
