//! What a node shows of itself, in the forms in which talosctl reads it.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, once};
use http::HeaderMap;
use prost::Message;
use talos_proto::cluster::{ClusterInfo, HealthCheckProgress, HealthCheckRequest};
use talos_proto::common::Data;
use talos_proto::cosi::resource as cosi;
use talos_proto::cosi::resource::{GetRequest, GetResponse, IdQuery, ListOptions, ListResponse};
use talos_proto::machine::*;

use super::{Caller, Reply, call};
use crate::testing::cluster;
use crate::{NodeHandle, Talos};

type Frames = BoxStream<'static, Result<Vec<u8>, tonic::Status>>;

/// The reply to an administrator's call, as a stream also where it is one message.
fn opened(talos: &Arc<Talos>, path: &str, request: &impl Message) -> Result<Frames, tonic::Status> {
    let caller = Caller { node: 0, roles: vec!["os:admin".to_owned()], maintenance: false };
    let path = if path.contains('/') { format!("/{path}") } else { format!("/machine.MachineService/{path}") };
    let messages = [Bytes::from(request.encode_to_vec())];
    Ok(match call(talos, &caller, &path, &HeaderMap::new(), &messages)? {
        Reply::One(bytes) => once(async { Ok(bytes) }).boxed(),
        Reply::Many(stream) => stream,
        Reply::Never => panic!("{path} is never answered"),
    })
}

/// What is left of a stream, and how it ends.
async fn rest(mut stream: Frames) -> (Vec<Vec<u8>>, Option<tonic::Status>) {
    let mut found = Vec::new();
    while let Some(frame) = stream.next().await {
        match frame {
            Ok(frame) => found.push(frame),
            Err(status) => return (found, Some(status)),
        }
    }
    (found, None)
}

/// Makes a call as an administrator; gives the frames of the answer, and what ended it.
async fn frames(talos: &Arc<Talos>, path: &str, request: &impl Message) -> (Vec<Vec<u8>>, Option<tonic::Status>) {
    match opened(talos, path, request) {
        Ok(stream) => rest(stream).await,
        Err(status) => (Vec::new(), Some(status)),
    }
}

async fn answers<R: Message + Default>(talos: &Arc<Talos>, path: &str, request: &impl Message) -> Vec<R> {
    let (frames, status) = frames(talos, path, request).await;
    assert!(status.is_none(), "{path}: {status:?}");
    frames.iter().map(|frame| R::decode(&frame[..]).unwrap()).collect()
}

async fn one<R: Message + Default>(talos: &Arc<Talos>, path: &str, request: &impl Message) -> R {
    answers(talos, path, request).await.remove(0)
}

