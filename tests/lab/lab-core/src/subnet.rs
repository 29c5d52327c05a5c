//! A loopback network of a lab's own.
//!
//! Labs run side by side, also those of different processes: each claims its networks by listening on a fixed port of
//! the first address, and whoever finds that taken tries the next.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::bail;
use ipnet::Ipv4Net;

/// Port of the first address of each /24 whose listener is the claim.
const CLAIM: u16 = 8007;
/// The /24 networks to choose from are 127.FIRST.0 up to 127.254.255. From 127.80 on below lie those of this crate's own
/// tests.
const FIRST: u8 = 90;

/// The first network that this process has not had yet, counted from where it begins.
static NEXT: Mutex<usize> = Mutex::new(0);

/// A network that nobody else on this machine uses as long as this lives.
#[derive(Debug)]
pub struct Subnet {
    /// The network.
    pub net: Ipv4Net,
    _claims: Vec<TcpListener>,
}

impl Subnet {
    /// Claims a free network with room for so many nodes.
    pub fn claim(nodes: usize) -> anyhow::Result<Self> {
        let prefix = prefix(nodes);
        let step = 1_usize << (24 - prefix);
        // Neighbouring processes start at different places, so that they rarely try the same network; and a process
        // goes on from its last one, because sockets of a lab that has just gone may still be closing.
        let places = usize::from(255 - FIRST) * 256;
        let start = std::process::id() as usize * 64;
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        let first = next.next_multiple_of(step);
        for offset in (first..first + places).step_by(step) {
            let place = (start + offset) % places / step * step;
            if let Some(claims) = claims(place, step) {
                *next = offset + step;
                return Ok(Self { net: Ipv4Net::new(network(place), prefix)?, _claims: claims });
            }
        }
        bail!("no free network in 127.0.0.0/8 for {nodes} nodes")
    }

    /// The host with this number.
    pub fn host(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.net.network()) + number)
    }
}

/// Half of a network is left to DHCP.
fn prefix(nodes: usize) -> u8 {
    match nodes {
        0..=80 => 24,
        81..=800 => 22,
        _ => 20,
    }
}

fn network(place: usize) -> Ipv4Addr {
    let [.., high, low] = (place as u32).to_be_bytes();
    Ipv4Addr::new(127, FIRST + high, low, 0)
}

fn claims(place: usize, step: usize) -> Option<Vec<TcpListener>> {
    let first = |place| Ipv4Addr::from(u32::from(network(place)) + 1);
    (place..place + step).map(|place| TcpListener::bind((first(place), CLAIM)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_labs_never_share_a_network() {
        let (one, two) = (Subnet::claim(3).unwrap(), Subnet::claim(300).unwrap());
        assert!(!two.net.contains(&one.net) && one.net != two.net);
        assert_eq!((one.net.prefix_len(), two.net.prefix_len()), (24, 22));
    }

    #[test]
    fn the_network_of_a_lab_that_has_just_gone_is_not_taken_at_once() {
        let small = Subnet::claim(1).unwrap().net;
        let large = Subnet::claim(300).unwrap().net;
        let next = Subnet::claim(1).unwrap().net;
        assert!(!large.contains(&small) && !large.contains(&next) && small != next);
    }
}
