//! A client of the Image Factory, which makes Talos images and installers to order.
//!
//! [`Client`] registers schematics, lists versions and extensions, has an image built ahead of its use, and downloads
//! one to compute its digest. The names of what the factory serves come from the crate [`schematic`].
//!
//! It knows nothing of records, and computes no schematic IDs: the caller passes text and IDs in.

mod classify;
mod client;
mod content;
mod download;
mod error;
mod reply;

pub use client::Client;
pub use download::Fetched;
pub use error::Error;
pub use reply::{Extension, Refusal, renamed};
