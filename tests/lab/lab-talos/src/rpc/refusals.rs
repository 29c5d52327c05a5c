//! Wrong calls, each with the code and the text that Talos has for it (talos-api.md §2).

use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use prost::Message;
use talos_proto::machine::*;
use tonic::{Code, Status};

use super::{Caller, Reply, call};
use crate::Talos;
use crate::node::Stage;
use crate::testing::{Secrets, machine};
use crate::tests::{BOUND, boot, lab};
use crate::world::{Apply, Mode};
use lab_core::machine::Machines;

/// Nodes in the states in which they refuse things.
struct Scene {
    talos: std::sync::Arc<Talos>,
}

const CP: usize = 0;
const WORKER: usize = 1;
const OLD_WORKER: usize = 2;
const MAINTENANCE: usize = 3;
const OLD_MAINTENANCE: usize = 4;
const NEW_CP: usize = 5;

impl Scene {
    async fn set(subnet: &str) -> Self {
        let talos = lab(&format!("{subnet}.0/24"));
        let secrets = Secrets::new();
        let endpoint = format!("https://{subnet}.11:6443");
        let versions = ["v1.13.9", "v1.13.9", "v1.12.4", "v1.13.9", "v1.12.4", "v1.14.0"];
        for (id, version) in versions.iter().enumerate() {
            boot(&talos, &format!("n-{id}"), &format!("{subnet}.{}", 11 + id), version).await;
        }
        let texts = [
            (CP, secrets.control_plane("n-0", &endpoint)),
            (WORKER, secrets.worker("n-1", &endpoint)),
            (OLD_WORKER, secrets.worker("n-2", &endpoint).replace("v1.36.3", "v1.34.1")),
            (NEW_CP, Secrets::new().control_plane("n-5", &format!("https://{subnet}.16:6443"))),
        ];
        for (id, text) in texts {
            let apply =
                Apply { data: text.into_bytes(), mode: Mode::Auto, dry_run: false, try_timeout: None, admin: true };
            talos.update(|world| world.apply(id, &apply)).unwrap();
        }
        talos.update(|world| world.bootstrap(CP)).unwrap();
        assert!(talos.until(BOUND, |t| t.nodes()[..3].iter().all(|n| n.stage() == Stage::Running)).await);
        Self { talos }
    }

    async fn call(&self, node: usize, role: &str, path: &str, request: &impl Message) -> Result<(), Status> {
        let maintenance = node == MAINTENANCE || node == OLD_MAINTENANCE;
        let roles = if role.is_empty() { Vec::new() } else { vec![role.to_owned()] };
        let caller = Caller { node, roles, maintenance };
        let messages = [Bytes::from(request.encode_to_vec())];
        match call(&self.talos, &caller, path, &HeaderMap::new(), &messages)? {
            Reply::One(_) => Ok(()),
            Reply::Never => panic!("{path} is never answered"),
            Reply::Many(mut frames) => match tokio::time::timeout(BOUND, frames.next()).await.expect("a frame") {
                Some(Err(status)) => Err(status),
                _ => Ok(()),
            },
        }
    }
}

/// A wrong call: where, as whom, what; and what comes of it.
macro_rules! refuses {
    ($stage:expr, $node:expr, $role:expr, $path:literal, $request:expr, $code:ident, $text:literal) => {
        let path = if $path.contains('/') { $path.to_owned() } else { format!("machine.MachineService/{}", $path) };
        let outcome = $stage.call($node, $role, &format!("/{path}"), &$request).await;
        let status = outcome.expect_err(&format!("{} on node {} succeeded", path, $node));
        assert_eq!((status.code(), status.message()), (Code::$code, $text), "{path} on node {}", $node);
    };
}

mod resources;
mod silence;

