use crate::read::tests::{direct, moved};
use crate::{Data, Node, read};

/// A tree without places, keys and texts in quotes.
fn tree(node: &Node) -> String {
    match &node.data {
        Data::Scalar(scalar) => format!("{:?}", scalar.text),
        Data::List(items) => format!("[{}]", items.iter().map(tree).collect::<Vec<_>>().join(",")),
        Data::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, node)| format!("{:?}:{}", key.text, tree(node)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
    }
}

fn reads(text: &str) -> String {
    read(text).map_or_else(|error| error.to_string(), |documents| documents.iter().map(tree).collect())
}

/// Numbers by chance (an xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }
}

const PIECES: [&str; 38] = [
    "a", "b: ", "c:", "\n", "\n  ", "\n    ", "\n ", "{", "}", "[", "]", ", ", ",", "\"", "'", "\"x\"", "'y'", "- ",
    "? ", ": ", ":", "#", " # c", "|\n", "|-\n  ", ">\n", " ", "foo bar", "\"q\": ", "\nk: ", "\n  k: ", "\n  - ",
    "---\n", "\\n", "\\\n", "\t", "\n\t", "&x ",
];

#[test]
fn what_the_parser_takes_as_it_stands_means_the_same_when_its_lines_are_moved() {
    let chance = &mut Chance(0x5eed);
    let mut compared = 0;
    for _ in 0..40_000 {
        let text: String = (0..2 + chance.below(14)).map(|_| chance.pick(&PIECES)).collect();
        let (Some(direct), Some(moved)) = (direct(&text), moved(&text)) else { continue };
        assert_eq!(direct, moved, "{text:?}");
        compared += 1;
    }
    assert!(compared > 100, "{compared} texts were compared");
}

/// The tokens of a value in brackets; `~` is where a text may be broken.
fn tokens(chance: &mut Chance, depth: usize, out: &mut Vec<&'static str>) {
    let brackets = [["[", "]"], ["{", "}"]][usize::try_from(chance.below(2)).unwrap()];
    out.push(brackets[0]);
    for i in 0..chance.below(4) {
        if i > 0 {
            out.push(",");
        }
        if brackets[0] == "{" {
            out.push(["\"a\":", "'b' :", "\"}\":", "\"c#\":"][usize::try_from(i).unwrap()]);
        }
        if depth < 3 && chance.below(2) == 0 {
            tokens(chance, depth + 1, out);
        } else {
            out.push(chance.pick(&["\"a~b\"", "'it''s~{'", "1", "x~y", "\"\\\"]\"", "a\"b", "it's"]));
        }
    }
    out.push(brackets[1]);
}

#[test]
fn blanks_and_line_ends_between_brackets_mean_nothing() {
    // After plain text, go-yaml takes no tabs before a line.
    let gaps = ["", " ", "\n", "\n  ", "\n      ", " # [ \"\n", "\n# {\n", "\n\t", "\n\n\t \n"];
    let breaks = [" ", "\n", "\n  ", " \n      "];
    let chance = &mut Chance(7);
    for _ in 0..3_000 {
        let mut all = Vec::new();
        tokens(chance, 0, &mut all);
        let plain = all.join(" ").replace('~', " ");
        let mut spread = String::new();
        for (i, token) in all.into_iter().enumerate() {
            if i > 0 {
                let tabs = if spread.ends_with(char::is_alphanumeric) { 0 } else { 2 };
                spread.push_str(chance.pick(&gaps[..7 + tabs]));
            }
            token.chars().for_each(|c| match c {
                '~' => spread.push_str(chance.pick(&breaks)),
                c => spread.push(c),
            });
        }
        for before in ["", "m:\n  - a: &x ", "m:\n  k: ", "m: [1]\n\"k\":\t"] {
            let after = if before.is_empty() { "\n" } else { "\nz: |\n  {\n" };
            let (text, plain) = (format!("{before}{spread}{after}"), format!("{before}{plain}{after}"));
            assert_eq!(reads(&text), reads(&plain.replace('\t', " ")), "{text}");
        }
    }
}

