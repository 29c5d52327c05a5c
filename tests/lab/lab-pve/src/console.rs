//! The serial console: `termproxy` opens it, a websocket shows it.
//!
//! What goes over the websocket is what `xterm.js` speaks with the real `termproxy`: first `USER:TICKET` and a line
//! feed, which is answered with `OK`; then bytes of the terminal in one direction, and `0:LENGTH:INPUT`,
//! `1:COLUMNS:ROWS:` and `2` (a sign of life) in the other.

use serde_json::json;

use super::reply::{Refusal, Reply};
use super::state::{Call, State};

/// A console that was opened and may be looked at once.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// What the websocket must show.
    pub(crate) ticket: String,
    /// Who opened it.
    pub(crate) user: String,
    /// The VM.
    pub(crate) vmid: u32,
}

/// Ports that `termproxy` hands out, from this one on.
const FIRST_PORT: usize = 5900;

/// `POST termproxy`.
pub(crate) fn open(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    let vm = state.vm(call)?;
    let serial = call.param("serial").unwrap_or("serial0");
    if vm.config.get(serial).is_none_or(|value| value != "socket") {
        return Err(Refusal::failed(format!("unable to find a serial interface on VM {vmid}")));
    }
    let random = state.random();
    let ticket = format!("PVEVNC:{random:08X}::{random:x}{random:x}==");
    let port = FIRST_PORT + state.consoles.len() % 100;
    let user = call.token.name.clone();
    state.consoles.push(Session { ticket: ticket.clone(), user: user.clone(), vmid });
    let upid = state.tasks.begin(call.node(), "vncproxy", &vmid.to_string(), call.token, call.now).upid.clone();
    if let Some(task) = state.tasks.get_mut(&upid) {
        task.note(format!("starting qemu termproxy {upid}"));
    }
    Ok(json!({"port": port, "ticket": ticket, "upid": upid, "user": user}).into())
}

impl State {
    /// The console that a websocket asks for.
    pub(crate) fn console(&self, vmid: u32, ticket: &str) -> Option<Session> {
        self.consoles.iter().find(|session| session.vmid == vmid && session.ticket == ticket).cloned()
    }

    /// What a VM has printed so far, as a terminal gets it; `None` when it is off.
    pub(crate) fn printed(&self, vmid: u32) -> Option<Vec<String>> {
        let vm = self.vms.get(&vmid)?;
        vm.running.as_ref()?;
        Some(self.guests.console(&vm.uuid()?))
    }
}
