/// What Go's YAML resolves a plain scalar to if the target has no type.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// `null`, `~` or nothing.
    Null,
    /// A YAML 1.2 boolean.
    Bool(bool),
    /// An integer in decimal, hexadecimal, octal (also `0644`) or binary.
    Int(i128),
    /// A float.
    Float(f64),
    /// A date, with or without time.
    Date,
    /// A merge key.
    Merge,
    /// Anything else.
    Text,
}

/// Resolves a plain scalar by go-yaml's rules.
pub fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "true" | "True" | "TRUE" => Resolved::Bool(true),
        "false" | "False" | "FALSE" => Resolved::Bool(false),
        "<<" => Resolved::Merge,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        "-0" => Resolved::Float(-0.0),
        _ => number(text),
    }
}

fn number(text: &str) -> Resolved {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Resolved::Text;
    }
    if date_time(text).is_some() {
        return Resolved::Date;
    }
    let digits = text.replace('_', "");
    integer(&digits).map(Resolved::Int).or_else(|| float(&digits).map(Resolved::Float)).unwrap_or(Resolved::Text)
}

/// Integers within 64 bits, as Go's `ParseInt` with base 0 sees them.
fn integer(text: &str) -> Option<i128> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = radix(body);
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let size = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -size } else { size };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

fn radix(body: &str) -> (u32, &str) {
    let prefixed = |low, high| body.strip_prefix(low).or_else(|| body.strip_prefix(high));
    if let Some(digits) = prefixed("0x", "0X") {
        (16, digits)
    } else if let Some(digits) = prefixed("0o", "0O") {
        (8, digits)
    } else if let Some(digits) = prefixed("0b", "0B") {
        (2, digits)
    } else if body.len() > 1 && body.starts_with('0') {
        (8, &body[1..])
    } else {
        (10, body)
    }
}

/// Floats of the form `[-+]?(.d+|d+(.d*)?)([eE][-+]?d+)?`; what is too large for one is text.
fn float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let size = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !size.is_empty() && digits(size)
    });
    let fits = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    if !(fits && exponent_fits) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A float in Go's shortest `%g` form: with an exponent for what is below 1e-4 or at least 1e6.
pub fn float_text(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    if value != 0.0 && !(-4..EXPONENT_FROM).contains(&exponent) {
        exponent_form(&scientific, exponent)
    } else {
        format!("{value}")
    }
}

/// The power of ten from which Go's `strconv` writes the shortest form with an exponent.
const EXPONENT_FROM: i32 = 6;

fn exponent_form(scientific: &str, exponent: i32) -> String {
    let mantissa = scientific.split_once('e').map_or(scientific, |(mantissa, _)| mantissa);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A date, with or without time, in RFC 3339; `None` for text that isn't a date to go-yaml.
pub fn date_time(text: &str) -> Option<String> {
    let (year, rest) = text.split_at_checked(4)?;
    if !year.chars().all(|c| c.is_ascii_digit()) || !rest.starts_with('-') {
        return None;
    }
    let (month, rest) = digits(&rest[1..], 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    if !(1..=12).contains(&month) || !(1..=days(year.parse().ok()?, month)).contains(&day) {
        return None;
    }
    let date = format!("{year}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let zoned = rest.starts_with(['T', 't']);
    let clock = clock(rest.strip_prefix(['T', 't', ' '])?, zoned)?;
    Some(format!("{date}T{clock}"))
}

fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `15:4:5.9` and, where `zoned`, `Z` or `±07:00` behind it.
fn clock(text: &str, zoned: bool) -> Option<String> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(end);
    if hour > 23 || minute > 59 || second > 59 || fraction == "." {
        return None;
    }
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let zone = match zone {
        "" if !zoned => "Z",
        "Z" if zoned => "Z",
        offset if zoned && offset.len() == 6 && offset.starts_with(['+', '-']) => offset,
        _ => return None,
    };
    Some(format!("{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

/// Up to `most` digits as a number, and what follows.
fn digits(text: &str, most: usize) -> Option<(u32, &str)> {
    let count = text.chars().take(most).take_while(char::is_ascii_digit).count();
    let (number, rest) = text.split_at(count);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_base_are_seen() {
        for (text, number) in [("0644", 420), ("0o644", 420), ("0x1F", 31), ("0b11", 3), ("1_000", 1000), ("-7", -7)] {
            assert_eq!(resolve(text), Resolved::Int(number), "{text}");
        }
        assert_eq!(resolve("18446744073709551615"), Resolved::Int(i128::from(u64::MAX)));
    }

    #[test]
    fn floats_dates_and_words_are_told_apart() {
        assert_eq!(resolve("1.10"), Resolved::Float(1.1));
        assert_eq!(resolve("0999"), Resolved::Float(999.0));
        assert_eq!(resolve("2024-01-01"), Resolved::Date);
        assert_eq!(resolve("2024-13-01"), Resolved::Text);
        assert_eq!(resolve("yes"), Resolved::Text);
        assert_eq!(resolve("1.2.3"), Resolved::Text);
        assert_eq!(resolve("-"), Resolved::Text);
        assert_eq!(resolve("."), Resolved::Text);
        for text in ["1e400", "-1e400", "1.7976931348623157e309"] {
            assert_eq!(resolve(text), Resolved::Text, "{text}");
        }
        assert_eq!(resolve("1e-400"), Resolved::Float(0.0));
    }

    #[test]
    fn floats_are_written_as_go_does() {
        for (value, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (1e10, "1e+10"),
            (1e-7, "1e-07"),
            (0.0, "0"),
            (-0.0, "-0"),
            (123_456.5, "123456.5"),
            (12_345_678.0, "1.2345678e+07"),
        ] {
            assert_eq!(float_text(value), text);
        }
    }
}
