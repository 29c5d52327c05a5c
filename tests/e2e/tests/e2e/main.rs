//! Whole pipes, as processes. One executable, so that it is linked once; a module for each kind of run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// A cluster of another tool.
mod adopted;
/// Each step without a stream, with talosctl's flags.
mod alone;
/// What talos-apply does with a node, and says of it.
mod applying;
/// Input that cannot be used: one clear message, the status from the table, nothing half-written.
mod bad_input;
/// etcd is asked to bootstrap once.
mod bootstrap;
/// The serial console.
mod console;
/// `--dry-run` travels, and changes nothing.
mod dry_run;
/// The file was edited between two runs.
mod edited;
/// etcd keeps its quorum and its objects.
mod etcd;
/// Failures on the way.
mod failure;
/// From nothing to Ready nodes, in every shape of the pipe.
mod first_run;
/// `kill -9` at every point.
mod killed;
/// A man in the middle.
mod middle;
/// One mistake is one message, whatever step it is in.
mod one_mistake;
/// Nodes that left the file.
mod orphans;
/// What every program has: help, version, completions, man page, schema.
mod programs;
/// The justfile, and `ichor-lab run`.
mod recipes;
/// Each release of Talos that the pipe runs, and one that the file raises.
mod releases;
/// What each program can do with a role that isn't an administrator's.
mod roles;
/// No secret leaves the program, whoever repeats it.
mod secrets;
/// Configs on discs instead of a first contact.
mod seeds;
/// Servers and nodes that are wrong or broken.
mod servers;
/// Ctrl-C.
mod signals;
/// Where programs, labs and scratch folders come from.
mod support;
/// A script of the user's own in place of a step.
mod swapped;
/// What people see on a terminal.
mod terminal;
/// Where the API token goes.
mod token;
/// Waiting says why.
mod waiting;
/// Each way of the image to Proxmox VE.
mod ways;
