//! What the parts of the lab share: its network, its clock, disk images, what goes wrong, and the seams between them.
//!
//! Proxmox VE, Talos, Kubernetes and the Image Factory are a crate each, and know each other only by what is here: by
//! [`machine`] between the hypervisor and what runs on it, by [`kubernetes`] between nodes and their cluster, and by
//! [`disk_image`] between those who make images and those who read them.

pub mod delays;
pub mod disk_image;
pub mod fault;
pub mod kubernetes;
pub mod machine;
pub mod nocloud;
pub mod scenario;
pub mod subnet;
pub mod tls;

/// Fills a buffer from the system's entropy.
///
/// # Panics
///
/// Without entropy: there are no keys then, and nothing to show.
pub fn random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the system has entropy");
}
