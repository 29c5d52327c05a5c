//! Storages and their content, over the API.

use http::header;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::reads;
use super::reply::{Refusal, Reply};
use super::state::{Call, State};
use super::storage::{self, Storage, StorageKind};
use super::task_kind::{Download, TaskKind};
use lab_core::disk_image::{Format, Found};

/// `GET /storage`.
pub(crate) fn definitions(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let names = state.settings.storages.iter().map(|storage| (storage.name.clone(), storage.content.join(",")));
    let digest = super::config::digest(&names.collect());
    let seen = state.settings.storages.iter().filter(|storage| reads::may_see(call, &storage.name));
    let rows = seen.map(|storage| {
        let mut row = json!({
            "content": storage.content.join(","), "digest": digest, "storage": storage.name,
            "type": storage.kind.name(),
        });
        match storage.kind {
            StorageKind::Dir => row["path"] = Storage::path("").trim_end_matches('/').into(),
            StorageKind::LvmThin => {
                row["thinpool"] = "data".into();
                row["vgname"] = "pve".into();
            }
        }
        if storage.shared {
            row["shared"] = 1.into();
        }
        row
    });
    Ok(Value::Array(rows.collect()).into())
}

/// `GET /nodes/{node}/storage`.
pub(crate) fn storages(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let wanted = |storage: &&Storage| {
        reads::may_see(call, &storage.name)
            && call.param("storage").is_none_or(|name| storage.name == name)
            && call.param("content").is_none_or(|list| list.split(',').any(|kind| storage.takes(kind)))
    };
    let rows = state.settings.storages.iter().filter(wanted);
    let rows = rows.map(|storage| storage::row(storage, state.volumes.used(storage, call.node())));
    Ok(Value::Array(rows.collect()).into())
}

/// `GET /nodes/{node}/storage/{storage}/status`.
pub(crate) fn status(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let storage = state.storage(call.storage())?;
    let mut row = storage::row(&storage, state.volumes.used(&storage, call.node()));
    if let Some(row) = row.as_object_mut() {
        row.remove("storage");
        row.remove("used_fraction");
    }
    Ok(row.into())
}

/// `GET /nodes/{node}/storage/{storage}/content`.
pub(crate) fn list(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let storage = state.storage(call.storage())?;
    let vmid = call.param("vmid").and_then(|text| text.parse().ok());
    Ok(Value::Array(state.volumes.rows(&storage, call.node(), call.param("content"), vmid)).into())
}

/// The volume in the path, which may leave out the storage.
fn volume_of(call: &Call<'_>) -> Result<String, Refusal> {
    let (given, asked) = (call.path.get("volume").map_or("", String::as_str), call.storage());
    match storage::split(given) {
        Some((name, _)) if name != asked => {
            Err(Refusal::parameter("volume", format!("storage ID mismatch ({name} != {asked})\n")))
        }
        Some(_) => Ok(given.to_owned()),
        None => Ok(format!("{asked}:{given}")),
    }
}

/// `GET /nodes/{node}/storage/{storage}/content/{volume}`.
pub(crate) fn info(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (id, storage) = (volume_of(call)?, state.storage(call.storage())?);
    let path = format!("/storage/{}", storage.name);
    let found = state.volumes.get(&storage, call.node(), &id);
    if !call.token.may(&path, "Datastore.Allocate") {
        let owner = found.and_then(|volume| volume.vmid);
        let any: &[&str] =
            if owner.is_some() { &["Datastore.Audit"] } else { &["Datastore.AllocateSpace", "Datastore.Audit"] };
        call.token.require(&path, any).map_err(Refusal::forbidden)?;
        owner.map_or(Ok(()), |vmid| state.may(call.token, vmid, None, &["VM.Config.Disk"]))?;
    }
    let place = storage.place(&id);
    let missing = || match storage.kind {
        StorageKind::Dir => format!("failed to stat '{place}'"),
        StorageKind::LvmThin => {
            let volume = place.trim_start_matches("/dev/");
            format!("can't get size of '{place}':   Failed to find logical volume \"{volume}\"")
        }
    };
    Ok(found.ok_or_else(|| Refusal::failed(missing()))?.info(&place).into())
}

/// `DELETE /nodes/{node}/storage/{storage}/content/{volume}`.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let volume = volume_of(call)?;
    let path = format!("/storage/{}", call.storage());
    call.token.require(&path, &["Datastore.Allocate"]).map_err(Refusal::forbidden)?;
    let work = TaskKind::Free { node: call.node().to_owned(), volume };
    state.begin(call, call.node(), work)
}

/// Removes a volume.
pub(crate) fn freed(state: &mut State, node: &str, volume: &str) -> Result<(), String> {
    let (name, _) = storage::split(volume).ok_or_else(|| format!("unable to parse volume ID '{volume}'"))?;
    let storage = state.storage(name).map_err(|refusal| refusal.text())?;
    let removed = state.volumes.remove(&storage, node, volume);
    removed.map(|_| ()).ok_or_else(|| format!("volume '{volume}' does not exist"))
}

