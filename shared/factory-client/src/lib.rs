//! A client of the Image Factory, which makes Talos images and installers to order.
//!
//! [`Image`] and [`Base`] name what the factory serves without asking it anything: URLs and installer references are
//! pure functions of schematic, version and platform. [`Client`] asks: it registers schematics, lists versions and
//! extensions, has an image built ahead of its use, and reads one while taking its digest.
//!
//! It knows nothing of records, and computes no schematic IDs: the caller passes text and IDs in.

mod base;
mod classify;
mod client;
mod error;
mod image;
mod reply;

pub use base::{BadBase, Base};
pub use client::{Client, Fetched};
pub use error::{Cause, Error};
pub use image::{BadFormat, BadVersion, Format, Image, Version};
pub use reply::{Extension, Refusal, renamed};
