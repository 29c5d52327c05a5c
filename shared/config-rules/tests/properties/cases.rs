//! Random documents, driven by the table: every kind, every field, every odd text.

use go_yaml::{Map, Value};
use machine_config::kinds::{KINDS, Kind, LEGACY};
use machine_config::schema::{Field, Print, Schema, Type};
use machine_config::{Config, Document};

/// A source of random numbers (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    /// Whether something with a chance of one in `n` happens.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Texts that are difficult in YAML, and plain ones.
const TEXTS: [&str; 44] = [
    "",
    " ",
    "a",
    "eth0",
    "true",
    "Yes",
    "no",
    "on",
    "OFF",
    "~",
    "null",
    "1",
    "1.10",
    "0644",
    "0o7",
    "0x1F",
    "1e3",
    "1_000",
    "1:20",
    "-",
    "- a",
    "a: b",
    "a #b",
    "#",
    "'",
    "\"",
    "\\",
    "a\\nb",
    "\t",
    "a\tb",
    "two\nlines",
    "two\nlines\n",
    "\n",
    "a\n\n",
    " lead",
    "trail ",
    "{a}",
    "[a]",
    "@a",
    "%a",
    "2024-01-01",
    "<<",
    "ünïcode",
    "\u{1}",
];

fn text(chance: &mut Chance) -> String {
    let mut text = (*chance.pick(&TEXTS)).to_owned();
    if chance.one_in(4) {
        text.push_str(chance.pick::<&str>(&TEXTS));
    }
    text
}

fn number(low: i64, high: u64, chance: &mut Chance) -> String {
    let small = i128::from(chance.next() % 100);
    let wanted = if chance.one_in(8) { i128::from(high) } else { small };
    wanted.clamp(i128::from(low), i128::from(high)).to_string()
}

/// A value that a field may hold, in its canonical form.
pub(crate) fn value(ty: &Type, depth: usize, chance: &mut Chance) -> Value {
    let words = |words: &[&str], chance: &mut Chance| Value::from(*chance.pick(words));
    match ty {
        Type::Text | Type::Expression => text(chance).into(),
        Type::Trimmed => text(chance).trim_start_matches(['\n', '\t']).into(),
        Type::Bool => chance.one_in(2).into(),
        Type::Int(low, high) => Value::Number(number(*low, *high, chance)),
        Type::Duration => words(&["0s", "1m30s", "168h0m0s", "1.5s", "300ms"], chance),
        Type::Url => words(&["https://a:6443/b?c=d", "tcp://[fd00::1]:4001/", "http://a"], chance),
        Type::Address => words(&["10.0.0.1", "fd00::1"], chance),
        Type::Prefix => words(&["10.0.0.0/8", "fd00::/64", "10.0.0.1/32"], chance),
        Type::AddressPort => words(&["10.0.0.1:80", "[fd00::1]:443"], chance),
        Type::Mac => words(&["00:1a:2b:3c:4d:5e"], chance),
        Type::Size => words(&["10GiB", "50%", "-5GiB", "100"], chance),
        Type::ByteSize => words(&["10GiB", "-5GiB", "100"], chance),
        Type::DiskSize => words(&["100 MB", "5.0 GB"], chance),
        Type::Mode => Value::Number((*chance.pick(&["0o644", "0o600", "0o7777"])).to_owned()),
        Type::Word(all) | Type::WordOrNumber(all) | Type::Enum(all) => words(all, chance),
        Type::DiskCondition => words(&["10GiB", ">= 100GB", "== 1TB"], chance),
        Type::RoutingTable => words(&["main", "local", "77"], chance),
        Type::Bytes => words(&["QUJD", "YQ=="], chance),
        Type::Port => match chance.below(2) {
            0 => Value::Number("53".to_owned()),
            _ => "8000-9000".into(),
        },
        Type::Argument if chance.one_in(3) => list(&Type::Text, depth, chance),
        Type::Argument => text(chance).into(),
        Type::Free => Value::Map(free_map(depth, chance)),
        Type::Struct(schema) => Value::Map(structure(schema, depth, chance)),
        Type::Pointer(inner) => value(inner, depth, chance),
        Type::List(item) => list(item, depth, chance),
        Type::Map(item) => {
            let pairs = (0..chance.below(3)).map(|_| (text(chance), value(item, depth + 1, chance)));
            let pairs: Vec<_> = pairs.collect();
            Value::Map(pairs.into_iter().filter(|(key, _)| key != "<<").collect())
        }
    }
}

fn list(item: &Type, depth: usize, chance: &mut Chance) -> Value {
    let most = if depth > 4 { 1 } else { 3 };
    Value::List((0..chance.below(most + 1)).map(|_| value(item, depth + 1, chance)).collect())
}

fn free(depth: usize, chance: &mut Chance) -> Value {
    match chance.below(if depth > 5 { 4 } else { 6 }) {
        0 => Value::Null,
        1 => chance.one_in(2).into(),
        2 => Value::Number(number(i64::MIN, u64::MAX, chance)),
        3 => text(chance).into(),
        4 => Value::List((0..chance.below(3)).map(|_| free(depth + 1, chance)).collect()),
        _ => Value::Map(free_map(depth + 1, chance)),
    }
}

fn free_map(depth: usize, chance: &mut Chance) -> Map {
    let pairs: Vec<_> = (0..chance.below(4)).map(|_| (text(chance), free(depth, chance))).collect();
    pairs.into_iter().filter(|(key, _)| key != "<<").collect()
}

/// Some fields of a structure, fewer of them the deeper it lies.
pub(crate) fn structure(schema: &Schema, depth: usize, chance: &mut Chance) -> Map {
    let fields: Vec<&Field> = schema.fields().collect();
    // A structure of very many fields gets a handful of them, so that cases stay small.
    let spread = (fields.len() / 8 + 1 + depth).min(12);
    // Nothing stands for some words, so Talos itself can't read again what it writes without them.
    let needed = |field: &Field| field.print == Print::Always && matches!(field.ty, Type::Word(_));
    let chosen = fields.into_iter().filter(|field| chance.one_in(spread) || needed(field)).collect::<Vec<_>>();
    chosen.into_iter().map(|field| (field.key, value(&field.ty, depth + 1, chance))).collect()
}

/// The kind whose turn it is.
pub(crate) fn kind(turn: u64) -> &'static Kind {
    let index = usize::try_from(turn % (KINDS.len() as u64 + 1)).unwrap_or_default();
    KINDS.get(index).unwrap_or(&LEGACY)
}

/// A document of a kind.
pub(crate) fn document(kind: &'static Kind, chance: &mut Chance) -> Document {
    let mut fields = structure(kind.schema, 0, chance);
    if kind.is_legacy() {
        // Without a section, nothing shows that it is the legacy document.
        fields.set("debug", chance.one_in(2));
    }
    if kind.named {
        fields.set("name", "a");
    }
    Document::new(kind, Value::Map(fields))
}

/// A config of this document alone.
pub(crate) fn config(document: Document) -> Config {
    Config::new(vec![document])
}