/// `POST /nodes/{node}/storage/{storage}/download-url`.
pub(crate) fn download(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require_network(call)?;
    let mut download = wanted(state, call, Way::Download)?;
    if call.param("compression").is_some() && download.content == "import" {
        download.verdict = Some(Err("decompression not supported for import".to_owned()));
    } else {
        download.verdict = present(state, &download);
    }
    state.begin(call, call.node(), TaskKind::Download(download))
}

/// `GET /nodes/{node}/query-url-metadata`: the URL that is then to be asked about.
pub(crate) fn asked_about(_: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require_network(call)?;
    Ok(Value::from(call.param("url")).into())
}

/// What is known of the file behind a URL once its server was asked.
pub(crate) async fn described(url: &str) -> Result<Reply, Refusal> {
    match super::download::head(url).await {
        Ok((status, headers)) if status == http::StatusCode::OK => Ok(metadata(url, &headers).into()),
        Ok((status, _)) => Err(Refusal::failed(format!("invalid server response: '{status}'"))),
        Err(error) => Err(Refusal::failed(format!("invalid server response: '500 {error:#}'"))),
    }
}

fn metadata(url: &str, headers: &http::HeaderMap) -> Value {
    let text = |name: http::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let disposed = text(header::CONTENT_DISPOSITION).and_then(|value| value.split_once("filename="));
    let disposed = disposed.map(|(_, name)| match name.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => name.split(';').next().unwrap_or_default(),
    });
    let in_url = url.split('?').next().and_then(|path| path.rsplit('/').next());
    let mut data = json!({});
    if let Some(name) = disposed.or(in_url).filter(|name| !name.is_empty()) {
        data["filename"] = name.into();
    }
    if let Some(size) = text(header::CONTENT_LENGTH).and_then(|size| size.parse::<u64>().ok()).filter(|size| *size > 0)
    {
        data["size"] = size.into();
    }
    if let Some(kind) = text(header::CONTENT_TYPE) {
        data["mimetype"] = kind.split(';').next().unwrap_or_default().into();
    }
    data
}

fn require_network(call: &Call<'_>) -> Result<(), Refusal> {
    let wide = call.token.may("/", "Sys.Audit") && call.token.may("/", "Sys.Modify");
    match wide || call.token.may(&format!("/nodes/{}", call.node()), "Sys.AccessNetwork") {
        true => Ok(()),
        false => Err(Refusal::forbidden("Permission check failed")),
    }
}

/// How a file comes: the two calls refuse in different words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Download,
    Upload,
}

/// Checks what is wanted of a download or an upload.
fn wanted(state: &State, call: &Call<'_>, way: Way) -> Result<Download, Refusal> {
    let storage = state.storage(call.storage())?;
    let content = call.param("content").unwrap_or_default();
    if storage.kind != StorageKind::Dir {
        let kind = storage::row(&storage, 0)["type"].as_str().unwrap_or_default().to_owned();
        let end = if way == Way::Download { ", not a file based storage!" } else { "" };
        return Err(Refusal::failed(format!("can't upload to storage type '{kind}'{end}")));
    }
    let name = &storage.name;
    if way == Way::Download && !storage.takes(content) {
        return Err(Refusal::failed(format!("storage '{name}' is not configured for content-type '{content}'")));
    }
    let file = normal(call.param("filename").unwrap_or_default());
    check_extension(content, &file)?;
    if !storage.takes(content) {
        return Err(Refusal::failed(format!("storage '{name}' does not support '{content}' content")));
    }
    let checksum = match (call.param("checksum-algorithm"), call.param("checksum")) {
        (Some(algorithm), Some(digest)) => Some((algorithm.to_owned(), digest.to_lowercase())),
        (Some(_), None) => {
            return Err(Refusal::parameter("checksum", "missing property required by 'checksum-algorithm'"));
        }
        (None, Some(_)) => {
            return Err(Refusal::parameter("checksum-algorithm", "missing property required by 'checksum'"));
        }
        (None, None) => None,
    };
    Ok(Download {
        node: call.node().to_owned(),
        storage: storage.name,
        content: content.to_owned(),
        file,
        url: call.param("url").unwrap_or_default().to_owned(),
        checksum,
        verdict: None,
        found: None,
    })
}

/// The name as the server keeps it: no folders, odd characters replaced.
fn normal(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let keep = |letter: char| letter.is_ascii_alphanumeric() || "-.+=_".contains(letter);
    name.chars().map(|letter| if keep(letter) { letter } else { '_' }).collect()
}

