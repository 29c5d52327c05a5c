//! URLs as Go reads, merges and writes them.

/// A URL in the parts that Go's `net/url` keeps, decoded where Go decodes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    opaque: String,
    user: Option<String>,
    host: Vec<u8>,
    path: Encoded,
    query: String,
    /// Whether nothing follows the `?`.
    bare_query: bool,
    fragment: Encoded,
    omit_host: bool,
}

/// A part with its encoding, if Go's own would differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Encoded {
    plain: Vec<u8>,
    raw: String,
}

/// Which characters a part of a URL holds without an escape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Zone,
    Fragment,
}

/// A URL as Talos writes it, parsed and encoded as Go's `net/url` does; `None` for text that isn't a URL to it.
pub fn url(text: &str) -> Option<String> {
    Url::parse(text).map(|url| url.to_string())
}

impl Url {
    /// Parses as Go does; `None` where Go refuses.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, fragment) = text.split_once('#').map_or((text, None), |(text, fragment)| (text, Some(fragment)));
        let mut url = Self::without_fragment(text)?;
        if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
            url.fragment = Encoded::parse(fragment, Part::Fragment)?;
        }
        Some(url)
    }

    fn without_fragment(text: &str) -> Option<Self> {
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return None;
        }
        let mut url = Self::default();
        if text == "*" {
            url.path = Encoded { plain: b"*".to_vec(), raw: String::new() };
            return Some(url);
        }
        let (scheme, rest) = scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        url.bare_query = query == Some("");
        query.unwrap_or_default().clone_into(&mut url.query);
        url.hierarchy(rest)?;
        Some(url)
    }

    /// What is left without scheme, query and fragment.
    fn hierarchy(&mut self, rest: &str) -> Option<()> {
        if !rest.starts_with('/') {
            if !self.scheme.is_empty() {
                rest.clone_into(&mut self.opaque);
                return Some(());
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return None;
            }
        }
        let mut path = rest;
        if (!self.scheme.is_empty() || !rest.starts_with("///")) && rest.starts_with("//") {
            let body = &rest[2..];
            let end = body.find('/').unwrap_or(body.len());
            self.authority(&body[..end])?;
            path = &body[end..];
        } else if !self.scheme.is_empty() && rest.starts_with('/') {
            self.omit_host = true;
        }
        self.path = Encoded::parse(path, Part::Path)?;
        Some(())
    }

    fn authority(&mut self, text: &str) -> Option<()> {
        let (user, host) = text.rsplit_once('@').map_or((None, text), |(user, host)| (Some(user), host));
        self.host = host_of(host, matches!(self.scheme.as_str(), "http" | "https"))?;
        let Some(user) = user else { return Some(()) };
        let valid = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
        if !user.chars().all(valid) {
            return None;
        }
        let part = |text: &str| Some(escape(&unescape(text, Part::User)?, Part::User));
        self.user = Some(match user.split_once(':') {
            Some((name, password)) => format!("{}:{}", part(name)?, part(password)?),
            None => part(user)?,
        });
        Some(())
    }

    /// The scheme, in small letters.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host with its port.
    pub fn host(&self) -> &[u8] {
        &self.host
    }

    /// The host's name or address, without brackets.
    pub fn host_name(&self) -> &[u8] {
        match (self.host.strip_prefix(b"["), self.host.iter().rposition(|byte| *byte == b']')) {
            (Some(inside), Some(close)) => &inside[..close - 1],
            _ => &self.host[..self.colon().unwrap_or(self.host.len())],
        }
    }

    /// The port's digits, possibly none.
    pub fn port(&self) -> &str {
        let digits = self.colon().map_or(&[][..], |at| &self.host[at + 1..]);
        std::str::from_utf8(digits).unwrap_or_default()
    }

    /// Where the port begins.
    fn colon(&self) -> Option<usize> {
        let bracket = self.host.iter().rposition(|byte| *byte == b']').unwrap_or(0);
        self.host[bracket..].iter().rposition(|byte| *byte == b':').map(|at| bracket + at)
    }

    /// Whether it has a path below the root.
    pub fn has_path(&self) -> bool {
        !matches!(self.path.plain.as_slice(), b"" | b"/")
    }

    /// Takes every part that `new` has; `None` where both name a user, which Go can't merge.
    pub fn merge(&mut self, new: Self) -> Option<()> {
        if self.user.is_some() && new.user.is_some() {
            return None;
        }
        let pick = |old: &mut String, new: String| {
            if !new.is_empty() {
                *old = new;
            }
        };
        pick(&mut self.scheme, new.scheme);
        pick(&mut self.opaque, new.opaque);
        pick(&mut self.query, new.query);
        self.user = self.user.take().or(new.user);
        if !new.host.is_empty() {
            self.host = new.host;
        }
        self.path.merge(new.path);
        self.fragment.merge(new.fragment);
        self.bare_query = new.bare_query;
        self.omit_host = new.omit_host;
        Some(())
    }
}

/// The scheme, which ends at the first colon, and the rest.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (index, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if index > 0 => {}
            ':' if index > 0 => return Some((&text[..index], &text[index + 1..])),
            ':' => return None,
            _ => return Some(("", text)),
        }
    }
    Some(("", text))
}

