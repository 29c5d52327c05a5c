//! Rules for each document by itself. The rows of [`table`](crate::table) name those that are in force.

pub(crate) mod cluster;
pub(crate) mod container;
pub(crate) mod images;
pub(crate) mod kubernetes;
pub(crate) mod links;
pub(crate) mod network;
pub(crate) mod storage;
pub(crate) mod system;
pub(crate) mod volumes;
