//! Which options of a VM somebody may set.

use super::keys;
use super::options::{self, Group};
use super::property;
use super::reply::Refusal;
use super::state::{Call, State};

/// A VM whose options somebody sets.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Its ID.
    pub(crate) vmid: u32,
    /// The pool that it will be in, if it is about to be made.
    pub(crate) pool: Option<&'a str>,
    /// Whether it is about to be made.
    pub(crate) is_new: bool,
}

impl<'a> Target<'a> {
    /// A VM that is about to be made.
    pub(crate) fn new(vmid: u32, pool: Option<&'a str>) -> Self {
        Self { vmid, pool, is_new: true }
    }

    /// A VM that is there.
    pub(crate) fn existing(vmid: u32) -> Self {
        Self { vmid, pool: None, is_new: false }
    }
}

/// Checks that the token may set an option, before a task is started.
pub(crate) fn option(
    state: &State,
    call: &Call<'_>,
    target: Target<'_>,
    name: &str,
    value: &str,
) -> Result<(), Refusal> {
    let need = |any: &[&str]| state.may(call.token, target.vmid, target.pool, any);
    match options::group_of(name) {
        None => Ok(()),
        Some(_) if call.token.is_root() => Ok(()),
        Some(Group::Root) => Err(Refusal::failed(format!("only root can set '{name}' config"))),
        // Of a VM that is there, devices and drives are checked where the change is made.
        Some(Group::Device) if !target.is_new => Ok(()),
        Some(Group::Device) => device(state, call, target, name, value),
        Some(Group::Disk) if !target.is_new && options::is_drive(name) => Ok(()),
        Some(Group::Cpu) => need(&["VM.Config.CPU"]),
        Some(Group::Memory) => need(&["VM.Config.Memory"]),
        Some(Group::Hardware) => need(&["VM.Config.HWType"]),
        // Of a creation Proxmox VE checks tags in the worker.
        Some(Group::Options) if name == "tags" && target.is_new => Ok(()),
        Some(Group::Options) => need(&["VM.Config.Options"]),
        Some(Group::Disk) => need(&["VM.Config.Disk"]),
        Some(Group::Network) => need(&["VM.Config.Network"]).and_then(|()| bridge(call, value)),
        Some(Group::CloudInit) => need(&["VM.Config.Cloudinit", "VM.Config.Network"]),
        Some(Group::Startup) => {
            need(&["VM.Config.Options"])?;
            call.token.require("/", &["Sys.Modify"]).map_err(Refusal::forbidden)
        }
    }
}

fn bridge(call: &Call<'_>, nic: &str) -> Result<(), Refusal> {
    let pairs = property::parse(nic, &keys::NIC).unwrap_or_default();
    match property::get(&pairs, "bridge") {
        None => Ok(()),
        Some(bridge) => {
            let path = format!("/sdn/zones/localnetwork/{bridge}");
            call.token.require(&path, &["SDN.Use"]).map_err(Refusal::forbidden)
        }
    }
}

/// What a device option asks for.
enum Device {
    /// Nothing of the host.
    Virtual,
    /// Something that is mapped: the path of its mapping.
    Mapped(String),
    /// The device itself; the rest of the refusal.
    Raw(&'static str),
}

fn wanted(name: &str, value: &str) -> Device {
    let is = |stem: &str| options::index_of(name, stem).is_some();
    let mapping = || value.split(',').find_map(|part| part.strip_prefix("mapping=")).map(str::to_owned);
    if is("virtiofs") {
        let pairs = property::parse(value, &keys::VIRTIO_FS).unwrap_or_default();
        let name = property::get(&pairs, "dirid").unwrap_or_default();
        return Device::Mapped(format!("/mapping/dir/{name}"));
    }
    match mapping() {
        Some(mapping) if is("hostpci") => Device::Mapped(format!("/mapping/pci/{mapping}")),
        Some(mapping) if is("usb") => Device::Mapped(format!("/mapping/usb/{mapping}")),
        _ if is("rng") && value.contains("/dev/hwrng") => Device::Mapped("/mapping/hwrng".to_owned()),
        _ if is("hostpci") => Device::Raw("for non-mapped devices"),
        _ if is("usb") && !value.to_lowercase().contains("spice") => Device::Raw("for real devices"),
        _ if is("serial") && value != "socket" => Device::Raw("for real devices"),
        _ => Device::Virtual,
    }
}

/// Whether somebody may give a VM a device: mapped ones take a right on their mapping, those of the host are for root.
fn device(state: &State, call: &Call<'_>, target: Target<'_>, name: &str, value: &str) -> Result<(), Refusal> {
    state.may(call.token, target.vmid, target.pool, &["VM.Config.HWType"])?;
    // A change words the refusal of a serial port in its own way.
    let verb = if name.starts_with("serial") && !target.is_new { "modify" } else { "set" };
    match wanted(name, value) {
        Device::Virtual => Ok(()),
        Device::Mapped(path) => call.token.require(&path, &["Mapping.Use"]).map_err(Refusal::forbidden),
        Device::Raw(rest) => Err(Refusal::failed(format!("only root can {verb} '{name}' config {rest}"))),
    }
}

/// Whether somebody may set or take out a drive of a VM that is there: one of cloud-init takes two rights, any other CD one
/// of them, and a disk a third.
fn drive(state: &State, call: &Call<'_>, name: &str, value: &str) -> Result<(), Refusal> {
    let pairs = super::disks::parse(name, value);
    let file = property::get(&pairs, "file").unwrap_or_default();
    let stem = file.rsplit([':', '/']).next().and_then(|name| name.split('.').next()).unwrap_or_default();
    let is_cloud_init =
        file.contains(':') && (stem == "cloudinit" || (stem.starts_with("vm-") && stem.ends_with("-cloudinit")));
    let needs: &[&str] = match property::get(&pairs, "media") {
        _ if is_cloud_init => &["VM.Config.Cloudinit", "VM.Config.CDROM"],
        Some("cdrom") => &["VM.Config.CDROM"],
        _ => &["VM.Config.Disk"],
    };
    needs.iter().try_for_each(|need| state.may(call.token, call.vmid(), None, &[need]))
}

/// The refusal that the worker of a change ends with, if somebody may not set or take out one of the devices and drives.
pub(crate) fn in_worker<'a>(
    state: &State,
    call: &Call<'_>,
    mut options: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), Refusal> {
    let target = Target::existing(call.vmid());
    if call.token.is_root() {
        return Ok(());
    }
    options.try_for_each(|(name, value)| match options::group_of(name) {
        Some(Group::Device) => device(state, call, target, name, value),
        Some(Group::Disk) if options::is_drive(name) => drive(state, call, name, value),
        _ => Ok(()),
    })
}
