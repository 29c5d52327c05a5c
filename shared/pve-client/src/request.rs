//! Calls as data: method, path and parameters, and how their replies are read. Nothing here sends anything.

use std::{fmt, marker::PhantomData, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{
    Refusal, Upid,
    answer::{
        ClusterPart, Config, Content, Host, LogLine, Nics, Permissions, Power, Release, Resource, Storage, TaskState,
        VmRow,
    },
};

mod console;
mod files;
mod ha;
mod moving;
mod survey;
mod ties;

pub use console::{leases, terminal};
pub(crate) use console::{websocket, websocket_target};
pub use files::{StoredFile, copying, download, task_log_from, upload};
pub use ha::{
    add_ha, add_ha_rule, change_ha, change_ha_rule, ha_groups, ha_resources, ha_rules, remove_ha, remove_ha_rule,
};
pub use moving::{migrate, move_disk};
pub use survey::{
    at_work, bridges, clock, cpu_types, creations, disks, free, is_free, machines, pools, resources, snapshots,
};
pub use ties::{backup_jobs, firewall_options, firewall_rules, replications, rights, write_cloud_init};

/// The parameters of a call, in order.
pub type Parameters = Vec<(String, String)>;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or acts.
    Post,
    /// Changes.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// The word in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A call whose reply is a `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<T> {
    method: Method,
    path: String,
    parameters: Parameters,
    reply: PhantomData<fn() -> T>,
}

