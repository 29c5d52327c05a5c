//! The events that a node reports to those who listen.

use std::time::Duration;

use prost::Message;
use talos_proto::machine::{
    MachineStatusEvent, PhaseEvent, SequenceEvent, ServiceStateEvent, TaskEvent, machine_status_event,
};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Number of the event on its node, from 1.
    pub(crate) number: u64,
    /// Time since the lab began.
    pub(crate) at: Duration,
    /// `talos/runtime/machine.SequenceEvent`.
    pub(crate) type_url: String,
    pub(crate) value: Vec<u8>,
    /// Who asked for what is going on; empty for the node itself.
    pub(crate) actor: String,
}

/// Content of an event.
pub(crate) enum Content {
    Sequence(SequenceEvent),
    Phase(PhaseEvent),
    Task(TaskEvent),
    Service(ServiceStateEvent),
    Status(MachineStatusEvent),
}

impl Content {
    /// A sequence that starts (`action` 1) or stops (2).
    pub(crate) fn sequence(name: &str, action: i32) -> Self {
        Self::Sequence(SequenceEvent { sequence: name.to_owned(), action, error: None })
    }

    /// A task that starts (`action` 0) or stops (1).
    pub(crate) fn task(name: &str, action: i32) -> Self {
        Self::Task(TaskEvent { task: name.to_owned(), action })
    }

    /// A phase that starts (`action` 0) or stops (1).
    pub(crate) fn phase(name: &str, action: i32) -> Self {
        Self::Phase(PhaseEvent { phase: name.to_owned(), action })
    }

    /// A service that is in another state than before.
    pub(crate) fn service(id: &str, action: i32, message: &str) -> Self {
        let (service, message) = (id.to_owned(), message.to_owned());
        Self::Service(ServiceStateEvent { service, action, message, health: None })
    }

    /// The stage of the machine, and what it still waits for.
    pub(crate) fn status(stage: i32, unmet: &[(String, String)]) -> Self {
        use machine_status_event::{MachineStatus, machine_status};
        let condition = |(name, reason): &(String, String)| machine_status::UnmetCondition {
            name: name.clone(),
            reason: reason.clone(),
        };
        let unmet_conditions: Vec<_> = unmet.iter().map(condition).collect();
        let status = MachineStatus { ready: unmet_conditions.is_empty(), unmet_conditions };
        Self::Status(MachineStatusEvent { stage, status: Some(status) })
    }

    /// Name and bytes of the message.
    pub(crate) fn encode(&self) -> (String, Vec<u8>) {
        let (name, bytes) = match self {
            Self::Sequence(event) => ("SequenceEvent", event.encode_to_vec()),
            Self::Phase(event) => ("PhaseEvent", event.encode_to_vec()),
            Self::Task(event) => ("TaskEvent", event.encode_to_vec()),
            Self::Service(event) => ("ServiceStateEvent", event.encode_to_vec()),
            Self::Status(event) => ("MachineStatusEvent", event.encode_to_vec()),
        };
        (format!("talos/runtime/machine.{name}"), bytes)
    }
}

/// The identity of an event as the API writes it: 20 characters that sort by time.
pub(crate) fn id(boot_id: &str, number: u64) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let salt = boot_id.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let digit = |value: u64, place: u32| char::from(ALPHABET[(value >> (5 * place) & 31) as usize]);
    let counted = (0..10).rev().map(|place| digit(number, place));
    counted.chain((0..10).rev().map(|place| digit(salt, place))).collect()
}
