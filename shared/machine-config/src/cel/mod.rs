//! Expressions (CEL) of selectors: read and checked as Talos does before it takes a config.
//!
//! An expression is cut into [`token`]s, parsed into a [`tree`], its [`macros`] are expanded, and its [`types`] are
//! inferred against an [`Environment`]: the variables, messages and functions that Talos offers at that place.
//! Nothing is evaluated. Every step is bounded, so an expression may come from anywhere.

mod check;
mod enumerations;
mod environment;
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

/// A text as Talos writes it into an expression.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        let code = u32::from(c);
        let escape = match c {
            '"' | '\\' => format!("\\{c}"),
            '\u{7}'..='\u{d}' => format!("\\{}", ["a", "b", "t", "n", "v", "f", "r"][code as usize - 7]),
            _ if c.is_ascii_control() => format!("\\x{code:02x}"),
            // Other characters that can't be seen; those that only add to the one before can.
            _ if !c.is_ascii() && c.escape_debug().len() > 1 && format!("a{c}").escape_debug().count() > 2 => {
                match code {
                    ..0x1_0000 => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                }
            }
            _ => c.to_string(),
        };
        out.push_str(&escape);
    }
    out.push('"');
    out
}

/// A place in an expression, as an offset in characters.
type Place = usize;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    /// `None` for what is wrong with the expression as a whole.
    place: Option<Place>,
    text: String,
}

impl Fault {
    fn at(place: Place, text: impl Into<String>) -> Self {
        Self { place: Some(place), text: text.into() }
    }

    fn whole(text: impl Into<String>) -> Self {
        Self { place: None, text: text.into() }
    }

    /// `line:column: text`, both counted from one.
    fn line(&self, source: &[char]) -> String {
        let Some(place) = self.place else { return self.text.clone() };
        let before = &source[..place.min(source.len())];
        let line = before.iter().filter(|c| **c == '\n').count() + 1;
        let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
        format!("{line}:{column}: {}", self.text)
    }
}

/// How many faults of an expression are told.
const TOLD: usize = 5;

/// How many characters Talos reads.
const LONGEST: usize = 100_000;

/// Checks an expression for a place in Talos 1.`minor`; what is wrong is told in one line.
pub(crate) fn check(text: &str, environment: Environment, minor: u32) -> Result<(), String> {
    let source: Vec<char> = text.chars().collect();
    let told = |faults: Vec<Fault>| {
        let more = faults.len().saturating_sub(TOLD);
        let mut lines: Vec<String> = faults.iter().take(TOLD).map(|fault| fault.line(&source)).collect();
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
    let tree = parse::parse(&source, &scope).map_err(|fault| told(vec![fault]))?;
    let found = check::check(&tree, &scope).map_err(told)?;
    let wanted = environment.result();
    if found == wanted {
        return Ok(());
    }
    Err(format!("expression output type is {}, expected {}", found.runtime_name(), wanted.runtime_name()))
}

#[cfg(test)]
mod tests;
