//! Arguments as talosctl reads them.

/// A boolean in any of the forms that Go accepts.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// The items of one argument.
pub(crate) type List = std::sync::Arc<[String]>;

/// Splits at commas as talosctl does: quotes keep a comma in an item, and an empty text has no item.
pub(crate) fn list(text: &str) -> Result<List, String> {
    let mut items = Vec::new();
    let mut rest = Some(text).filter(|text| !text.is_empty());
    while let Some(text) = rest {
        let (item, tail) = match text.strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or_else(|| format!("a quote is not closed in {text:?}"))?,
            None => plain(text).ok_or_else(|| format!("a quote is inside an item of {text:?}"))?,
        };
        items.push(item);
        rest = tail;
    }
    Ok(items.into())
}

/// Reads an item without quotes.
fn plain(text: &str) -> Option<(String, Option<&str>)> {
    let (item, tail) = text.split_once(',').map_or((text, None), |(item, tail)| (item, Some(tail)));
    (!item.contains('"')).then(|| (item.to_owned(), tail))
}

/// Reads a quoted item, in which two quotes stand for one, and what follows its comma.
fn unquoted(text: &str) -> Option<(String, Option<&str>)> {
    let mut item = String::new();
    let mut rest = text;
    loop {
        let (part, tail) = rest.split_once('"')?;
        item.push_str(part);
        match tail.strip_prefix('"') {
            Some(more) => {
                item.push('"');
                rest = more;
            }
            None if tail.is_empty() => return Some((item, None)),
            None => return tail.strip_prefix(',').map(|tail| (item, Some(tail))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_take_the_words_of_go() {
        assert_eq!((switch("t"), switch("0")), (Ok(true), Ok(false)));
        assert!(switch("yes").is_err());
    }

    #[test]
    fn lists_are_split_as_talosctl_splits_them() {
        let split = |text| list(text).map(|items| items.join("|"));
        for (text, items) in
            [("", ""), ("a", "a"), ("a,,b", "a||b"), ("a,", "a|"), ("\"a,b\",c", "a,b|c"), ("\"a\"\"b\"", "a\"b")]
        {
            assert_eq!(split(text).as_deref(), Ok(items), "{text}");
        }
        assert!(list("\"a").is_err() && list("\"a\"b").is_err() && list("a\"b").is_err());
        assert_eq!(list("").unwrap().len(), 0);
    }
}
