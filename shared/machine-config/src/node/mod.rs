//! The part of a config that differs from node to node: name, addresses, labels for Kubernetes.

mod interfaces;
mod network;
mod volumes;

use std::net::IpAddr;

use go_yaml::{Map, Value, map};
use ipnet::IpNet;
use talos_releases::Gate;

use crate::config::{Config, Document, MachineType};
use crate::contract::Contract;
use crate::generate::document;
use crate::kinds::LEGACY;
use crate::labels;
use crate::patch;

/// What is known of a node.
#[derive(Clone, Debug, Default)]
pub struct Node<'a> {
    /// Host name, which may be fully qualified.
    pub hostname: &'a str,
    /// Static address; none for DHCP.
    pub address: Option<IpNet>,
    /// Default gateway of a static address.
    pub gateway: Option<IpAddr>,
    /// Further routes of the first link.
    pub routes: Vec<Route>,
    /// MTU of the first link, in bytes.
    pub mtu: Option<u32>,
    /// NICs that form one link, which is then the first link.
    pub bond: Option<Bond<'a>>,
    /// VLANs on the first link.
    pub vlans: Vec<Vlan>,
    /// Name servers.
    pub nameservers: Vec<IpAddr>,
    /// Time servers.
    pub ntp: Vec<&'a str>,
    /// Address that the control planes share.
    pub vip: Option<IpAddr>,
    /// The NICs, first one first, with their hardware addresses where these are known. None means one NIC.
    pub nics: Vec<Option<&'a str>>,
    /// Volumes of the user's own.
    pub volumes: Vec<Volume<'a>>,
    /// Kubernetes labels.
    pub labels: Vec<(&'a str, &'a str)>,
    /// Kubernetes annotations.
    pub annotations: Vec<(&'a str, &'a str)>,
    /// Kubernetes taints: key to `Effect` or `value:Effect`.
    pub taints: Vec<(&'a str, &'a str)>,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination.
    pub to: IpNet,
    /// Next hop.
    pub via: IpAddr,
    /// Its priority; lower is preferred.
    pub metric: Option<u32>,
}

/// NICs that form one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bond<'a> {
    /// How: `active-backup`, `802.3ad` and so on.
    pub mode: &'a str,
    /// Which NICs, counted from 0.
    pub nics: Vec<usize>,
}

/// A VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// Its number, 1 to 4094.
    pub id: u16,
    /// Static address in it; none for DHCP.
    pub address: Option<IpNet>,
    /// MTU, in bytes.
    pub mtu: Option<u32>,
    /// Routes through it.
    pub routes: Vec<Route>,
}

/// A volume for the user's own data, mounted at `/var/mnt/<name>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume<'a> {
    /// Its name.
    pub name: &'a str,
    /// Which disk: a Talos expression; defaults to any disk except the system's.
    pub disk: Option<&'a str>,
    /// Minimum size, such as `10GiB`.
    pub min_size: Option<&'a str>,
    /// Maximum size; defaults to all available space.
    pub max_size: Option<&'a str>,
    /// `xfs`, `ext4` or `btrfs`.
    pub filesystem: Option<&'a str>,
}

