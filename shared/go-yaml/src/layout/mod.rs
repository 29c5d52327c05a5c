//! Where lines may be moved: inside brackets and quotes go-yaml ignores the blanks before a line, while the parser
//! wants them deeper than the key before, and without tabs.
//!
//! The scanner follows a text as go-yaml does, just closely enough to recognize brackets, quotes, comments, blocks and
//! plain text. It also detects what go-yaml refuses and the parser accepts.

mod scan;
#[cfg(test)]
mod tests;

use crate::limits::BYTES;
use crate::node::Place;

pub(crate) use scan::{Stop, scan};

/// The layout of a text as go-yaml sees it.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    edits: Vec<Edit>,
    lines: Vec<Moved>,
    /// The lines of the signs of blocks that hold no more than line ends, none of which is kept.
    empty: Vec<usize>,
    ends_in_block: bool,
}

/// Blanks that become spaces.
#[derive(Debug)]
struct Edit {
    at: usize,
    old: usize,
    new: usize,
}

/// A line whose first `old` blanks became `new` spaces.
#[derive(Debug)]
struct Moved {
    line: usize,
    old: usize,
    new: usize,
}

impl Layout {
    /// The text with its lines moved, or nothing if none needs to be or it would grow out of bounds.
    pub(crate) fn moved(&self, text: &str) -> Option<String> {
        let more: usize = self.edits.iter().map(|edit| edit.new - edit.old).sum();
        if self.edits.is_empty() || more > BYTES {
            return None;
        }
        let mut out = String::with_capacity(text.len() + more);
        let mut done = 0;
        for edit in &self.edits {
            out.push_str(text.get(done..edit.at)?);
            out.extend(std::iter::repeat_n(' ', edit.new));
            done = edit.at + edit.old;
        }
        out.push_str(text.get(done..)?);
        Some(out)
    }

    /// Whether the text ends within a line of a block.
    pub(crate) fn ends_in_block(&self) -> bool {
        self.ends_in_block
    }

    /// Whether the block whose sign is on a line is empty.
    pub(crate) fn is_empty_block(&self, line: usize) -> bool {
        self.empty.binary_search(&line).is_ok()
    }

    /// The position in the original text of a position in the moved text.
    pub(crate) fn original(&self, place: Place) -> Place {
        let Ok(found) = self.lines.binary_search_by_key(&place.line, |moved| moved.line) else {
            return place;
        };
        let Moved { old, new, .. } = self.lines[found];
        let column = if place.column > new { place.column - new + old } else { place.column.min(old + 1) };
        Place { column, ..place }
    }
}