#[test]
fn lines_in_brackets_and_quotes_may_stand_anywhere() {
    for (text, wanted) in [
        ("m:\n  env: {\n    \"a\": \"b\"\n  }\n  z: 1\n", r#"{"m":{"env":{"a":"b"},"z":"1"}}"#),
        ("m:\n  c: [a,\n  b]\n", r#"{"m":{"c":["a","b"]}}"#),
        ("m:\n  c: {a: b,\nc: d}\n", r#"{"m":{"c":{"a":"b","c":"d"}}}"#),
        ("m:\n  f: \"A=true,\n  B=true\"\n", r#"{"m":{"f":"A=true, B=true"}}"#),
        ("m:\n  f: 'A=true,\nB=true'\n  g: 1\n", r#"{"m":{"f":"A=true, B=true","g":"1"}}"#),
        ("- value: {\n    \"x\": 1\n  }\n- value: [\n  1\n  ]\n", r#"[{"value":{"x":"1"}},{"value":["1"]}]"#),
        ("a: {\n\t\"b\": 1,\n\t\"c\": \"d\n\te\"\n}\n", r#"{"a":{"b":"1","c":"d e"}}"#),
        ("a:\tb\nc: 'd'#e\n", r#"{"a":"b","c":"d"}"#),
        (
            "a:\n  b: plain {\n    \"still [\n  c: |\n   [\n  d: it's {# x\n",
            r#"{"a":{"b":"plain { \"still [","c":"[\n","d":"it's {# x"}}"#,
        ),
        ("%YAML 1.1\n---\na: {\nb: 1\n}\n", r#"{"a":{"b":"1"}}"#),
    ] {
        assert_eq!(reads(text), wanted, "{text}");
    }
}

#[test]
fn places_are_those_of_the_text_as_it_was() {
    let node = read("a: {\n\"b\": c,\n  d: [e,\nf]}\n").unwrap().remove(0);
    let map = node.get("a").unwrap();
    let place = |node: &Node| (node.place.line, node.place.column);
    assert_eq!(place(map.get("b").unwrap()), (2, 6));
    assert_eq!(place(map.get("d").unwrap()), (3, 6));
    assert_eq!(map.get("d").unwrap().items().map(|items| place(&items[1])), Some((4, 1)));
    assert!(reads("a: {\nb: 1}\nc: d: e\n").starts_with("line 3, column 5: "));
    assert!(reads("a: {\nb: 1,\nb: 2}\n").starts_with("line 3, column 1: mapping key \"b\""));
}

#[test]
fn a_block_of_line_ends_alone_is_empty_unless_they_are_kept() {
    let text = "a: |\n\nb: >-\n   \n\nc: |+\n\n\nd: # e\n  - |\n\n  - |2\n\n    f\ng: |\n\n";
    let wanted = r#"{"a":"","b":"","c":"\n\n","d":["","\nf\n"],"g":""}"#;
    assert_eq!(reads(text), wanted);
}

#[test]
fn blanks_at_the_end_of_a_text_belong_to_its_block() {
    for (text, wanted) in [
        ("a: |\n  b\n    ", r#"{"a":"b\n  "}"#),
        ("a: |\n\n  b\n  ", r#"{"a":"\nb\n"}"#),
        ("a: |\n  b\n ", r#"{"a":"b\n"}"#),
        ("a: |\r  b\r", r#"{"a":"b\n"}"#),
    ] {
        assert_eq!(reads(text), wanted, "{text:?}");
    }
}

#[test]
fn what_go_refuses_is_refused_where_it_stands() {
    for (text, wanted) in [
        ("\ta: b\n", "line 1, column 1: found character that cannot start any token"),
        ("a: b\n\t\nc: d\n", "line 2, column 1: found a tab character that violates indentation"),
        ("a: 'b'\n\t# c\n", "line 2, column 1: found character that cannot start any token"),
        ("-\tfoo\n", "line 1, column 2: found character that cannot start any token"),
        ("a: |\n\tb\n", "line 1, column 4: a block scalar content cannot start with a tab"),
        ("a: |\n\n\tb\n", "line 3, column 1: found a tab character where an indentation space is expected"),
        ("%YAML 1.2\n---\na: b\n", "line 1, column 1: found incompatible YAML document"),
        ("%FOO\n---\na: b\n", "line 1, column 1: found unknown directive name"),
        ("ä: \"\\/\"\n", "line 1, column 5: found unknown escape character"),
        ("a: &x b\nc: {*x : d}\n", "line 2, column 5: a mapping key must be a scalar"),
        ("&x:y a: b\n", "line 1, column 1: did not find expected alphabetic or numeric character"),
        ("a: !<> b\n", "line 1, column 4: did not find expected tag URI"),
        ("a: b\u{2028}c\n", "line 1, column 5: the line separators U+2028 and U+2029 need quotes around them"),
        ("a: \"b\u{85}c\"\n", "line 1, column 1: control characters are not allowed (value: 133)"),
        ("a: {\nb: 1\n", "line 2, column 1: invalid indentation"),
    ] {
        let found = reads(text);
        assert!(found.starts_with(wanted), "{text:?}: {found}");
    }
    assert_eq!(reads("# a\n\t# b\nc: &d.e f\n"), r#"{"c":"f"}"#);
}

#[test]
fn a_text_that_would_grow_out_of_bounds_stays_as_it_is() {
    let text = format!("{}a: [\n{}]\n", " ".repeat(10_000), "1,\n".repeat(2_000));
    assert!(read(&text).is_err());
}
