//! The cluster file of a lab.

use std::fmt::Write;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// The content of the file.
#[derive(Debug)]
pub(crate) struct ClusterFile<'a> {
    /// Name of the cluster.
    pub(crate) name: &'a str,
    /// Version of Talos.
    pub(crate) talos: &'a str,
    /// URL of Proxmox VE.
    pub(crate) proxmox: &'a str,
    /// The lab's network.
    pub(crate) net: Ipv4Net,
    /// The default gateway, which is the name server too.
    pub(crate) gateway: Ipv4Addr,
    /// The address that the control planes share.
    pub(crate) vip: Option<Ipv4Addr>,
    /// Control planes with their addresses.
    pub(crate) control_planes: Vec<(String, Ipv4Addr)>,
    /// Workers with their addresses; without one, DHCP.
    pub(crate) workers: Vec<(String, Option<Ipv4Addr>)>,
}

impl ClusterFile<'_> {
    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to memory does not fail");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (gateway, prefix) = (self.gateway, self.net.prefix_len());
        writeln!(out, "apiVersion: ichor/v1\nkind: Cluster\nname: {}\nspec:", self.name)?;
        writeln!(out, "  talos:\n    version: {}\n    schematic:", self.talos)?;
        writeln!(
            out,
            "      customization: {{systemExtensions: {{officialExtensions: [siderolabs/qemu-guest-agent]}}}}"
        )?;
        writeln!(out, "  proxmox:\n    endpoint: {}\n    ca: pve-root-ca.pem", self.proxmox)?;
        writeln!(out, "    storage: local-lvm\n    images: local\n    bridge: vmbr0")?;
        writeln!(out, "  network:\n    gateway: {gateway}\n    nameservers: [{gateway}]")?;
        if let Some(vip) = self.vip {
            writeln!(out, "    vip: {vip}")?;
        }
        writeln!(out, "  controlplane: {{vm: {{cores: 2, memory: 4096, disk: 20}}}}")?;
        writeln!(out, "  worker: {{vm: {{cores: 2, memory: 2048, disk: 20}}}}")?;
        writeln!(out, "nodes:")?;
        for (name, address) in &self.control_planes {
            writeln!(out, "  - {{name: {name}, role: controlplane, address: {address}/{prefix}}}")?;
        }
        for (name, address) in &self.workers {
            match address {
                Some(address) => writeln!(out, "  - {{name: {name}, role: worker, address: {address}/{prefix}}}")?,
                None => writeln!(out, "  - {{name: {name}, role: worker}}")?,
            }
        }
        Ok(())
    }
}
