//! A lab that plays Proxmox VE, the Image Factory, Talos nodes and the Kubernetes API on loopback.
//!
//! Nothing in a client has to know that it talks to a lab: every part speaks the real protocol on its real port, on an
//! address of its own in 127.0.0.0/8. [`Lab::start`] starts everything on the current runtime and writes a cluster
//! file; [`Lab::env`] is what a command needs to find it. Handles observe and inject: [`Lab::pve`], [`Lab::talos`],
//! [`Lab::factory`].

pub mod cli;
mod cluster_file;
pub mod delays;
pub mod disk_image;
pub mod factory;
pub mod kubernetes;
#[cfg(target_os = "linux")]
mod lab;
pub mod machine;
#[cfg(target_os = "linux")]
mod provision;
pub mod pve;
pub mod scenario;
mod subnet;
pub mod talos;
mod tls;
#[cfg(target_os = "linux")]
mod web;

#[cfg(target_os = "linux")]
pub use lab::{Lab, Options};
