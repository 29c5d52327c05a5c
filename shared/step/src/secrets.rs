//! What this process must never print or write into an error: one redaction for all that others send.
//!
//! It is applied where texts leave the program: to every line on stderr, to failures and changes before they reach a
//! record, and to panics. A tool only says what it holds ([`protect`], [`protect_keys`]); it redacts nothing itself.

use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, PoisonError, RwLock};

use record::{Change, Failure};
use redaction::{Redaction, names_a_secret};
use serde_json::Value;

use crate::file::read_regular;

/// Of the process and not of a run: a panic, or a failure before the run begins, must not show them either.
static SECRETS: LazyLock<RwLock<Redaction>> = LazyLock::new(RwLock::default);

/// How many characters of a line are shown; a list of all nodes fits.
const LONGEST: usize = 2000;
/// How many lines of a text are shown; a list of all mistakes of a file fits.
const LINES: usize = 300;

/// The files with secrets in a cluster's folder.
const FILES: [&str; 3] = ["secrets.yaml", "talosconfig", "kubeconfig"];

/// Learns values that must never be shown, whoever repeats them in whatever encoding.
pub fn protect<S: AsRef<str>>(values: impl IntoIterator<Item = S>) {
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    values.into_iter().for_each(|value| secrets.learn(value.as_ref()));
}

/// Learns the values of the keys that name a secret, from YAML or JSON: a secrets bundle, a talosconfig, a kubeconfig.
/// A text that can't be read holds none: whoever needs it reports that.
pub fn protect_keys(text: &str) {
    let mut found = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        match <Value as serde::Deserialize>::deserialize(document) {
            Ok(value) => find("", &value, &mut found),
            Err(_) => break,
        }
    }
    protect(found);
}

fn find(key: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if key == "key" || key.ends_with("-key-data") || names_a_secret(key) => {
            found.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| find(key, item, found)),
        Value::Object(map) => map.iter().for_each(|(key, value)| find(key, value, found)),
        _ => {}
    }
}

/// Learns the secrets of a cluster's folder, which every step of its pipe must keep.
pub(crate) fn protect_folder(dir: &Path) {
    for text in FILES.iter().filter_map(|file| String::from_utf8(read_regular(&dir.join(file)).ok()?).ok()) {
        protect_keys(&text);
    }
}

/// Learns a token; of `USER@REALM!NAME=SECRET` also the last part.
pub fn protect_token(text: &str) {
    protect(text.trim().rsplit_once('=').map(|(_, secret)| secret));
    protect([text]);
}

/// Learns the values of environment variables whose names name a secret.
pub(crate) fn protect_environment() {
    let named = |(name, _): &(std::ffi::OsString, _)| name.to_str().is_some_and(names_a_secret);
    std::env::vars_os().filter(named).for_each(|(_, value)| protect_token(&value.to_string_lossy()));
}

/// Keeps this process out of core dumps, which would hold the keys that it has in memory. A limit doesn't bind dumps that
/// the kernel hands to a program; the other setting does, and is Linux's.
pub(crate) fn keep_out_of_core_dumps() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    // Where one of the two isn't allowed, the program works as well without it.
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// A text as it may be shown: without secrets, and with an end, whoever's words it holds.
pub(crate) fn redacted(text: &str) -> String {
    let shown = SECRETS.read().unwrap_or_else(PoisonError::into_inner).shown(text);
    // Not before: half a secret isn't known for one.
    if shown.len() <= LONGEST { shown } else { cut(&shown) }
}

/// The beginning of each line, and of the lines.
fn cut(text: &str) -> String {
    let beginning = |line: &str| match line.char_indices().nth(LONGEST) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}… ({} characters in all)", &line[..end], line.chars().count()),
    };
    let mut lines: Vec<String> = text.lines().take(LINES).map(beginning).collect();
    if let more @ 1.. = text.lines().count().saturating_sub(LINES) {
        lines.push(format!("… ({more} more lines)"));
    }
    lines.join("\n")
}

/// A failure as it may be written into a record.
pub(crate) fn redacted_failure(mut failure: Failure) -> Failure {
    failure.message = redacted(&failure.message);
    failure.hint = failure.hint.map(|hint| redacted(&hint));
    failure
}

/// Changes as they may be written into a record.
pub(crate) fn redacted_changes(mut changes: Vec<Change>) -> Vec<Change> {
    for change in &mut changes {
        change.what = redacted(&change.what);
        [&mut change.from, &mut change.to].into_iter().flatten().for_each(|value| each_text(value, &redacted));
    }
    changes
}

