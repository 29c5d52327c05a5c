//! Creating and destroying VMs.

use std::collections::BTreeSet;

use sha2::Digest;

use super::allowed::{self, Target};
use super::disks::{self, Place};
use super::locks::Lock;
use super::options;
use super::property;
use super::reply::{Refusal, Reply};
use super::state::{Call, Config, Effect, State, Vm};
use super::task_kind::TaskKind;
use super::{keys, option_formats, power};

/// Parameters of a creation that are no options of the VM.
const NOT_OPTIONS: &[&str] = &[
    "archive",
    "unique",
    "force",
    "vmid",
    "pool",
    "start",
    "storage",
    "bwlimit",
    "ha-managed",
    "import-working-storage",
    "live-restore",
];

/// Claims the ID and starts the task that makes the VM.
pub(crate) fn create(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid: u32 = call.param("vmid").and_then(|text| text.parse().ok()).unwrap_or_default();
    let pool = call.param("pool");
    makeable(state, call, vmid, pool)?;
    if call.param("archive").is_some() {
        return Err(Refusal::failed("the lab restores no backups"));
    }
    let params = disks::named(&call.params);
    for (name, value) in options_of(&params) {
        allowed::option(state, call, Target::new(vmid, pool), name, value)?;
    }
    if let Some(keys) = params.get("sshkeys") {
        super::ssh_keys::check(keys).map_err(Refusal::failed)?;
    }
    for (name, value) in options_of(&params).filter(|(name, _)| options::is_drive(name)) {
        disks::check(state, call, name, value)?;
    }
    if call.param("ha-managed") == Some("1") {
        call.token.require("/", &["Sys.Console"]).map_err(Refusal::forbidden)?;
    }
    state.ready(call.node()).map_err(Refusal::failed)?;
    state.locked(&Lock::Vm(vmid), 5, &format!("unable to create VM {vmid} - "))?;
    claim(state, call, vmid)?;
    let may_tag = call.token.may(&format!("/vms/{vmid}"), "VM.Config.Options");
    let begun = state.begin(call, call.node(), TaskKind::Create { vmid, params, may_tag });
    if begun.is_err() {
        state.vms.remove(&vmid);
    }
    begun
}

fn options_of(params: &Config) -> impl Iterator<Item = (&str, &str)> {
    params.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(|(name, _)| !NOT_OPTIONS.contains(name))
}

fn makeable(state: &State, call: &Call<'_>, vmid: u32, pool: Option<&str>) -> Result<(), Refusal> {
    if let Some(pool) = pool
        && !state.pools.contains_key(pool)
    {
        return Err(Refusal::forbidden(format!("Permission check failed (pool '{pool}' does not exist)")));
    }
    if call.params.get("start").is_some_and(|start| start == "1") {
        state.may(call.token, vmid, pool, &["VM.PowerMgmt"])?;
    }
    let allowed = state.may(call.token, vmid, pool, &["VM.Allocate"]);
    allowed.map_err(|_| Refusal::forbidden("Permission check failed"))
}

/// The call itself claims the ID: the loser of a race is refused at once.
fn claim(state: &mut State, call: &Call<'_>, vmid: u32) -> Result<(), Refusal> {
    if let Some(other) = state.vms.get(&vmid) {
        let node = &other.node;
        let text = format!("unable to create VM {vmid} - VM {vmid} already exists on node '{node}'");
        return Err(Refusal::failed(text));
    }
    let config = Config::from([("lock".to_owned(), "create".to_owned())]);
    let vm = Vm {
        node: call.node().to_owned(),
        config,
        claimed: call.param("name").map(str::to_owned),
        pool: call.param("pool").map(str::to_owned),
        changed: call.now,
        ..Vm::default()
    };
    state.vms.insert(vmid, vm);
    Ok(())
}

/// Makes the disks and writes the configuration; a failure takes everything back.
pub(crate) fn finish(
    state: &mut State,
    vmid: u32,
    params: &Config,
    may_tag: bool,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let since = state.volumes.mark();
    let built = build(state, vmid, params, may_tag, now, log);
    match built {
        Ok(config) => {
            if let Some(vm) = state.vms.get_mut(&vmid) {
                vm.config = config;
                vm.changed = now;
            }
            if params.get("start").is_some_and(|start| start == "1") {
                log.push("Execute autostart".to_owned());
                // The real one starts it in a task that nobody watches, so a failure is lost there as well.
                let _unwatched = power::on(state, vmid, now);
            }
            if params.get("ha-managed").is_some_and(|managed| managed == "1") {
                state.ha.resources.insert(vmid, "started".to_owned());
            }
            Ok(())
        }
        Err(text) => {
            unmake(state, vmid, since);
            Err(format!("unable to create VM {vmid} - {text}"))
        }
    }
}

