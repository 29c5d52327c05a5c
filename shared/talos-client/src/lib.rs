//! Talking to one Talos node.
//!
//! [`probe()`] makes one decision: what is at this address? Nothing, a booting node, one in maintenance mode, one of
//! this cluster, or one of another cluster. With the result comes a connected [`Node`], on which Ichor makes its calls.
//! Every dial and every call ends in bounded time, so that a node that accepts connections and doesn't respond is only
//! ever slow. Nodes are contacted directly: no request is forwarded by another node.
//!
//! Both generations of servers are covered: up to 1.12 the maintenance API is a small server of its own, from 1.13 on
//! it is the whole API with a reader's rights.
//!
//! This crate knows nothing of records; it reports facts and errors, and its callers decide what they mean.

mod address;
mod boot;
mod classify;
mod cluster;
mod config;
mod contact;
mod cosi;
mod error;
mod etcd;
mod fingerprint;
mod health;
mod identity;
mod kubeconfig;
mod node;
mod probe;
mod pull;
mod services;
mod status;
mod tls;
mod trouble;

pub use address::{API_PORT, Address, AddressError};
pub use config::{Applied, Delivery, Mode};
pub use contact::{Limits, Trust};
pub use error::{Class, Error};
pub use etcd::{Bootstrap, Member};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use health::MemberHealth;
pub use identity::{Identity, IdentityError};
pub use kubeconfig::KubeconfigError;
pub use node::Node;
pub use probe::{Generation, Maintenance, NotOurs, Ours, Probe, probe};
pub use pull::ImagePull;
pub use services::{EtcdService, Service, ServiceEvent};
pub use status::{Link, MachineStatus, NodeStatus, Stage, SystemInformation, Unmet, VersionInfo};
