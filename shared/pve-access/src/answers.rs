//! Whether something is at an address.

use std::{net::IpAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};

/// The port of the Talos API.
pub const TALOS: u16 = 50000;
/// How long something may take to accept a connection.
const PROBE: Duration = Duration::from_secs(1);

/// Whether something accepts connections where the VM will: only the transport is tried, nothing is sent.
pub async fn answers(address: IpAddr) -> bool {
    matches!(timeout(PROBE, TcpStream::connect((address, TALOS))).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_accepts_connections_is_seen_and_what_refuses_them_is_not() {
        let listener = tokio::net::TcpListener::bind(("127.77.61.9", TALOS)).await.unwrap();
        assert!(answers("127.77.61.9".parse().unwrap()).await);
        drop(listener);
        assert!(!answers("127.77.61.9".parse().unwrap()).await);
    }
}
