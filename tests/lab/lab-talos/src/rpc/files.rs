//! Reading, listing and copying the files of a node.

use flate2::Compression;
use flate2::write::GzEncoder;
use talos_proto::common::{Data, Metadata};
use talos_proto::machine::list_request::Type;
use talos_proto::machine::{CopyRequest, DiskUsageInfo, DiskUsageRequest, FileInfo, ListRequest, ReadRequest};
use tonic::Status;

use super::Call;
use super::tree::{self, Entry, Tree};

/// A frame of a streamed file holds no more than this.
const CHUNK: usize = 1024;

/// Go's bits in a file mode, for a directory and a symbolic link.
const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;

pub(super) fn read(call: &Call<'_>, request: &ReadRequest) -> Result<Vec<Data>, Status> {
    let tree = call.ask(tree::tree);
    match tree.follow(&clean(&request.path)) {
        Some((_, Entry::File(content))) => Ok(chunks(content.as_bytes())),
        Some(_) => Err(Status::unknown("path must be a regular file")),
        None => Err(Status::not_found(format!("stat {}: no such file or directory", request.path))),
    }
}

/// A path from the root, without a slash at its end.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}

/// Cuts bytes into frames as the node does.
pub(super) fn chunks(bytes: &[u8]) -> Vec<Data> {
    bytes.chunks(CHUNK).map(|chunk| Data { metadata: None, bytes: chunk.to_vec() }).collect()
}

/// Where a walk over the files begins: the path, its links followed.
fn root(tree: &Tree, path: &str) -> Result<String, String> {
    let found = tree.follow(path).map(|(path, _)| path);
    found.ok_or_else(|| format!("lstat {path}: no such file or directory"))
}

/// The name of a file from where the walk began; its own name if that is the file itself.
fn relative(root: &str, path: &str, entry: &Entry) -> String {
    match path.strip_prefix(root).map(|rest| rest.trim_start_matches('/')) {
        Some("") if *entry != Entry::Folder => path.rsplit('/').next().unwrap_or_default().to_owned(),
        Some("") | None => ".".to_owned(),
        Some(rest) => rest.to_owned(),
    }
}

/// A packed archive of a path and all below it; what goes wrong comes as a frame of its own.
pub(super) fn copy(call: &Call<'_>, request: &CopyRequest) -> Result<Vec<Data>, Status> {
    if !request.root_path.starts_with('/') {
        return Err(Status::unknown(format!("path is not absolute {}", request.root_path)));
    }
    let (tree, booted) = call.ask(|world, id| (tree::tree(world, id), world.boot_time(id)));
    let root = match root(&tree, &clean(&request.root_path)) {
        Ok(root) => root,
        Err(error) => {
            let metadata = Some(Metadata { error, ..Metadata::default() });
            return Ok(vec![Data { metadata, bytes: Vec::new() }]);
        }
    };
    let bytes = archive(&tree, &root, booted).map_err(|error| Status::unknown(error.to_string()))?;
    Ok(chunks(&bytes))
}

fn archive(tree: &Tree, root: &str, booted: u64) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    // The folder that is asked for is no part of the archive.
    let packed = |(path, entry): &(&str, &Entry)| *path != root || **entry != Entry::Folder;
    for (path, entry) in tree.below(root).into_iter().filter(packed) {
        let name = relative(root, path, entry);
        let mut header = tar::Header::new_gnu();
        header.set_mtime(booted);
        header.set_mode(permissions(entry));
        match entry {
            Entry::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                archive.append_data(&mut header, format!("{name}/"), std::io::empty())?;
            }
            Entry::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, name, target)?;
            }
            Entry::File(content) => {
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, name, content.as_bytes())?;
            }
        }
    }
    archive.into_inner().and_then(GzEncoder::finish)
}

fn permissions(entry: &Entry) -> u32 {
    match entry {
        Entry::Folder => 0o755,
        Entry::File(_) => 0o644,
        Entry::Link(_) => 0o777,
    }
}

