//! The config of one node, from the plan and the node's spec. Pure.

use std::net::IpAddr;

use cluster_pki::Bundle;
use machine_config::generate::{Input, Options};
use machine_config::node::{Node as Facts, tailor};
use machine_config::validate::{Mode, validate};
use machine_config::{Config, Gate, MachineType, generate};
use record::Role;
use record::spec::NodeSpec;

use crate::error::Error;
use crate::patches::{self, Reader};
use crate::plan::Plan;

/// What the stream tells of a node beside its spec.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found<'a> {
    /// Hardware address of the first NIC.
    pub(crate) mac: Option<&'a str>,
    /// Reference of the installer.
    pub(crate) installer: Option<&'a str>,
}

/// A config and what is worth telling about it.
pub(crate) struct Made {
    pub(crate) config: Config,
    /// Names of patches that changed nothing.
    pub(crate) idle: Vec<String>,
}

/// The first disk of a VM as pve-vm makes it (scsi0).
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
    let (config, idle) = patches::apply(tailored, &patches)?;
    if config.machine_type() != Some(machine) {
        let word = config.legacy(&["machine", "type"]).and_then(|value| value.as_text());
        return Err(Error::MachineType { found: word.unwrap_or_default().to_owned(), wanted: machine.as_str() });
    }
    let report = validate(&config, Mode::Cloud, plan.talos);
    if report.errors.is_empty() { Ok(Made { config, idle }) } else { Err(Error::Invalid(report.errors)) }
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
        ..Options::default()
    };
    // A disk image needs no installing; up to 1.13 Talos wants the section all the same, and upgrades read it.
    if !plan.contract.has(Gate::Documents) {
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

fn facts<'a>(plan: &'a Plan, name: &'a str, spec: &'a NodeSpec, found: Found<'a>) -> Result<Facts<'a>, Error> {
    let address = |field, text: &Option<String>| text.as_deref().map(|text| ip(field, text)).transpose();
    let network = &spec.network;
    fn pairs(map: &std::collections::BTreeMap<String, String>) -> Vec<(&str, &str)> {
        map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
    Ok(Facts {
        hostname: spec.hostname.as_deref().unwrap_or(name),
        address: spec.address.as_deref().map(prefix).transpose()?,
        gateway: address("network.gateway", &network.gateway)?,
        nameservers: network
            .nameservers
            .iter()
            .map(|text| ip("network.nameservers", text))
            .collect::<Result<_, _>>()?,
        ntp: network.ntp.iter().map(String::as_str).collect(),
        vip: address("network.vip", &plan.spec.network.vip)?,
        mac: found.mac,
        labels: pairs(&spec.labels),
        annotations: pairs(&spec.annotations),
        taints: pairs(&spec.taints),
    })
}

fn ip(field: &'static str, text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|_| Error::Unreadable { field, value: text.to_owned(), wanted: "an IP address" })
}

fn prefix(text: &str) -> Result<ipnet::IpNet, Error> {
    text.parse().map_err(|_| Error::Unreadable {
        field: "address",
        value: text.to_owned(),
        wanted: "an IP address with a prefix length",
    })
}
