//! Calls about a VM's serial console, and about addresses that the cluster itself hands out.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{Method, Request, encoded, vm};
use crate::answer::{Lease, Ticket};

/// The port that Talos's images print to.
const SERIAL: &str = "serial0";

/// `POST /nodes/{node}/qemu/{vmid}/termproxy`: a terminal on the serial port of a VM. Ticket and port are those of the
/// host that answers. Needs VM.Console, and nothing else.
pub fn terminal(node: &str, vmid: u32) -> Request<Ticket> {
    vm(Method::Post, node, vmid, &["termproxy"]).with("serial", SERIAL)
}

/// `GET /nodes/{node}/qemu/{vmid}/vncwebsocket`, for its refusals: its parameters are in [`websocket_target`].
pub(crate) fn websocket(node: &str, vmid: u32) -> Request<Value> {
    vm(Method::Get, node, vmid, &["vncwebsocket"])
}

/// The path of that call with its parameters, among them the ticket: no value that anything prints holds it.
pub(crate) fn websocket_target(node: &str, vmid: u32, ticket: &Ticket) -> Zeroizing<String> {
    let path = websocket(node, vmid).target();
    Zeroizing::new(format!("{path}?port={}&vncticket={}", ticket.port, encoded(&ticket.secret)))
}

/// `GET /cluster/sdn/ipams/pve/status`: the addresses that Proxmox VE's own DHCP hands out, in the zones where the token
/// has SDN.Audit.
pub fn leases() -> Request<Vec<Lease>> {
    Request::new(Method::Get, &["cluster", "sdn", "ipams", "pve", "status"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        serde_json::from_str(r#"{"user":"talos@pve!cli","ticket":"PVEVNC:6B0::a+b/c==","port":"5900","upid":"x"}"#)
            .unwrap()
    }

    #[test]
    fn the_ticket_is_in_the_path_of_the_websocket_and_in_nothing_that_is_printed() {
        let target = websocket_target("pve1", 100, &ticket());
        let wanted = "/nodes/pve1/qemu/100/vncwebsocket?port=5900&vncticket=PVEVNC%3A6B0%3A%3Aa%2Bb%2Fc%3D%3D";
        assert_eq!(target.as_str(), wanted);
        assert!(!format!("{:?}", ticket()).contains("6B0"));
        assert_eq!(websocket("pve1", 100).call(), "GET /nodes/pve1/qemu/100/vncwebsocket");
    }

    #[test]
    fn a_terminal_is_asked_for_on_the_serial_port() {
        let request = terminal("pve1", 100);
        assert_eq!(request.target(), "/nodes/pve1/qemu/100/termproxy");
        assert_eq!(request.body().as_deref(), Some("serial=serial0"));
    }
}