fn build(
    state: &mut State,
    vmid: u32,
    params: &Config,
    may_tag: bool,
    now: u64,
    log: &mut Vec<String>,
) -> Result<Config, String> {
    let node = state.vms.get(&vmid).map(|vm| vm.node.clone()).unwrap_or_default();
    if params.contains_key("tags") && !may_tag {
        return Err(format!("403 Permission check failed (/vms/{vmid}, VM.Config.Options)"));
    }
    let mut config = Config::new();
    let place = Place { node: &node, vmid, now };
    for (name, value) in options_of(params) {
        let kept = match options::is_drive(name) {
            true => disks::realise(state, &place, name, value, log)?,
            false if name == "tags" && !state.settings.release.normalises_new_tags() => value.to_owned(),
            false => kept(state, name, value),
        };
        // The file has no empty description, and any other empty value is read again as a space.
        match (name, kept.is_empty()) {
            ("description", true) => None,
            (_, true) => config.insert(name.to_owned(), " ".to_owned()),
            (_, false) => config.insert(name.to_owned(), kept),
        };
    }
    if let Some(text) = state.faults.create(config.get("name").map_or("", String::as_str)) {
        return Err(text);
    }
    complete(state, &mut config, now);
    Ok(config)
}

/// How the configuration keeps an option that is no drive.
pub(crate) fn kept(state: &mut State, name: &str, value: &str) -> String {
    if name == "tags" && !value.is_empty() {
        return normal_tags(value);
    }
    if name == "description" {
        // The file has it as lines of comment, of which the last empty ones are not read again.
        return value.trim_end().to_owned();
    }
    if name == "cipassword" && !value.starts_with('$') {
        return format!("$5${}", lab_core::disk_image::hex(&sha2::Sha256::digest(value)));
    }
    if options::index_of(name, "net").is_none() {
        return value.to_owned();
    }
    let mut pairs = property::parse(value, &keys::NIC).unwrap_or_default();
    if property::get(&pairs, "macaddr").is_none() {
        let mac = state.mac();
        property::set(&mut pairs, "macaddr", mac);
    }
    property::print_nic(&pairs)
}

/// Lower case, each once, sorted.
fn normal_tags(value: &str) -> String {
    let tags: BTreeSet<String> = option_formats::split_tags(value).map(str::to_lowercase).collect();
    tags.into_iter().collect::<Vec<_>>().join(";")
}

/// Options that Proxmox VE adds on its own.
fn complete(state: &mut State, config: &mut Config, now: u64) {
    if !config.contains_key("smbios1") {
        let uuid = state.uuid();
        config.insert("smbios1".to_owned(), format!("uuid={uuid}"));
    }
    let generation = state.uuid();
    config.insert("vmgenid".to_owned(), generation);
    let qemu = state.settings.release.qemu();
    config.insert("meta".to_owned(), format!("creation-qemu={qemu},ctime={now}"));
    if !config.contains_key("boot") {
        let order = power::default_boot(config).join(";");
        // An empty one is read again as a space.
        config.insert("boot".to_owned(), if order.is_empty() { " ".to_owned() } else { format!("order={order}") });
    }
}

/// Takes back what was made of a VM since then.
pub(crate) fn unmake(state: &mut State, vmid: u32, since: u64) {
    free(state, vmid, since);
    state.vms.remove(&vmid);
}

/// Takes a VM away with its disks, whatever its state.
pub(crate) fn vanish(state: &mut State, vmid: u32, now: u64) {
    if state.vms.contains_key(&vmid) {
        // A VM that is not there any more cannot fail to be switched off.
        let _off = power::off(state, vmid, now);
        unmake(state, vmid, 0);
    }
}

/// What a task says of a VM that has vanished.
pub(crate) fn gone(vmid: u32) -> String {
    format!("Configuration file 'nodes/pve1/qemu-server/{vmid}.conf' does not exist")
}

fn free(state: &mut State, vmid: u32, since: u64) {
    for volume in state.volumes.remove_of(vmid, since) {
        state.effects.push_back(Effect::DiskRemoved(volume.identity()));
    }
}
