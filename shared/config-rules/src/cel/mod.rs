//! Expressions (CEL) of selectors: read and checked as Talos does before it takes a config.
//!
//! An expression is cut into [`token`]s, parsed into a [`tree`], its [`macros`] are expanded, and its [`types`] are
//! inferred against an [`Environment`]: the variables, messages and functions that Talos offers at that place.
//! Nothing is evaluated. Every step is bounded, so an expression may come from anywhere.

mod check;
mod declared;
mod enumerations;
mod environment;
mod fault;
mod functions;
mod infer;
mod macros;
mod messages;
mod parse;
mod postfix;
mod signature;
mod token;
mod tree;
mod types;

pub(crate) use environment::Environment;

use fault::Fault;

/// How many faults of an expression are reported.
const REPORTED: usize = 5;

/// How many characters Talos reads.
const LONGEST: usize = 100_000;

/// Checks an expression for a place in Talos 1.`minor`; the error is one line.
pub(crate) fn check(text: &str, environment: Environment, minor: u32) -> Result<(), String> {
    let source: Vec<char> = text.chars().collect();
    let reported = |faults: Vec<Fault>| {
        let more = faults.len().saturating_sub(REPORTED);
        let mut lines: Vec<String> = faults.iter().take(REPORTED).map(|fault| fault.line(&source)).collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines.join("; ")
    };
    if source.len() > LONGEST {
        let size = source.len();
        return Err(format!("expression code point size exceeds limit: size: {size}, limit {LONGEST}"));
    }
    let scope = environment.scope(minor);
    let tree = parse::parse(&source, &scope).map_err(|fault| reported(vec![fault]))?;
    let found = check::check(&tree, &scope).map_err(reported)?;
    let wanted = environment.result();
    if found == wanted {
        return Ok(());
    }
    Err(format!("expression output type is {}, expected {}", found.runtime_name(), wanted.runtime_name()))
}

#[cfg(test)]
mod tests;
