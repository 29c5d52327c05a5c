//! The schema of the table of kinds: what a field accepts, when it is printed, how patches merge it.

/// What a field holds. Reading, canonical text and merging follow from it.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Any text.
    Text,
    /// Text that loses line ends and tabs at its beginning when it is read.
    Trimmed,
    /// A boolean; YAML 1.1 words are accepted too.
    Bool,
    /// A whole number between two bounds.
    Int(i64, u64),
    /// A Go duration such as `1m30s`.
    Duration,
    /// A URL; patches merge it component by component.
    Url,
    /// An IP address.
    Address,
    /// A network or address with its prefix length.
    Prefix,
    /// An IP address with a port.
    AddressPort,
    /// A hardware address.
    Mac,
    /// A size with its unit or as a part of the whole, kept as written.
    Size,
    /// A size with its unit, kept as written.
    ByteSize,
    /// An expression of Talos's selectors (CEL).
    Expression,
    /// A size that is written in powers of a thousand.
    DiskSize,
    /// What a disk's size is compared with: a size, also behind an operator.
    DiskCondition,
    /// A file mode, written in octal.
    Mode,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words or its number; an empty text means the first.
    WordOrNumber(&'static [&'static str]),
    /// One of these words; an empty text means the first, and the first is written as an empty text.
    Enum(&'static [&'static str]),
    /// A routing table: a name or number.
    RoutingTable,
    /// Bytes in base64.
    Bytes,
    /// Ports and ranges of them.
    Port,
    /// A text or a list of them: the value of a command line argument.
    Argument,
    /// Any value at all.
    Free,
    /// A structure of its own.
    Struct(&'static Schema),
    /// A list.
    List(&'static Type),
    /// An item that Go holds behind a pointer: a null stays one.
    Pointer(&'static Type),
    /// A map with text keys.
    Map(&'static Type),
}

impl Type {
    /// The structure that is held, if it is one.
    pub(crate) fn schema(&self) -> Option<&'static Schema> {
        match self.behind() {
            Self::Struct(schema) => Some(schema),
            _ => None,
        }
    }

    /// What a pointer points to; anything else is itself.
    pub(crate) fn behind(&self) -> &Self {
        match self {
            Self::Pointer(inner) => inner,
            other => other,
        }
    }

    /// Go's `int`.
    pub const INT: Self = Self::Int(i64::MIN, i64::MAX as u64);
    /// Go's `int32`.
    pub const I32: Self = Self::Int(i32::MIN as i64, i32::MAX as u64);
    /// Go's `uint8`.
    pub const U8: Self = Self::Int(0, u8::MAX as u64);
    /// Go's `uint16`.
    pub const U16: Self = Self::Int(0, u16::MAX as u64);
    /// Go's `uint32`.
    pub const U32: Self = Self::Int(0, u32::MAX as u64);
    /// Go's `uint64`.
    pub const U64: Self = Self::Int(0, u64::MAX);
}

/// When a field is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    /// Always, as its zero value when it isn't set.
    Always,
    /// When it is set to something else than its zero value.
    NotZero,
}

/// How a patch changes an existing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// By its type.
    Typed,
    /// The patch's value replaces the whole value.
    Replace,
    /// List items with the same value of the first of these keys that is set are merged; others are appended.
    By(&'static [&'static str]),
    /// As `By`, but a matching item is replaced.
    ReplaceBy(&'static str),
}

/// One field of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its key in the document.
    pub key: &'static str,
    /// What it holds.
    pub ty: Type,
    /// When it is printed.
    pub print: Print,
    /// Whether "not set" differs from its zero value, so that a patch can set it to zero.
    pub optional: bool,
    /// How patches change it.
    pub merge: Merge,
    /// The minor of the Talos 1.x release since which patches replace it, whatever `merge` says.
    pub replaced_since: Option<u32>,
    /// Whether it is a secret that must not be shown.
    pub secret: bool,
    /// Whether it is a file's content, which is not shown because it may hold one.
    pub file: bool,
    /// The minor of the Talos 1.x release that knew it first; 0 for fields as old as their structure.
    pub since: u32,
    /// Whether Talos before 1.14 always printed it.
    pub once_always: bool,
    /// What has taken its place, for fields that Talos still reads but no longer wants.
    pub deprecated: Option<Deprecated>,
    /// Talos's message when it isn't set, for required fields.
    pub required: Option<&'static str>,
    /// The range of its number or duration.
    pub bounds: Option<Bounds>,
}

/// The range of a number; durations are in nanoseconds, and zero means not set.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The smallest.
    pub low: i128,
    /// The largest.
    pub high: i128,
    /// Talos's message for other values; `{}` stands for the value.
    pub message: &'static str,
}

