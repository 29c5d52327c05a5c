//! A client of the Kubernetes API: the few calls that Ichor makes.
//!
//! [`Kubeconfig`] reads the credentials of one context; [`Client`] checks whether the API is ready.

mod classify;
mod client;
mod error;
mod kubeconfig;

pub use client::Client;
pub use error::Error;
pub use kubeconfig::{BadKubeconfig, Kubeconfig};
