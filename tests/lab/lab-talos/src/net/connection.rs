//! One connection: TLS, HTTP, and the end that a node puts to it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Face, grpc, tls};
use crate::node::Api;
use crate::world::Id;
use crate::{Talos, rpc};
use lab_core::kubernetes::{Body, User};

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a server that goes away lets calls finish.
const GRACE: Duration = Duration::from_millis(500);

/// The connections of one generation.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    drain: CancellationToken,
    cut: CancellationToken,
}

impl Session {
    /// Ends them: calls that run may finish, unless the plug was pulled.
    pub(super) fn end(&self, gently: bool) {
        match gently {
            true => self.drain.cancel(),
            false => self.cut.cancel(),
        }
    }
}

/// Serves a connection until it ends on either side.
pub(super) async fn serve(stream: TcpStream, id: Id, face: Face, talos: Weak<Talos>, session: Session) {
    let cut = session.cut.child_token();
    tokio::select! {
        () = cut.cancelled() => {}
        () = answer(stream, id, face, talos, &session, cut.clone()) => {}
    }
}

async fn answer(stream: TcpStream, id: Id, face: Face, talos: Weak<Talos>, session: &Session, cut: CancellationToken) {
    let Some(lab) = talos.upgrade() else { return };
    if face == Face::Talos {
        until_talking(&lab, id).await;
    }
    let maintenance = lab.is_in_maintenance(id);
    let Ok(config) = lab.server_config(id, face) else { return };
    drop(lab);
    let _ = stream.set_nodelay(true);
    let handshake = TlsAcceptor::from(config).accept(stream);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, handshake).await else { return };
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|c| c.clone().into_owned());
    let leaf = Arc::new(leaf);
    let service = service_fn(move |request| {
        let (talos, leaf, cut) = (talos.upgrade(), Arc::clone(&leaf), cut.clone());
        async move {
            match talos {
                // What began in maintenance mode, or before it, ends with it.
                Some(talos) if face == Face::Talos && talos.is_in_maintenance(id) != maintenance => {
                    cut.cancel();
                    std::future::pending().await
                }
                Some(talos) => Ok(respond(&talos, id, face, leaf.as_ref().as_ref(), request, cut).await),
                None => Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)),
            }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http2().initial_stream_window_size(65_535 * 32).initial_connection_window_size(65_535 * 16);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = session.drain.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(GRACE, connection).await;
}

impl Talos {
    /// Whether a node serves its maintenance API.
    fn is_in_maintenance(&self, id: Id) -> bool {
        self.read(|world| world.nodes[id].api == Api::Maintenance)
    }
}

/// Waits as long as a test lets the node hang.
async fn until_talking(lab: &Arc<Talos>, id: Id) {
    let mut changes = lab.watch_node(id);
    while lab.read(|world| world.nodes[id].faults.hang) {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn respond(
    talos: &Arc<Talos>,
    id: Id,
    face: Face,
    leaf: Option<&CertificateDer<'static>>,
    request: http::Request<Incoming>,
    cut: CancellationToken,
) -> http::Response<Body> {
    match face {
        Face::Talos => {
            let (roles, _) = leaf.map(tls::subject).unwrap_or_default();
            let maintenance = talos.is_in_maintenance(id);
            grpc::respond(talos, rpc::Caller { node: id, roles, maintenance }, request, cut).await
        }
        Face::Kubernetes => {
            let kubernetes = talos.read(|world| Arc::clone(&world.kubernetes));
            kubernetes.serve(Arc::clone(talos) as _, id, user(talos, id, leaf), request, cut).await
        }
    }
}

fn user(talos: &Talos, id: Id, leaf: Option<&CertificateDer<'static>>) -> User {
    let Some(leaf) = leaf else { return User::Anonymous };
    let config = talos.read(|world| world.nodes[id].config.clone());
    match config.is_some_and(|config| tls::is_signed_by(leaf, &config.kubernetes.certificate)) {
        true => {
            let (groups, name) = tls::subject(leaf);
            User::Known { name, groups }
        }
        false => User::Invalid,
    }
}
