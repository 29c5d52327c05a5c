//! Calls about what is done to a VM: switching it on and off, snapshots, moving disks, backups.

use super::id_formats;
use super::keys;
use super::option_formats;
use super::routes::{AUDIT_VM, DIGEST, Needs, Route, SKIP_LOCK, Takes, change, get};
use super::schema::{INTEGER, Kind, Param, TEXT};
use super::{backup, move_disk, power, snapshots, terminal};

const SNAPSHOT: Needs = Needs::Any("/vms/{vmid}", &["VM.Snapshot"]);
const ROLLBACK: Needs = Needs::Any("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback"]);
const READ_SNAPSHOT: Needs = Needs::Any("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"]);
const CONSOLE: Needs = Needs::Any("/vms/{vmid}", &["VM.Console"]);
const POWER: Needs = Needs::Any("/vms/{vmid}", &["VM.PowerMgmt"]);
const TIMEOUT: Param = Param::optional("timeout", Kind::Integer(Some(0), None));
const KEEP_ACTIVE: Param = Param::optional("keepActive", Kind::Boolean);
const NOT_NEGATIVE: Kind = Kind::Integer(Some(0), None);

/// All of them.
pub(crate) const ROUTES: &[Route] = &[
    get("/nodes/{node}/qemu/{vmid}/snapshot", AUDIT_VM, &[], snapshots::list),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/snapshot",
        SNAPSHOT,
        Takes::Only(&[
            Param::required("snapname", Kind::Format(option_formats::config_id)),
            Param::optional("vmstate", Kind::Boolean),
            Param::optional("description", TEXT),
        ]),
        snapshots::create,
    ),
    get("/nodes/{node}/qemu/{vmid}/snapshot/{snapname}", Needs::Login, &[], snapshots::index),
    change(
        "DELETE",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        SNAPSHOT,
        Takes::Only(&[Param::optional("force", Kind::Boolean)]),
        snapshots::delete,
    ),
    get("/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config", READ_SNAPSHOT, &[], snapshots::read),
    change(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
        SNAPSHOT,
        Takes::Only(&[Param::optional("description", TEXT)]),
        snapshots::describe,
    ),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
        ROLLBACK,
        Takes::Only(&[Param::optional("start", Kind::Boolean)]),
        snapshots::roll_back,
    ),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/start",
        POWER,
        Takes::Only(&[
            SKIP_LOCK,
            TIMEOUT,
            Param::optional("machine", Kind::Properties(&keys::MACHINE)),
            Param::optional("force-cpu", TEXT),
            Param::optional("migratedfrom", Kind::Format(id_formats::node)),
            Param::optional("migration_network", Kind::Format(id_formats::cidr)),
            Param::optional("migration_type", Kind::OneOf(&["secure", "insecure"])),
            Param::optional("nets-host-mtu", Kind::Pattern(id_formats::host_mtus)),
            Param::optional("stateuri", Kind::Text(Some(128))),
            Param::optional("targetstorage", Kind::Each(id_formats::storage_pair)),
            Param::optional("with-conntrack-state", Kind::Boolean),
        ]),
        power::start,
    ),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/stop",
        POWER,
        Takes::Only(&[
            SKIP_LOCK,
            TIMEOUT,
            KEEP_ACTIVE,
            Param::optional("migratedfrom", Kind::Format(id_formats::node)),
            Param::optional("overrule-shutdown", Kind::Boolean),
        ]),
        power::stop,
    ),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/shutdown",
        POWER,
        Takes::Only(&[SKIP_LOCK, TIMEOUT, KEEP_ACTIVE, Param::optional("forceStop", Kind::Boolean)]),
        power::shut_down,
    ),
    change("POST", "/nodes/{node}/qemu/{vmid}/status/reboot", POWER, Takes::Only(&[TIMEOUT]), power::reboot),
    change("POST", "/nodes/{node}/qemu/{vmid}/status/reset", POWER, Takes::Only(&[SKIP_LOCK]), power::press_reset),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/suspend",
        POWER,
        Takes::Only(&[
            SKIP_LOCK,
            Param::optional("todisk", Kind::Boolean),
            Param::optional("statestorage", Kind::Format(id_formats::storage)),
        ]),
        power::pause,
    ),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/resume",
        POWER,
        Takes::Only(&[SKIP_LOCK, Param::optional("nocheck", Kind::Boolean)]),
        power::go_on,
    ),
    change(
        "POST",
        "/nodes/{node}/qemu/{vmid}/termproxy",
        CONSOLE,
        Takes::Only(&[Param::optional("serial", Kind::OneOf(&["serial0", "serial1", "serial2", "serial3"]))]),
        terminal::open,
    ),
    get(
        "/nodes/{node}/qemu/{vmid}/vncwebsocket",
        CONSOLE,
        &[
            Param::required("port", Kind::Integer(Some(5900), Some(5999))),
            Param::required("vncticket", Kind::Text(Some(512))),
        ],
        terminal::connect,
    ),
    change("POST", "/nodes/{node}/qemu/{vmid}/move_disk", MOVE, MOVED, move_disk::start),
    change("POST", "/nodes/{node}/vzdump", Needs::Login, BACKUP, backup::start),
];

