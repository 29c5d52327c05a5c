//! The Kubernetes API of the lab's clusters.
//!
//! Each etcd holds a `Store` of objects; the API servers of its control planes answer from it. Requests are decided
//! by pure functions on the store (`answer`); a thin layer speaks TLS and HTTP. Nodes come and get ready as kubelets
//! report them, everything else is there so that `kubectl` feels at home.

mod answer;
mod budgets;
mod columns;
mod controllers;
mod custom;
mod daemons;
mod defaults;
mod deletes;
mod deletion;
mod deployments;
mod discovery;
mod events;
mod index;
mod jobs;
mod jsonpath;
mod logs;
mod managed;
mod network;
mod node;
mod node_lifecycle;
mod objects;
mod openapi;
mod patch;
mod pods;
mod protobuf;
mod queue;
mod request;
mod resources;
mod reviews;
mod revisions;
mod roles;
mod rules;
mod scale;
mod scheduler;
mod schema;
mod schemas;
mod selector;
mod server;
mod stateful;
mod status;
mod store;
mod table;
mod versions;
mod volumes;
mod writes;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use lab_core::kubernetes::{Body, Component, Kubernetes, Nodes, Objects, Report, User};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use answer::{Answer, answer, events};
use request::Request;
use store::Store;

/// The Kubernetes of the lab.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kube;

impl Kubernetes for Kube {
    fn objects(&self, seed: u64) -> Box<dyn Objects> {
        Box::new(Store::new(seed))
    }

    fn serve(
        &self,
        nodes: Arc<dyn Nodes>,
        node: usize,
        user: User,
        request: http::Request<Incoming>,
        cut: CancellationToken,
    ) -> BoxFuture<'static, http::Response<Body>> {
        Box::pin(server::respond(nodes, node, user, request, cut))
    }
}

impl Objects for Store {
    fn begin(&mut self, report: &Report) {
        self.begin(report);
    }

    fn control_plane_up(&mut self, report: &Report, components: &[Component]) {
        self.control_plane_up(report, components);
    }

    fn register(&mut self, report: &Report) {
        self.register(report);
    }

    fn refresh(&mut self, report: &Report) {
        self.refresh(report);
    }

    fn set_ready(&mut self, name: &str, ready: bool, at: &str) {
        self.set_ready(name, ready, at);
    }

    fn is_ready(&self, name: &str) -> bool {
        self.is_ready(name)
    }

    fn node(&self, name: &str) -> Option<&Value> {
        self.node(name)
    }

    fn pods_on(&self, node: &str) -> Vec<(String, String, String)> {
        self.pods_on(node)
    }

    fn list<'a>(&'a self, plural: &'a str, namespace: Option<&'a str>) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
        Box::new(self.list(plural, namespace))
    }

    fn revision(&self) -> u64 {
        self.revision()
    }

    fn dump(&self) -> Value {
        self.dump()
    }

    fn restore(&mut self, dump: &Value) {
        self.restore(dump);
    }
}
