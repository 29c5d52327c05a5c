//! The environment of an expression, by its place in a config: variables, functions, names of types.

use machine_config::Gate;

use super::declared::Kind::{
    self, Bool, Bytes, Double, Duration, Dyn, Int, List, Map, Message, Null, Optional, Text, Timestamp, Uint,
};
use super::enumerations;
use super::functions::{Function, OPTIONAL, STANDARD};
use super::messages::{DISCOVERED_VOLUME, DISK, LINK_STATUS, MESSAGES};
use super::signature::{Overload, global};
use super::types::Type;

/// The place of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    /// It selects disks.
    Disk,
    /// It selects volumes that were found.
    Volume,
    /// It selects the volumes that a volume group or an array is made of.
    Member,
    /// It selects network links.
    Link,
    /// It decides whether memory is short.
    Shortage,
    /// It ranks what may be killed when memory is short.
    Ranking,
}

/// A variable: the first minor of Talos 1.x that has it, its name, and its type.
type Variable = (u32, &'static str, Kind);

/// Units of sizes.
const UNITS: [&str; 12] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "kB", "MB", "GB", "TB", "PB", "EB"];
/// Classes of cgroups.
const CLASSES: [&str; 5] = ["Besteffort", "Burstable", "Guaranteed", "Podruntime", "System"];
/// Measurements of memory; with the prefix `d_`, how much each changed.
const PRESSURE: [&str; 8] = [
    "memory_some_avg10",
    "memory_some_avg60",
    "memory_some_avg300",
    "memory_some_total",
    "memory_full_avg10",
    "memory_full_avg60",
    "memory_full_avg300",
    "memory_full_total",
];
/// Further measurements of each class.
const USAGE: [&str; 3] = ["memory_current", "memory_peak", "memory_max"];

const BY_CLASS: Kind = Map(&Int, &Double);
const GLOB: Function = ("glob", &[Overload { minors: (9, u32::MAX), ..global(&[Text, Text], Bool) }]);

const DISKS: &[Variable] = &[(0, "disk", Message(&DISK)), (0, "system_disk", Bool)];
const VOLUMES: &[Variable] = &[(0, "volume", Message(&DISCOVERED_VOLUME)), (11, "disk", Message(&DISK))];
const MEMBERS: &[Variable] = &[
    (0, "volume", Message(&DISCOVERED_VOLUME)),
    (0, "disk", Message(&DISK)),
    (0, "volume_id", Text),
    (0, "system_disk", Bool),
];
const LINKS: &[Variable] = &[(0, "link", Message(&LINK_STATUS))];
const SHORTAGES: &[Variable] = &[(0, "time_since_trigger", Duration)];
const RANKINGS: &[Variable] = &[
    (0, "memory_max", Optional(&Uint)),
    (0, "memory_current", Optional(&Uint)),
    (0, "memory_peak", Optional(&Uint)),
    (0, "path", Text),
    (0, "class", Int),
];

const OF_DISKS: &[Function] = &[GLOB];
const OF_LINKS: &[Function] = &[GLOB, ("mac", &[global(&[Bytes], Text)])];
const OF_SHORTAGES: &[Function] =
    &[("multiply_qos_vectors", &[global(&[Map(&Dyn, &Double), Map(&Dyn, &Double)], Double)])];

/// Types that have a name without dots.
const TYPES: [(&str, Kind); 10] = [
    ("bool", Bool),
    ("bytes", Bytes),
    ("double", Double),
    ("int", Int),
    ("list", List(&Dyn)),
    ("map", Map(&Dyn, &Dyn)),
    ("null_type", Null),
    ("string", Text),
    ("type", Kind::Type),
    ("uint", Uint),
];

/// Well-known messages, and their types. Null is not allowed for them here.
const WELL_KNOWN: [(&str, Kind); 16] = [
    ("Any", Dyn),
    ("BoolValue", Bool),
    ("BytesValue", Bytes),
    ("DoubleValue", Double),
    ("Duration", Duration),
    ("FloatValue", Double),
    ("Int32Value", Int),
    ("Int64Value", Int),
    ("ListValue", List(&Dyn)),
    ("NullValue", Null),
    ("StringValue", Text),
    ("Struct", Map(&Text, &Dyn)),
    ("Timestamp", Timestamp),
    ("UInt32Value", Uint),
    ("UInt64Value", Uint),
    ("Value", Dyn),
];

impl Environment {
    /// The environment in Talos 1.`minor`.
    pub(super) fn scope(self, minor: u32) -> Scope {
        Scope { environment: self, minor }
    }

    /// The type that an expression must have here.
    pub(super) fn result(self) -> Type {
        if self == Self::Ranking { Type::DOUBLE } else { Type::BOOL }
    }

    fn variables(self) -> &'static [Variable] {
        match self {
            Self::Disk => DISKS,
            Self::Volume => VOLUMES,
            Self::Member => MEMBERS,
            Self::Link => LINKS,
            Self::Shortage => SHORTAGES,
            Self::Ranking => RANKINGS,
        }
    }

    fn functions(self) -> &'static [Function] {
        match self {
            Self::Disk | Self::Member => OF_DISKS,
            Self::Link => OF_LINKS,
            Self::Shortage => OF_SHORTAGES,
            Self::Volume | Self::Ranking => &[],
        }
    }

    /// Whether it has the variables about memory, and so optional values.
    fn is_about_memory(self) -> bool {
        matches!(self, Self::Shortage | Self::Ranking)
    }
}

