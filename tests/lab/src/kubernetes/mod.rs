//! The Kubernetes API of the lab's clusters.
//!
//! Each etcd holds a `Store` of objects; the API servers of its control planes answer from it. Requests are decided
//! by pure functions on the store (`answer`); a thin layer speaks TLS and HTTP. Nodes come and get ready as kubelets
//! report them, everything else is there so that `kubectl` feels at home.

mod answer;
mod budgets;
mod columns;
mod controllers;
mod cron;
mod custom;
mod daemons;
mod defaults;
mod deletes;
mod deletion;
mod deployments;
mod discovery;
mod happenings;
mod index;
mod jobs;
mod jsonpath;
mod logs;
mod managed;
mod network;
mod node;
mod objects;
mod openapi;
mod outages;
mod patch;
mod placing;
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

pub(crate) use answer::{Answer, User, answer, events, timestamp};
pub(crate) use node::{Report, allowed_label, kernel};
pub(crate) use objects::Component;
pub(crate) use request::Request;
pub(crate) use server::respond;
pub(crate) use store::Store;

#[cfg(test)]
mod tests;
