//! Types of functions, variables and fields, as tables write them.

/// A type in a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    Dyn,
    /// The type of any type.
    Type,
    /// A type parameter: the same type everywhere in a signature.
    A,
    /// A second type parameter.
    B,
    List(&'static Kind),
    Map(&'static Kind, &'static Kind),
    Optional(&'static Kind),
    /// The type of a certain type.
    TypeOf(&'static Kind),
    Message(&'static Message),
}

/// A message and its fields.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: &'static str,
    /// For each field: the first minor of Talos 1.x that has it, its name, and its type. Enumerations are integers.
    pub(super) fields: &'static [(u32, &'static str, Kind)],
}

impl Message {
    /// The type of a field in Talos 1.`minor`.
    pub(super) fn field(&self, name: &str, minor: u32) -> Option<Kind> {
        let found = self.fields.iter().find(|(since, field, _)| *field == name && *since <= minor);
        found.map(|(_, _, kind)| *kind)
    }
}
