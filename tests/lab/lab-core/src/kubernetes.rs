//! The seam between the Talos nodes and the Kubernetes that they run.
//!
//! The nodes know when a kubelet or an API server runs, and keep the objects with the data of etcd; what the objects
//! mean, and what the API answers, is the business of whoever implements [`Kubernetes`].

use std::any::Any;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;

/// The body of a reply.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a kubelet knows of its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Name of the Node object.
    pub name: String,
    /// Host name of the machine.
    pub hostname: String,
    /// The first address.
    pub address: String,
    /// Whether it is a control plane.
    pub control_plane: bool,
    /// `v1.36.3`
    pub kubelet: String,
    /// `v1.36.3`, of the API server.
    pub server: String,
    /// `v1.13.9`
    pub talos: String,
    /// `6.18.29-talos`
    pub kernel: &'static str,
    /// Labels that its config asks for.
    pub labels: BTreeMap<String, String>,
    /// Annotations that its config asks for.
    pub annotations: BTreeMap<String, String>,
    /// Key to `value:Effect` or `Effect`.
    pub taints: BTreeMap<String, String>,
    /// SMBIOS UUID, lower case.
    pub uuid: String,
    /// Identity of the running system.
    pub boot_id: String,
    /// Cores of the machine.
    pub cores: u32,
    /// In MiB.
    pub memory: u64,
    /// Extensions in the image.
    pub extensions: Vec<String>,
    /// Place of the node among those of the lab, for its pod network.
    pub place: usize,
    /// The time in RFC 3339.
    pub at: String,
}

/// What a control plane runs as a static pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// `kube-apiserver`
    pub name: &'static str,
    /// Its image.
    pub image: String,
    /// Version of the resource with its config, by which an upgrade of Kubernetes knows that it runs.
    pub version: String,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// Nobody said.
    Anonymous,
    /// A client certificate of another authority, or an expired one.
    Invalid,
    /// A certificate with a name and groups.
    Known {
        /// The common name.
        name: String,
        /// The organizations.
        groups: Vec<String>,
    },
}

/// The objects of one cluster, as the nodes that run it use them.
pub trait Objects: Any + Send {
    /// The first API server came up: what it creates by itself is there.
    fn begin(&mut self, report: &Report);
    /// A control plane's static pods run.
    fn control_plane_up(&mut self, report: &Report, components: &[Component]);
    /// A kubelet came: its node is known from now on, not ready at first.
    fn register(&mut self, report: &Report);
    /// A kubelet's facts have changed.
    fn refresh(&mut self, report: &Report);
    /// A kubelet reports that its node is ready, or no longer reports anything.
    fn set_ready(&mut self, name: &str, ready: bool, at: &str);
    /// Whether a node is there and ready.
    fn is_ready(&self, name: &str) -> bool;
    /// The object of a node.
    fn node(&self, name: &str) -> Option<&Value>;
    /// Pods on a node: name, name of the container, and its image.
    fn pods_on(&self, node: &str) -> Vec<(String, String, String)>;
    /// The objects of a kind (plural), of one namespace or all.
    fn list<'a>(&'a self, plural: &'a str, namespace: Option<&'a str>) -> Box<dyn Iterator<Item = &'a Value> + 'a>;
    /// Number of the latest change.
    fn revision(&self) -> u64;
    /// Everything, as a snapshot keeps it.
    fn dump(&self) -> Value;
    /// Becomes what a snapshot holds; watchers have to start over.
    fn restore(&mut self, dump: &Value);
}

/// Kubernetes, for the nodes that run it.
pub trait Kubernetes: Send + Sync {
    /// The objects of a new cluster.
    fn objects(&self, seed: u64) -> Box<dyn Objects>;
    /// Answers a request that came to the API server of a node; `cut` ends its connection.
    fn serve(
        &self,
        nodes: Arc<dyn Nodes>,
        node: usize,
        user: User,
        request: http::Request<Incoming>,
        cut: CancellationToken,
    ) -> BoxFuture<'static, http::Response<Body>>;
}

/// The nodes, for the Kubernetes that runs on them; a node is named by its place.
pub trait Nodes: Send + Sync {
    /// The scenario's fault for a request to the API server of a node.
    fn chosen(&self, node: usize, call: &str) -> Option<Fault>;
    /// Acts on the objects that the API server of a node serves, if there are any; also given: the server's version.
    fn update(&self, node: usize, act: &mut dyn FnMut(&mut dyn Objects, &str));
    /// Looks at the objects that the API server of a node serves, if there are any.
    fn read(&self, node: usize, look: &mut dyn FnMut(&dyn Objects));
    /// A number that changes whenever what a node serves ends.
    fn generation(&self, node: usize) -> u64;
    /// A number that grows with every change of any node.
    fn changes(&self) -> watch::Receiver<u64>;
}
