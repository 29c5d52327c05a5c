//! Distinguishes one boot of a node from the next.

use talos_proto::machine::ReadRequest;

use crate::{Error, Node};

impl Node {
    /// The random ID that the kernel gave to this boot. Only an administrator may read it.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn boot_id(&self) -> Result<String, Error> {
        let request = || ReadRequest { path: "/proc/sys/kernel/random/boot_id".to_owned() };
        let bytes = self.bytes("Read", || async { self.machine().read(request()).await }).await?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}
