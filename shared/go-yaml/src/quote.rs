use crate::resolve::{Resolved, resolve};

/// The generation of go-yaml whose quotes are reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// yaml.v3 (Talos up to 1.11): words like `yes` in double quotes.
    V3,
    /// v4 up to rc.4 (Talos 1.12 and 1.13): the same quotes, other blocks.
    V4Early,
    /// v4 from rc.6 on (Talos 1.14, today's Image Factory): the same words in single quotes.
    V4,
}

/// How a string is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Dialect {
    /// The style that go-yaml chooses for a string in block context.
    pub(crate) fn style(self, text: &str) -> Style {
        let shape = Shape::of(text);
        if text.contains('\n') {
            let only_breaks = text.bytes().all(|byte| byte == b'\n');
            let literal = shape.literal && (self == Self::V3 || !only_breaks);
            return if literal { Style::Literal } else { Style::Double };
        }
        if resolve(text) != Resolved::Text && resolve(text) != Resolved::Merge {
            return Style::Double;
        }
        if is_plain_in_old_yaml(text) || text == "<<" {
            return match self {
                Self::V3 if text == "<<" => Style::Plain,
                Self::V3 | Self::V4Early => Style::Double,
                Self::V4 => Style::Single,
            };
        }
        shape.style()
    }
}

/// What the characters of a string allow.
struct Shape {
    plain: bool,
    single: bool,
    literal: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let special = text.chars().any(|c| c != '\t' && !is_printable(c));
        let tab = text.contains('\t');
        let is_space = |c: Option<char>| c == Some(' ');
        let (first, last) = (text.chars().next(), text.chars().next_back());
        let line_break = text.contains('\n');
        let space_break = text.contains(" \n");
        let break_space = text.contains("\n ");
        let odd = special || tab || space_break || break_space;
        let edges = [first, last].into_iter().any(|c| is_space(c) || c == Some('\n'));
        Self {
            plain: !(odd || edges || line_break || has_indicators(text)),
            single: !odd,
            literal: !(special || space_break || is_space(last)),
        }
    }

    fn style(&self) -> Style {
        match self {
            Self { plain: true, .. } => Style::Plain,
            Self { single: true, .. } => Style::Single,
            _ => Style::Double,
        }
    }
}

/// Whether a plain scalar would be read as something else because of YAML's signs.
fn has_indicators(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let chars: Vec<char> = text.chars().collect();
    let blank_after = |i: usize| chars.get(i + 1).is_none_or(|c| matches!(c, ' ' | '\t'));
    let blank_before = |i: usize| matches!(chars[i - 1], ' ' | '\t');
    chars.iter().enumerate().any(|(i, c)| match c {
        '?' | '-' if i == 0 => blank_after(i),
        _ if i == 0 && "#,[]{}&*!|>'\"%@`".contains(*c) => true,
        ':' => blank_after(i),
        '#' => blank_before(i),
        _ => false,
    })
}

/// go-yaml counts characters beyond the basic plane, and the marks for breaks and byte order, as unprintable.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether a text is written in quotes only because YAML 1.1 took it for a boolean or a number.
pub fn is_plain_in_old_yaml(text: &str) -> bool {
    is_old_boolean(text) || is_base_60(text)
}

fn is_old_boolean(text: &str) -> bool {
    const WORDS: [&str; 16] =
        ["y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"];
    WORDS.contains(&text)
}

/// `1:20` and the like, a number to the base 60 in YAML 1.1.
fn is_base_60(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let numeric = |c: char| c.is_ascii_digit() || c == '_';
    first.starts_with(|c: char| c.is_ascii_digit())
        && first.chars().all(numeric)
        && !rest.is_empty()
        && rest.iter().all(|part| is_sixtieth(part))
        && fraction.chars().all(numeric)
}

fn is_sixtieth(part: &str) -> bool {
    let digits: Vec<u32> = part.chars().map_while(|c| c.to_digit(10)).collect();
    digits.len() == part.chars().count() && (digits.len() == 1 || (digits.len() == 2 && digits[0] <= 5))
}

/// Appends a string in double quotes with go-yaml's escapes, of which there is one for each character when the first is
/// the mark for the byte order.
pub(crate) fn double_quoted(text: &str, out: &mut String) {
    let marked = text.starts_with('\u{feff}');
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if is_printable(c) && c != '\n' && !marked => out.push(c),
            c => out.push_str(&escape(c)),
        }
    }
    out.push('"');
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c => {
            let code = u32::from(c);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_yaml_1_1_took_for_booleans_differ_by_generation() {
        for word in ["yes", "Off", "n", "ON"] {
            assert_eq!(Dialect::V3.style(word), Style::Double, "{word}");
            assert_eq!(Dialect::V4.style(word), Style::Single, "{word}");
        }
        assert_eq!(Dialect::V4.style("yEs"), Style::Plain);
        assert_eq!(Dialect::V4.style("über"), Style::Plain);
        assert_eq!(Dialect::V4.style("1:20"), Style::Single);
        assert_eq!(Dialect::V3.style("fe80::1"), Style::Plain);
    }

    #[test]
    fn what_would_be_another_type_is_double_quoted() {
        for text in ["", "true", "1.2", "0644", "null", "2024-01-01", "1_000"] {
            assert_eq!(Dialect::V4.style(text), Style::Double, "{text}");
        }
    }

    #[test]
    fn behind_a_mark_for_the_byte_order_every_character_is_escaped() {
        for (text, quoted) in [
            ("\u{feff}xz é\"\\ \n\u{20ac}\u{1f600}", r#""\uFEFF\x78\x7A\x20\xE9\"\\\x20\n\u20AC\U0001F600""#),
            ("x\u{feff}y", r#""x\uFEFFy""#),
        ] {
            let mut out = String::new();
            double_quoted(text, &mut out);
            assert_eq!(out, quoted);
        }
    }

    #[test]
    fn signs_ask_for_single_quotes() {
        for text in ["a: b", "a #b", "#x", "- x", "-", "x:", "@x", " x", "x ", "---", "{a}"] {
            assert_eq!(Dialect::V4.style(text), Style::Single, "{text}");
        }
        for text in ["-x", ":x", "a,b", "it's", "a#b", "http://x:1/?a&b"] {
            assert_eq!(Dialect::V4.style(text), Style::Plain, "{text}");
        }
    }
}