const ADMIN: &str = "os:admin";

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_call_gets_the_code_and_the_text_that_talos_has_for_it() {
    let s = Scene::set("127.72.1").await;
    let mode =
        |mode: i32| ApplyConfigurationRequest { data: b"version: v1alpha1".to_vec(), mode, ..Default::default() };

    // Roles (§2.1).
    refuses!(s, CP, "os:reader", "Bootstrap", BootstrapRequest::default(), PermissionDenied, "not authorized");
    refuses!(s, CP, "os:operator", "Kubeconfig", (), PermissionDenied, "not authorized");
    refuses!(s, CP, "os:operator", "Read", ReadRequest::default(), PermissionDenied, "not authorized");
    refuses!(s, CP, "os:reader", "Reboot", RebootRequest::default(), PermissionDenied, "not authorized");
    refuses!(s, CP, "os:reader", "EtcdSnapshot", EtcdSnapshotRequest {}, PermissionDenied, "not authorized");
    refuses!(s, CP, "os:reader", "MetaWrite", MetaWriteRequest::default(), PermissionDenied, "not authorized");
    refuses!(s, CP, "os:reader", "ApplyConfiguration", mode(1), PermissionDenied, "not authorized");
    refuses!(s, CP, "os:stranger", "Version", (), PermissionDenied, "not authorized");
    refuses!(s, CP, "os:reader", "machine.LifecycleService/Upgrade", (), PermissionDenied, "not authorized");

    // Maintenance, both generations (§2.2).
    refuses!(s, MAINTENANCE, "", "Reset", ResetRequest::default(), PermissionDenied, "not authorized");
    refuses!(s, MAINTENANCE, "", "Bootstrap", BootstrapRequest::default(), PermissionDenied, "not authorized");
    refuses!(s, MAINTENANCE, "", "GenerateClientConfiguration", (), PermissionDenied, "not authorized");
    refuses!(
        s,
        MAINTENANCE,
        "",
        "cluster.ClusterService/HealthCheck",
        (),
        Unimplemented,
        "machine type is not set, cannot use cluster health check API"
    );
    refuses!(s, OLD_MAINTENANCE, "", "Version", (), Unimplemented, "API is not implemented in maintenance mode");
    refuses!(s, OLD_MAINTENANCE, "", "Upgrade", (), Unimplemented, "API is not implemented in maintenance mode");
    refuses!(s, OLD_MAINTENANCE, "", "Bootstrap", (), Unimplemented, "method Bootstrap not implemented");
    refuses!(s, OLD_MAINTENANCE, "", "ServiceList", (), Unimplemented, "method ServiceList not implemented");
    refuses!(
        s,
        OLD_MAINTENANCE,
        "",
        "GenerateClientConfiguration",
        (),
        Unimplemented,
        "client configuration (talosconfig) can't be generated in the maintenance mode"
    );
    refuses!(s, OLD_MAINTENANCE, "", "time.TimeService/Time", (), Unimplemented, "unknown service time.TimeService");
    refuses!(
        s,
        OLD_MAINTENANCE,
        "",
        "ApplyConfiguration",
        mode(2),
        Unimplemented,
        "apply configuration --mode='no-reboot' is not supported in maintenance mode"
    );
    refuses!(
        s,
        OLD_MAINTENANCE,
        "",
        "ApplyConfiguration",
        mode(3),
        Unimplemented,
        "apply configuration --mode='staged' is not supported in maintenance mode"
    );

    // ApplyConfiguration (§2.3).
    refuses!(
        s,
        CP,
        ADMIN,
        "ApplyConfiguration",
        mode(9),
        InvalidArgument,
        "incorrect mode '9' specified for the apply config call"
    );
    let documents = b"apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: x\n".to_vec();
    let partial = ApplyConfigurationRequest { data: documents, mode: 1, ..Default::default() };
    refuses!(
        s,
        CP,
        ADMIN,
        "ApplyConfiguration",
        partial,
        InvalidArgument,
        "the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine config instead?"
    );
    let text = s.talos.nodes()[NEW_CP].config().unwrap().into_bytes();
    let reboot = ApplyConfigurationRequest { data: text, mode: 0, ..Default::default() };
    refuses!(
        s,
        NEW_CP,
        ADMIN,
        "ApplyConfiguration",
        reboot,
        Unimplemented,
        "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead"
    );

    // Bootstrap (§2.4).
    refuses!(s, CP, ADMIN, "Bootstrap", (), AlreadyExists, "etcd data directory is not empty");
    refuses!(s, WORKER, ADMIN, "Bootstrap", (), Unimplemented, "bootstrap is only available on control plane nodes");
    refuses!(
        s,
        OLD_WORKER,
        ADMIN,
        "Bootstrap",
        (),
        FailedPrecondition,
        "bootstrap can only be performed on a control plane node"
    );
    s.talos.nodes()[NEW_CP].set_time_synced(false);
    refuses!(s, NEW_CP, ADMIN, "Bootstrap", (), FailedPrecondition, "time is not in sync yet");
    s.talos.nodes()[NEW_CP].set_time_synced(true);

    // Others (§2.5).
    refuses!(s, WORKER, ADMIN, "Kubeconfig", (), Unimplemented, "kubeconfig is only available on control plane nodes");
    refuses!(
        s,
        WORKER,
        ADMIN,
        "GenerateClientConfiguration",
        (),
        Unimplemented,
        "generate client configuration is only available on control plane nodes"
    );
    refuses!(s, CP, ADMIN, "GenerateClientConfiguration", (), InvalidArgument, "crt_ttl should be positive");
    refuses!(
        s,
        CP,
        ADMIN,
        "MetaWrite",
        MetaWriteRequest { key: 256, ..Default::default() },
        InvalidArgument,
        "key must be a uint8"
    );
    refuses!(s, CP, ADMIN, "MetaDelete", MetaDeleteRequest { key: 12 }, NotFound, "meta key not found");
    refuses!(s, CP, ADMIN, "Logs", LogsRequest::default(), InvalidArgument, "namespace can't be empty");
    let logs = LogsRequest { namespace: "system".to_owned(), id: "x".to_owned(), ..Default::default() };
    refuses!(s, CP, ADMIN, "Logs", logs.clone(), Unknown, "log \"x\" was not registered");
    let logs = LogsRequest { namespace: "k8s.io".to_owned(), ..logs };
    refuses!(s, CP, ADMIN, "Logs", logs, Unknown, "container \"x\" not found");
    let read = |path: &str| ReadRequest { path: path.to_owned() };
    refuses!(s, CP, ADMIN, "Read", read("/x"), NotFound, "stat /x: no such file or directory");
    refuses!(s, CP, ADMIN, "Read", read("/var"), Unknown, "path must be a regular file");
    let disk = ResetRequest { user_disks_to_wipe: vec!["/dev/sdx".to_owned()], ..Default::default() };
    refuses!(s, CP, ADMIN, "Reset", disk, Unknown, "reset user disk failed: device /dev/sdx wasn't found");
    let system = ResetRequest { user_disks_to_wipe: vec!["/dev/sda".to_owned()], ..Default::default() };
    let text = "reset user disk failed: device /dev/sda is the system disk";
    let status = s.call(CP, ADMIN, "/machine.MachineService/Reset", &system).await.expect_err("the system disk");
    assert_eq!(status.message(), text);
    let spec = ResetPartitionSpec { label: "EFI".to_owned(), wipe: true };
    let efi = ResetRequest { system_partitions_to_wipe: vec![spec], ..Default::default() };
    refuses!(
        s,
        CP,
        ADMIN,
        "Reset",
        efi,
        Unknown,
        "failed to get volume status with label \"EFI\": resource VolumeStatuses.block.talos.dev(runtime/EFI@undefined) doesn't exist"
    );
    let stop = ServiceStopRequest { id: "kubelet".to_owned() };
    refuses!(s, CP, ADMIN, "ServiceStop", stop, Unknown, "service \"kubelet\" doesn't support stop operation via API");
    let capture = PacketCaptureRequest { interface: "eth9".to_owned(), ..Default::default() };
    refuses!(s, CP, ADMIN, "PacketCapture", capture, NotFound, "interface \"eth9\" not found");
    let service = ServiceRestartRequest { id: "apid".to_owned() };
    refuses!(
        s,
        CP,
        ADMIN,
        "ServiceRestart",
        service,
        Unknown,
        "service \"apid\" doesn't support restart operation via API"
    );
    for (version, text) in [
        ("", "version is required for etcd downgrade"),
        ("3", "version should be in MAJOR.MINOR format"),
        ("x.5", "major version should be a number"),
        ("3.x", "minor version should be a number"),
        ("3.4", "etcd downgrade is only supported to 3.5 and later versions"),
    ] {
        let request = EtcdDowngradeValidateRequest { version: version.to_owned() };
        let path = "/machine.MachineService/EtcdDowngradeValidate";
        let status = s.call(CP, ADMIN, path, &request).await.expect_err(version);
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, text));
    }
    let target = EtcdDowngradeEnableRequest { version: "3.6".to_owned() };
    refuses!(
        s,
        CP,
        ADMIN,
        "EtcdDowngradeEnable",
        target,
        Unknown,
        "failed to query etcd status: etcdserver: invalid downgrade target version"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "EtcdForfeitLeadership",
        EtcdForfeitLeadershipRequest {},
        Unknown,
        "failed to forfeit leadership: cannot forfeit leadership, only one member"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "machine.LifecycleService/Upgrade",
        LifecycleServiceUpgradeRequest::default(),
        InvalidArgument,
        "installer image name is required"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "machine.LifecycleService/Install",
        LifecycleServiceInstallRequest::default(),
        AlreadyExists,
        "machine is already installed"
    );
    refuses!(s, CP, ADMIN, "Nonsense", (), Unimplemented, "unknown method Nonsense for service machine.MachineService");
    refuses!(s, CP, ADMIN, "x.Y/Z", (), Unimplemented, "unknown service x.Y");
    refuses!(
        s,
        OLD_WORKER,
        ADMIN,
        "machine.LifecycleService/Upgrade",
        (),
        Unimplemented,
        "unknown service machine.LifecycleService"
    );
    let group = LvmServiceVolumeGroupRemoveRequest { volume_group: "vg0".to_owned() };
    let lvm = "machine.LVMService/VolumeGroupRemove";
    let status = s.call(NEW_CP, ADMIN, &format!("/{lvm}"), &group).await.expect_err("no such group");
    assert_eq!((status.code(), status.message()), (Code::NotFound, "lvm: resource not found"));
    refuses!(
        s,
        NEW_CP,
        ADMIN,
        "machine.MDService/Destroy",
        MdDestroyRequest { device: "md0".to_owned() },
        InvalidArgument,
        "device must be a full /dev path"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "machine.ImageService/Import",
        ImageServiceImportRequest::default(),
        InvalidArgument,
        "containerd instance is required"
    );
    refuses!(
        s,
        CP,
        ADMIN,
        "machine.LVMService/VolumeGroupRemove",
        (),
        Unimplemented,
        "unknown service machine.LVMService"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_about_etcd_names_itself_when_a_worker_refuses_it() {
    let s = Scene::set("127.72.2").await;
    let calls = [
        ("EtcdMemberList", "member list"),
        ("EtcdRemoveMemberByID", "etcd remove member"),
        ("EtcdLeaveCluster", "etcd leave"),
        ("EtcdForfeitLeadership", "etcd forfeit leadership"),
        ("EtcdSnapshot", "etcd snapshot"),
        ("EtcdRecover", "etcd recover"),
        ("EtcdAlarmList", "etcd alarm list"),
        ("EtcdAlarmDisarm", "etcd alarm disarm"),
        ("EtcdDefragment", "etcd defragment"),
        ("EtcdStatus", "etcd status"),
        ("EtcdDowngradeValidate", "etcd downgrade validate"),
    ];
    for (method, name) in calls {
        let path = format!("/machine.MachineService/{method}");
        let status = s.call(WORKER, ADMIN, &path, &()).await.expect_err(method);
        let text = format!("{name} is only available on control plane nodes");
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, text.as_str()));
    }
}
