use crate::quote::{Dialect, Style, double_quoted};
use crate::value::{Map, Value};

/// Writes one document as go-yaml does: block style, four spaces, no leading `---`, one line end at the end.
pub fn write(value: &Value, dialect: Dialect) -> String {
    written(value, dialect, Hint::True)
}

/// Writes one document as go-yaml does even where nobody can read it back: for texts of which only the digest matters.
pub fn write_for_digest(value: &Value, dialect: Dialect) -> String {
    written(value, dialect, Hint::OfGo)
}

fn written(value: &Value, dialect: Dialect, hint: Hint) -> String {
    let mut writer = Writer { out: String::with_capacity(4096), dialect, hint };
    match value {
        Value::Map(map) if !map.is_empty() => writer.map(map, 0, false),
        Value::List(items) if !items.is_empty() => writer.list(items, 0, false),
        other => {
            writer.leaf(other, Place { column: 4, deeper: 4, item: false });
            writer.out.push('\n');
        }
    }
    writer.out
}

/// Writes a stream of documents with `---` between them.
pub fn write_documents<'a>(values: impl IntoIterator<Item = &'a Value>, dialect: Dialect) -> String {
    let documents: Vec<String> = values.into_iter().map(|value| write(value, dialect)).collect();
    documents.join("---\n")
}

struct Writer {
    out: String,
    dialect: Dialect,
    hint: Hint,
}

/// The indentation indicator of a block whose text begins with a space.
///
/// go-yaml writes four columns, even where it indents by two; then neither it nor anybody else can read the block.
#[derive(Clone, Copy)]
enum Hint {
    True,
    OfGo,
}

/// The position of a value.
#[derive(Clone, Copy)]
struct Place {
    /// The column of what it holds.
    column: usize,
    /// The indentation relative to the parent, in columns.
    deeper: usize,
    /// Whether it is an item of a list.
    item: bool,
}

/// Whether the first line that isn't empty is itself indented. v4 writes no indicator after an empty line, and its
/// output then reads as another text or not at all.
fn is_shifted(text: &str) -> bool {
    text.trim_start_matches('\n').starts_with([' ', '\t'])
}

/// Whether a key is on the same line as its value.
fn is_simple(key: &str) -> bool {
    key.len() <= 128 && !key.contains('\n')
}

/// go-yaml counts columns to the next multiple of four below a mapping.
fn below(column: usize) -> usize {
    (column + 4) / 4 * 4
}

impl Writer {
    /// Writes the pairs at `column`; the first line is already indented when `open`.
    fn map(&mut self, map: &Map, column: usize, open: bool) {
        for (index, (key, value)) in map.iter().enumerate() {
            if index > 0 || !open {
                self.indent(column);
            }
            let place = Place { column: below(column), deeper: below(column) - column, item: false };
            if is_simple(key) {
                self.scalar(key, self.dialect.style(key), place);
                self.out.push(':');
                self.child(value, place);
            } else {
                self.long_pair(key, value, column, place);
            }
        }
    }

    /// Writes a pair whose key is marked, with the value on a line of its own.
    fn long_pair(&mut self, key: &str, value: &Value, column: usize, place: Place) {
        self.out.push_str("? ");
        self.scalar(key, self.dialect.style(key), place);
        self.out.push('\n');
        self.indent(column);
        self.out.push(':');
        match value {
            Value::Map(map) if !map.is_empty() => {
                self.indent(place.deeper - 1);
                self.map(map, place.column, true);
            }
            Value::List(items) if !items.is_empty() => {
                self.indent(place.deeper - 1);
                self.list(items, place.column, true);
            }
            leaf => self.child(leaf, place),
        }
    }

