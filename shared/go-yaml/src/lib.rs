//! YAML as Go reads and writes it, because Talos and the Image Factory are its readers.
//!
//! [`read()`] returns scalars as written, with their place in the file: only the field that takes one knows whether
//! `1.10` is a number or a version. [`scalar`] types them as Go's own types do, [`free_value`] as Go's `any` does.
//! [`write()`] reproduces go-yaml's layout and quotes to the byte, in the [`Dialect`] of a Talos release. [`Url`] is
//! Go's `net/url`. [`kept`] reads what is to be written again with nothing lost.
//!
//! The crate knows nothing of machine configs. It is pure: it reads no file, clock, environment or randomness.

pub mod any;
mod duration;
pub mod kept;
mod layout;
mod limits;
mod node;
mod order;
mod quote;
mod read;
mod resolve;
pub mod scalar;
mod url;
pub mod value;
mod write;

pub use any::free_value;
pub use limits::BYTES;
pub use node::{Data, Key, Node, Origin, Place, Scalar};
pub use order::natural_order;
pub use quote::{Dialect, is_plain_in_old_yaml};
pub use read::{Error, read, read_limited};
pub use resolve::{Resolved, date_time, float_text, resolve};
pub use url::{Url, url};
pub use value::{Map, Value};
pub use write::{write, write_documents, write_for_digest};