/// What is known of a field that Talos still reads but no longer wants.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// The minor of the Talos 1.x release that deprecated it; 0 for those before 1.4.
    pub since: u32,
    /// What has taken its place.
    pub instead: &'static str,
}

/// A structure: its fields in the order in which they are written.
#[derive(Debug)]
pub struct Schema {
    /// Its name in Talos.
    pub name: &'static str,
    /// Its own fields.
    pub fields: &'static [Field],
    /// Fields that it shares with others, written after its own.
    pub tail: &'static [Field],
    /// The fields that decide whether it is empty, whatever the others are; none if all of them count.
    pub essence: &'static [&'static str],
}

impl Schema {
    /// A structure without shared fields.
    pub(crate) const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        Self { name, fields, tail: &[], essence: &[] }
    }

    /// A structure with shared fields after its own.
    pub(crate) const fn with(name: &'static str, fields: &'static [Field], tail: &'static [Field]) -> Self {
        Self { name, fields, tail, essence: &[] }
    }

    /// A structure that is empty without some of its fields.
    pub(crate) const fn nothing_without(mut self, essence: &'static [&'static str]) -> Self {
        self.essence = essence;
        self
    }

    /// All fields, in the order in which they are written.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().chain(self.tail)
    }

    /// The fields that decide whether it is empty.
    pub(crate) fn essential(&self) -> impl Iterator<Item = &'static Field> {
        let all = self.essence.is_empty();
        self.fields().filter(move |field| all || self.essence.contains(&field.key))
    }

    /// The field of a key.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.key == key)
    }
}

impl Field {
    const fn new(key: &'static str, ty: Type, print: Print, optional: bool) -> Self {
        Self {
            key,
            ty,
            print,
            optional,
            merge: Merge::Typed,
            replaced_since: None,
            secret: false,
            file: false,
            since: 0,
            once_always: false,
            deprecated: None,
            required: None,
            bounds: None,
        }
    }

    /// A field that Go holds behind a pointer.
    pub(crate) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// A field that patches replace.
    pub(crate) const fn replace(mut self) -> Self {
        self.merge = Merge::Replace;
        self
    }

    /// A field that patches replace from a minor of Talos on.
    pub(crate) const fn replaced_since(mut self, minor: u32) -> Self {
        self.replaced_since = Some(minor);
        self
    }

    /// A list whose items patches find by key.
    pub(crate) const fn by(mut self, keys: &'static [&'static str]) -> Self {
        self.merge = Merge::By(keys);
        self
    }

    /// A list whose items patches replace by key.
    pub(crate) const fn replace_by(mut self, key: &'static str) -> Self {
        self.merge = Merge::ReplaceBy(key);
        self
    }

    /// A field that is newer than its structure.
    pub(crate) const fn since(mut self, minor: u32) -> Self {
        self.since = minor;
        self
    }

    /// A field that Talos before 1.14 always printed.
    pub(crate) const fn once_always(mut self) -> Self {
        self.once_always = true;
        self
    }

    /// A required field, with Talos's message when it is missing.
    pub(crate) const fn required(mut self, message: &'static str) -> Self {
        self.required = Some(message);
        self
    }

    /// A number within a range, with Talos's message for others.
    pub(crate) const fn within(mut self, low: i128, high: i128, message: &'static str) -> Self {
        self.bounds = Some(Bounds { low, high, message });
        self
    }

    /// A number or duration with a minimum, with Talos's message for smaller ones.
    pub(crate) const fn at_least(self, low: i128, message: &'static str) -> Self {
        self.within(low, ENDLESS, message)
    }

    /// A number or duration that isn't negative, with Talos's message for those that are.
    pub(crate) const fn not_negative(self, message: &'static str) -> Self {
        self.at_least(0, message)
    }

    /// A field that must not be shown.
    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// A field that is a file's content.
    pub(crate) const fn file(mut self) -> Self {
        self.file = true;
        self
    }

    /// A deprecated field: since which minor, and what replaces it.
    pub(crate) const fn deprecated(mut self, since: u32, instead: &'static str) -> Self {
        self.deprecated = Some(Deprecated { since, instead });
        self
    }
}

/// The largest of all numbers and durations.
pub(crate) const ENDLESS: i128 = u64::MAX as i128;

/// A field that is always printed.
pub(crate) const fn must(key: &'static str, ty: Type) -> Field {
    Field::new(key, ty, Print::Always, false)
}

/// A field that is printed unless it is zero.
pub(crate) const fn opt(key: &'static str, ty: Type) -> Field {
    Field::new(key, ty, Print::NotZero, false)
}

/// A field behind a pointer, printed when it is set.
pub(crate) const fn ptr(key: &'static str, ty: Type) -> Field {
    Field::new(key, ty, Print::NotZero, true)
}