/// The host with its port; http and https allow only one colon.
fn host_of(text: &str, strict: bool) -> Option<Vec<u8>> {
    let Some(open) = text.rfind('[') else {
        let colon = if strict { text.find(':') } else { text.rfind(':') };
        let port = colon.map_or("", |at| &text[at..]);
        return if is_port(port) { unescape(text, Part::Host) } else { None };
    };
    let close = text.rfind(']')?;
    if open != 0 || !is_port(&text[close + 1..]) {
        return None;
    }
    let inside = &text[1..close];
    let (address, zone) = inside.split_once("%25").map_or((inside, None), |(address, zone)| (address, Some(zone)));
    address.parse::<std::net::Ipv6Addr>().ok()?;
    let mut host = b"[".to_vec();
    host.extend(unescape(address, Part::Host)?);
    if let Some(zone) = zone {
        host.push(b'%');
        host.extend(unescape(zone, Part::Zone)?);
    }
    host.extend(unescape(&text[close..], Part::Host)?);
    Some(host)
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Encoded {
    fn parse(text: &str, part: Part) -> Option<Self> {
        let plain = unescape(text, part)?;
        let raw = if escape(&plain, part) == text { String::new() } else { text.to_owned() };
        Some(Self { plain, raw })
    }

    fn merge(&mut self, new: Self) {
        if !new.plain.is_empty() {
            self.plain = new.plain;
        }
        if !new.raw.is_empty() {
            self.raw = new.raw;
        }
    }

    fn text(&self, part: Part) -> String {
        let kept = !self.raw.is_empty()
            && is_valid(&self.raw, part)
            && unescape(&self.raw, part).is_some_and(|plain| plain == self.plain);
        if kept { self.raw.clone() } else { escape(&self.plain, part) }
    }
}

/// Whether an encoding may be kept unchanged.
fn is_valid(text: &str, part: Part) -> bool {
    text.bytes().all(|byte| match byte {
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => true,
        b'[' | b']' | b'%' => true,
        byte => !needs_escape(byte, part),
    })
}

fn unescape(text: &str, part: Part) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'%' {
            let digit = |offset: usize| char::from(*bytes.get(at + offset)?).to_digit(16);
            let value = u8::try_from(digit(1)? * 16 + digit(2)?).ok()?;
            let allowed = match part {
                Part::Host => value >= 0x80 || value == b'%',
                Part::Zone => value == b'%' || value == b' ' || !needs_escape(value, Part::Host),
                _ => true,
            };
            if !allowed {
                return None;
            }
            out.push(value);
            at += 3;
        } else {
            if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && needs_escape(byte, part) {
                return None;
            }
            out.push(byte);
            at += 1;
        }
    }
    Some(out)
}

fn needs_escape(byte: u8, part: Part) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => false,
        b'!' | b'\'' | b'(' | b')' | b'*' => {
            !matches!(part, Part::Host | Part::Zone | Part::Fragment) || byte == b'\'' && part == Part::Fragment
        }
        b'[' | b']' | b'<' | b'>' | b'"' => !matches!(part, Part::Host | Part::Zone),
        b'$' | b'&' | b'+' | b',' | b';' | b'=' => false,
        b'/' | b'?' | b':' | b'@' => match part {
            Part::Path => byte == b'?',
            Part::User => true,
            Part::Host | Part::Zone => byte != b':',
            Part::Fragment => false,
        },
        _ => true,
    }
}

fn escape(bytes: &[u8], part: Part) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if needs_escape(byte, part) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out = format!("{}:", self.scheme);
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(&mut out);
        } else {
            out.push_str(&self.opaque);
        }
        if self.bare_query || !self.query.is_empty() {
            out.push_str(&format!("?{}", self.query));
        }
        if !self.fragment.plain.is_empty() {
            out.push_str(&format!("#{}", self.fragment.text(Part::Fragment)));
        }
        f.write_str(&out)
    }
}

impl Url {
    fn write_hierarchy(&self, out: &mut String) {
        let named = !self.host.is_empty() || self.user.is_some();
        let hidden = self.scheme.is_empty() || self.omit_host;
        if named || !hidden {
            if named || !self.path.plain.is_empty() {
                out.push_str("//");
            }
            if let Some(user) = &self.user {
                out.push_str(&format!("{user}@"));
            }
            out.push_str(&self.written_host());
        }
        let path = self.path.text(Part::Path);
        if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
            out.push('/');
        }
        if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
            out.push_str("./");
        }
        out.push_str(&path);
    }

    /// The host; a zone's sign is escaped.
    fn written_host(&self) -> String {
        match self.host.iter().position(|byte| *byte == b'%').filter(|_| self.host.first() == Some(&b'[')) {
            Some(at) => {
                format!("{}%25{}", escape(&self.host[..at], Part::Host), escape(&self.host[at + 1..], Part::Zone))
            }
            None => escape(&self.host, Part::Host),
        }
    }
}

#[cfg(test)]
mod tests;