/// An environment in a certain release of Talos.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    environment: Environment,
    pub(super) minor: u32,
}

impl Scope {
    /// Whether names may stand in backquotes.
    pub(super) fn quotes_names(&self) -> bool {
        self.minor >= Gate::QuotedNames.since()
    }

    /// Whether there are optional values, and operators for them.
    pub(super) fn has_optionals(&self) -> bool {
        self.environment.is_about_memory()
    }

    /// The type of a name without a leading dot.
    pub(super) fn global(&self, name: &str) -> Option<Type> {
        self.variable(name).map(Kind::fixed).or_else(|| self.named_type(name).map(Type::of_type)).or_else(|| {
            let (enumeration, value) = self.foreign(name)?.strip_prefix("enums.")?.split_once('.')?;
            // A value of an enumeration that isn't listed is assumed to exist.
            let there_is = enumerations::has(enumeration, value).unwrap_or(!value.contains('.'));
            there_is.then_some(Type::INT)
        })
    }

    /// The name after the prefix of Talos's own declarations, if the environment has them.
    fn foreign<'a>(&self, name: &'a str) -> Option<&'a str> {
        if self.environment.is_about_memory() { None } else { name.strip_prefix("talos.resource.definitions.") }
    }

    fn variable(&self, name: &str) -> Option<Kind> {
        let variables = self.environment.variables().iter();
        let found = variables.filter(|(since, known, _)| *known == name && *since <= self.minor);
        found.map(|(_, _, kind)| *kind).next().or_else(|| self.common_variable(name))
    }

    /// Variables from the lists of names above.
    fn common_variable(&self, name: &str) -> Option<Kind> {
        if self.environment != Environment::Link && UNITS.contains(&name) {
            return Some(Uint);
        }
        if self.environment.is_about_memory() && CLASSES.contains(&name) {
            return Some(Int);
        }
        if self.environment != Environment::Shortage {
            return None;
        }
        let name = name.strip_prefix("d_").unwrap_or(name);
        match name.strip_prefix("qos_") {
            Some(name) => (PRESSURE.contains(&name) || USAGE.contains(&name)).then_some(BY_CLASS),
            None => PRESSURE.contains(&name).then_some(Double),
        }
    }

    /// The type with this name.
    pub(super) fn named_type(&self, name: &str) -> Option<Type> {
        if name == "optional_type" && self.has_optionals() {
            return Some(Type::optional(Type::DYN));
        }
        let well_known = name.strip_prefix("google.protobuf.");
        let row = TYPES.iter().find(|(known, _)| *known == name);
        let row = row.or_else(|| WELL_KNOWN.iter().find(|(known, _)| Some(*known) == well_known));
        row.map(|(_, kind)| kind.fixed()).or_else(|| self.message(name))
    }

    /// A message type. Of messages that no variable holds, only the name is known: they are dynamic.
    fn message(&self, name: &str) -> Option<Type> {
        let of_links = self.environment == Environment::Link;
        if self.environment.is_about_memory() {
            return None;
        }
        match MESSAGES.iter().find(|(_, message)| message.name == name) {
            Some((_, message)) if message.name.contains(".block.") == of_links => None,
            Some((since, message)) => (*since <= self.minor).then_some(Type::Message(message)),
            None => {
                let (package, rest) = self.foreign(name)?.split_once('.')?;
                (package != "enums" && !rest.contains('.')).then_some(Type::DYN)
            }
        }
    }

    /// The type of a field of a well-known message; dynamic where it isn't known.
    pub(super) fn well_known_field(message: &str, field: &str) -> Option<Type> {
        let name = message.strip_prefix("google.protobuf.").unwrap_or_default();
        let (_, kind) = WELL_KNOWN.iter().find(|(known, _)| *known == name)?;
        match (name, field) {
            ("Duration" | "Timestamp", "seconds" | "nanos") => Some(Type::INT),
            ("Duration" | "Timestamp", _) => None,
            ("Any" | "ListValue" | "NullValue" | "Struct" | "Value", _) => Some(Type::DYN),
            (_, "value") => Some(kind.fixed()),
            _ => None,
        }
    }

    /// The overloads of a function, in the order in which they are tried.
    pub(super) fn overloads(&self, name: &str) -> Vec<Overload> {
        let name = name.strip_prefix('.').unwrap_or(name);
        let optional = if self.has_optionals() { OPTIONAL } else { &[] };
        let all = [STANDARD, optional, self.environment.functions()];
        let found = all.into_iter().flatten().filter(|(known, _)| *known == name);
        let overloads = found.flat_map(|(_, overloads)| *overloads);
        overloads.filter(|overload| (overload.minors.0..=overload.minors.1).contains(&self.minor)).copied().collect()
    }
}
