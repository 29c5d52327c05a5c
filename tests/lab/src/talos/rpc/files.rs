//! The few files of a node that callers read.

use flate2::Compression;
use flate2::write::GzEncoder;
use talos_proto::common::Data;
use talos_proto::machine::{CopyRequest, DiskUsageInfo, DiskUsageRequest, FileInfo, ListRequest, ReadRequest};
use tonic::Status;

use super::Call;

/// A frame of a streamed file holds no more than this.
const CHUNK: usize = 1024;

/// Go's bit for a directory in a file mode.
const DIRECTORY: u32 = 1 << 31;

pub(super) fn read(call: &Call<'_>, request: &ReadRequest) -> Result<Vec<Data>, Status> {
    let content = match request.path.as_str() {
        "/proc/sys/kernel/random/boot_id" => call.see(|node| format!("{}\n", node.boot_id)),
        "/proc/uptime" => call.ask(|world, id| {
            let up = world.now.saturating_sub(world.nodes[id].booted_at).as_secs_f64();
            format!("{up:.2} {up:.2}\n")
        }),
        "/etc/os-release" => call.see(|node| format!("NAME=\"Talos\"\nID=talos\nVERSION_ID={}\n", node.tag())),
        "/system/state/config.yaml" => {
            let config = call.ask(|world, id| world.disk(id).and_then(|disk| disk.config.clone()));
            config.ok_or_else(|| missing("stat", &request.path))?
        }
        path if directories(call).iter().any(|directory| directory == path) => {
            return Err(Status::unknown("path must be a regular file"));
        }
        path => return Err(missing("stat", path)),
    };
    Ok(chunks(content.as_bytes()))
}

fn missing(call: &str, path: &str) -> Status {
    Status::not_found(format!("{call} {path}: no such file or directory"))
}

/// Cuts bytes into frames as the node does.
pub(super) fn chunks(bytes: &[u8]) -> Vec<Data> {
    bytes.chunks(CHUNK).map(|chunk| Data { metadata: None, bytes: chunk.to_vec() }).collect()
}

fn directories(call: &Call<'_>) -> Vec<String> {
    let etcd = call.ask(|world, id| world.disk(id).and_then(|disk| disk.etcd).is_some());
    let mut found: Vec<String> =
        ["/", "/etc", "/proc", "/system", "/system/state", "/var", "/var/lib"].map(str::to_owned).into();
    if call.see(|node| node.config.is_some()) {
        found.extend(["/var/lib/kubelet", "/var/lib/containerd"].map(str::to_owned));
    }
    if etcd {
        found.extend(["/var/lib/etcd", "/var/lib/etcd/member"].map(str::to_owned));
    }
    found
}

/// The file that an uploaded or downloaded archive would hold: only the config is worth one.
pub(super) fn copy(call: &Call<'_>, request: &CopyRequest) -> Result<Vec<Data>, Status> {
    if !request.root_path.starts_with('/') {
        return Err(Status::unknown(format!("path is not absolute {}", request.root_path)));
    }
    let root = request.root_path.trim_end_matches('/');
    let known = ["/etc/os-release", "/system/state/config.yaml"];
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for path in known.iter().filter(|path| path.starts_with(root)) {
        let Ok(frames) = read(call, &ReadRequest { path: (*path).to_owned() }) else { continue };
        let content: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes).collect();
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        let inside = path.strip_prefix(root).filter(|rest| !rest.is_empty()).unwrap_or(path);
        let appended = archive.append_data(&mut header, inside.trim_start_matches('/'), &content[..]);
        appended.map_err(|error| Status::unknown(error.to_string()))?;
    }
    let bytes = archive.into_inner().and_then(GzEncoder::finish).map_err(|error| Status::unknown(error.to_string()))?;
    Ok(chunks(&bytes))
}

pub(super) fn usage(call: &Call<'_>, request: &DiskUsageRequest) -> Result<Vec<DiskUsageInfo>, Status> {
    let known = directories(call);
    let mut found = Vec::new();
    for root in &request.paths {
        let below = known.iter().filter(|path| path.starts_with(root.as_str()));
        let size = 4096 * below.count() as i64;
        let relative_name = root.clone();
        found.push(DiskUsageInfo { metadata: None, name: root.clone(), size, error: String::new(), relative_name });
    }
    Ok(found)
}

pub(super) fn list(call: &Call<'_>, request: &ListRequest) -> Result<Vec<FileInfo>, Status> {
    let root = match request.root.trim_end_matches('/') {
        "" => "/",
        root => root,
    };
    let known = directories(call);
    if !known.iter().any(|directory| directory == root) {
        return Err(Status::unknown(format!("lstat {root}: no such file or directory")));
    }
    let below = |path: &&String| {
        let rest = path.strip_prefix(root).map(|rest| rest.trim_start_matches('/'));
        rest.is_some_and(|rest| !rest.is_empty() && (request.recurse || !rest.contains('/')))
    };
    let entries = known.iter().filter(below).map(|path| info(root, path));
    Ok(std::iter::once(info(root, root)).chain(entries).collect())
}

fn info(root: &str, path: &str) -> FileInfo {
    let relative = path.strip_prefix(root).unwrap_or(path).trim_start_matches('/');
    FileInfo {
        name: path.to_owned(),
        size: 4096,
        mode: DIRECTORY | 0o755,
        is_dir: true,
        relative_name: if relative.is_empty() { ".".to_owned() } else { relative.to_owned() },
        ..FileInfo::default()
    }
}
