//! A client of the Proxmox VE API: what Ichor asks of it, and nothing else.
//!
//! [`request`] builds each call and reads its reply without any I/O; [`Client`] sends it. Between the two stand what
//! makes this API special: endpoints as people write them ([`Endpoint`]), certificates that nobody has signed
//! ([`Trust`]), refusals that are told apart by their text only ([`Refusal`]), work that goes on after the reply
//! ([`Upid`]), and values that are numbers here and strings there ([`answer`]).
//!
//! It knows nothing of records, clusters or Talos.

mod advice;
pub mod answer;
mod classify;
mod client;
mod console;
mod endpoint;
mod error;
mod host;
mod progress;
pub mod property;
mod refusal;
pub mod request;
pub mod rights;
mod scalar;
mod settings;
mod tls;
mod token;
mod upid;
mod upload;

pub use client::{Client, Silence, Warning};
pub use console::{Console, TERMINAL_WAITS, Terminal};
pub use endpoint::{BadEndpoint, Endpoint};
pub use error::{Error, FailedTask};
pub use progress::Progress;
pub use refusal::{Holder, Kind, Refusal};
pub use request::Request;
pub use rights::Rights;
pub use settings::{Settings, Unset};
pub use tls::{BadTrust, Fingerprint, Trust, Untrusted};
pub use token::{BadToken, Token};
pub use upid::Upid;
pub use upload::{Sent, Upload};
