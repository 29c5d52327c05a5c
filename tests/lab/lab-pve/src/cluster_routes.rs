//! Calls about the cluster, its rights, high availability, and what little is below a host or a VM.

use super::id_formats;
use super::option_formats;
use super::routes::{AUDIT_VM, Needs, Route, Takes, change, get};
use super::schema::{Kind, Param, TEXT};
use super::{browse, clone, ha, ha_rules, migrate, pools, reads};

const AUDIT: Needs = Needs::Any("/", &["Sys.Audit"]);
const CONSOLE: Needs = Needs::Any("/", &["Sys.Console"]);
const CLOUD_INIT: Needs = Needs::Any("/vms/{vmid}", &["VM.Config.Cloudinit"]);
const HA_STATES: Kind = Kind::OneOf(&["started", "stopped", "enabled", "disabled", "ignored"]);
const ARCH: Param = Param::optional("arch", Kind::OneOf(&["x86_64", "aarch64"]));
const POOL: Param = Param::required("poolid", Kind::Format(id_formats::pool));
const POOL_CHANGE: &[Param] = &[
    Param::optional("vms", Kind::Each(option_formats::vmid)),
    Param::optional("storage", Kind::Each(id_formats::storage)),
    Param::optional("comment", TEXT),
    Param::optional("delete", Kind::Boolean),
    Param::optional("allow-move", Kind::Boolean),
];
const POOL_CHANGE_BY_NAME: &[Param] = &[
    POOL,
    Param::optional("vms", Kind::Each(option_formats::vmid)),
    Param::optional("storage", Kind::Each(id_formats::storage)),
    Param::optional("comment", TEXT),
    Param::optional("delete", Kind::Boolean),
    Param::optional("allow-move", Kind::Boolean),
];

