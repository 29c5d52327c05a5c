//! The contract, rule by rule, on a toy step. Each test fails without the rule that its name says.

mod asks;
mod failing;
mod flow;
mod inputs;
mod people;
mod signals;
mod toy;
mod travel;

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inputs::{Endless, Fed};
use record::status::Vm;
use record::table;
use record::{Cluster, Code, Exit, Failure};
use serde_json::{Value, json};
use toy::{END, Outcome, Setting, Toy, addresses, failed_stream, found, head, node, node_with, run, stream, until};

use crate::output::Layout;
use crate::pipes::Place;
use crate::signals::Stopping;
use crate::{Format, Step};