/// A field without the values that are known to be secret. What only looks like one stays: a fingerprint does. What
/// `--inline` asks for stays, too.
pub(crate) fn without_known(mut field: Value) -> Value {
    let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    let hide = |text: &str| secrets.without_known(text);
    match &mut field {
        Value::Object(map) => {
            map.iter_mut().filter(|(key, _)| *key != "inline").for_each(|(_, value)| each_text(value, &hide));
        }
        value => each_text(value, &hide),
    }
    field
}

fn each_text(value: &mut Value, shown: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = shown(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, shown)),
        Value::Object(map) => map.values_mut().for_each(|value| each_text(value, shown)),
        _ => {}
    }
}

/// Prints panics without secrets: one may quote the text that it could not handle.
pub(crate) fn hide_in_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let told = format!("thread '{}' {panic}", thread.name().unwrap_or("unnamed"));
        let trace = std::backtrace::Backtrace::capture();
        let trace = match trace.status() {
            std::backtrace::BacktraceStatus::Captured => format!("{trace}"),
            _ => String::new(),
        };
        // If stderr is closed, there is nowhere to report that.
        let _ = std::io::stderr().write_all(format!("{}\n{trace}", redacted(&told)).as_bytes());
    }));
}

#[cfg(test)]
mod tests {
    use record::{Code, Exit};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_of_others_without_end_is_cut_after_its_secrets_were_hidden() {
        let secret = "c2VjcmV0LW9mLWEtdGVzdC10aGF0LWlzLWxvbmc";
        protect([secret]);
        let long = "ä".repeat(LONGEST - 8) + secret + &"b".repeat(1 << 20);
        let shown = redacted(&long);
        assert!(shown.len() < 3 * LONGEST && shown.contains("characters in all)"), "{}", shown.len());
        assert!(!shown.contains(&secret[..8]), "half a secret is one");
        let lines = redacted(&"a line\n".repeat(100_000));
        assert_eq!((lines.lines().count(), lines.ends_with("… (99700 more lines)")), (LINES + 1, true));
        assert_eq!(redacted(&"short\n".repeat(3)), "short\n".repeat(3));
    }

    #[test]
    fn the_values_of_a_bundle_are_hidden_in_errors_changes_and_fields() {
        let (secret, token) = ("bm90IGEgc2VjcmV0IG9mIGFueSBjbHVzdGVyIQ==", "n0tah7.l3ad1ng0secret9x");
        protect_keys(&format!("cluster:\n  id: lab-of-a-test\n  secret: {secret}\nlist:\n  - {{token: {token}}}\n"));

        let failure = Failure::new(Exit::Failed, Code::Failed, format!("no {secret}")).hint(format!("not {token}"));
        let failure = redacted_failure(failure);
        assert_eq!((failure.message.as_str(), failure.hint.as_deref()), ("no ******", Some("not ******")));
        let change = Change::live(format!("VM {token}")).from(json!([secret])).to(json!({"a": token}));
        let change = &redacted_changes(vec![change])[0];
        assert_eq!(change.what, "VM ******");
        assert_eq!((change.from.clone(), change.to.clone()), (Some(json!(["******"])), Some(json!({"a": "******"}))));
        let print = "XaLQIdV4dJkTwA7pK3bR2mNfYc9sUhGe6vZo1tWqEjI=";
        let field = without_known(json!({"name": format!("a {secret}"), "fingerprint": print, "inline": token}));
        assert_eq!(field, json!({"name": "a ******", "fingerprint": print, "inline": token}));
        assert_eq!(redacted("lab-of-a-test"), "lab-of-a-test");
    }

    /// The hook is the process's: it is tried in one of its own.
    #[test]
    fn a_panic_does_not_quote_a_secret() {
        const CHILD: &str = "ICHOR_TEST_PANICS";
        const SECRET: &str = "n0tah8.an0therv3ry1secret";
        if std::env::var_os(CHILD).is_some() {
            hide_in_panics();
            protect([SECRET]);
            panic!("can't parse {SECRET}");
        }
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["secrets::tests::a_panic_does_not_quote_a_secret", "--exact", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let shown = [child.stdout, child.stderr].concat();
        let shown = String::from_utf8_lossy(&shown);
        assert!(!child.status.success() && shown.contains("can't parse ******"), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
