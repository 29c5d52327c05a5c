use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use crate::layout::{self, Layout, Stop};
use crate::limits::{BYTES, DEPTH, NODES};
use crate::node::{Data, Key, Node, Origin, Place, Scalar};
use crate::resolve::Resolved;

/// Why a text isn't usable YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More bytes than the reader takes.
    #[error("{bytes} bytes are more than the {limit} that are read")]
    TooLarge {
        /// The size found.
        bytes: usize,
        /// The size allowed.
        limit: usize,
    },
    /// Nested deeper than anything real.
    #[error("{place}: nested deeper than {DEPTH} levels")]
    TooDeep {
        /// Where.
        place: Place,
    },
    /// More values than anything real, most likely by aliases of aliases.
    #[error("{place}: more than {NODES} values, aliases counted")]
    TooMany {
        /// Where.
        place: Place,
    },
    /// The text breaks YAML's rules.
    #[error("{place}: {text}")]
    Syntax {
        /// Where.
        place: Place,
        /// The parser's words.
        text: String,
    },
    /// One mapping has a key twice.
    #[error("{place}: mapping key {key:?} is already defined on line {first}")]
    DuplicateKey {
        /// Where the second one stands.
        place: Place,
        /// The key.
        key: String,
        /// The line of the first.
        first: usize,
    },
    /// A key that isn't a scalar.
    #[error("{place}: a mapping key must be a scalar")]
    OddKey {
        /// Where.
        place: Place,
    },
    /// An alias to an anchor that isn't complete.
    #[error("{place}: an anchor contains itself")]
    Circle {
        /// Where.
        place: Place,
    },
}

/// Reads a stream of documents; an empty document is a null.
pub fn read(text: &str) -> Result<Vec<Node>, Error> {
    read_limited(text, BYTES)
}

