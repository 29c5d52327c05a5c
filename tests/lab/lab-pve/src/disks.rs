//! Drives: what may be asked for, and making the disks behind them.

use super::drive_keys;
use super::keys;
use super::property::{self, Pairs};
use super::reply::Refusal;
use super::schema::Properties;
use super::state::{Call, Config, State};
use super::storage::{self, Storage, Wanted};

/// Bytes of the UEFI variables with `efitype=4m`.
const EFI_SIZE: u64 = 528 << 10;
/// Bytes of a TPM's state, and of a cloud-init drive.
const SMALL: u64 = 4 << 20;

/// The keys of a drive option.
pub(crate) fn properties(option: &str) -> &'static Properties {
    match option {
        "efidisk0" => &keys::EFI_DISK,
        "tpmstate0" => &keys::TPM_STATE,
        option if option.starts_with("unused") => &keys::UNUSED,
        option if option.starts_with("virtio") => &drive_keys::VIRTIO,
        option if option.starts_with("scsi") => &drive_keys::SCSI,
        option if option.starts_with("sata") => &drive_keys::SATA,
        _ => &drive_keys::IDE,
    }
}

/// Takes a drive option apart.
pub(crate) fn parse(option: &str, text: &str) -> Pairs {
    property::parse(text, properties(option)).unwrap_or_default()
}

/// The volume of a drive.
pub(crate) fn file(option: &str, text: &str) -> Option<String> {
    property::get(&parse(option, text), "file").map(str::to_owned)
}

/// Parameters under their proper names: `cdrom` is another name of `ide2`.
pub(crate) fn named(params: &Config) -> Config {
    let mut params = params.clone();
    if let Some(drive) = params.remove("cdrom") {
        let media = if drive.contains("media=") { "" } else { ",media=cdrom" };
        params.insert("ide2".to_owned(), format!("{drive}{media}"));
    }
    params
}

/// Checks what Proxmox VE checks of a drive before it starts a task.
pub(crate) fn check(state: &State, call: &Call<'_>, option: &str, text: &str) -> Result<(), Refusal> {
    let pairs = parse(option, text);
    let file = property::get(&pairs, "file").unwrap_or_default();
    let source = property::get(&pairs, "import-from");
    if file.starts_with('/') || source.is_some_and(|path| path.starts_with('/')) {
        return Err(Refusal::failed(state.settings.release.paths_are_for_root()));
    }
    let Some((storage, name)) = storage::split(file) else { return Ok(()) };
    check_target(state, call, option, storage, name, source.is_some())?;
    match source {
        Some(source) => check_source(state, call, option, source),
        None => Ok(()),
    }
}

fn check_target(
    state: &State,
    call: &Call<'_>,
    option: &str,
    storage: &str,
    name: &str,
    imported: bool,
) -> Result<(), Refusal> {
    if imported && name != "0" {
        let text = "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>";
        return Err(Refusal::parameter(option, text));
    }
    let target = state.storage(storage)?;
    let path = format!("/storage/{storage}");
    let allocates = name == "cloudinit" || storage::gibibytes(name).is_some();
    if !allocates {
        let readable = ["Datastore.AllocateSpace", "Datastore.Audit"];
        return call.token.require(&path, &readable).map_err(Refusal::forbidden);
    }
    call.token.require(&path, &["Datastore.AllocateSpace"]).map_err(Refusal::forbidden)?;
    match target.takes("images") {
        true => Ok(()),
        false => Err(Refusal::parameter("storage", format!("storage '{storage}' does not support vm images"))),
    }
}

fn check_source(state: &State, call: &Call<'_>, option: &str, source: &str) -> Result<(), Refusal> {
    let Some((storage, name)) = storage::split(source) else {
        return Err(Refusal::failed(format!("unable to parse volume ID '{source}'")));
    };
    state.storage(storage)?;
    let readable = ["Datastore.AllocateSpace", "Datastore.Audit"];
    call.token.require(&format!("/storage/{storage}"), &readable).map_err(Refusal::forbidden)?;
    match name.split_once('/') {
        Some((kind @ ("iso" | "vztmpl" | "snippets" | "backup"), _)) => {
            let text = format!("{source} has wrong type '{kind}' - needs to be 'images' or 'import'");
            Err(Refusal::parameter(option, text))
        }
        _ => Ok(()),
    }
}

/// The storages of all volumes that a creation allocates, one entry a volume.
pub(crate) fn allocations(params: &Config) -> Vec<String> {
    let drives = params.iter().filter(|(name, _)| super::options::is_drive(name));
    let files = drives.filter_map(|(name, value)| file(name, value));
    let allocated = files.filter_map(|file| {
        let (storage, name) = storage::split(&file)?;
        (name == "cloudinit" || storage::gibibytes(name).is_some()).then(|| storage.to_owned())
    });
    allocated.collect()
}

/// Where a drive is made.
pub(crate) struct Place<'a> {
    /// The host.
    pub(crate) node: &'a str,
    /// The VM.
    pub(crate) vmid: u32,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// Makes the disk behind a drive, if it is to be made, and returns the option as the configuration keeps it.
