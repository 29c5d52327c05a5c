//! Whether a node may be asked to bootstrap etcd once more. Pure.
//!
//! Each request that a node accepts stops its etcd, and one that comes while etcd is starting stops it for good. So one
//! request is sent, and another one only after the node has shown that the first is not on its way.

use std::time::Duration;

/// How long a request whose reply was lost may be on its way: the node stops etcd first, by force after 10 s.
const ON_ITS_WAY: Duration = Duration::from_secs(15);
/// How long passes at least before an etcd that has ended without data is asked for again.
const AGAIN: Duration = Duration::from_secs(30);

/// A request that this run has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The node.
    pub(crate) node: String,
    /// The boot in which it got it.
    pub(crate) boot: String,
    /// Whether it said that it took it; else the reply was lost.
    pub(crate) accepted: bool,
}

/// Whether a node without etcd data may be asked, `since` the last request of this run, if there was one. `boot` is the
/// node's boot now, and `ended` whether its etcd service has ended.
pub(crate) fn may_send(last: Option<(&Request, Duration)>, node: &str, boot: &str, ended: bool) -> bool {
    let Some((request, since)) = last else { return true };
    let another_boot = request.node == node && request.boot != boot;
    another_boot || (ended && since >= AGAIN) || (!request.accepted && since >= ON_ITS_WAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(accepted: bool, seconds: u64, boot: &str, ended: bool) -> bool {
        let request = Request { node: "cp-1".to_owned(), boot: "a".to_owned(), accepted };
        may_send(Some((&request, Duration::from_secs(seconds))), "cp-1", boot, ended)
    }

    #[test]
    fn the_first_request_is_sent() {
        assert!(may_send(None, "cp-1", "a", false));
    }

    #[test]
    fn an_accepted_request_is_never_sent_again_however_long_it_takes() {
        assert!(!after(true, 100_000, "a", false));
    }

    #[test]
    fn another_boot_or_an_end_without_data_shows_that_it_is_not_on_its_way() {
        assert!(after(true, 1, "b", false));
        assert!(after(true, 30, "a", true));
        assert!(!after(true, 29, "a", true), "a service that ends at once isn't asked for all the time");
    }

    #[test]
    fn a_request_whose_reply_was_lost_may_still_arrive() {
        assert!(!after(false, 14, "a", false));
        assert!(after(false, 15, "a", false));
    }

    #[test]
    fn another_node_is_not_asked_because_its_boot_is_another_one() {
        let request = Request { node: "cp-1".to_owned(), boot: "a".to_owned(), accepted: true };
        assert!(!may_send(Some((&request, Duration::from_secs(1))), "cp-2", "b", false));
    }
}
