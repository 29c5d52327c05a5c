//! Who may call what.

use tonic::Status;

use super::Caller;
use crate::version::Version;

pub(super) const ADMIN: &str = "os:admin";
const OPERATOR: &str = "os:operator";
const READER: &str = "os:reader";
const BACKUP: &str = "os:etcd:backup";
const VERIFIER: &str = "os:image:verifier";
const META_WRITER: &str = "os:meta:writer";

/// The methods of the machine service that exist in some release.
pub(super) const MACHINE_METHODS: &[&str] = &[
    "ApplyConfiguration",
    "Bootstrap",
    "CPUFreqStats",
    "CPUInfo",
    "Containers",
    "Copy",
    "DiskStats",
    "DiskUsage",
    "Dmesg",
    "EtcdAlarmDisarm",
    "EtcdAlarmList",
    "EtcdDefragment",
    "EtcdDowngradeCancel",
    "EtcdDowngradeEnable",
    "EtcdDowngradeValidate",
    "EtcdForfeitLeadership",
    "EtcdLeaveCluster",
    "EtcdMemberList",
    "EtcdRecover",
    "EtcdRemoveMemberByID",
    "EtcdSnapshot",
    "EtcdStatus",
    "Events",
    "GenerateClientConfiguration",
    "Hostname",
    "ImageList",
    "ImagePull",
    "Kubeconfig",
    "List",
    "LoadAvg",
    "Logs",
    "LogsContainers",
    "Memory",
    "MetaDelete",
    "MetaWrite",
    "Mounts",
    "Netstat",
    "NetworkDeviceStats",
    "PacketCapture",
    "Processes",
    "Read",
    "Reboot",
    "Reset",
    "Restart",
    "Rollback",
    "ServiceList",
    "ServiceRestart",
    "ServiceStart",
    "ServiceStop",
    "Shutdown",
    "Stats",
    "SystemStat",
    "Upgrade",
    "Version",
];

/// The roles that may call a method; one that isn't listed is for administrators.
fn allowed(path: &str) -> &'static [&'static str] {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    match service {
        "machine.MachineService" => machine(method),
        "machine.ImageService" => match method {
            "Pull" => &[ADMIN, OPERATOR],
            "List" => &[ADMIN, OPERATOR, READER],
            "Verify" => &[ADMIN, OPERATOR, READER, VERIFIER],
            _ => &[ADMIN],
        },
        "machine.StorageService" => &[ADMIN, OPERATOR, READER],
        "storage.StorageService" if method == "Disks" => &[ADMIN, OPERATOR, READER],
        "storage.StorageService" => &[ADMIN],
        "cosi.resource.State" | "time.TimeService" | "cluster.ClusterService" | "inspect.InspectService" => {
            &[ADMIN, OPERATOR, READER]
        }
        _ => &[ADMIN],
    }
}

fn machine(method: &str) -> &'static [&'static str] {
    match method {
        "Bootstrap"
        | "Copy"
        | "EtcdForfeitLeadership"
        | "EtcdLeaveCluster"
        | "EtcdRecover"
        | "EtcdRemoveMemberByID"
        | "EtcdDowngradeCancel"
        | "EtcdDowngradeEnable"
        | "EtcdDowngradeValidate"
        | "GenerateClientConfiguration"
        | "GenerateConfiguration"
        | "Kubeconfig"
        | "Read"
        | "Reset"
        | "Rollback"
        | "Upgrade" => &[ADMIN],
        "MetaWrite" | "MetaDelete" => &[ADMIN, META_WRITER],
        "EtcdAlarmDisarm" | "EtcdDefragment" | "ImagePull" | "PacketCapture" | "Reboot" | "Restart"
        | "ServiceRestart" | "ServiceStart" | "ServiceStop" | "Shutdown" => &[ADMIN, OPERATOR],
        "EtcdSnapshot" => &[ADMIN, OPERATOR, BACKUP],
        "EtcdAlarmList" | "EtcdMemberList" | "EtcdStatus" => &[ADMIN, OPERATOR, READER, BACKUP],
        "ApplyConfiguration" => &[ADMIN, READER],
        _ => &[ADMIN, OPERATOR, READER],
    }
}

fn denied() -> Status {
    Status::permission_denied("not authorized")
}

/// Checks the role of a caller; in maintenance mode everybody is a reader.
pub(super) fn check(caller: &Caller, path: &str, release: Version) -> Result<(), Status> {
    let reader = [READER.to_owned()];
    let roles = if caller.maintenance { &reader[..] } else { &caller.roles[..] };
    let wipes = ["/storage.StorageService/BlockDeviceWipe", "/machine.LVMService/", "/machine.MDService/"];
    let wipes = caller.maintenance && wipes.iter().any(|prefix| path.starts_with(prefix));
    let removed = path == "/machine.MachineService/GenerateConfiguration" && release.unified_maintenance();
    let allowed = roles.iter().any(|role| allowed(path).contains(&role.as_str()));
    match allowed || wipes || removed {
        true => Ok(()),
        false => Err(denied()),
    }
}

/// The minor release that brought a service or a method; none for those that were always there.
fn since(service: &str, method: &str) -> u32 {
    match (service, method) {
        ("machine.MachineService", method) if method.starts_with("EtcdDowngrade") => 11,
        ("machine.LifecycleService" | "machine.ImageService" | "machine.DebugService", _) => 13,
        ("machine.LVMService" | "machine.MDService", _) => 14,
        ("machine.StorageService", _) => 15,
        _ => 0,
    }
}

/// Refuses what a release does not have yet.
pub(super) fn exists(path: &str, release: Version) -> Result<(), Status> {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    match (since(service, method) <= release.minor, service) {
        (true, _) => Ok(()),
        (false, "machine.MachineService") => {
            Err(Status::unimplemented(format!("unknown method {method} for service {service}")))
        }
        (false, _) => Err(Status::unimplemented(format!("unknown service {service}"))),
    }
}

/// What the maintenance service of releases up to 1.12 offers: little, to everybody.
pub(super) fn limited(path: &str) -> Result<(), Status> {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    match (service, method) {
        ("cosi.resource.State" | "storage.StorageService", _)
        | ("machine.MachineService", "ApplyConfiguration" | "GenerateConfiguration") => Ok(()),
        ("machine.MachineService", "Version" | "Upgrade" | "Reset" | "MetaWrite" | "MetaDelete") => {
            Err(Status::unimplemented("API is not implemented in maintenance mode"))
        }
        ("machine.MachineService", "GenerateClientConfiguration") => {
            Err(Status::unimplemented("client configuration (talosconfig) can't be generated in the maintenance mode"))
        }
        ("machine.MachineService", method) => Err(Status::unimplemented(format!("method {method} not implemented"))),
        (service, _) => Err(Status::unimplemented(format!("unknown service {service}"))),
    }
}