/// Reads a stream of documents of at most `limit` bytes.
pub fn read_limited(text: &str, limit: usize) -> Result<Vec<Node>, Error> {
    if text.len() > limit {
        return Err(Error::TooLarge { bytes: text.len(), limit });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some((line, c)) = text.lines().zip(1..).find_map(|(line, number)| Some((number, control(line)?))) {
        let text = format!("control characters are not allowed (value: {})", u32::from(c));
        return Err(Error::Syntax { place: Place { line, column: 1 }, text });
    }
    let layout = layout::scan(text);
    let known = layout.as_ref().ok();
    match (Reader::new(text, known, false).stream(), &layout) {
        (Ok(_), Err(Stop::Refused { place, text })) => Err(Error::Syntax { place: *place, text: text.clone() }),
        (Err(Error::Syntax { place: later, .. }), Err(Stop::Refused { place, text })) if *place < later => {
            Err(Error::Syntax { place: *place, text: text.clone() })
        }
        (Err(error @ Error::Syntax { .. }), Ok(layout)) => match layout.moved(text) {
            Some(moved) => Reader::new(&moved, known, true).stream(),
            None => Err(error),
        },
        (result, _) => result,
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    layout: Option<&'a Layout>,
    /// Whether the lines were moved to be readable.
    moved: bool,
    /// Where a text ends whose last line has no end, in characters.
    end: Option<usize>,
    /// Complete anchors with the number of nodes in each.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, layout: Option<&'a Layout>, moved: bool) -> Self {
        let last = text.rsplit(['\n', '\r']).next().unwrap_or_default();
        let open_end = !last.trim().is_empty() || layout.is_some_and(Layout::ends_in_block);
        let end = open_end.then(|| text.chars().count());
        Self { parser: Parser::new_from_str(text), layout, moved, end, anchors: HashMap::new(), nodes: 0 }
    }

    fn place(&self, marker: &Marker) -> Place {
        let place = Place { line: marker.line(), column: marker.col() + 1 };
        self.layout.filter(|_| self.moved).map_or(place, |layout| layout.original(place))
    }

    fn stream(&mut self) -> Result<Vec<Node>, Error> {
        let mut documents = Vec::new();
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(documents),
                (Event::DocumentStart(_), _) => {
                    let first = self.next()?;
                    documents.push(self.node(first, 0)?);
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Place), Error> {
        match self.parser.next_event() {
            Some(Ok((Event::Scalar(mut text, style, anchor, tag), span))) => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if block && self.end.is_some_and(|end| span.end.index() >= end) && text.ends_with('\n') {
                    text.to_mut().pop();
                }
                if block && self.layout.is_some_and(|layout| layout.is_empty_block(span.start.line())) {
                    text.to_mut().clear();
                }
                Ok((Event::Scalar(text, style, anchor, tag), self.place(&span.start)))
            }
            Some(Ok((event, span))) => Ok((event, self.place(&span.start))),
            Some(Err(error)) => Err(Error::Syntax { place: self.place(error.marker()), text: error.info().to_owned() }),
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn node(&mut self, (event, place): (Event<'a>, Place), depth: usize) -> Result<Node, Error> {
        if depth > DEPTH {
            return Err(Error::TooDeep { place });
        }
        let before = self.nodes;
        self.count(1, place)?;
        let (anchor, data) = match event {
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().map(|tag| tag.suffix.as_str());
                (anchor, Data::Scalar(scalar(text.into_owned(), style, tag, place)?))
            }
            Event::SequenceStart(anchor, _) => (anchor, Data::List(self.items(depth)?)),
            Event::MappingStart(anchor, _) => (anchor, Data::Map(self.pairs(depth)?)),
            _ => {
                return Err(Error::Syntax { place, text: "a value is missing".to_owned() });
            }
        };
        let node = Node { place, data };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Error> {
        let (node, size) = self.anchors.get(&anchor).cloned().ok_or(Error::Circle { place })?;
        self.count(size, place)?;
        Ok(node)
    }

    fn count(&mut self, more: usize, place: Place) -> Result<(), Error> {
        self.nodes += more;
        if self.nodes > NODES { Err(Error::TooMany { place }) } else { Ok(()) }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, Error> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                next => items.push(self.node(next, depth + 1)?),
            }
        }
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Error> {
        let mut pairs = Vec::new();
        let mut merged = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Alias(_), place) => return Err(Error::OddKey { place }),
                next => self.node(next, depth + 1)?,
            };
            let next = self.next()?;
            let brought = if matches!(next.0, Event::Alias(_)) { Origin::Alias } else { Origin::Merge };
            let value = self.node(next, depth + 1)?;
            let Data::Scalar(scalar) = key.data else {
                return Err(Error::OddKey { place: key.place });
            };
            if scalar.plain && scalar.text == "<<" {
                merged.push((value, brought));
            } else {
                let origin = if scalar.resolve() == Resolved::Null { Origin::Null } else { Origin::Direct };
                pairs.push((Key { place: key.place, text: scalar.text, origin }, value));
            }
        }
        unique(&pairs)?;
        if !merged.is_empty() {
            let mut known = pairs.iter().map(|(key, _)| key.text.clone()).collect();
            merged.into_iter().try_for_each(|(source, origin)| merge_in(&mut pairs, &mut known, source, origin))?;
        }
        Ok(pairs)
    }
}

