//! What is needed to read a console, and addresses that the cluster hands out.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::scalar;

/// A ticket for one terminal, good for a few seconds. Its secret shows in no log and no error.
#[derive(Clone, Deserialize)]
pub struct Ticket {
    /// Whom it is for: `USER@REALM!TOKENID`.
    pub user: String,
    #[serde(rename = "ticket", deserialize_with = "secret")]
    pub(crate) secret: Zeroizing<String>,
    /// The port on that host where the terminal waits.
    #[serde(deserialize_with = "scalar::number")]
    pub port: u16,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({}, port {}, …)", self.user, self.port)
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// An address that Proxmox VE's own DHCP hands out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// The address.
    #[serde(deserialize_with = "scalar::text_or_none")]
    pub ip: Option<String>,
    /// The hardware address that it is for; a gateway has none.
    #[serde(deserialize_with = "scalar::text_or_none")]
    pub mac: Option<String>,
}
