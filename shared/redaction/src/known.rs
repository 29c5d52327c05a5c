//! Values that are known to be secret, in the encodings in which they travel.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::{REDACTED, is_value};

/// How many bytes a value, or the line of one, must have to be learned.
const SHORTEST: usize = 8;
/// How many bytes a line of a value with several lines must have.
const SHORTEST_LINE: usize = 16;

/// The values. They are looked for by their first bytes, so that the time for a text doesn't grow with their number.
#[derive(Default)]
pub struct Known {
    by_head: HashMap<[u8; SHORTEST], Vec<String>>,
    learned: HashSet<String>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known(redacted)")
    }
}

impl Known {
    /// Learns a value in all its encodings.
    pub(crate) fn learn(&mut self, value: &str) {
        let value = value.trim();
        if value.len() < SHORTEST || !is_value(value) && value.len() < SHORTEST_LINE {
            return;
        }
        if !self.learned.insert(value.to_owned()) {
            return;
        }
        for form in forms(value) {
            self.add(form);
        }
    }

    fn add(&mut self, form: String) {
        let Some(head) = form.as_bytes().first_chunk().copied() else { return };
        let forms = self.by_head.entry(head).or_default();
        if !forms.contains(&form) {
            forms.push(form);
            // The longest is looked for first: of a value that begins another one, nothing may be left over.
            forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        }
    }

    /// The text without these values.
    pub(crate) fn hide(&self, text: &str) -> String {
        if self.by_head.is_empty() {
            return text.to_owned();
        }
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        while at < text.len() {
            match self.length_at(&text.as_bytes()[at..]) {
                Some(length) => {
                    out.push_str(&text[copied..at]);
                    out.push_str(REDACTED);
                    at += length;
                    copied = at;
                }
                None => at += 1,
            }
        }
        out + &text[copied..]
    }

    /// The length of the value at the beginning of this text, or of the part that is left of it where the text was cut.
    fn length_at(&self, text: &[u8]) -> Option<usize> {
        let forms = self.by_head.get(text.first_chunk()?)?;
        let whole = forms.iter().find(|form| text.starts_with(form.as_bytes())).map(String::len);
        whole.or_else(|| forms.iter().any(|form| form.as_bytes().starts_with(text)).then_some(text.len()))
    }
}

/// A value in every encoding; of one that is base64 itself, and of a PEM block in it, also what they stand for.
fn forms(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    of_text(value, &mut forms);
    if let Ok(decoded) = STANDARD.decode(value) {
        of_bytes(&decoded, &mut forms);
        if let Ok(text) = String::from_utf8(decoded)
            && text.len() >= SHORTEST
        {
            of_text(text.trim(), &mut forms);
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

fn of_text(value: &str, forms: &mut BTreeSet<String>) {
    forms.insert(value.to_owned());
    let json = json(value);
    forms.insert(json.replace('/', "\\/"));
    forms.insert(json);
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    forms.insert(percent(value, unreserved, false));
    forms.insert(percent(value, unreserved, true));
    // As a form sends it.
    forms.insert(percent(value, unreserved, false).replace("%20", "+"));
    of_bytes(value.as_bytes(), forms);
    for line in value.lines().map(str::trim).filter(|_| value.contains('\n')) {
        if line.len() >= SHORTEST_LINE && !line.starts_with("-----") {
            forms.insert(line.to_owned());
        }
    }
    if let Some(der) = der(value) {
        of_bytes(&der, forms);
    }
}

fn of_bytes(bytes: &[u8], forms: &mut BTreeSet<String>) {
    forms.insert(base16ct::lower::encode_string(bytes));
    forms.insert(base16ct::upper::encode_string(bytes));
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.extend((0..3).map(|shift| within_base64(engine, bytes, shift)));
    }
}

/// The characters that stand for these bytes alone, `shift` bytes after the beginning of a group of three: they may be part
/// of something longer.
fn within_base64(engine: &GeneralPurpose, bytes: &[u8], shift: usize) -> String {
    let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
    engine.encode(&shifted)[(shift * 8).div_ceil(6)..shifted.len() * 8 / 6].to_owned()
}

/// The bytes of a PEM block.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, body) = pem.trim().strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let (body, _) = body.split_once("-----END ")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

fn json(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Go escapes these, too.
            '<' | '>' | '&' => write_to(&mut out, format_args!("\\u{:04x}", c as u32)),
            c if c.is_control() => write_to(&mut out, format_args!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

fn percent(text: &str, plain: impl Fn(u8) -> bool, lower: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match (plain(byte), lower) {
            (true, _) => out.push(char::from(byte)),
            (false, true) => write_to(&mut out, format_args!("%{byte:02x}")),
            (false, false) => write_to(&mut out, format_args!("%{byte:02X}")),
        }
    }
    out
}

fn write_to(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a text takes what is written to it");
}
