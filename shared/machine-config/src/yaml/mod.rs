//! Reading and writing YAML as Go's library does, because Talos and the Image Factory are its readers.
//!
//! Reading gives scalars as they are written, with their place in the file: only the field that takes a scalar
//! knows whether `1.10` is a number or a version. Writing reproduces go-yaml's layout and quotes to the byte.

mod layout;
mod node;
mod order;
mod quote;
mod read;
mod resolve;
mod write;

pub use node::{Data, Key, Node, Origin, Place, Scalar};
pub use order::natural_order;
pub use quote::Dialect;
pub use read::{BYTES, Error, read, read_limited};
pub use write::{write, write_documents};

pub(crate) use quote::is_plain_in_old_yaml;
pub(crate) use resolve::{Resolved, date_time, float_text, resolve};
pub(crate) use write::write_for_digest;
