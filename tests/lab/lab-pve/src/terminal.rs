//! Terminals on the serial consoles of VMs: who gets one, who reads, and what there is to read.
//!
//! A serial port has one reader and keeps nothing: a second reader waits until the first is gone, and what was printed
//! without a reader is lost. Only who is there when a VM is switched on has missed nothing, also where booting takes no
//! time.

use std::collections::BTreeMap;

use serde_json::json;

use super::Pve;
use super::release::Release;
use super::reply::{Refusal, Reply};
use super::state::{Call, Running, State, Vm};

/// The first port that is given to a terminal.
const FIRST: u16 = 5900;
/// For how many seconds after power-on the first reader gets what was printed before: a real machine needs them to begin.
const BOOT: u64 = 5;

/// All terminals, by port.
#[derive(Default)]
pub(crate) struct Terminals {
    open: BTreeMap<u16, Terminal>,
    consoles: BTreeMap<u32, Console>,
}

/// A terminal that was handed out.
struct Terminal {
    vmid: u32,
    user: String,
    ticket: String,
    upid: String,
    serial: Option<String>,
}

/// The console of a VM.
#[derive(Default)]
struct Console {
    /// Who reads.
    reader: Option<u16>,
    /// Whether a person holds it.
    held: bool,
    /// The emulator whose console had a reader already.
    was_read: Option<u32>,
    /// What is said again and again.
    flood: Vec<u8>,
    /// What its readers sent, but for their tickets.
    sent: Vec<u8>,
}

/// How far a reader has read.
pub(crate) struct Place {
    resets: u32,
    /// Lines since the power came or the reset button was pressed.
    seen: usize,
}

/// What a terminal does next.
pub(crate) enum Next {
    /// Nothing yet.
    Wait,
    /// It says this.
    Say(Vec<u8>),
    /// It ends.
    End,
}

/// `POST termproxy`.
pub(crate) fn open(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.vm(call)?;
    let (vmid, ticket) = (call.vmid(), format!("PVEVNC:{:08X}::{:x}{:x}==", call.now, state.random(), state.random()));
    let terminals = &state.terminals.open;
    let port = (FIRST..FIRST + 100).find(|port| !terminals.contains_key(port));
    let port = port.ok_or_else(|| Refusal::failed("unable to find free vnc port (5900-5999)"))?;
    let upid = state.tasks.begin(call.node(), "vncproxy", &vmid.to_string(), call.token, call.now).upid.clone();
    let (user, serial) = (call.token.name.clone(), call.param("serial").map(str::to_owned));
    let reply = json!({"port": port, "ticket": ticket, "upid": upid, "user": user});
    state.terminals.open.insert(port, Terminal { vmid, user, ticket, upid, serial });
    Ok(reply.into())
}

/// `GET vncwebsocket`.
pub(crate) fn connect(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let port: u16 = call.param("port").and_then(|port| port.parse().ok()).unwrap_or_default();
    let ticket = call.param("vncticket").unwrap_or_default();
    let is_it = |terminal: &&Terminal| {
        terminal.vmid == call.vmid() && terminal.ticket == ticket && terminal.user == call.token.name
    };
    state.terminals.open.get(&port).filter(is_it).ok_or(Refusal::Unauthenticated)?;
    Ok(json!({"port": port.to_string()}).into())
}

/// Takes the first message, which is the user and the ticket; whether they are let in. The tickets of tokens are known from
/// 9.1 on.
pub(crate) fn log_in(state: &State, port: u16, message: &[u8]) -> bool {
    let Some(terminal) = state.terminals.open.get(&port) else { return false };
    let wanted = format!("{}:{}\n", terminal.user, terminal.ticket);
    let knows_tokens = state.settings.release >= Release::V9_2 || !terminal.user.contains('!');
    knows_tokens && message == wanted.as_bytes()
}

fn vm(state: &State, port: u16) -> Option<(&Terminal, &Vm)> {
    let terminal = state.terminals.open.get(&port)?;
    Some((terminal, state.vms.get(&terminal.vmid)?))
}

