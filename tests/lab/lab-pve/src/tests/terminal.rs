//! Terminals on serial consoles.

use super::*;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

type Socket = WebSocketStream<reqwest::Upgraded>;

const VM: &str = "/nodes/pve1/qemu/100";

impl World {
    /// A terminal on VM 100, connected; and its first message.
    async fn terminal(&self) -> (Socket, String) {
        let (status, body) = self.post(&format!("{VM}/termproxy"), &[("serial", "serial0")]).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let data = &body["data"];
        let [user, ticket] = ["user", "ticket"].map(|key| data[key].as_str().unwrap());
        let query = [("port", data["port"].to_string()), ("vncticket", ticket.to_owned())];
        let reply = self.client.get(format!("{}/api2/json{VM}/vncwebsocket", self.pve.endpoint())).query(&query);
        let reply = reply.header("authorization", format!("PVEAPIToken={}", self.pve.token()));
        let reply = reply.header("connection", "Upgrade").header("upgrade", "websocket");
        let reply = reply.header("sec-websocket-version", "13").header("sec-websocket-key", generate_key());
        let reply = reply.send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::SWITCHING_PROTOCOLS);
        let stream = reply.upgrade().await.unwrap();
        (WebSocketStream::from_raw_socket(stream, Role::Client, None).await, format!("{user}:{ticket}\n"))
    }

    /// The same, let in.
    async fn reader(&self) -> Socket {
        let (mut socket, login) = self.terminal().await;
        socket.send(Message::text(login)).await.unwrap();
        assert_eq!(said(&mut socket).await.as_deref(), Some("OK"));
        socket
    }
}

/// The next message, nothing at the end.
async fn said(socket: &mut Socket) -> Option<String> {
    let next = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("it says nothing");
    match next {
        Some(Ok(Message::Close(_)) | Err(_)) | None => None,
        Some(Ok(message)) => Some(String::from_utf8(message.into_data().to_vec()).unwrap()),
    }
}

async fn world(release: Release) -> World {
    let world = World::start(Settings { release, ..Settings::default() });
    let role: Vec<&str> = super::super::role(release).into_iter().chain(["VM.Console"]).collect();
    let (name, secret) = world.pve.token().split_once('=').unwrap();
    world.pve.add_token(name, secret, &[("/", &role)]);
    let uuid = "uuid=00000000-0000-4000-8000-000000000001";
    let options = [("serial0", "socket"), ("cpu", "host"), ("smbios1", uuid)];
    world.pve.add_vm(100, "pve1", &options);
    world
}

const BANNER: Option<&str> = Some("starting serial terminal on interface serial0\r\n");

#[tokio::test(flavor = "multi_thread")]
async fn a_console_has_one_reader_and_keeps_nothing_for_later_ones() {
    let world = world(Release::V9_2).await;
    let mut off = world.reader().await;
    assert_eq!(said(&mut off).await.as_deref(), Some("VM 100 not running\r\n"));
    assert_eq!(said(&mut off).await, None);

    let (mut early, login) = world.terminal().await;
    world.post(&format!("{VM}/status/start"), &[]).await;
    world.until_on(100, true).await;
    world.guests.lines.lock().unwrap().extend(["one".to_owned(), "two".to_owned()]);
    early.send(Message::text(login)).await.unwrap();
    assert_eq!(said(&mut early).await.as_deref(), Some("OK"));
    assert_eq!(said(&mut early).await.as_deref(), BANNER);
    assert_eq!(said(&mut early).await.as_deref(), Some("one\r\ntwo\r\n"));
    let mut second = world.reader().await;
    assert_eq!(said(&mut second).await.as_deref(), BANNER);
    early.send(Message::binary(b"2".as_slice())).await.unwrap();
    early.send(Message::text("0:1:x")).await.unwrap();
    early.close(None).await.unwrap();
    world.pve.until(|pve| pve.sent_to_console(100) == b"20:1:x").await;
    // Only now the second one reads, and what was said before is lost.
    let ended = |pve: &Pve| pve.tasks().iter().filter(|task| task.kind == "vncproxy" && task.exit.is_some()).count();
    world.pve.until(|pve| ended(pve) == 2 && pve.is_console_read(100)).await;
    world.guests.lines.lock().unwrap().push("three".to_owned());
    assert_eq!(said(&mut second).await.as_deref(), Some("three\r\n"));
    world.post(&format!("{VM}/status/stop"), &[]).await;
    assert_eq!(said(&mut second).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_not_let_in_before_9_1_and_nobody_without_the_right_ticket() {
    let old = world(Release::V8_4).await;
    let (mut socket, login) = old.terminal().await;
    socket.send(Message::text(login)).await.unwrap();
    assert_eq!(said(&mut socket).await, None);

    let new = world(Release::V9_2).await;
    let (mut socket, _) = new.terminal().await;
    socket.send(Message::text("ichor@pve!lab:PVEVNC:wrong\n")).await.unwrap();
    assert_eq!(said(&mut socket).await, None);
    let (status, _) = new.get(&format!("{VM}/vncwebsocket?port=5900&vncticket=wrong")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_without_a_serial_port_has_no_console() {
    let world = world(Release::V9_2).await;
    world.pve.set_option(100, "serial0", None);
    let mut socket = world.reader().await;
    assert_eq!(said(&mut socket).await.as_deref(), Some("serial interface 'serial0' is not configured\r\n"));
}
