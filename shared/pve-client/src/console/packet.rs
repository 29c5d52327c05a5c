//! What is said on a terminal's connection, without the connection.
//!
//! We say two things: who we are, once, and that we are still there. There is a third, keystrokes; it has no words here.

use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use zeroize::Zeroizing;

use crate::answer::Ticket;

/// Says that we are still there. A server that hears nothing for five minutes closes.
pub(crate) const PING: &[u8] = b"2";
/// How often that is said.
pub(crate) const PINGS: Duration = Duration::from_secs(30);
/// How long the server may take to let us in: it asks its own API whether the ticket is good.
pub(crate) const LOGIN: Duration = Duration::from_secs(10);
/// What the server says once we are in; what the VM says follows at once, maybe in the same message.
const WELCOME: &[u8] = b"OK";
/// The largest message in bytes. Servers send 128 KiB at most.
const MESSAGE: usize = 256 << 10;

/// Who we are, as the first message.
pub(crate) fn login(ticket: &Ticket) -> Zeroizing<String> {
    Zeroizing::new(format!("{}:{}\n", ticket.user, ticket.secret.as_str()))
}

/// The limits of the connection.
pub(crate) fn limits() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(MESSAGE)).max_frame_size(Some(MESSAGE))
}

/// Waits for the server's welcome.
#[derive(Debug, Default)]
pub(crate) struct Welcome(Vec<u8>);

impl Welcome {
    /// Takes the next bytes; what the VM said behind the welcome, once it is complete.
    ///
    /// # Errors
    /// Something else was said.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        self.0.extend_from_slice(bytes);
        match self.0.strip_prefix(WELCOME) {
            Some(rest) => Ok(Some(rest.to_vec())),
            None if WELCOME.starts_with(&self.0) => Ok(None),
            None => Err("it doesn't speak the protocol of a terminal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_is_the_user_and_the_ticket_on_a_line() {
        let text = r#"{"user":"talos@pve!cli","ticket":"PVEVNC:6B0::a==","port":5900}"#;
        let ticket: Ticket = serde_json::from_str(text).unwrap();
        assert_eq!(login(&ticket).as_str(), "talos@pve!cli:PVEVNC:6B0::a==\n");
    }

    #[test]
    fn the_welcome_may_come_in_pieces_or_with_more_behind_it() {
        let mut whole = Welcome::default();
        assert_eq!(whole.take(b"OK[    0.0]"), Ok(Some(b"[    0.0]".to_vec())));
        let mut pieces = Welcome::default();
        assert_eq!(pieces.take(b""), Ok(None));
        assert_eq!(pieces.take(b"O"), Ok(None));
        assert_eq!(pieces.take(b"K"), Ok(Some(Vec::new())));
    }

    #[test]
    fn anything_else_is_no_terminal() {
        for said in [&b"NO"[..], b"o", b"<html>", b"\xff\xfe"] {
            assert!(Welcome::default().take(said).is_err(), "{said:?}");
        }
    }
}
