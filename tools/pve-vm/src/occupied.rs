//! Whether somebody else has a node's static address.

use std::net::IpAddr;

use pve_access::{TALOS, answers};
use pve_client::{answer::Config, property::Property, request};
use record::{Failure, Node, Roster};
use step::Run;

use crate::{
    error::Error,
    fleet::Fleet,
    inventory::{is_trial, together},
    trial::tried_node,
};

/// A VM that was given static addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) vmid: u32,
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
}

/// The static addresses that a VM's config gives it, on any NIC.
pub(crate) fn given(config: &Config) -> Vec<IpAddr> {
    let is_network = |name: &str| name.strip_prefix("ipconfig").is_some_and(|index| index.parse::<u32>().is_ok());
    let networks = config.values().filter(|(name, _)| is_network(name)).map(|(_, value)| Property::parse(value));
    let addresses = networks.flat_map(|network| ["ip", "ip6"].map(|key| network.get(key).and_then(plain)));
    addresses.flatten().collect()
}

/// An address without its prefix length; `dhcp` and `auto` are none.
fn plain(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.trim().parse().ok()
}

/// Who has this address, besides the node's own VM.
fn holder(holders: &[Holder], address: IpAddr, own: Option<u32>) -> Option<&Holder> {
    holders.iter().find(|holder| Some(holder.vmid) != own && holder.addresses.contains(&address))
}

impl Fleet {
    /// Refuses to switch on a VM whose static address somebody else has: a VM on this Proxmox VE, running or not, or
    /// whatever responds there. `own` is the node's VM, which is off, if it exists.
    pub(crate) async fn free_address(&self, run: &Run, node: &Node, own: Option<u32>) -> Result<(), Failure> {
        let Some(address) = node.typed_spec()?.address.as_deref().and_then(plain) else { return Ok(()) };
        let (held, answers) = tokio::join!(self.unheld_address(run, node, own), answers(address));
        held?;
        match answers {
            true => {
                Err(Error::AddressAnswers { address: std::net::SocketAddr::new(address, TALOS).to_string() }.into())
            }
            false => Ok(()),
        }
    }

    /// The same for a VM that runs and gets another address: it may be the one that answers there already, so only the
    /// VMs of this Proxmox VE are asked.
    pub(crate) async fn unheld_address(&self, run: &Run, node: &Node, own: Option<u32>) -> Result<(), Failure> {
        let Some(written) = node.typed_spec()?.address else { return Ok(()) };
        let Some(address) = plain(&written) else { return Ok(()) };
        let roster = run.cluster().roster().cloned().unwrap_or_default();
        let holders = self.holders(run, &roster).await;
        if let Some(Holder { vmid, host, name, .. }) = holder(holders?, address, own) {
            let (vmid, host, name) = (*vmid, host.clone(), name.clone());
            let ours = self.inventory.unlisted(&self.identity, &roster).find(|known| known.vmid == vmid);
            return Err(match ours {
                Some(known) => {
                    let node = known.config.as_ref().ok().and_then(|config| self.identity.node(config));
                    Error::AddressTaken { vmid, host, name, address: written, node: node.map(str::to_owned) }
                }
                None => Error::AddressInUse { vmid, host, name, address: written },
            }
            .into());
        }
        Ok(())
    }

    /// The static addresses of all VMs that the token may see, read once. Those of nodes in the file are checked against
    /// each other with the file.
    async fn holders(&self, run: &Run, roster: &Roster) -> Result<&[Holder], Failure> {
        let read = async {
            // A trial is never switched on.
            let known = self.inventory.known.iter().filter(|known| !is_trial(known, &self.identity));
            let known = known.filter_map(|known| {
                let config = known.config.as_ref().ok()?;
                Some(holder_of(known.vmid, &known.host, &known.name, config))
            });
            let listed: Vec<u32> = roster.iter().filter_map(|entry| self.own(&entry.name)).collect();
            let mut holders: Vec<Holder> = known.filter(|holder| !listed.contains(&holder.vmid)).collect();
            let others = self.inventory.others.iter().filter(|row| row.kind == "qemu" && !row.template).cloned();
            let configs = others.map(|row| {
                let pve = self.pve.clone();
                async move {
                    let config = pve.ask(&request::config(&row.node, row.vmid)).await;
                    (row, config)
                }
            });
            for (row, config) in together(configs).await {
                match config {
                    Ok(config) if row.status != "running" && self.is_trial(&config) => {}
                    Ok(config) => {
                        holders.push(holder_of(row.vmid, &row.node, row.name.as_deref().unwrap_or_default(), &config));
                    }
                    // It was destroyed meanwhile, or moved: then it isn't new at its address.
                    Err(error) if error.is_no_vm() => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let mut hosts: Vec<&str> = self.inventory.hidden.iter().map(|hidden| hidden.row.node.as_str()).collect();
            hosts.dedup();
            if !hosts.is_empty() {
                run.warn(&format!("the addresses of VMs on {} can't be checked", hosts.join(", ")));
            }
            Ok(holders)
        };
        self.addresses.get_or_try_init(|| read).await.map(Vec::as_slice)
    }

    /// Whether this is one that a run which was cut off tried.
    fn is_trial(&self, config: &Config) -> bool {
        self.identity.marks(config) && tried_node(config).is_some()
    }

    /// The VM ID of a node of ours.
    fn own(&self, node: &str) -> Option<u32> {
        let uuid = self.identity.uuid(node);
        let is = |config: &Config| config.uuid().as_ref() == Some(&uuid);
        self.inventory.known.iter().find(|known| known.config.as_ref().is_ok_and(is)).map(|known| known.vmid)
    }
}

fn holder_of(vmid: u32, host: &str, name: &str, config: &Config) -> Holder {
    Holder { vmid, host: host.to_owned(), name: name.to_owned(), addresses: given(config) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_addresses_of_every_nic_and_family_are_found() {
        let pairs = [
            ("ipconfig0", "ip=10.0.0.11/24,gw=10.0.0.1"),
            ("ipconfig1", "gw6=fd00::1,ip6=fd00::11/64,ip=dhcp"),
            ("ipconfig2", "ip=dhcp,ip6=auto"),
            ("net0", "virtio,bridge=vmbr0"),
        ];
        let expected: Vec<IpAddr> = ["10.0.0.11", "fd00::11"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(given(&pairs.into_iter().collect()), expected);
    }

    #[test]
    fn an_address_is_compared_without_its_prefix_and_the_nodes_own_vm_does_not_count() {
        let config: Config = [("ipconfig0", "ip=10.0.0.11/16")].into_iter().collect();
        let holders = [holder_of(100, "pve1", "db", &config)];
        let address = plain("10.0.0.11/24").unwrap();

        assert_eq!(holder(&holders, address, None).map(|holder| holder.vmid), Some(100));
        assert_eq!(holder(&holders, address, Some(100)), None);
        assert_eq!(holder(&holders, plain("10.0.0.12/24").unwrap(), None), None);
    }
}