/// How many folders lie between the beginning of a walk and a path.
fn depth(root: &str, path: &str) -> usize {
    let rest = path.strip_prefix(root).unwrap_or_default().trim_start_matches('/');
    if rest.is_empty() { 0 } else { rest.matches('/').count() + 1 }
}

/// The sizes of folders, each after what is in it; like a node it takes the first path and leaves out the others.
pub(super) fn usage(call: &Call<'_>, request: &DiskUsageRequest) -> Result<Vec<DiskUsageInfo>, Status> {
    let tree = call.ask(tree::tree);
    let Some(path) = request.paths.first().map(|path| clean(path)) else { return Ok(Vec::new()) };
    let root = match root(&tree, &path) {
        Ok(root) => root,
        Err(error) => {
            return Ok(vec![DiskUsageInfo { name: path.clone(), relative_name: path, error, ..Default::default() }]);
        }
    };
    let mut found = Vec::new();
    let mut open: Vec<(&str, i64)> = Vec::new();
    let mut tell = |path: &str, entry: &Entry, size: i64| {
        let skipped = (request.recursion_depth > 0 && depth(&root, path) as i64 >= i64::from(request.recursion_depth))
            || (*entry != Entry::Folder && !request.all)
            || (request.threshold > 0 && size < request.threshold)
            || (request.threshold < 0 && size > -request.threshold);
        if !skipped {
            let relative_name = relative(&root, path, entry);
            found.push(DiskUsageInfo { name: path.to_owned(), size, relative_name, ..Default::default() });
        }
    };
    for (path, entry) in tree.below(&root) {
        let size = i64::try_from(entry.size()).unwrap_or_default();
        while open.len() > depth(&root, path) {
            close(&mut open, &mut tell);
        }
        match entry {
            Entry::Folder => open.push((path, size)),
            _ => {
                tell(path, entry, size);
                if let Some(last) = open.last_mut() {
                    last.1 += size;
                }
            }
        }
    }
    while !open.is_empty() {
        close(&mut open, &mut tell);
    }
    Ok(found)
}

/// A folder is done: it is reported, and counts for the one that it is in.
fn close(open: &mut Vec<(&str, i64)>, tell: &mut impl FnMut(&str, &Entry, i64)) {
    if let Some((path, size)) = open.pop() {
        tell(path, &Entry::Folder, size);
        if let Some(last) = open.last_mut() {
            last.1 += size;
        }
    }
}

pub(super) fn list(call: &Call<'_>, request: &ListRequest) -> Result<Vec<FileInfo>, Status> {
    let (tree, booted) = call.ask(|world, id| (tree::tree(world, id), world.boot_time(id)));
    let root = root(&tree, &clean(&request.root)).map_err(Status::unknown)?;
    let most = match (request.recurse, usize::try_from(request.recursion_depth)) {
        (true, Ok(0) | Err(_)) => usize::MAX,
        (true, Ok(depth)) => depth.max(1),
        (false, _) => 1,
    };
    let wanted = |entry: &Entry| {
        let own = match entry {
            Entry::File(_) => Type::Regular,
            Entry::Folder => Type::Directory,
            Entry::Link(_) => Type::Symlink,
        };
        request.types.is_empty() || request.types.contains(&(own as i32))
    };
    let walked = tree.below(&root).into_iter().filter(|(path, _)| depth(&root, path) <= most);
    let found = walked.filter(|(_, entry)| wanted(entry));
    Ok(found.map(|(path, entry)| info(&root, path, entry, booted)).collect())
}

fn info(root: &str, path: &str, entry: &Entry, booted: u64) -> FileInfo {
    let kind = match entry {
        Entry::Folder => DIRECTORY,
        Entry::File(_) => 0,
        Entry::Link(_) => SYMLINK,
    };
    FileInfo {
        name: path.to_owned(),
        size: i64::try_from(entry.size()).unwrap_or_default(),
        mode: kind | permissions(entry),
        modified: i64::try_from(booted).unwrap_or_default(),
        is_dir: *entry == Entry::Folder,
        link: if let Entry::Link(target) = entry { target.clone() } else { String::new() },
        relative_name: relative(root, path, entry),
        ..FileInfo::default()
    }
}
