//! Values that are numbers here and strings there.
//!
//! The same field is an integer in one call and a string in another, and changes between releases, so every scalar is
//! read leniently. They go through [`Value`], which holds numbers as they were written.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// The text of a scalar as a person would write it; `None` for null, lists and objects.
pub(crate) fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(if *flag { "1" } else { "0" }.into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn whole(value: &Value) -> Option<u64> {
    let text = written(value)?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => text.parse::<f64>().ok().filter(|number| *number >= 0.0 && *number < 9e15).map(truncated),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller checked the range")]
fn truncated(number: f64) -> u64 {
    number as u64
}

/// A whole number, also as a string or a float.
pub(crate) fn number<'de, D: Deserializer<'de>, N: TryFrom<u64>>(deserializer: D) -> Result<N, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = whole(&value).and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| D::Error::custom(format_args!("{value} is not a whole number")))
}

/// A whole number that may be missing, null or empty.
pub(crate) fn number_or_none<'de, D: Deserializer<'de>, N: TryFrom<u64>>(
    deserializer: D,
) -> Result<Option<N>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(whole(&value).and_then(|number| N::try_from(number).ok()))
}

/// Text, also when it came as a number.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = Value::deserialize(deserializer)?;
    written(&value).ok_or_else(|| D::Error::custom(format_args!("{value} is not text")))
}

/// The name of a guest. One without a name, as each is while it is being created, is shown as `VM 100`; names have no spaces.
pub(crate) fn name_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(text_or_none(deserializer)?.filter(|name| !name.contains(' ')))
}

/// Text that may be missing or null.
pub(crate) fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(written(&Value::deserialize(deserializer)?))
}

/// A flag: `1`, `"1"`, `true`; anything else is off.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let written = written(&Value::deserialize(deserializer)?);
    Ok(matches!(written.as_deref(), Some("1" | "true" | "yes" | "on")))
}

/// A flag that may be missing.
pub(crate) fn flag_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let written = written(&Value::deserialize(deserializer)?);
    Ok(written.map(|text| matches!(text.as_str(), "1" | "true" | "yes" | "on")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Row {
        #[serde(deserialize_with = "number")]
        vmid: u32,
        #[serde(default, deserialize_with = "number_or_none")]
        maxmem: Option<u64>,
        #[serde(default, deserialize_with = "flag")]
        template: bool,
        #[serde(deserialize_with = "text")]
        name: String,
    }

    #[test]
    fn numbers_strings_and_flags_are_read_in_each_others_clothes() {
        let row: Row = serde_json::from_str(r#"{"vmid":"100","maxmem":1e3,"template":"1","name":7}"#).unwrap();
        assert_eq!((row.vmid, row.maxmem, row.template, row.name.as_str()), (100, Some(1000), true, "7"));

        let row: Row = serde_json::from_str(r#"{"vmid":100,"maxmem":null,"template":0,"name":"a"}"#).unwrap();
        assert_eq!((row.vmid, row.maxmem, row.template), (100, None, false));
    }

    #[test]
    fn what_a_guest_without_a_name_is_shown_as_is_no_name() {
        #[derive(Deserialize)]
        struct Guest {
            #[serde(default, deserialize_with = "name_or_none")]
            name: Option<String>,
        }
        for (text, name) in [("{}", None), (r#"{"name":"VM 102"}"#, None), (r#"{"name":"w-1.lab"}"#, Some("w-1.lab"))] {
            assert_eq!(serde_json::from_str::<Guest>(text).unwrap().name.as_deref(), name, "{text}");
        }
    }

    #[test]
    fn what_can_not_be_a_number_is_named() {
        let error = serde_json::from_str::<Row>(r#"{"vmid":"x","name":"a"}"#).unwrap_err();
        assert!(error.to_string().contains("\"x\" is not a whole number"), "{error}");
    }
}