/// What a terminal says before the VM does; an error ends it.
pub(crate) fn banner(state: &State, port: u16) -> Result<String, String> {
    let (terminal, vm) = vm(state, port).ok_or_else(String::new)?;
    let config = vm.running.as_ref().map_or(&vm.config, |running| &running.config);
    let first = || (0..4).map(|index| format!("serial{index}")).find(|name| config.contains_key(name));
    let serial = terminal.serial.clone().or_else(first).ok_or("unable to find a serial interface\r\n")?;
    if config.get(&serial).is_none_or(|value| value != "socket") {
        return Err(format!("serial interface '{serial}' is not configured\r\n"));
    }
    if vm.running.is_none() {
        return Err(format!("VM {} not running\r\n", terminal.vmid));
    }
    Ok(format!("starting serial terminal on interface {serial}\r\n"))
}

/// Begins to read, if nobody else does; what was printed before this place is lost to the reader.
pub(crate) fn attach(state: &mut State, port: u16, now: u64) -> Option<Place> {
    let (terminal, vm) = vm(state, port)?;
    let (vmid, uuid) = (terminal.vmid, vm.uuid()?);
    let Running { pid, since, resets, .. } = vm.running.clone()?;
    let console = state.terminals.consoles.entry(vmid).or_default();
    if console.held || console.reader.is_some() {
        return None;
    }
    console.reader = Some(port);
    let is_first = console.was_read.replace(pid) != Some(pid);
    let is_early = now.saturating_sub(since) <= BOOT;
    let seen = if is_first && is_early { 0 } else { state.guests.console(&uuid, 0).len() };
    Some(Place { resets, seen })
}

/// What a reader at this place sees next.
pub(crate) fn next(state: &State, port: u16, place: &mut Place) -> Next {
    let Some((terminal, vm)) = vm(state, port) else { return Next::End };
    let Some(resets) = vm.running.as_ref().map(|running| running.resets) else { return Next::End };
    if place.resets != resets {
        *place = Place { resets, seen: 0 };
    }
    let flood = state.terminals.consoles.get(&terminal.vmid).map(|console| &console.flood);
    if let Some(flood) = flood.filter(|flood| !flood.is_empty()) {
        return Next::Say(flood.clone());
    }
    let lines = state.guests.console(&vm.uuid().unwrap_or_default(), place.seen);
    place.seen += lines.len();
    match lines.is_empty() {
        true => Next::Wait,
        false => Next::Say(lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect()),
    }
}

/// Whether a terminal that does not read still has something to wait for.
pub(crate) fn waits(state: &State, port: u16) -> bool {
    vm(state, port).is_some_and(|(_, vm)| vm.running.is_some())
}

/// Takes what a reader sends.
pub(crate) fn take(state: &mut State, port: u16, bytes: &[u8]) {
    let Some(vmid) = state.terminals.open.get(&port).map(|terminal| terminal.vmid) else { return };
    state.terminals.consoles.entry(vmid).or_default().sent.extend_from_slice(bytes);
}

/// Ends a terminal.
pub(crate) fn close(state: &mut State, port: u16, was_let_in: bool, now: u64) {
    let Some(terminal) = state.terminals.open.remove(&port) else { return };
    if let Some(console) = state.terminals.consoles.get_mut(&terminal.vmid)
        && console.reader == Some(port)
    {
        console.reader = None;
    }
    if let Some(task) = state.tasks.get_mut(&terminal.upid) {
        let failed = "command '/usr/bin/termproxy' failed: exit code 1".to_owned();
        task.end(if was_let_in { Ok(()) } else { Err(failed) }, now);
    }
}

impl Pve {
    fn change_console(&self, id: u32, change: impl FnOnce(&mut Console)) {
        self.driver.with(|state| change(state.terminals.consoles.entry(id).or_default()));
    }

    /// Opens the console of a VM as a person does, so that nobody else sees anything, or closes it again.
    pub fn hold_console(&self, id: u32, held: bool) {
        self.change_console(id, |console| console.held = held);
    }

    /// Lets the console of a VM say this again and again from now on.
    pub fn flood_console(&self, id: u32, bytes: &[u8]) {
        self.change_console(id, |console| console.flood = bytes.to_vec());
    }

    /// What the readers of a VM's console have sent, but for their tickets.
    pub fn sent_to_console(&self, id: u32) -> Vec<u8> {
        self.driver.look(|state| state.terminals.consoles.get(&id).map(|it| it.sent.clone()).unwrap_or_default())
    }

    /// Whether somebody reads the console of a VM.
    pub fn is_console_read(&self, id: u32) -> bool {
        self.driver.look(|state| state.terminals.consoles.get(&id).is_some_and(|console| console.reader.is_some()))
    }
}