pub(crate) fn realise(
    state: &mut State,
    place: &Place<'_>,
    option: &str,
    text: &str,
    log: &mut Vec<String>,
) -> Result<String, String> {
    let mut pairs = parse(option, text);
    let file = property::get(&pairs, "file").unwrap_or_default().to_owned();
    let Some((name_of_storage, name)) = storage::split(&file) else { return Ok(text.to_owned()) };
    let storage = state.storage(name_of_storage).map_err(|refusal| refusal.text())?;
    let source = property::get(&pairs, "import-from").map(str::to_owned);
    let made = match (name, source, storage::gibibytes(name)) {
        ("cloudinit", ..) => Some(cloud_init(state, place, &storage, &mut pairs, log)?),
        (_, Some(source), _) => Some(import(state, place, &storage, &source, &mut pairs, log)?),
        (_, None, Some(size)) => Some(allocate(state, place, &storage, option, size, &mut pairs, log)?),
        (_, None, None) => attach(state, place, &storage, &file, &mut pairs)?,
    };
    let printed = property::print(&pairs, "file");
    if made.is_some() {
        log.push(format!("{option}: successfully created disk '{printed}'"));
    }
    Ok(printed)
}

fn locked(state: &mut State, node: &str, storage: &Storage, log: &mut Vec<String>) -> Result<(), String> {
    match state.faults.storage_lock(node, storage) {
        None => Ok(()),
        Some(text) => {
            log.push("trying to acquire lock...".to_owned());
            Err(text)
        }
    }
}

fn cloud_init(
    state: &mut State,
    place: &Place<'_>,
    storage: &Storage,
    pairs: &mut Pairs,
    log: &mut Vec<String>,
) -> Result<(), String> {
    locked(state, place.node, storage, log)?;
    let wanted =
        Wanted { node: place.node, vmid: place.vmid, stem: Some("cloudinit"), format: None, size: SMALL, image: None };
    state.volumes.check_free(storage, &wanted)?;
    let (volume, line) = state.volumes.allocate(storage, wanted, place.now);
    log.push(line);
    property::set(pairs, "file", volume.id);
    property::set(pairs, "media", "cdrom");
    Ok(())
}

fn allocate(
    state: &mut State,
    place: &Place<'_>,
    storage: &Storage,
    option: &str,
    size: u64,
    pairs: &mut Pairs,
    log: &mut Vec<String>,
) -> Result<(), String> {
    locked(state, place.node, storage, log)?;
    let size = match option {
        "efidisk0" => EFI_SIZE,
        "tpmstate0" => SMALL,
        _ => size,
    };
    let format = property::get(pairs, "format").map(str::to_owned);
    let wanted =
        Wanted { node: place.node, vmid: place.vmid, stem: None, format: format.as_deref(), size, image: None };
    let (volume, line) = state.volumes.allocate(storage, wanted, place.now);
    log.push(line);
    if option == "efidisk0" {
        log.push("transferred 0.0 B of 528.0 KiB (0.00%)".to_owned());
        log.extend(["transferred 528.0 KiB of 528.0 KiB (100.00%)"; 2].map(str::to_owned));
    }
    became(pairs, volume.id, volume.size);
    Ok(())
}

fn import(
    state: &mut State,
    place: &Place<'_>,
    storage: &Storage,
    source: &str,
    pairs: &mut Pairs,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let (from, name) = storage::split(source).ok_or_else(|| format!("unable to parse volume ID '{source}'"))?;
    let from = state.storage(from).map_err(|refusal| refusal.text())?;
    let missing = || format!("failed to stat '{}'", Storage::path(name));
    let found = state.volumes.get(&from, place.node, source).cloned().ok_or_else(missing)?;
    if found.garbage {
        let (file, format) = (from.place(source), found.format());
        return Err(format!("qemu-img: Could not open '{file}': Image is not in {format} format"));
    }
    locked(state, place.node, storage, log)?;
    log.push(format!("create full clone of drive ({source})"));
    // A file stays of the format that it has.
    let format = property::get(pairs, "format").unwrap_or_else(|| found.format()).to_owned();
    let wanted = Wanted {
        node: place.node,
        vmid: place.vmid,
        stem: None,
        format: Some(&format),
        size: found.virtual_size,
        image: found.image.clone(),
    };
    let (volume, line) = state.volumes.allocate(storage, wanted, place.now);
    log.push(line);
    log.push(format!("allocated target volume '{}'", volume.id));
    log.push(format!("transferred 0.0 B of {} (0.00%)", gibibytes(volume.size)));
    let end = format!("transferred {0} of {0} (100.00%)", gibibytes(volume.size));
    log.extend([end.clone(), end]);
    pairs.retain(|(key, _)| key != "import-from");
    became(pairs, volume.id, volume.size);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn became(pairs: &mut Pairs, volume: String, size: u64) {
    pairs.retain(|(key, _)| key != "format");
    property::set(pairs, "file", volume);
    property::set(pairs, "size", property::size(size));
}

fn attach(
    state: &State,
    place: &Place<'_>,
    storage: &Storage,
    volume: &str,
    pairs: &mut Pairs,
) -> Result<Option<()>, String> {
    let found = state.volumes.get(storage, place.node, volume);
    let found = found.ok_or_else(|| format!("volume '{volume}' does not exist"))?;
    if property::get(pairs, "size").is_none() {
        property::set(pairs, "size", property::size(found.size));
    }
    Ok(None)
}

/// Bytes of the disk that the VM boots from.
pub(crate) fn boot_size(state: &State, vm: &super::state::Vm) -> u64 {
    let Some((name, value)) = super::guest::boot_disk(&vm.config) else { return 0 };
    let file = file(name, value).unwrap_or_default();
    let storage = storage::split(&file).and_then(|(storage, _)| state.storage(storage).ok());
    storage.and_then(|storage| state.volumes.get(&storage, &vm.node, &file)).map_or(0, |volume| volume.size)
}
