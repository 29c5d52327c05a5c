//! A client of the Kubernetes API: the few things that Ichor asks of it.
//!
//! [`Kubeconfig`] reads the credentials of one context; [`Client`] asks whether the API is ready, which version it is,
//! and which nodes it knows ([`Node`]).

mod classify;
mod client;
mod error;
mod kubeconfig;
mod node;

pub use client::Client;
pub use error::{Cause, Error};
pub use kubeconfig::{BadKubeconfig, Kubeconfig};
pub use node::Node;
