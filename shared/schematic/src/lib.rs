//! What `spec.talos` means: schematic and its ID, Talos version, Image Factory, and the names that follow from them.
//!
//! [`Wanted`] is the one reader of `spec.talos`, so that every program accepts and refuses the same. A [`Schematic`]
//! has the text and the ID that the Image Factory gives it; an [`Image`] has its names at the factory and on storages;
//! a [`FactoryUrl`] gives the URLs of images and the references of installers. The crate is pure: it asks no factory,
//! and reads no file, clock, environment or randomness.

mod factory_url;
mod image;
mod read;
mod schematic;
mod wanted;

pub use factory_url::{BadFactoryUrl, FactoryUrl};
pub use image::{BadFormat, Format, Image};
pub use read::Unfit;
pub use schematic::{Error, Schematic, is_id};
pub use wanted::{FACTORY_VARIABLE, Part, Source, Spec, SpecError, Wanted};
