//! The config of one node, from the plan and the node's spec. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cluster_pki::Bundle;
use config_rules::{Mode, losses, validate};
use machine_config::generate::{Input, Options};
use machine_config::node::{Bond, Node as Facts, Route, Vlan, Volume, tailor};
use machine_config::{Config, Gate, MachineType, generate};
use record::Role;
use record::spec::{self, NodeSpec, Via};

use crate::error::Error;
use crate::patches::{self, Patched, Reader};
use crate::plan::Plan;

/// What the stream reports about a node beside its spec.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found<'a> {
    /// MAC addresses of the NICs, in order.
    pub(crate) macs: &'a [String],
    /// Topology zone.
    pub(crate) zone: Option<&'a str>,
    /// Topology region.
    pub(crate) region: Option<&'a str>,
    /// Reference of the installer.
    pub(crate) installer: Option<&'a str>,
}

/// A config and its warnings.
pub(crate) struct Made {
    pub(crate) config: Config,
    /// Names of patches that changed nothing.
    pub(crate) idle: Vec<String>,
    /// Warnings of Talos's validation.
    pub(crate) warnings: Vec<String>,
    /// What Talos would lose in silence.
    pub(crate) lost: Vec<String>,
}

/// The first disk of a VM that pve-vm creates (scsi0).
const DISK: &str = "/dev/sda";

/// Makes the config of a node.
pub(crate) fn config(
    plan: &Plan,
    bundle: &Bundle,
    name: &str,
    spec: &NodeSpec,
    found: Found<'_>,
    read: Reader<'_>,
) -> Result<Made, Error> {
    let machine = machine(spec.role);
    let patches = patches::of_spec(&spec.patches, read)?;
    patches::check(&patches, machine, plan.talos)?;
    let input = Input {
        cluster: &plan.name,
        endpoint: &plan.endpoint,
        contract: plan.contract,
        kubernetes: &plan.kubernetes,
        secrets: bundle.secrets(),
        options: options(plan, machine, found),
    };
    let base = generate(&input, machine);
    let tailored = tailor(&base, plan.contract, machine, &facts(plan, name, spec, found)?)?;
    let Patched { config, idle, mut lost } = patches::apply(tailored, &patches)?;
    if config.machine_type() != Some(machine) {
        let word = config.legacy(&["machine", "type"]).and_then(|value| value.as_text());
        return Err(Error::MachineType { found: word.unwrap_or_default().to_owned(), wanted: machine.as_str() });
    }
    machine_config::labels::of_config(&config, machine).map_err(machine_config::node::Error::from)?;
    let report = validate(&config, Mode::Cloud, plan.talos);
    if !report.errors.is_empty() {
        // What a patch erased explains what is missing.
        return Err(Error::Invalid(report.errors.into_iter().chain(lost).collect()));
    }
    let mode = if boots_from_iso(plan) { Mode::Metal } else { Mode::Cloud };
    lost.extend(losses(&config, mode, plan.talos));
    Ok(Made { config, idle, warnings: report.warnings, lost })
}

/// Whether Talos has to install itself, because the disks begin empty.
fn boots_from_iso(plan: &Plan) -> bool {
    let images = plan.spec.proxmox.as_ref().and_then(|proxmox| proxmox.images.as_ref());
    images.is_some_and(|images| images.via == Via::Iso)
}

/// The machine type of a role.
pub(crate) fn machine(role: Role) -> MachineType {
    match role {
        Role::ControlPlane => MachineType::ControlPlane,
        Role::Worker => MachineType::Worker,
    }
}

fn options(plan: &Plan, machine: MachineType, found: Found<'_>) -> Options {
    let spec = &plan.spec;
    let mut options = Options {
        sans: sans(plan, machine),
        schedule_on_control_planes: spec.allow_scheduling_on_control_planes.unwrap_or(false),
        discovery: spec.discovery.unwrap_or(true),
        mirrors: spec.registry_mirrors.iter().map(|(host, urls)| (host.clone(), urls.clone())).collect(),
        ..Options::default()
    };
    // A disk image needs no installation; but up to 1.13 Talos requires the section, and upgrades read it. From an ISO it
    // is installed in any case.
    if boots_from_iso(plan) || !plan.contract.has(Gate::Documents) {
        DISK.clone_into(&mut options.install_disk);
        found.installer.unwrap_or(&plan.installer).clone_into(&mut options.install_image);
    }
    options
}

