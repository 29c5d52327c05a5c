//! The guest agent.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::guest;
use super::reply::{Refusal, Reply};
use super::state::{Call, State};
use lab_core::machine::Interface;

/// `agent/{command}`.
pub(crate) fn command(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    let vm = state.vm(call)?;
    if !vm.config.contains_key("agent") {
        return Err(Refusal::failed("No QEMU guest agent configured"));
    }
    let running = vm.running.as_ref().ok_or_else(|| Refusal::failed(format!("VM {vmid} is not running")))?;
    if !running.config.get("agent").is_some_and(|agent| guest::enabled(agent)) {
        // Without its device nobody is waited for.
        return Err(Refusal::failed("QEMU guest agent is not running"));
    }
    let uuid = vm.uuid().unwrap_or_default();
    let interfaces = state.guests.agent(&uuid).ok_or(Refusal::AgentSilent)?;
    let command = call.path.get("command").map_or("", String::as_str);
    let result = match command {
        "network-get-interfaces" => Value::Array(interfaces.iter().map(interface).collect()),
        "ping" => json!({}),
        "get-host-name" => json!({"host-name": vm.name(vmid)}),
        "get-osinfo" => json!({"id": "talos", "name": "Talos"}),
        _ => {
            let desc = format!("The command guest-{command} has not been found");
            json!({"error": {"class": "CommandNotFound", "desc": desc}})
        }
    };
    Ok(json!({"result": result}).into())
}

fn interface(interface: &Interface) -> Value {
    let addresses: Vec<Value> = interface.addresses.iter().map(|(address, prefix)| one(*address, *prefix)).collect();
    let mut row = json!({"hardware-address": interface.mac, "name": interface.name});
    if !addresses.is_empty() {
        row["ip-addresses"] = addresses.into();
    }
    row
}

fn one(address: IpAddr, prefix: u8) -> Value {
    let kind = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    json!({"ip-address": address.to_string(), "ip-address-type": kind, "prefix": prefix})
}
