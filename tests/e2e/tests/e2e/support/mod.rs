//! Where programs, labs and scratch folders come from.

mod middle;
mod outcome;
mod scratch;
mod world;

pub(crate) use middle::Middle;
pub(crate) use outcome::Outcome;
pub(crate) use scratch::{STEPS, Scratch, finish};
pub(crate) use world::{SOON, Shape, World, changes};
