//! Expressions that Talos accepts and those that it refuses, with its messages.

use machine_config::generate::quoted;

use super::*;

fn environment(name: &str) -> Environment {
    match name {
        "disk" => Environment::Disk,
        "volume" => Environment::Volume,
        "link" => Environment::Link,
        "oom" => Environment::Shortage,
        "score" => Environment::Ranking,
        _ => panic!("no environment {name}"),
    }
}

#[test]
fn expressions_are_taken_and_refused_as_talos_does() {
    let (mut place, mut refused, mut rows) = ((Environment::Disk, 0), None, (0, 0));
    for line in include_str!("expressions.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let judge = |text: &str, (environment, minor)| check(&text.replace('⏎', "\n"), environment, minor);
        match line.split_at_checked(2) {
            Some(("+ ", text)) => {
                assert_eq!(judge(text, place), Ok(()), "{text}");
                rows.0 += 1;
            }
            Some(("- ", text)) => refused = judge(text, place).err().or_else(|| panic!("{text} is taken")),
            Some(("> ", message)) => {
                assert_eq!(refused.take().as_deref(), Some(message));
                rows.1 += 1;
            }
            _ => {
                let (name, minor) = line.split_once(" 1.").expect("a row is an environment and a version");
                place = (environment(name), minor.parse().expect("a minor is a number"));
            }
        }
    }
    assert!(rows.0 > 30 && rows.1 > 60, "only {rows:?} rows");
}

fn disk(text: &str) -> Result<(), String> {
    check(text, Environment::Disk, 14)
}

#[test]
fn what_is_nested_too_deep_is_refused_where_talos_refuses_it() {
    let around =
        |open: &str, inner: &str, close: &str, n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    for (open, inner, close, most) in [
        ("(", "true", ")", 249),
        ("true == (", "true", ")", 124),
        ("true || (", "true", ")", 249),
        ("true == ", "true", "", 250),
        ("true ? true : ", "true", "", 249),
        ("[1].all(x, ", "true", ")", 249),
        ("!(", "true", ")", 249),
    ] {
        assert_eq!(disk(&around(open, inner, close, most)), Ok(()), "{open}");
        assert!(disk(&around(open, inner, close, most + 1)).unwrap_err().contains("recursion"), "{open}");
    }
    for text in ["(", "[", "{1:", "-(", "a[", "a.b(", "a.", "1+", "a?b:", "x.all(x,", "dyn(", "true == (1 + 2 * ("] {
        let found = disk(&text.repeat(99_999 / text.len())).unwrap_err();
        assert!(found.contains("recursion"), "{text}: {found}");
    }
}

#[test]
fn brackets_of_every_kind_fit_into_the_stack_as_deep_as_they_may_nest() {
    let open = ["[dyn(", "{1: -(", "[[1].map(x, ", "(1 == 1 || "];
    let close = [")]", ")}", ")]", ")"];
    let text = format!("{}true{}", open.concat().repeat(31), {
        let mut close = close;
        close.reverse();
        close.concat().repeat(31)
    });
    assert!(disk(&text).unwrap_err().contains("no matching overload"));
}

#[test]
fn what_is_long_is_read_and_what_is_too_long_is_not() {
    assert_eq!(disk(&format!("{}true", "1 == 1 || ".repeat(5_000))), Ok(()));
    assert_eq!(disk(&format!("[{}[]] == []", "[], ".repeat(5_000))), Ok(()));
    let message = "expression code point size exceeds limit: size: 100001, limit 100000";
    assert_eq!(disk(&"é".repeat(100_001)), Err(message.to_owned()));
}

#[test]
fn types_that_grow_without_bounds_are_refused() {
    for step in [".map(a, {a: a})", ".map(a, [[[[[[a]]]]]])"] {
        let found = disk(&format!("[1]{} == []", step.repeat(240))).unwrap_err();
        assert_eq!(found, "the types of the expression are too large to be checked", "{step}");
    }
}

#[test]
fn many_faults_are_told_in_one_line() {
    let found = disk("a && b && c && d &&\ne && f && g").unwrap_err();
    let message: Vec<&str> = found.split("; ").collect();
    assert_eq!(message.len(), 6, "{found}");
    assert_eq!(message[4], "2:1: undeclared reference to 'e'");
    assert_eq!(message[5], "and 2 more");
    let found = disk("true\u{1b}").unwrap_err();
    assert!(!found.contains(char::is_control), "{found:?}");
}
#[test]
fn texts_are_quoted_as_go_does_and_are_read_again() {
    for (text, wanted) in [
        ("/dev/sda", r#""/dev/sda""#),
        ("\"\\\u{7}\n\0\u{7f}", r#""\"\\\a\n\x00\x7f""#),
        ("é\u{a0}e\u{301}\u{200b}\u{1f600}\u{e0001}", "\"é\\u00a0e\u{301}\\u200b\u{1f600}\\U000e0001\""),
    ] {
        assert_eq!(quoted(text), wanted);
        assert_eq!(disk(&format!("disk.dev_path == {}", quoted(text))), Ok(()));
    }
}