const MOVE: Needs = Needs::Any("/vms/{vmid}", &["VM.Config.Disk"]);

const MOVED: Takes = Takes::Only(&[
    DIGEST,
    Param::required("disk", Kind::AnyDrive),
    Param::optional("storage", Kind::Format(id_formats::storage)),
    Param::optional("format", Kind::OneOf(&["raw", "qcow2", "vmdk"])),
    Param::optional("delete", Kind::Boolean),
    Param::optional("bwlimit", NOT_NEGATIVE),
    Param::optional("target-vmid", Kind::VmId),
    Param::optional("target-disk", Kind::AnyDrive),
    Param::optional("target-digest", Kind::Text(Some(40))),
]);

const BACKUP: Takes = Takes::Only(&[
    Param::optional("vmid", Kind::Each(option_formats::vmid)),
    Param::optional("all", Kind::Boolean),
    Param::optional("bwlimit", NOT_NEGATIVE),
    Param::optional("compress", Kind::OneOf(&["0", "1", "gzip", "lzo", "zstd"])),
    Param::optional("dumpdir", TEXT),
    Param::optional("exclude", Kind::Each(option_formats::vmid)),
    Param::optional("exclude-path", TEXT),
    Param::optional("fleecing", Kind::Properties(&id_formats::FLEECING)),
    Param::optional("ionice", Kind::Integer(Some(0), Some(8))),
    Param::optional("job-id", Kind::Pattern(id_formats::job)),
    Param::optional("lockwait", NOT_NEGATIVE),
    Param::optional("mailnotification", Kind::OneOf(&["always", "failure"])),
    Param::optional("mailto", Kind::Each(id_formats::email_or_user)),
    Param::optional("maxfiles", Kind::Integer(Some(1), None)),
    Param::optional("mode", Kind::OneOf(&["snapshot", "suspend", "stop"])),
    Param::optional("node", Kind::Format(id_formats::node)),
    Param::optional("notes-template", Kind::Text(Some(1024))),
    Param::optional("notification-mode", Kind::OneOf(&["auto", "legacy-sendmail", "notification-system"])),
    Param::optional("notification-policy", Kind::OneOf(&["always", "failure", "never"])),
    Param::optional("notification-target", Kind::Format(option_formats::config_id)),
    Param::optional("pbs-change-detection-mode", Kind::OneOf(&["legacy", "data", "metadata"])),
    Param::optional("performance", Kind::Properties(&id_formats::PERFORMANCE)),
    Param::optional("pigz", INTEGER),
    Param::optional("pool", TEXT),
    Param::optional("protected", Kind::Boolean),
    Param::optional("prune-backups", Kind::Properties(&id_formats::PRUNE)),
    Param::optional("quiet", Kind::Boolean),
    Param::optional("remove", Kind::Boolean),
    Param::optional("script", TEXT),
    Param::optional("stdexcludes", Kind::Boolean),
    Param::optional("stdout", Kind::Boolean),
    Param::optional("stop", Kind::Boolean),
    Param::optional("stopwait", NOT_NEGATIVE),
    Param::optional("storage", Kind::Format(id_formats::storage)),
    Param::optional("tmpdir", TEXT),
    Param::optional("zstd", INTEGER),
]);