/// All of them.
pub(crate) const ROUTES: &[Route] = &[
    get("/cluster/options", Needs::Login, &[], browse::options),
    get("/cluster/tasks", Needs::Login, &[], reads::cluster_tasks),
    get("/cluster/ha/resources", AUDIT, &[Param::optional("type", Kind::OneOf(&["ct", "vm"]))], ha::list),
    get("/cluster/ha/resources/{sid}", AUDIT, &[], ha::get),
    change(
        "POST",
        "/cluster/ha/resources",
        CONSOLE,
        Takes::Only(&[
            Param::required("sid", Kind::Format(id_formats::ha_resource)),
            Param::optional("type", Kind::OneOf(&["ct", "vm"])),
            Param::optional("state", HA_STATES),
            Param::optional("group", Kind::Format(option_formats::config_id)),
            Param::optional("comment", Kind::Text(Some(4096))),
            Param::optional("failback", Kind::Boolean),
            Param::optional("max_relocate", Kind::Integer(Some(0), None)),
            Param::optional("max_restart", Kind::Integer(Some(0), None)),
        ]),
        ha::add,
    ),
    change(
        "PUT",
        "/cluster/ha/resources/{sid}",
        CONSOLE,
        Takes::Only(&[
            Param::optional("state", HA_STATES),
            Param::optional("group", Kind::Format(option_formats::config_id)),
            Param::optional("comment", Kind::Text(Some(4096))),
            Param::optional("failback", Kind::Boolean),
            Param::optional("max_relocate", Kind::Integer(Some(0), None)),
            Param::optional("max_restart", Kind::Integer(Some(0), None)),
            Param::optional("delete", Kind::Each(option_formats::config_id)),
            Param::optional("digest", Kind::Text(Some(64))),
        ]),
        ha::change,
    ),
    change(
        "DELETE",
        "/cluster/ha/resources/{sid}",
        CONSOLE,
        Takes::Only(&[Param::optional("purge", Kind::Boolean)]),
        ha::remove,
    ),
    get("/cluster/ha/status/current", AUDIT, &[], ha::status),
    get("/cluster/ha/groups", AUDIT, &[], ha::groups),
    get(
        "/cluster/ha/rules",
        AUDIT,
        &[
            Param::optional("type", Kind::OneOf(&["node-affinity", "resource-affinity"])),
            Param::optional("resource", TEXT),
        ],
        ha_rules::list,
    ),
    change(
        "POST",
        "/cluster/ha/rules",
        CONSOLE,
        Takes::Only(&[
            Param::required("rule", Kind::Format(option_formats::config_id)),
            Param::required("type", Kind::OneOf(&["node-affinity", "resource-affinity"])),
            Param::required("resources", Kind::Each(id_formats::ha_resource)),
            Param::optional("affinity", Kind::OneOf(&["positive", "negative"])),
            Param::optional("nodes", Kind::Each(id_formats::weighed_node)),
            Param::optional("strict", Kind::Boolean),
            Param::optional("disable", Kind::Boolean),
            Param::optional("comment", Kind::Text(Some(4096))),
        ]),
        ha_rules::add,
    ),
    get("/cluster/ha/rules/{rule}", AUDIT, &[], ha_rules::get),
    change(
        "PUT",
        "/cluster/ha/rules/{rule}",
        CONSOLE,
        Takes::Only(&[
            Param::required("type", Kind::OneOf(&["node-affinity", "resource-affinity"])),
            Param::optional("resources", Kind::Each(id_formats::ha_resource)),
            Param::optional("affinity", Kind::OneOf(&["positive", "negative"])),
            Param::optional("nodes", Kind::Each(id_formats::weighed_node)),
            Param::optional("strict", Kind::Boolean),
            Param::optional("disable", Kind::Boolean),
            Param::optional("comment", Kind::Text(Some(4096))),
            Param::optional("delete", Kind::Each(option_formats::config_id)),
            Param::optional("digest", Kind::Text(Some(64))),
        ]),
        ha_rules::change,
    ),
    change("DELETE", "/cluster/ha/rules/{rule}", CONSOLE, Takes::Only(&[]), ha_rules::remove),
    get(
        "/pools",
        Needs::Login,
        &[
            Param::optional("poolid", Kind::Format(id_formats::pool)),
            Param::optional("type", Kind::OneOf(&["qemu", "lxc", "storage"])),
        ],
        pools::list,
    ),
    get(
        "/pools/{poolid}",
        Needs::Login,
        &[Param::optional("type", Kind::OneOf(&["qemu", "lxc", "storage"]))],
        pools::get,
    ),
    change("POST", "/pools", Needs::Login, Takes::Only(&[POOL, Param::optional("comment", TEXT)]), pools::add),
    change("PUT", "/pools", Needs::Login, Takes::Only(POOL_CHANGE_BY_NAME), pools::change),
    change("PUT", "/pools/{poolid}", Needs::Login, Takes::Only(POOL_CHANGE), pools::change),
    change("DELETE", "/pools", Needs::Login, Takes::Only(&[POOL]), pools::remove),
    change("DELETE", "/pools/{poolid}", Needs::Login, Takes::Only(&[]), pools::remove),
    get("/nodes/{node}", Needs::Login, &[], browse::node),
    get("/nodes/{node}/time", Needs::Any("/nodes/{node}", &["Sys.Audit"]), &[], browse::time),
    get("/nodes/{node}/capabilities/qemu/cpu", Needs::Login, &[ARCH], browse::cpus),
    get("/nodes/{node}/capabilities/qemu/machines", Needs::Login, &[ARCH], browse::machines),
    change("DELETE", "/nodes/{node}/tasks/{upid}", Needs::Login, Takes::Only(&[]), reads::stop_task),
    get("/nodes/{node}/qemu/{vmid}", Needs::Login, &[], browse::vm),
    get(
        "/nodes/{node}/qemu/{vmid}/feature",
        AUDIT_VM,
        &[
            Param::required("feature", Kind::OneOf(&["snapshot", "clone", "copy"])),
            Param::optional("snapname", Kind::Format(option_formats::config_id)),
        ],
        browse::feature,
    ),
    get("/nodes/{node}/qemu/{vmid}/cloudinit", AUDIT_VM, &[], browse::cloud_init),
    change("PUT", "/nodes/{node}/qemu/{vmid}/cloudinit", CLOUD_INIT, Takes::Only(&[]), browse::write_cloud_init),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/template",
        Needs::Any("/vms/{vmid}", &["VM.Allocate"]),
        Takes::Only(&[Param::optional("disk", Kind::Drive)]),
        clone::template,
    ),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/clone",
        Needs::Any("/vms/{vmid}", &["VM.Clone"]),
        Takes::Only(&[
            Param::required("newid", Kind::VmId),
            Param::optional("name", Kind::Format(option_formats::dns_name)),
            Param::optional("description", TEXT),
            Param::optional("pool", Kind::Format(id_formats::pool)),
            Param::optional("snapname", Kind::Format(option_formats::config_id)),
            Param::optional("storage", Kind::Format(id_formats::storage)),
            Param::optional("format", Kind::OneOf(&["raw", "qcow2", "vmdk"])),
            Param::optional("full", Kind::Boolean),
            Param::optional("target", Kind::Format(id_formats::node)),
            Param::optional("bwlimit", Kind::Integer(Some(0), None)),
        ]),
        clone::clone,
    ),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/migrate",
        Needs::Any("/vms/{vmid}", &["VM.Migrate"]),
        Takes::Only(&[
            Param::required("target", Kind::Format(id_formats::node)),
            Param::optional("online", Kind::Boolean),
            Param::optional("force", Kind::Boolean),
            Param::optional("migration_type", Kind::OneOf(&["secure", "insecure"])),
            Param::optional("migration_network", Kind::Format(id_formats::cidr)),
            Param::optional("with-local-disks", Kind::Boolean),
            Param::optional("with-conntrack-state", Kind::Boolean),
            Param::optional("targetstorage", Kind::Each(id_formats::storage_pair)),
            Param::optional("bwlimit", Kind::Integer(Some(0), None)),
        ]),
        migrate::start,
    ),
    change(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/unlink",
        Needs::Any("/vms/{vmid}", &["VM.Config.Disk"]),
        Takes::Only(&[
            Param::required("idlist", Kind::Each(option_formats::config_id)),
            Param::optional("force", Kind::Boolean),
        ]),
        clone::unlink,
    ),
];
