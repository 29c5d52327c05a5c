//! The seam between the hypervisor and what runs on it.
//!
//! The Proxmox VE simulator knows VMs and disks; the Talos simulator knows nodes. This is all that they say to each
//! other: a VM was switched on or off, a disk is gone, and what the guest shows to the outside.

use std::net::IpAddr;

/// A VM at the moment when it is switched on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// SMBIOS UUID, lower case.
    pub uuid: String,
    /// Name of the VM, which Proxmox VE writes to the cloud-init drive as the host name.
    pub name: String,
    /// The host that runs the VM.
    pub host: String,
    /// Hardware addresses of the NICs in order (`net0` first), upper case.
    pub macs: Vec<String>,
    /// Identity of the boot disk; what the guest wrote to it survives until [`Machines::disk_removed`].
    pub disk: String,
    /// The Talos image found on the boot disk, if it holds one.
    pub image: Option<Image>,
    /// The Talos image of an attached ISO, if any.
    pub iso: Option<Image>,
    /// The network settings on the cloud-init drive, one entry for each NIC; empty without such a drive.
    pub network: Vec<NicConfig>,
    /// The machine config on a disc of NoCloud.
    pub user_data: Option<String>,
    /// Name servers on the cloud-init drive.
    pub nameservers: Vec<IpAddr>,
    /// Whether the VM has a channel for the guest agent.
    pub agent: bool,
    /// Cores of the VM.
    pub cores: u32,
    /// Memory in MiB.
    pub memory: u64,
    /// Size of the boot disk in bytes.
    pub disk_size: u64,
}

/// A Talos image as the Image Factory made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Schematic ID: 64 hexadecimal digits.
    pub schematic: String,
    /// Version with its `v`: `v1.13.9`.
    pub version: String,
    /// `nocloud` or `metal`.
    pub platform: String,
    /// Names of the system extensions inside, as in `siderolabs/qemu-guest-agent`.
    pub extensions: Vec<String>,
}

/// `ipconfigN` of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NicConfig {
    /// Ask DHCP.
    Dhcp,
    /// A static address with its prefix length, and the gateway.
    Static {
        /// The address.
        address: IpAddr,
        /// Length of the network prefix.
        prefix: u8,
        /// The default gateway.
        gateway: Option<IpAddr>,
    },
}

/// A network interface as the guest agent reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// Hardware address, lower case.
    pub mac: String,
    /// Addresses with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// What a hypervisor may ask of the machines that run on it.
pub trait Machines: Send + Sync {
    /// A VM was started: it boots.
    fn power_on(&self, machine: Machine);
    /// The plug was pulled.
    fn power_off(&self, uuid: &str);
    /// Whether the guest still runs; it may have shut itself down.
    fn is_on(&self, uuid: &str) -> bool;
    /// A disk was deleted with all that the guest had written to it.
    fn disk_removed(&self, disk: &str);
    /// Interfaces as the guest agent reports them; `None` while no agent answers.
    fn agent(&self, uuid: &str) -> Option<Vec<Interface>>;
    /// Lines that the guest has printed to its serial port since power-on, without the first so many.
    fn console(&self, _uuid: &str, _seen: usize) -> Vec<String> {
        Vec::new()
    }
}