/// The user's names; on control planes also the endpoint's host and the VIP, by which the APIs are reached.
fn sans(plan: &Plan, machine: MachineType) -> Vec<String> {
    let mut names = plan.spec.cert_sans.clone();
    if machine == MachineType::ControlPlane {
        names.push(host(&plan.endpoint).to_owned());
        names.extend(plan.spec.network.vip.clone());
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// The host of a URL, without port and brackets.
pub(crate) fn host(url: &str) -> &str {
    generate::endpoint_host(url)
}

/// The labels for the location of a machine.
const ZONE: &str = "topology.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";

/// The user's labels, and zone and region as found, unless the user sets them.
fn labels<'a>(spec: &'a NodeSpec, found: Found<'a>, machine: MachineType) -> Vec<(&'a str, &'a str)> {
    let place = [(REGION, found.region), (ZONE, found.zone)];
    let place = place.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let place = place.filter(|(key, value)| {
        !spec.labels.contains_key(*key) && machine_config::labels::label(key, value, machine).is_ok()
    });
    let mut all: Vec<_> = pairs(&spec.labels);
    all.extend(place);
    all
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn facts<'a>(plan: &'a Plan, name: &'a str, spec: &'a NodeSpec, found: Found<'a>) -> Result<Facts<'a>, Error> {
    let address = |field, text: &Option<String>| text.as_deref().map(|text| ip(field, text)).transpose();
    let network = &spec.network;
    let servers = network.nameservers.iter().map(|text| ip("network.nameservers", text));
    Ok(Facts {
        hostname: spec.hostname.as_deref().unwrap_or(name),
        address: spec.address.as_deref().map(|text| prefix("address", text)).transpose()?,
        gateway: address("network.gateway", &network.gateway)?,
        routes: routes("network.routes", &network.routes)?,
        mtu: network.mtu,
        bond: network.bond.as_ref().map(bond).transpose()?,
        vlans: network.vlans.iter().map(vlan).collect::<Result<_, _>>()?,
        nameservers: servers.collect::<Result<_, _>>()?,
        ntp: network.ntp.iter().map(String::as_str).collect(),
        vip: address("network.vip", &plan.spec.network.vip)?,
        nics: nics(spec, found),
        volumes: spec.volumes.iter().map(volume).collect(),
        labels: labels(spec, found, machine(spec.role)),
        annotations: pairs(&spec.annotations),
        taints: pairs(&spec.taints),
    })
}

/// The NICs with their MAC addresses, if known. Without a VM, as many as the spec names.
fn nics<'a>(spec: &NodeSpec, found: Found<'a>) -> Vec<Option<&'a str>> {
    if !found.macs.is_empty() {
        return found.macs.iter().map(|mac| Some(mac.as_str())).collect();
    }
    let last = spec.vm.keys().filter_map(|key| nic(key)).max();
    let bonded = spec.network.bond.iter().flat_map(|bond| &bond.nics).filter_map(|name| nic(name)).max();
    vec![None; last.max(bonded).map_or(0, |nic| nic + 1)]
}

/// The number of a NIC in Proxmox VE's names: `net0`.
fn nic(name: &str) -> Option<usize> {
    name.strip_prefix("net")?.parse().ok().filter(|nic| *nic < 32)
}

fn bond(bond: &spec::BondSpec) -> Result<Bond<'_>, Error> {
    let wanted = "a NIC such as net0";
    let unreadable = |value: &String| Error::Unreadable { field: "network.bond.nics", value: value.clone(), wanted };
    let nics = bond.nics.iter().map(|name| nic(name).ok_or_else(|| unreadable(name)));
    Ok(Bond { mode: &bond.mode, nics: nics.collect::<Result<_, _>>()? })
}

fn vlan(vlan: &spec::VlanSpec) -> Result<Vlan, Error> {
    Ok(Vlan {
        id: vlan.id,
        address: vlan.address.as_deref().map(|text| prefix("network.vlans.address", text)).transpose()?,
        mtu: vlan.mtu,
        routes: routes("network.vlans.routes", &vlan.routes)?,
    })
}

fn routes(field: &'static str, routes: &[spec::RouteSpec]) -> Result<Vec<Route>, Error> {
    let route = |route: &spec::RouteSpec| {
        Ok(Route { to: prefix(field, &route.to)?, via: ip(field, &route.via)?, metric: route.metric })
    };
    routes.iter().map(route).collect()
}

fn volume(volume: &spec::VolumeSpec) -> Volume<'_> {
    Volume {
        name: &volume.name,
        disk: volume.disk.as_deref(),
        min_size: volume.min_size.as_deref(),
        max_size: volume.max_size.as_deref(),
        filesystem: volume.filesystem.as_deref(),
    }
}

fn ip(field: &'static str, text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|_| Error::Unreadable { field, value: text.to_owned(), wanted: "an IP address" })
}

fn prefix(field: &'static str, text: &str) -> Result<ipnet::IpNet, Error> {
    let wanted = "an IP address with a prefix length";
    text.parse().map_err(|_| Error::Unreadable { field, value: text.to_owned(), wanted })
}

#[cfg(test)]
mod tests;