/// The files of a packed archive, folders with a slash at their ends.
async fn copied(talos: &Arc<Talos>, root_path: &str) -> Vec<(String, String)> {
    let frames = answers::<Data>(talos, "Copy", &CopyRequest { root_path: root_path.to_owned() }).await;
    let packed: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes).collect();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&packed[..]));
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        found.push((path, text));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_listed_copied_and_measured_like_the_files_in_them() {
    let talos = cluster("127.74.1.0/24").await;
    let list = |root: &str, depth: i32| ListRequest {
        root: root.to_owned(),
        recurse: depth != 1,
        recursion_depth: depth,
        ..Default::default()
    };
    let names = |files: Vec<FileInfo>| files.into_iter().map(|file| file.relative_name).collect::<Vec<_>>();
    let top = names(answers(&talos, "List", &list("/etc", 1)).await);
    assert_eq!(top, [".", "cri", "hosts", "machine-id", "mtab", "os-release", "resolv.conf", "ssl"]);
    let deep = names(answers(&talos, "List", &list("/etc", 0)).await);
    assert_eq!(deep[..4], [".", "cri", "cri/conf.d", "hosts"]);
    let types = vec![list_request::Type::Symlink as i32];
    let links: Vec<FileInfo> = answers(&talos, "List", &ListRequest { types, ..list("/etc", 1) }).await;
    assert_eq!((links.len(), links[0].link.as_str(), links[0].mode >> 27), (1, "/proc/mounts", 1));

    let copied = copied(&talos, "/etc").await;
    let first: Vec<&str> = copied[..3].iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(first, ["cri/", "cri/conf.d/", "hosts"]);
    assert!(copied[2].1.contains("127.74.1.11"), "{}", copied[2].1);
    let missing: Data = one(&talos, "Copy", &CopyRequest { root_path: "/nope".to_owned() }).await;
    assert_eq!(missing.metadata.unwrap().error, "lstat /nope: no such file or directory");

    let usage = DiskUsageRequest { paths: vec!["/etc".to_owned()], all: true, ..Default::default() };
    let usage: Vec<DiskUsageInfo> = answers(&talos, "DiskUsage", &usage).await;
    let size = |name: &str| usage.iter().find(|info| info.relative_name == name).unwrap().size;
    assert_eq!(usage.last().unwrap().relative_name, ".");
    assert_eq!(
        size("."),
        4096 + size("cri")
            + size("ssl")
            + ["hosts", "machine-id", "mtab", "os-release", "resolv.conf"].map(size).iter().sum::<i64>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_containers_sockets_and_control_groups_are_the_same_ones() {
    let talos = cluster("127.74.2.0/24").await;
    let processes: ProcessesResponse = one(&talos, "Processes", &()).await;
    let processes = &processes.messages[0].processes;
    let request = ContainersRequest { namespace: "k8s.io".to_owned(), driver: 1 };
    let containers: ContainersResponse = one(&talos, "Containers", &request).await;
    let containers = &containers.messages[0].containers;
    let server = containers.iter().find(|container| container.name == "kube-apiserver").unwrap();
    let process = processes.iter().find(|process| u32::try_from(process.pid) == Ok(server.pid)).unwrap();
    assert_eq!(process.command, "kube-apiserver");
    let proxies = talos.read(|world| {
        let containers = (0..2).flat_map(|id| world.pod_containers(id));
        containers.filter(|container| container.name == "kube-proxy").map(|proxy| proxy.image).collect::<Vec<_>>()
    });
    assert_eq!(proxies, ["registry.k8s.io/kube-proxy:v1.36.3"; 2], "a worker's config names no version");
    let sandbox = containers.iter().find(|container| container.id == server.pod_id).unwrap();
    assert_eq!((sandbox.status.as_str(), sandbox.name.as_str()), ("SANDBOX_READY", server.pod_id.as_str()));

    let groups = copied(&talos, "/sys/fs/cgroup").await;
    let own = format!("kubepods/burstable/pod{}/{}/cgroup.procs", sandbox.uid, server.internal_id);
    let (_, members) = groups.iter().find(|(path, _)| *path == own).unwrap();
    assert_eq!(*members, format!("{}\n", server.pid));

    let protocols = netstat_request::L4proto { tcp: true, tcp6: true, ..Default::default() };
    let feature = Some(netstat_request::Feature { pid: true });
    let request = NetstatRequest { filter: 2, feature, l4proto: Some(protocols), netns: None };
    let sockets: NetstatResponse = one(&talos, "Netstat", &request).await;
    let sockets = &sockets.messages[0].connectrecord;
    let socket = sockets.iter().find(|socket| socket.localport == 6443).unwrap();
    assert_eq!(socket.process.as_ref().map(|process| process.pid), Some(server.pid));
    assert!(sockets.iter().all(|socket| socket.state == connect_record::State::Listen as i32));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_tell_how_they_came_up_and_what_was_done_with_them() {
    let talos = cluster("127.74.3.0/24").await;
    let states = |list: ServiceListResponse, id: &str| {
        let service = list.messages[0].services.iter().find(|service| service.id == id).unwrap().clone();
        service.events.unwrap().events.into_iter().map(|event| event.state).collect::<Vec<_>>()
    };
    let up = ["Starting", "Waiting", "Preparing", "Preparing", "Running", "Running"];
    assert_eq!(states(one(&talos, "ServiceList", &()).await, "etcd"), up);

    let id = "ext-qemu-guest-agent".to_owned();
    let _: ServiceStopResponse = one(&talos, "ServiceStop", &ServiceStopRequest { id: id.clone() }).await;
    assert_eq!(states(one(&talos, "ServiceList", &()).await, &id)[4..], ["Stopping", "Finished"]);
    let _: ServiceStopResponse = one(&talos, "ServiceStop", &ServiceStopRequest { id: id.clone() }).await;
    let _: ServiceRestartResponse = one(&talos, "ServiceRestart", &ServiceRestartRequest { id: id.clone() }).await;
    let after = states(one(&talos, "ServiceList", &()).await, &id);
    assert_eq!(after.last().map(String::as_str), Some("Running"), "a restart of what has stopped is a start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_config_says_since_1_12_that_its_yaml_is_a_string() {
    use crate::testing::Secrets;
    use crate::tests::{BOUND, boot, lab};
    for (subnet, version, marked) in [("127.74.4", "v1.11.6", false), ("127.74.5", "v1.12.4", true)] {
        let talos = lab(&format!("{subnet}.0/24"));
        let node = boot(&talos, "cp-1", &format!("{subnet}.11"), version).await;
        let text = Secrets::new().control_plane("cp-1", &format!("https://{subnet}.11:6443"));
        let text = text.split("---").next().unwrap_or_default().replace("v1.36.3", "v1.34.1");
        node.apply(&text).unwrap();
        assert!(node.until(BOUND, |node| node.config().is_some()).await);
        let request = GetRequest {
            namespace: "config".to_owned(),
            r#type: "MachineConfigs.config.talos.dev".to_owned(),
            id: "v1alpha1".to_owned(),
            options: None,
        };
        let reply: GetResponse = one(&talos, "cosi.resource.State/Get", &request).await;
        let resource = reply.resource.unwrap();
        let metadata = resource.metadata.unwrap();
        assert_eq!(metadata.annotations.contains_key("talos.dev/yaml-spec"), marked, "{version}");
        let yaml: serde_yaml::Value = serde_yaml::from_str(&resource.spec.unwrap().yaml_spec).unwrap();
        assert_eq!(yaml.is_string(), marked, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_may_be_narrowed_down_and_versions_count_the_changes_of_a_resource() {
    let talos = cluster("127.74.6.0/24").await;
    let request = |pattern: &str| cosi::ListRequest {
        namespace: "runtime".to_owned(),
        r#type: "Services.v1alpha1.talos.dev".to_owned(),
        options: Some(ListOptions { id_query: Some(IdQuery { regexp: pattern.to_owned() }), ..ListOptions::default() }),
    };
    let list = |replies: Vec<ListResponse>| {
        let resources = replies.into_iter().map(|reply| reply.resource.unwrap().metadata.unwrap());
        resources.map(|metadata| (metadata.id, metadata.version)).collect::<Vec<_>>()
    };
    let path = "cosi.resource.State/List";
    let pair = |id: &str, version: &str| (id.to_owned(), version.to_owned());
    assert_eq!(
        list(answers(&talos, path, &request("^(etcd|ext-.*)$")).await),
        [pair("etcd", "1"), pair("ext-qemu-guest-agent", "1")]
    );
    let stop = ServiceStopRequest { id: "ext-qemu-guest-agent".to_owned() };
    let _: ServiceStopResponse = one(&talos, "ServiceStop", &stop).await;
    assert_eq!(
        list(answers(&talos, path, &request("^(etcd|ext-.*)$")).await),
        [pair("etcd", "1"), pair("ext-qemu-guest-agent", "2")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_says_what_it_waits_for_and_ends_with_its_time() {
    let talos = cluster("127.74.7.0/24").await;
    let wait = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let check = |cluster_info, seconds| HealthCheckRequest { wait_timeout: wait(seconds), cluster_info };
    let path = "cluster.ClusterService/HealthCheck";
    let (said, status) = frames(&talos, path, &check(None, 20)).await;
    let said: Vec<String> = said.iter().map(|f| HealthCheckProgress::decode(&f[..]).unwrap().message).collect();
    assert_eq!(
        said[..3],
        [
            "discovered nodes: [\"127.74.7.11\" \"127.74.7.12\"]",
            "waiting for etcd to be healthy: ...",
            "waiting for etcd to be healthy: OK"
        ]
    );
    assert_eq!((said.len(), status.is_none()), (33, true));

    talos.nodes()[1].set_diagnostic("some", Some("something is wrong"));
    let (said, status) = frames(&talos, path, &check(None, 0)).await;
    let last = HealthCheckProgress::decode(&said.last().unwrap()[..]).unwrap().message;
    assert_eq!(last, "waiting for no diagnostics: active diagnostics: 127.74.7.12: something is wrong");
    assert_eq!(status.map(|status| status.code()), Some(tonic::Code::DeadlineExceeded));

    let nodes = ClusterInfo { control_plane_nodes: vec!["127.74.7.77".to_owned()], ..Default::default() };
    let (said, _) = frames(&talos, path, &check(Some(nodes), 0)).await;
    let last = HealthCheckProgress::decode(&said.last().unwrap()[..]).unwrap().message;
    assert!(last.starts_with(
        "waiting for etcd to be healthy: 1 error occurred:\n\t* 127.74.7.77: rpc error: code = Unavailable"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_a_node_go_down_to_the_moment_when_its_services_stop() {
    use crate::tests::BOUND;
    let talos = cluster("127.74.8.0/24").await;
    let node: NodeHandle = talos.nodes().remove(0);
    let before = node.boot_id();
    let mut events = opened(&talos, "Events", &EventsRequest::default()).unwrap();
    events.next().await.unwrap().unwrap();
    let heard = tokio::spawn(async move { rest(events).await.0 });
    let _: ResetResponse =
        one(&talos, "Reset", &ResetRequest { reboot: true, graceful: true, ..Default::default() }).await;
    let events = tokio::time::timeout(BOUND, heard).await.unwrap().unwrap();
    let tasks = events.iter().filter_map(|frame| {
        let event = Event::decode(&frame[..]).unwrap().data?;
        event.type_url.ends_with(".TaskEvent").then(|| TaskEvent::decode(&event.value[..]).unwrap())
    });
    let started: Vec<String> = tasks.filter(|task| task.action == 0).map(|task| task.task).collect();
    assert_eq!(
        started,
        [
            "cordonAndDrainNode",
            "removeAllPods",
            "stopDBus",
            "leaveEtcd",
            "sendResetSignal",
            "stopServicesForUpgrade",
            "unmountPodMounts",
            "unmountSystemDiskBindMounts",
            "unmountEphemeralPartition",
            "teardownLifecycle",
            "stopAllServices"
        ]
    );
    assert!(node.until(BOUND, |node| node.boot_id() != before).await);
}