fn check_extension(content: &str, file: &str) -> Result<(), Refusal> {
    let (endings, text): (&[&str], &str) = match content {
        "iso" => (&[".iso", ".img"], "wrong file extension"),
        "import" => (&[".ova", ".qcow2", ".raw", ".vmdk"], "invalid filename or wrong extension"),
        _ => (&[".tar", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"], "wrong file extension"),
    };
    match endings.iter().any(|ending| file.ends_with(ending)) {
        true => Ok(()),
        false => Err(Refusal::parameter("filename", text)),
    }
}

fn volume_id(download: &Download) -> String {
    format!("{}:{}/{}", download.storage, download.content, download.file)
}

/// Where a file goes on its host.
fn place(state: &State, download: &Download) -> String {
    let id = volume_id(download);
    state.storage(&download.storage).map_or_else(|_| id.clone(), |storage| storage.place(&id))
}

/// What a file that is there already means for a download: it is looked at, and never replaced.
fn present(state: &State, download: &Download) -> Option<Result<(), String>> {
    let storage = state.storage(&download.storage).ok()?;
    let there = state.volumes.get(&storage, &download.node, &volume_id(download))?;
    let got = there.sha256.as_deref().unwrap_or_default();
    Some(match &download.checksum {
        None => Err(format!("refusing to override existing file '{}'", place(state, download))),
        Some((_, digest)) if got == digest => Ok(()),
        Some((_, digest)) => Err(format!("checksum mismatch: got '{got}' != expect '{digest}', aborting")),
    })
}

/// Puts a downloaded file in its place.
pub(crate) fn downloaded(
    state: &mut State,
    mut download: Download,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), String> {
    const EXISTING: &str = "calculating checksum of existing file...";
    match (download.verdict.take(), &download.checksum) {
        (Some(Ok(())), _) => {
            log.push(format!("{EXISTING}OK, got correct file already, no need to download"));
            return Ok(());
        }
        (Some(Err(text)), checksum) => {
            log.extend(checksum.as_ref().map(|_| EXISTING.to_owned()));
            return Err(text);
        }
        (None, _) => {}
    }
    let (url, place) = (download.url.clone(), place(state, &download));
    log.push(format!("downloading {url} to {place}"));
    log.push(format!("--{}--  {url}", stamp(now)));
    let found = download.found.take().unwrap_or_else(|| Err("no answer".to_owned()));
    let found = found.map_err(|text| format!("download failed: {text}"))?;
    if download.checksum.is_some() {
        log.push("calculating checksum...OK, checksum verified".to_owned());
    }
    keep(state, &download, found, now)?;
    log.push(format!("download of '{url}' to '{place}' finished"));
    Ok(())
}

/// `2026-11-27 14:05:09`.
fn stamp(now: u64) -> String {
    let time = i64::try_from(now).ok().and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok());
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}", u8::from(month))
}

/// Checks an upload and starts the task that puts it in its place.
pub(crate) fn upload(state: &mut State, call: &Call<'_>, found: Found) -> Result<Reply, Refusal> {
    let path = format!("/storage/{}", call.storage());
    call.token.require(&path, &["Datastore.AllocateTemplate"]).map_err(Refusal::forbidden)?;
    let mut download = wanted(state, call, Way::Upload)?;
    download.found = Some(Ok(found));
    state.begin(call, call.node(), TaskKind::Upload(download))
}

/// Puts an uploaded file in its place; an older one is replaced.
pub(crate) fn uploaded(
    state: &mut State,
    mut download: Download,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), String> {
    const SPOOLED: &str = "/var/tmp/pveupload-0123456789abcdef0123456789abcdef";
    let found = download.found.take().unwrap_or_else(|| Err("no file".to_owned()))?;
    let (size, place) = (found.size, place(state, &download));
    log.push(format!("starting file import from: {SPOOLED}"));
    keep(state, &download, found, now)?;
    log.extend(download.checksum.map(|_| "calculating checksum...OK, checksum verified".to_owned()));
    log.push(format!("target node: {}", download.node));
    log.push(format!("target file: {place}"));
    log.push(format!("file size is: {size}"));
    log.push(format!("command: cp -- {SPOOLED} {place}"));
    log.push("finished file import successfully".to_owned());
    Ok(())
}

fn keep(state: &mut State, download: &Download, found: Found, now: u64) -> Result<(), String> {
    match &download.checksum {
        Some((algorithm, _)) if algorithm != "sha256" => {
            return Err(format!("checksum algorithm '{algorithm}' is not played by the lab"));
        }
        Some((_, digest)) if *digest != found.sha256 => {
            return Err(format!("checksum mismatch: got '{}' != expect '{digest}'", found.sha256));
        }
        _ => {}
    }
    if download.file.ends_with(".qcow2") && found.format != Format::Qcow2 {
        return Err(format!("qemu-img: Could not open '{}': Image is not in qcow2 format", download.file));
    }
    let storage = state.storage(&download.storage).map_err(|refusal| refusal.text())?;
    state.volumes.store(&storage, &download.node, &download.content, &download.file, found, now);
    Ok(())
}