/// A character that no YAML may have.
fn control(line: &str) -> Option<char> {
    line.chars().find(|c| c.is_control() && !matches!(c, '\t' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

fn unique(pairs: &[(Key, Node)]) -> Result<(), Error> {
    let mut seen = HashSet::with_capacity(pairs.len());
    let Some((key, _)) = pairs.iter().find(|(key, _)| !seen.insert(key.text.as_str())) else {
        return Ok(());
    };
    let first = pairs.iter().find(|(other, _)| other.text == key.text);
    Err(Error::DuplicateKey {
        place: key.place,
        key: key.text.clone(),
        first: first.map_or(0, |(other, _)| other.place.line),
    })
}

/// A scalar with its tag applied: `!!str` and `!!binary` are always text, the other tags resolve even quoted text.
fn scalar(text: String, style: ScalarStyle, tag: Option<&str>, place: Place) -> Result<Scalar, Error> {
    match tag {
        Some("str") => Ok(Scalar { text, plain: false }),
        Some("binary") => {
            let joined: String = text.split_ascii_whitespace().collect();
            let bytes = STANDARD.decode(joined).ok().map(String::from_utf8);
            match bytes {
                Some(Ok(text)) => Ok(Scalar { text, plain: false }),
                _ => Err(Error::Syntax { place, text: "!!binary value contains invalid base64 data".to_owned() }),
            }
        }
        Some("null" | "bool" | "int" | "float" | "timestamp") => Ok(Scalar { text, plain: true }),
        _ => Ok(Scalar { text, plain: style == ScalarStyle::Plain }),
    }
}

/// Adds the pairs of a merge key (`<<`); existing keys stay.
fn merge_in(
    pairs: &mut Vec<(Key, Node)>,
    known: &mut HashSet<String>,
    source: Node,
    origin: Origin,
) -> Result<(), Error> {
    match source.data {
        Data::Map(more) => {
            for (key, node) in more {
                if known.insert(key.text.clone()) {
                    pairs.push((Key { origin, ..key }, node));
                }
            }
            Ok(())
        }
        Data::List(sources) => sources.into_iter().try_for_each(|one| merge_in(pairs, known, one, Origin::Merge)),
        Data::Scalar(_) => Err(Error::Syntax {
            place: source.place,
            text: "map merge requires map or sequence of maps as the value".to_owned(),
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The documents as the parser alone reads them.
    pub(crate) fn direct(text: &str) -> Option<String> {
        Reader::new(text, layout::scan(text).ok().as_ref(), false)
            .stream()
            .ok()
            .map(|documents| format!("{documents:?}"))
    }

    /// The documents after the lines were moved, if any had to be.
    pub(crate) fn moved(text: &str) -> Option<String> {
        let layout = layout::scan(text).ok()?;
        let moved = layout.moved(text)?;
        let documents = Reader::new(&moved, Some(&layout), true).stream();
        Some(documents.map_or_else(|error| error.to_string(), |documents| format!("{documents:?}")))
    }

    fn one(text: &str) -> Node {
        read(text).unwrap().remove(0)
    }

    #[test]
    fn scalars_stay_as_written() {
        let node = one("a: 1.10\nb: 'yes'\nc: 0644\n");
        assert_eq!(node.get("a").unwrap().text(), Some("1.10"));
        assert!(!node.get("b").unwrap().scalar().unwrap().plain);
        assert_eq!(node.get("c").unwrap().place, Place { line: 3, column: 4 });
    }

    #[test]
    fn a_key_twice_is_refused_with_both_lines() {
        let error = read("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3, column 1: mapping key \"a\" is already defined on line 1");
    }

    #[test]
    fn aliases_and_merge_keys_are_followed() {
        let node = one("base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\n");
        let more = node.get("more").unwrap();
        assert_eq!(more.get("x").unwrap().text(), Some("1"));
        assert_eq!(more.get("y").unwrap().text(), Some("3"));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..10 {
            let before = level - 1;
            let row = vec![format!("*a{before}"); 9].join(",");
            text.push_str(&format!("a{level}: &a{level} [{row}]\n"));
        }
        assert!(matches!(read(&text), Err(Error::TooMany { .. })));
    }

    #[test]
    fn deep_nesting_and_size_are_refused() {
        assert!(read(&"[".repeat(20_000)).is_err());
        assert!(matches!(read(&"- ".repeat(200)), Err(Error::TooDeep { .. })));
        assert!(matches!(read_limited("aaaa", 3), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn streams_hold_several_documents() {
        assert_eq!(read("a: 1\n---\nb: 2\n---\n").unwrap().len(), 3);
        assert!(read("").unwrap().is_empty());
    }
}
