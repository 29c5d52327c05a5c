//! The task that lets time pass and keeps the right ports open.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::connection::{Session, serve};
use super::{APID, Face};
use crate::Talos;
use crate::node::Api;
use crate::world::{Id, World};

/// How soon a port that somebody else still holds is tried again.
const RETRY: Duration = Duration::from_millis(2);

/// How long the driver sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// A port that a node has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Endpoint {
    address: SocketAddr,
    face: Face,
    generation: u64,
}

struct Listener {
    face: Face,
    generation: u64,
    session: Arc<std::sync::Mutex<Session>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Ends the connections of before; new ones belong to the new generation.
    fn renew(&mut self, generation: u64) {
        self.generation = generation;
        let mut session = self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut *session).end(true);
    }

    fn close(self, gently: bool) {
        self.task.abort();
        let mut session = self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut *session).end(gently);
    }
}

/// The ports that are open, by node.
#[derive(Default)]
struct Ports {
    open: HashMap<Id, HashMap<SocketAddr, Listener>>,
    /// Nodes that lack a port because it could not be opened.
    lacking: BTreeSet<Id>,
}

impl Drop for Ports {
    fn drop(&mut self) {
        for listener in self.open.drain().flat_map(|(_, ports)| ports.into_values()) {
            listener.close(false);
        }
    }
}

/// Runs until the lab is gone.
pub(crate) async fn drive(talos: Weak<Talos>, wake: Arc<Notify>) {
    let mut ports = Ports::default();
    loop {
        let Some(lab) = talos.upgrade() else { return };
        let pause = lab.tick(&mut ports, &talos);
        drop(lab);
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Talos {
    /// Lets due things happen, opens and closes ports; gives how long nothing will happen by itself.
    fn tick(&self, ports: &mut Ports, weak: &Weak<Self>) -> Duration {
        let (changed, wanted, next) = {
            let mut world = self.lock();
            world.advance(self.started.elapsed());
            let changed = world.take_changed();
            let affected: BTreeSet<Id> = changed.union(&ports.lacking).copied().collect();
            let wanted: Vec<(Id, Vec<Endpoint>, bool)> =
                affected.into_iter().map(|id| (id, endpoints(&world, id), world.nodes[id].on)).collect();
            (changed, wanted, world.next_due())
        };
        ports.lacking.clear();
        for (id, endpoints, on) in &wanted {
            ports.close_others(*id, endpoints, *on);
        }
        for (id, endpoints, _) in &wanted {
            ports.open_missing(*id, endpoints, weak);
        }
        if !changed.is_empty() {
            self.publish(changed);
        }
        let due = next.map_or(IDLE, |at| at.saturating_sub(self.started.elapsed()));
        if ports.lacking.is_empty() { due } else { due.min(RETRY) }
    }
}

/// The ports that a node should have open.
fn endpoints(world: &World, id: Id) -> Vec<Endpoint> {
    let node = &world.nodes[id];
    if !node.on {
        return Vec::new();
    }
    let own = node.addresses.iter().map(ipnet::IpNet::addr);
    let addresses: Vec<IpAddr> = own.chain(node.shared.iter().copied()).filter(IpAddr::is_loopback).collect();
    let port = node.config.as_ref().map_or(6443, |config| config.server_port);
    let talos = node.api != Api::Closed && !node.faults.refuse;
    let mut faces = Vec::new();
    faces.extend(talos.then_some((APID, Face::Talos)));
    faces.extend(world.serves_kubernetes(id).then_some((port, Face::Kubernetes)));
    let at = |(port, face): &(u16, Face), address: IpAddr| Endpoint {
        address: SocketAddr::new(address, *port),
        face: *face,
        generation: node.generation,
    };
    addresses.iter().flat_map(|address| faces.iter().map(move |face| at(face, *address))).collect()
}

impl Ports {
    fn close_others(&mut self, id: Id, wanted: &[Endpoint], gently: bool) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let unwanted =
            |address: &SocketAddr, face: Face| !wanted.iter().any(|e| e.address == *address && e.face == face);
        let gone: Vec<SocketAddr> = open.iter().filter(|(a, l)| unwanted(a, l.face)).map(|(a, _)| *a).collect();
        for listener in gone.iter().filter_map(|address| open.remove(address)) {
            listener.close(gently);
        }
    }

    fn open_missing(&mut self, id: Id, wanted: &[Endpoint], talos: &Weak<Talos>) {
        let open = self.open.entry(id).or_default();
        for endpoint in wanted {
            match open.get_mut(&endpoint.address) {
                Some(listener) if listener.generation == endpoint.generation => {}
                Some(listener) => listener.renew(endpoint.generation),
                None => match listen(id, endpoint, talos) {
                    Ok(listener) => {
                        open.insert(endpoint.address, listener);
                    }
                    Err(_) => {
                        self.lacking.insert(id);
                    }
                },
            }
        }
    }
}

fn listen(id: Id, endpoint: &Endpoint, talos: &Weak<Talos>) -> std::io::Result<Listener> {
    let socket = std::net::TcpListener::bind(endpoint.address)?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    let session: Arc<std::sync::Mutex<Session>> = Arc::default();
    let task = tokio::spawn(accept(socket, id, endpoint.face, talos.clone(), Arc::clone(&session)));
    Ok(Listener { face: endpoint.face, generation: endpoint.generation, session, task })
}

async fn accept(socket: TcpListener, id: Id, face: Face, talos: Weak<Talos>, session: Arc<std::sync::Mutex<Session>>) {
    loop {
        let Ok((stream, _)) = socket.accept().await else { continue };
        let current = session.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        tokio::spawn(serve(stream, id, face, talos.clone(), current));
    }
}
