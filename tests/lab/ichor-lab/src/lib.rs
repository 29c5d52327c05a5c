//! A lab that plays Proxmox VE, the Image Factory, Talos nodes and the Kubernetes API on loopback.
//!
//! Nothing in a client has to know that it talks to a lab: every part speaks the real protocol on its real port, on an
//! address of its own in 127.0.0.0/8. [`Lab::start`] starts everything on the current runtime and writes a cluster
//! file; [`Lab::env`] is what a command needs to find it. Handles observe and inject: [`Lab::pve`], [`Lab::talos`],
//! [`Lab::factory`].

pub mod cli;
mod cluster_file;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod provision;
#[cfg(target_os = "linux")]
mod trouble;
#[cfg(target_os = "linux")]
mod web;

pub use lab_core::{delays, disk_image, machine, scenario, tls};
pub use {lab_factory as factory, lab_kube as kubernetes, lab_pve as pve, lab_talos as talos};

#[cfg(target_os = "linux")]
pub use lab::{Lab, Options};
