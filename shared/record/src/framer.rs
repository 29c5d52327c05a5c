//! Cuts a stream of bytes into JSON values.

use crate::{Code, Unusable};

/// The largest record that is read, in bytes: the Cluster record of a million nodes still fits.
pub const MAX_RECORD: usize = 64 << 20;

/// One JSON value of the input, as written.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The text of the value.
    pub json: Vec<u8>,
    /// The line on which it begins, from 1.
    pub line: u64,
}

/// Cuts any sequence of JSON objects (one a line, pretty-printed, back to back) into [`Frame`]s.
///
/// It looks only at braces and strings; the reader of records checks whether a frame is valid JSON.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Everything before this has been looked at.
    scanned: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
    line: u64,
    begin_line: u64,
}

impl Default for Framer {
    fn default() -> Self {
        Self { buffer: Vec::new(), scanned: 0, depth: 0, in_string: false, escaped: false, line: 1, begin_line: 1 }
    }
}

impl Framer {
    /// Takes more bytes; complete values go to `frames`.
    ///
    /// # Errors
    /// A value that is not an object, or one that is larger than [`MAX_RECORD`].
    pub fn push(&mut self, bytes: &[u8], mut frames: impl FnMut(Frame)) -> Result<(), Unusable> {
        self.buffer.extend_from_slice(bytes);
        let mut begin = 0;
        while self.scanned < self.buffer.len() {
            let byte = self.buffer[self.scanned];
            self.scanned += 1;
            if byte == b'\n' {
                self.line += 1;
            }
            if self.depth == 0 {
                begin = self.between(byte, begin)?;
            } else if self.inside(byte) {
                frames(Frame { json: self.buffer[begin..self.scanned].to_vec(), line: self.begin_line });
                begin = self.scanned;
            }
        }
        self.buffer.drain(..begin);
        if self.buffer.is_empty() {
            self.buffer.shrink_to(1 << 16);
        }
        self.scanned -= begin;
        if self.buffer.len() > MAX_RECORD {
            let limit = MAX_RECORD >> 20;
            return Err(Unusable::new(format!("line {}: a record is larger than {limit} MiB", self.begin_line))
                .hint("this is not a stream of records"));
        }
        Ok(())
    }

    /// Looks at a byte between two values; returns where the next value begins.
    fn between(&mut self, byte: u8, begin: usize) -> Result<usize, Unusable> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => Ok(self.scanned),
            // A byte order mark (EF BB BF) may stand at the very beginning.
            0xEF | 0xBB | 0xBF if self.line == 1 && begin < 3 => Ok(self.scanned),
            b'{' => {
                self.depth = 1;
                self.begin_line = self.line;
                Ok(self.scanned - 1)
            }
            b'[' => Err(Unusable::new(format!("line {}: an array where a record is expected", self.line))
                .hint("records are separate JSON values: `jq -c '.[]'` splits an array")),
            _ => Err(Unusable::new(format!("line {}: not JSON", self.line))
                .hint("the input is a stream of JSON records, or a cluster file in YAML or JSON")),
        }
    }

    /// Looks at a byte inside a value; returns whether the value ends with it.
    fn inside(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }

    /// Ends the input.
    ///
    /// # Errors
    /// An incomplete value.
    pub fn finish(&self) -> Result<(), Unusable> {
        if self.depth == 0 {
            return Ok(());
        }
        Err(Unusable::new(format!("the input ends inside the record that begins on line {}", self.begin_line))
            .code(Code::Cut)
            .hint("the previous step was stopped while writing; run the pipe again from the cluster file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(text: &[u8], chunk: usize) -> Result<Vec<(String, u64)>, Unusable> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for part in text.chunks(chunk) {
            framer.push(part, |frame| found.push((String::from_utf8(frame.json).unwrap(), frame.line)))?;
        }
        framer.finish().map(|()| found)
    }

    #[test]
    fn any_layout_and_any_chunks_give_the_same_values() {
        let text = "\u{feff}{\"a\":\"}\\\"{\"}\r\n\n{\n \"b\": [1, {}]\n}{\"c\":2}".as_bytes();
        for chunk in [1, 2, 3, 7, 1000] {
            let found = frames(text, chunk).unwrap();
            let expected = [("{\"a\":\"}\\\"{\"}", 1), ("{\n \"b\": [1, {}]\n}", 3), ("{\"c\":2}", 5)];
            assert_eq!(found, expected.map(|(text, line)| (text.to_owned(), line)), "chunks of {chunk}");
        }
    }

    #[test]
    fn an_array_is_told_how_to_become_records() {
        assert!(frames(b"[{}]", 10).unwrap_err().hint.unwrap().contains("jq -c '.[]'"));
    }

    #[test]
    fn a_value_that_is_cut_is_found_at_the_end() {
        let error = frames(b"{}\n{\"a\":1", 4).unwrap_err();
        assert!(error.message.contains("begins on line 2"), "{error}");
    }

    #[test]
    fn a_record_without_end_is_refused_in_bounded_memory() {
        let mut framer = Framer::default();
        framer.push(b"{\"a\":\"", |_| {}).unwrap();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..100).find_map(|_| framer.push(&piece, |_| {}).err());
        assert!(refused.unwrap().message.contains("larger than 64 MiB"));
        assert!(framer.buffer.len() <= MAX_RECORD + (1 << 21));
    }
}
