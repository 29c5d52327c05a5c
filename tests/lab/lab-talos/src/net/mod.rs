//! Sockets and TLS: the thin layer between callers and the world.

mod connection;
mod driver;
mod grpc;
mod tls;

pub(super) use driver::drive;
pub(super) use tls::Certificates;

/// Which of a node's two APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Face {
    Talos,
    Kubernetes,
}

/// Port of the Talos API.
pub(crate) const APID: u16 = 50_000;