/// Why a node's config can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A label, annotation or taint.
    #[error(transparent)]
    Label(#[from] labels::Error),
    /// A document that doesn't merge.
    #[error(transparent)]
    Patch(#[from] patch::Error),
    /// Something that the Talos version can't configure.
    #[error("{what} are known from Talos v1.{since} on; this is {contract}")]
    TooOld {
        /// What.
        what: &'static str,
        /// Since when Talos knows it.
        since: u32,
        /// The contract.
        contract: Contract,
    },
    /// A bond with a NIC that doesn't exist.
    #[error("the bond has NIC net{nic}, and there are {count}")]
    NoSuchNic {
        /// Which, counted from 0.
        nic: usize,
        /// How many there are.
        count: usize,
    },
}

/// Adds what is known about a node to its config, in the documents of the contract.
pub fn tailor(config: &Config, contract: Contract, machine: MachineType, node: &Node<'_>) -> Result<Config, Error> {
    check(node, machine)?;
    nics(node)?;
    let mut documents = if contract.has(Gate::NetworkDocuments) {
        network::documents(node, machine)
    } else {
        vec![legacy(map! { "machine" => interfaces::sections(node, machine) })]
    };
    documents.extend(volumes::documents(contract, node)?);
    documents.extend(kubernetes(contract, node));
    documents.extend(etcd(node, machine));
    Ok(patch::merge(config, &documents)?)
}

/// Whether a bond's NICs exist; their number is only known if they are listed.
fn nics(node: &Node<'_>) -> Result<(), Error> {
    let count = node.nics.len();
    let bonded = node.bond.iter().flat_map(|bond| &bond.nics);
    match bonded.copied().find(|nic| count > 0 && *nic >= count) {
        Some(nic) => Err(Error::NoSuchNic { nic, count }),
        None => Ok(()),
    }
}

fn check(node: &Node<'_>, machine: MachineType) -> Result<(), labels::Error> {
    node.labels.iter().try_for_each(|(key, value)| labels::label(key, value, machine))?;
    node.annotations.iter().try_for_each(|(key, _)| labels::annotation(key))?;
    node.taints.iter().try_for_each(|(key, value)| labels::taint(key, value, machine))
}

fn legacy(fields: Value) -> Document {
    Document::new(&LEGACY, fields)
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Map {
    pairs.iter().copied().collect()
}

impl Node<'_> {
    /// The VIP, which only control planes carry.
    fn own_vip(&self, machine: MachineType) -> Option<IpAddr> {
        self.vip.filter(|_| machine == MachineType::ControlPlane)
    }

    /// The hardware address of a NIC.
    fn mac(&self, nic: usize) -> Option<String> {
        self.nics.get(nic).copied().flatten().map(str::to_lowercase)
    }

    /// The NICs that aren't part of the first link.
    fn other_nics(&self) -> impl Iterator<Item = usize> {
        let first = |nic: &usize| match &self.bond {
            Some(bond) => bond.nics.contains(nic),
            None => *nic == 0,
        };
        (0..self.nics.len()).filter(move |nic| !first(nic))
    }

    /// The network of the node's address.
    fn network(&self) -> Option<String> {
        self.address.map(|address| address.trunc().to_string())
    }
}

/// What the node reports to Kubernetes about itself; the kubelet's address is pinned to the node's own network.
fn kubernetes(contract: Contract, node: &Node<'_>) -> Option<Document> {
    let subnets = node.network().map(|network| map! { "validSubnets" => vec![network] });
    let sets = [("labels", &node.labels), ("annotations", &node.annotations), ("taints", &node.taints)];
    let sets = sets.into_iter().filter(|(_, set)| !set.is_empty());
    let mut fields = Map::new();
    if contract.has(Gate::Documents) {
        sets.for_each(|(name, set)| fields.set(name, pairs(set)));
        subnets.into_iter().for_each(|subnets| fields.set("nodeIP", subnets));
        return (!fields.is_empty()).then(|| {
            let mut out = document("KubeNodeConfig", []);
            out.fields = fields;
            out
        });
    }
    sets.for_each(|(name, set)| fields.set(legacy_name(name), pairs(set)));
    subnets.into_iter().for_each(|subnets| fields.set("kubelet", map! { "nodeIP" => subnets }));
    (!fields.is_empty()).then(|| legacy(map! { "machine" => fields }))
}

fn legacy_name(set: &str) -> &'static str {
    match set {
        "labels" => "nodeLabels",
        "annotations" => "nodeAnnotations",
        _ => "nodeTaints",
    }
}

/// etcd advertises an address in the node's own network, not in one that a pod or a second NIC adds.
fn etcd(node: &Node<'_>, machine: MachineType) -> Option<Document> {
    let network = node.network().filter(|_| machine == MachineType::ControlPlane)?;
    Some(legacy(map! { "cluster" => map! { "etcd" => map! { "advertisedSubnets" => vec![network] } } }))
}

#[cfg(test)]
mod tests;
