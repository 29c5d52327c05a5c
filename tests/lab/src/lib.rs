//! A lab that plays Proxmox VE, the Image Factory, Talos nodes and the Kubernetes API on loopback.

pub mod delays;
pub mod disk_image;
pub mod factory;
pub mod kubernetes;
pub mod machine;
pub mod pve;
pub mod talos;
mod tls;
