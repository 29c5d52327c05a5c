//! Addresses: leases, static ones, and those that control planes share.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::{Id, World};
use lab_core::machine::{Interface, NicConfig};

/// The first host of a network that DHCP hands out.
const FIRST_LEASE: usize = 100;

impl World {
    /// Gives a node the settings of its platform, DHCP and its config, in this order.
    pub(super) fn assign_addresses(&mut self, id: Id) {
        let mut addresses = self.platform_addresses(id);
        let config = self.nodes[id].config.clone();
        let dhcp = config.as_ref().is_none_or(|config| config.network.default_dhcp);
        let configured = config.iter().flat_map(|config| config.network.addresses.iter().copied());
        if addresses.is_empty() && dhcp || self.asks_dhcp(id) {
            addresses.extend(self.lease(id));
        }
        for address in configured {
            if !addresses.iter().any(|known| known.addr() == address.addr()) {
                addresses.push(address);
            }
        }
        if self.nodes[id].addresses != addresses {
            self.nodes[id].addresses = addresses;
            self.nodes[id].names += 1;
            self.touch(id);
        }
    }

    fn platform_addresses(&self, id: Id) -> Vec<IpNet> {
        let nics = self.nodes[id].machine.network.iter();
        let fixed = nics.filter_map(|nic| match nic {
            NicConfig::Static { address, prefix, .. } => IpNet::new(*address, *prefix).ok(),
            NicConfig::Dhcp => None,
        });
        fixed.collect()
    }

    fn asks_dhcp(&self, id: Id) -> bool {
        self.nodes[id].machine.network.contains(&NicConfig::Dhcp)
    }

    /// The lease of a node's first NIC, which it keeps for good.
    fn lease(&mut self, id: Id) -> Option<IpNet> {
        let machine = &self.nodes[id].machine;
        let mac = machine.macs.first().unwrap_or(&machine.uuid).to_lowercase();
        let address = match self.leases.get(&mac) {
            Some(address) => *address,
            None => {
                let address = self.free_address()?;
                self.leases.insert(mac, address);
                address
            }
        };
        let net = Ipv4Net::new(address, self.subnet.prefix_len()).ok()?;
        Some(IpNet::V4(net))
    }

    fn free_address(&self) -> Option<Ipv4Addr> {
        let leased: std::collections::HashSet<Ipv4Addr> = self.leases.values().copied().collect();
        let free = |address: &Ipv4Addr| !leased.contains(address) && self.at_address(IpAddr::V4(*address)).is_none();
        self.subnet.hosts().skip(FIRST_LEASE - 1).find(free)
    }

    /// Lets each shared address be held by one healthy etcd member that wants it.
    pub(super) fn elect_shared(&mut self) -> bool {
        let mut changed = false;
        for address in self.wanted_shared() {
            let holder = self.shared.get(&address).copied();
            if holder.is_some_and(|id| self.may_hold(id, address)) {
                continue;
            }
            let next = self.candidate(address);
            if next == holder {
                continue;
            }
            changed = true;
            self.move_shared(address, holder, next);
        }
        changed
    }

    fn wanted_shared(&self) -> Vec<IpAddr> {
        let configs = self.nodes.iter().filter(|n| n.is_control_plane()).filter_map(|n| n.config.as_ref());
        let wanted = configs.flat_map(|config| config.network.shared.iter().copied());
        let mut all: Vec<IpAddr> = wanted.chain(self.shared.keys().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn may_hold(&self, id: Id, address: IpAddr) -> bool {
        let node = &self.nodes[id];
        let wants = node.config.as_ref().is_some_and(|config| config.network.shared.contains(&address));
        // It also takes a kubelet that has started (seen on 1.13.9: without one it never comes).
        let starts = node.faults.hold_kubelet_pull.is_none();
        wants && node.is_control_plane() && starts && self.etcd_healthy(id)
    }

    fn candidate(&self, address: IpAddr) -> Option<Id> {
        let members = self.etcds.iter().flat_map(|etcd| etcd.members.iter());
        members.map(|member| member.node).find(|id| self.may_hold(*id, address))
    }

    fn move_shared(&mut self, address: IpAddr, from: Option<Id>, to: Option<Id>) {
        if let Some(id) = from {
            self.nodes[id].shared.retain(|held| *held != address);
            self.nodes[id].names += 1;
            self.touch(id);
        }
        match to {
            Some(id) => {
                self.shared.insert(address, id);
                self.nodes[id].shared.push(address);
                self.nodes[id].names += 1;
                let by = "\"component\": \"controller-runtime\", \"controller\": \"network.OperatorSpecController\", \
                          \"operator\": \"vip\"";
                self.print(id, &format!("enabled shared IP {{{by}, \"link\": \"eth0\", \"ip\": \"{address}\"}}"));
                self.touch(id);
            }
            None => {
                self.shared.remove(&address);
            }
        }
    }

    /// Interfaces as the guest agent reports them.
    pub(crate) fn interfaces(&self, id: Id) -> Vec<Interface> {
        let node = &self.nodes[id];
        let local = Interface {
            name: "lo".to_owned(),
            mac: "00:00:00:00:00:00".to_owned(),
            addresses: vec![(Ipv4Addr::LOCALHOST.into(), 8), (std::net::Ipv6Addr::LOCALHOST.into(), 128)],
        };
        let own = node.addresses.iter().map(|a| (a.addr(), a.prefix_len()));
        let shared = node.shared.iter().map(|a| (*a, 32));
        let addresses: Vec<(IpAddr, u8)> = own.chain(shared).collect();
        let links = node.machine.macs.iter().enumerate().map(|(index, mac)| Interface {
            name: format!("eth{index}"),
            mac: mac.to_lowercase(),
            addresses: if index == 0 { addresses.clone() } else { Vec::new() },
        });
        std::iter::once(local).chain(links).collect()
    }
}
