//! What a running VM takes while it runs.

use super::disks;
use super::keys;
use super::options;
use super::property;
use super::state::{State, Vm};

/// What becomes of a change of a running VM.
pub(crate) enum Plug {
    /// It is made.
    Done,
    /// It waits for the next start.
    Waits,
    /// It was tried and failed, with this text; it waits for the next start.
    Failed(String),
}

/// Tries to change an option of a running VM, or to take it out.
pub(crate) fn plug(state: &State, vm: &Vm, name: &str, value: Option<&str>) -> Plug {
    let is = |stem: &str| options::index_of(name, stem).is_some();
    match options::is_live(name) {
        false => Plug::Waits,
        true if is("net") => card(state, vm, name, value),
        true if options::is_bus_drive(name) => drive(vm, name, value),
        true if is("usb") && !plugs(vm, "usb") => Plug::Waits,
        true => Plug::Done,
    }
}

/// Whether devices of a kind can be plugged in.
fn plugs(vm: &Vm, kind: &str) -> bool {
    match vm.config.get("hotplug").map(String::as_str) {
        None | Some("1") => true,
        Some(list) => list.split(',').any(|feature| feature == kind),
    }
}

fn card(state: &State, vm: &Vm, name: &str, value: Option<&str>) -> Plug {
    let parts = |text: &str| property::parse(text, &keys::NIC).unwrap_or_default();
    let new = value.map(parts).unwrap_or_default();
    let old = vm.config.get(name).map(|text| parts(text)).unwrap_or_default();
    // The bridge, the VLAN and their like can change under a card that stays.
    let stays =
        ["model", "macaddr", "queues", "mtu"].iter().all(|key| property::get(&old, key) == property::get(&new, key));
    if !stays && !plugs(vm, "network") {
        return Plug::Waits;
    }
    match property::get(&new, "bridge").filter(|bridge| !state.settings.bridges.iter().any(|known| known == bridge)) {
        Some(bridge) => Plug::Failed(format!("interface {bridge} does not exist")),
        None => Plug::Done,
    }
}

fn drive(vm: &Vm, name: &str, value: Option<&str>) -> Plug {
    let is_cd = |text: &str| text.contains("media=cdrom");
    let old = vm.config.get(name).map(String::as_str);
    let fixed = name.starts_with("ide") || name.starts_with("sata");
    let same = |old: &str, new: &str| disks::file(name, old) == disks::file(name, new);
    match (old, value) {
        (Some(old), Some(new)) if is_cd(old) != is_cd(new) => Plug::Failed("unable to change media type".to_owned()),
        // A disc is changed, or the options of a disk that stays.
        (Some(old), Some(new)) if is_cd(old) || same(old, new) => Plug::Done,
        _ if fixed || !plugs(vm, "disk") => Plug::Waits,
        (Some(_), _) if boots(vm, name) => Plug::Failed(format!("can't unplug bootdisk '{name}'")),
        _ => Plug::Done,
    }
}

fn boots(vm: &Vm, name: &str) -> bool {
    let order = vm.config.get("boot").and_then(|boot| boot.strip_prefix("order="));
    order.is_some_and(|order| order.split(';').any(|device| device == name))
}
