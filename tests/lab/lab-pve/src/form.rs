//! Decoding of paths, queries and bodies.

use serde_json::Value;

use super::state::Config;

/// Undoes percent encoding.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes a query or a form apart; `;` separates pairs just like `&`.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split(['&', ';']).filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
    })
}

/// The parameters in a body.
pub(crate) fn body(content_type: &str, body: &[u8]) -> Result<Config, String> {
    let text = String::from_utf8_lossy(body);
    if !content_type.starts_with("application/json") {
        return Ok(pairs(&text).collect());
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(map.into_iter().filter_map(|(key, value)| Some((key, scalar(&value)?))).collect()),
        Ok(_) => Ok(Config::new()),
        Err(error) => Err(broken(&text, error.column())),
    }
}

/// What the JSON parser of Proxmox VE says of a broken text.
fn broken(text: &str, offset: usize) -> String {
    let rest: String = text.chars().skip(offset).collect();
    let before = if rest.is_empty() { "(end of string)".to_owned() } else { rest };
    format!(
        "unexpected end of string while parsing JSON string, at character offset {offset} (before \"{before}\") at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934."
    )
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => Some(list.iter().filter_map(scalar).collect::<Vec<_>>().join(",")),
    }
}

/// The entries of a list with any of the separators.
pub(crate) fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ', '\0', '\t', '\n']).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_that_is_not_escaped_ends_the_pair() {
        let found: Vec<(String, String)> = pairs("tags=a;b&boot=order%3Dscsi0%3Bide2&x=1+2").collect();
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found, [text("tags", "a"), text("b", ""), text("boot", "order=scsi0;ide2"), text("x", "1 2")]);
    }

    #[test]
    fn a_json_body_may_hold_numbers_and_booleans() {
        let found = body("application/json", br#"{"vmid":100,"onboot":true,"memory":null}"#).expect("a body");
        assert_eq!(found.get("vmid").map(String::as_str), Some("100"));
        assert_eq!(found.get("onboot").map(String::as_str), Some("1"));
        assert_eq!(found.len(), 2);
    }
}