    fn list(&mut self, items: &[Value], column: usize, open: bool) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 || !open {
                self.indent(column);
            }
            self.out.push('-');
            self.child(item, Place { column: column + 2, deeper: 2, item: true });
        }
    }

    /// Writes the value after `key:` or `-`; only an item's collection begins on the same line.
    fn child(&mut self, value: &Value, place: Place) {
        let gap = if place.item { " " } else { "\n" };
        match value {
            Value::Map(map) if !map.is_empty() => {
                self.out.push_str(gap);
                self.map(map, place.column, place.item);
            }
            Value::List(items) if !items.is_empty() => {
                self.out.push_str(gap);
                self.list(items, place.column, place.item);
            }
            leaf => {
                self.out.push(' ');
                self.leaf(leaf, place);
                self.out.push('\n');
            }
        }
    }

    fn leaf(&mut self, value: &Value, place: Place) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Number(text) => self.out.push_str(text),
            Value::Text(text) => self.scalar(text, self.dialect.style(text), place),
            Value::List(_) => self.out.push_str("[]"),
            Value::Map(_) => self.out.push_str("{}"),
        }
    }

    fn scalar(&mut self, text: &str, style: Style, place: Place) {
        match style {
            Style::Plain => self.out.push_str(text),
            Style::Single => {
                self.out.push('\'');
                self.out.push_str(&text.replace('\'', "''"));
                self.out.push('\'');
            }
            Style::Double => double_quoted(text, &mut self.out),
            Style::Literal => self.literal(text, place),
        }
    }

    /// Whether go-yaml writes an indentation indicator: v3 also if the text begins with a line break.
    fn hinted(&self, text: &str) -> bool {
        text.starts_with(' ') || (self.dialect == Dialect::V3 && text.starts_with('\n'))
    }

    /// Writes a literal block without its last line end.
    fn literal(&mut self, text: &str, place: Place) {
        self.out.push('|');
        match self.hint {
            Hint::True if self.hinted(text) || is_shifted(text) => self.out.push_str(&place.deeper.to_string()),
            Hint::OfGo if self.hinted(text) => self.out.push('4'),
            _ => {}
        }
        let (chomping, body) = match text.strip_suffix('\n') {
            None => ("-", text),
            Some(body) if body.is_empty() || body.ends_with('\n') => ("+", body),
            Some(body) => ("", body),
        };
        self.out.push_str(chomping);
        for line in body.split('\n') {
            self.out.push('\n');
            if !line.is_empty() {
                self.indent(place.column);
                self.out.push_str(line);
            }
        }
    }

    fn indent(&mut self, column: usize) {
        self.out.extend(std::iter::repeat_n(' ', column));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;

    #[test]
    fn nesting_goes_to_multiples_of_four_but_two_behind_a_dash() {
        let value = map! {
            "a" => map! { "b" => vec![map! { "c" => map! { "d" => 1 }, "e" => Vec::<Value>::new() }] },
        };
        assert_eq!(write(&value, Dialect::V4), "a:\n    b:\n        - c:\n            d: 1\n          e: []\n");
    }

    #[test]
    fn keys_of_several_lines_or_more_than_128_bytes_are_marked() {
        let (short, umlauts, words) = ("a".repeat(128), "é".repeat(65), "yes ".repeat(33));
        let [b, e] = ["b", "e"].map(|letter| letter.repeat(129));
        let value = map! {
            short.as_str() => 1,
            umlauts.as_str() => 1,
            b.as_str() => map! { "x" => 1, "z" => map! { "z" => 2 } },
            "c\nd" => vec![map! { e.as_str() => vec![1, 2], "f" => 1 }],
            " s\nt\n" => "u\nv",
            "x \ny" => Vec::<Value>::new(),
            words.as_str() => Value::Null,
        };
        let wanted = [
            format!("{short}: 1\n? {umlauts}\n: 1\n? {b}\n:   x: 1\n    z:\n        z: 2\n"),
            format!("? |-\n    c\n    d\n:   - ? {e}\n      : - 1\n        - 2\n      f: 1\n"),
            format!("? |4\n     s\n    t\n: |-\n    u\n    v\n? \"x \\ny\"\n: []\n? '{words}'\n: null\n"),
        ]
        .concat();
        assert_eq!(write(&value, Dialect::V4), wanted);
    }

    #[test]
    fn blocks_follow_the_text() {
        let value = map! { "x" => "a\n\nb\n", "z" => vec!["p\nq", "r\n\n"] };
        assert_eq!(
            write(&value, Dialect::V4),
            "x: |\n    a\n\n    b\nz:\n    - |-\n      p\n      q\n    - |+\n      r\n\n"
        );
    }

    #[test]
    fn a_text_that_begins_with_a_space_says_how_far_it_is_indented() {
        let value = map! { "a" => " p\nq", "l" => vec![map! { "b" => "\nr" }], "m" => vec![" s\nt"] };
        let text = write(&value, Dialect::V3);
        assert_eq!(text, "a: |4-\n     p\n    q\nl:\n    - b: |2-\n\n        r\nm:\n    - |2-\n       s\n      t\n");
        let again = crate::read(&text).unwrap().remove(0);
        assert_eq!(again.get("a").and_then(crate::Node::text), Some(" p\nq"));
        assert_eq!(again.get("m").and_then(|list| list.items()?[0].text()), Some(" s\nt"));
    }

    #[test]
    fn a_text_that_begins_with_a_break_says_so_only_where_it_must() {
        for (text, early, newer) in [
            ("\nr", "a: |4-\n\n    r\n", "a: |-\n\n    r\n"),
            ("\n\n", "a: |4+\n\n\n", "a: \"\\n\\n\"\n"),
            // v4 itself would write something that reads as another text.
            ("\n r", "a: |4-\n\n     r\n", "a: |4-\n\n     r\n"),
        ] {
            let value = map! { "a" => text };
            assert_eq!(write(&value, Dialect::V3), early, "{text:?}");
            for dialect in [Dialect::V4Early, Dialect::V4] {
                let written = write(&value, dialect);
                assert_eq!(written, newer, "{text:?}");
                let again = crate::read(&written).unwrap().remove(0);
                assert_eq!(again.get("a").and_then(crate::Node::text), Some(text));
            }
        }
    }
}