/// A reply as it came.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The phrase after the status, which holds the message where the body has none.
    pub reason: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After`, if it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the body was too large to be read; then it is empty here.
    pub is_endless: bool,
}

/// Why a reply holds no result.
#[derive(Debug)]
pub enum Fault {
    /// The server refused.
    Refused(Refusal),
    /// The reply is none of Proxmox VE's; what it is instead.
    Foreign(String),
    /// It is JSON of another shape.
    Misread(serde_json::Error),
}

impl<T> Request<T> {
    fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments.iter().fold(String::new(), |path, segment| format!("{path}/{}", encoded(segment)));
        Self { method, path, parameters: Vec::new(), reply: PhantomData }
    }

    fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.parameters.push((name.into(), value.to_string()));
        self
    }

    fn with_all(mut self, parameters: Parameters) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The path below `/api2/json`, with the query: DELETE must not have a body, so its parameters stand there too.
    pub fn target(&self) -> String {
        match (self.method, self.parameters.is_empty()) {
            (Method::Get | Method::Delete, false) => format!("{}?{}", self.path, form(&self.parameters)),
            _ => self.path.clone(),
        }
    }

    /// The body of a POST or PUT: a form.
    pub fn body(&self) -> Option<String> {
        matches!(self.method, Method::Post | Method::Put).then(|| form(&self.parameters))
    }

    /// Method and path, for messages; parameters are left out.
    pub fn call(&self) -> String {
        format!("{} {}", self.method.as_str(), self.path)
    }
}

impl<T: DeserializeOwned> Request<T> {
    /// Reads the reply to this call.
    ///
    /// # Errors
    /// A refusal, a reply of something that isn't Proxmox VE, or data of another shape.
    pub fn read(&self, reply: &Reply) -> Result<T, Fault> {
        serde_json::from_str(data(reply)?.get()).map_err(Fault::Misread)
    }
}

/// A reply that succeeded. Its data is read as what it is, without a tree of values in between: a list of all VMs is large.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The `data` of a reply.
fn data(reply: &Reply) -> Result<&RawValue, Fault> {
    if reply.is_endless {
        return Err(Fault::Foreign("its reply is larger than any of Proxmox VE".into()));
    }
    if let (200..=299, Ok(Envelope { data })) = (reply.status, serde_json::from_slice(&reply.body)) {
        return Ok(data);
    }
    let json = serde_json::from_slice::<Value>(&reply.body).ok().filter(Value::is_object);
    match (reply.status, json) {
        (200..=299, Some(_)) => Err(Fault::Foreign("its JSON has no `data`".into())),
        (200..=299, None) => Err(Fault::Foreign(format!("it returned {}", content(reply)))),
        (300..=399, _) => Err(Fault::Foreign(match &reply.location {
            Some(location) => format!("it redirects to {location}"),
            None => format!("it returned status {}", reply.status),
        })),
        (404 | 405, None) => Err(Fault::Foreign(format!("it returned status {}", reply.status))),
        (status, None) if is_html(reply) && !(502..=504).contains(&status) => {
            Err(Fault::Foreign(format!("it returned status {status} and {}", content(reply))))
        }
        (status, json) => Err(Fault::Refused(refusal(status, json.as_ref(), reply))),
    }
}

fn refusal(status: u16, json: Option<&Value>, reply: &Reply) -> Refusal {
    let said = json.and_then(|json| json.get("message")).and_then(Value::as_str);
    let message = said.or(reply.reason.as_deref()).unwrap_or_default();
    let errors = json.and_then(|json| json.get("errors")).and_then(Value::as_object);
    let text = |value: &Value| crate::scalar::written(value).unwrap_or_else(|| value.to_string());
    let parameters = errors.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect();
    Refusal::new(status, message, parameters)
}

fn is_html(reply: &Reply) -> bool {
    reply.content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html"))
}

fn content(reply: &Reply) -> &str {
    match reply.content_type.as_deref() {
        Some(kind) => kind.split(';').next().unwrap_or(kind),
        None => "no content type",
    }
}

/// What is encoded in names and values: all but letters, digits and `-._~`, for this server takes `;` for `&`.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `name=value&…`, encoded.
fn form(parameters: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{}={}", encoded(name), encoded(value));
    parameters.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, &RESERVED)
}

/// `GET /version`.
pub fn version() -> Request<Release> {
    Request::new(Method::Get, &["version"])
}

/// `GET /nodes/{node}/version`: hosts may differ during an upgrade.
pub fn node_version(node: &str) -> Request<Release> {
    Request::new(Method::Get, &["nodes", node, "version"])
}

/// `GET /access/permissions`: the token's own rights by path.
pub fn permissions() -> Request<Permissions> {
    Request::new(Method::Get, &["access", "permissions"])
}

/// `GET /nodes`.
pub fn nodes() -> Request<Vec<Host>> {
    Request::new(Method::Get, &["nodes"])
}

/// `GET /cluster/status`: the cluster's name and its hosts. Needs Sys.Audit on `/`.
pub fn cluster_status() -> Request<Vec<ClusterPart>> {
    Request::new(Method::Get, &["cluster", "status"])
}

/// `GET /cluster/resources?type=vm`: every guest that the token may see. Names and states lag by 10 s.
pub fn guests() -> Request<Vec<Resource>> {
    Request::new(Method::Get, &["cluster", "resources"]).with("type", "vm")
}

/// `GET /cluster/nextid`: a free VM ID now. It is no reservation.
pub fn next_id() -> Request<crate::answer::VmId> {
    Request::new(Method::Get, &["cluster", "nextid"])
}

/// `GET /nodes/{node}/qemu`: the host's VMs, live.
pub fn vms(node: &str) -> Request<Vec<VmRow>> {
    Request::new(Method::Get, &["nodes", node, "qemu"])
}

/// `GET /nodes/{node}/qemu/{vmid}/config`: what will be after the next start.
pub fn config(node: &str, vmid: u32) -> Request<Config> {
    vm(Method::Get, node, vmid, &["config"])
}

/// `GET /nodes/{node}/qemu/{vmid}/pending`: the config, with what runs now where that differs.
pub fn pending(node: &str, vmid: u32) -> Request<Config> {
    vm(Method::Get, node, vmid, &["pending"])
}

/// `POST /nodes/{node}/qemu`: claims the VM ID at once, creates in a task.
pub fn create(node: &str, vmid: u32, parameters: Parameters) -> Request<Upid> {
    Request::new(Method::Post, &["nodes", node, "qemu"]).with("vmid", vmid).with_all(parameters)
}

/// `POST /nodes/{node}/qemu/{vmid}/config`: changes in a task; `digest` guards against changes in between.
pub fn set_config(node: &str, vmid: u32, digest: Option<&str>, parameters: Parameters) -> Request<Option<Upid>> {
    let request = vm(Method::Post, node, vmid, &["config"]).with_all(parameters);
    match digest {
        Some(digest) => request.with("digest", digest),
        None => request,
    }
}

/// `PUT /nodes/{node}/qemu/{vmid}/resize`: grows `disk` to `size` (`20G`, `4608M`). The same size again is fine, shrinking is
/// refused by the server.
pub fn grow(node: &str, vmid: u32, disk: &str, size: &str) -> Request<Option<Upid>> {
    vm(Method::Put, node, vmid, &["resize"]).with("disk", disk).with("size", size)
}

/// `POST /nodes/{node}/qemu/{vmid}/status/start`.
pub fn start(node: &str, vmid: u32) -> Request<Upid> {
    vm(Method::Post, node, vmid, &["status", "start"])
}

/// `POST /nodes/{node}/qemu/{vmid}/status/stop`: cuts the power.
pub fn stop(node: &str, vmid: u32) -> Request<Upid> {
    vm(Method::Post, node, vmid, &["status", "stop"])
}

/// `POST /nodes/{node}/qemu/{vmid}/status/shutdown`: asks the guest, cuts the power after `seconds`.
pub fn shutdown(node: &str, vmid: u32, seconds: u32) -> Request<Upid> {
    vm(Method::Post, node, vmid, &["status", "shutdown"]).with("timeout", seconds).with("forceStop", 1)
}

/// `POST /nodes/{node}/qemu/{vmid}/status/reset`: presses the reset button of a VM that runs.
pub fn reset(node: &str, vmid: u32) -> Request<Upid> {
    vm(Method::Post, node, vmid, &["status", "reset"])
}

/// `DELETE /nodes/{node}/qemu/{vmid}`: removes the VM and its own disks, and with `purges` its place in jobs and HA.
pub fn destroy(node: &str, vmid: u32, purges: bool) -> Request<Upid> {
    let request = vm(Method::Delete, node, vmid, &[]);
    if purges { request.with("purge", 1) } else { request }
}

/// `GET /nodes/{node}/qemu/{vmid}/status/current`.
pub fn power(node: &str, vmid: u32) -> Request<Power> {
    vm(Method::Get, node, vmid, &["status", "current"])
}

/// `GET /nodes/{node}/qemu/{vmid}/agent/network-get-interfaces`. Takes 3 s when no agent answers.
pub fn nics(node: &str, vmid: u32) -> Request<Nics> {
    vm(Method::Get, node, vmid, &["agent", "network-get-interfaces"])
}

/// `GET /nodes/{node}/storage`: the storages of a host, with their space.
pub fn storages(node: &str) -> Request<Vec<Storage>> {
    Request::new(Method::Get, &["nodes", node, "storage"])
}

/// `GET /nodes/{node}/storage/{storage}/content?content={content}`.
pub fn contents(node: &str, storage: &str, content: &str) -> Request<Vec<Content>> {
    Request::new(Method::Get, &["nodes", node, "storage", storage, "content"]).with("content", content)
}

/// `GET /nodes/{node}/tasks/{upid}/status`.
pub fn task(upid: &Upid) -> Request<TaskState> {
    Request::new(Method::Get, &["nodes", upid.node(), "tasks", &upid.to_string(), "status"])
}

/// `GET /nodes/{node}/tasks/{upid}/log`.
pub fn task_log(upid: &Upid) -> Request<Vec<LogLine>> {
    Request::new(Method::Get, &["nodes", upid.node(), "tasks", &upid.to_string(), "log"]).with("limit", 5000)
}

fn vm<T>(method: Method, node: &str, vmid: u32, rest: &[&str]) -> Request<T> {
    let id = vmid.to_string();
    let mut segments = vec!["nodes", node, "qemu", &id];
    segments.extend(rest);
    Request::new(method, &segments)
}

#[cfg(test)]
mod tests;
