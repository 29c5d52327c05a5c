//! The functions and operators of the language, which every environment has.

use super::declared::Kind::{
    self, A, B, Bool, Bytes, Double, Duration, Dyn, Int, List, Map, Optional, Text, Timestamp, TypeOf, Uint,
};
use super::signature::{Overload, global, method, mixed};

/// A function's name and its overloads; the first that fits counts.
pub(super) type Function = (&'static str, &'static [Overload]);

const AS: Kind = List(&A);
const PAIRS: Kind = Map(&A, &B);
const MAYBE: Kind = Optional(&A);

/// Overloads of comparisons.
const COMPARED: &[Overload] = &[
    global(&[Bool, Bool], Bool),
    global(&[Int, Int], Bool),
    mixed(&[Int, Double]),
    mixed(&[Int, Uint]),
    global(&[Uint, Uint], Bool),
    mixed(&[Uint, Double]),
    mixed(&[Uint, Int]),
    global(&[Double, Double], Bool),
    mixed(&[Double, Int]),
    mixed(&[Double, Uint]),
    global(&[Text, Text], Bool),
    global(&[Bytes, Bytes], Bool),
    global(&[Timestamp, Timestamp], Bool),
    global(&[Duration, Duration], Bool),
];

/// Overloads of multiplication and division.
const MULTIPLIED: &[Overload] =
    &[global(&[Double, Double], Double), global(&[Int, Int], Int), global(&[Uint, Uint], Uint)];

/// Parts of a time, perhaps in a time zone.
const OF_TIME: &[Overload] = &[method(&[Timestamp], Int), method(&[Timestamp, Text], Int)];
/// Parts of a time or of a duration.
const OF_TIME_OR_DURATION: &[Overload] =
    &[method(&[Timestamp], Int), method(&[Timestamp, Text], Int), method(&[Duration], Int)];
/// Overloads of tests for one text within another.
const OF_TEXTS: &[Overload] = &[method(&[Text, Text], Bool)];

/// The functions of every environment.
pub(super) const STANDARD: &[Function] = &[
    ("_?_:_", &[global(&[Bool, A, A], A)]),
    ("!_", &[global(&[Bool], Bool)]),
    ("_==_", &[global(&[A, A], Bool)]),
    ("_!=_", &[global(&[A, A], Bool)]),
    ("_<_", COMPARED),
    ("_<=_", COMPARED),
    ("_>_", COMPARED),
    ("_>=_", COMPARED),
    (
        "_+_",
        &[
            global(&[Bytes, Bytes], Bytes),
            global(&[Double, Double], Double),
            global(&[Duration, Duration], Duration),
            global(&[Duration, Timestamp], Timestamp),
            global(&[Timestamp, Duration], Timestamp),
            global(&[Int, Int], Int),
            global(&[AS, AS], AS),
            global(&[Text, Text], Text),
            global(&[Uint, Uint], Uint),
        ],
    ),
    (
        "_-_",
        &[
            global(&[Double, Double], Double),
            global(&[Duration, Duration], Duration),
            global(&[Int, Int], Int),
            global(&[Timestamp, Duration], Timestamp),
            global(&[Timestamp, Timestamp], Duration),
            global(&[Uint, Uint], Uint),
        ],
    ),
    ("_*_", MULTIPLIED),
    ("_/_", MULTIPLIED),
    ("_%_", &[global(&[Int, Int], Int), global(&[Uint, Uint], Uint)]),
    ("-_", &[global(&[Double], Double), global(&[Int], Int)]),
    ("_[_]", &[global(&[AS, Int], A), global(&[PAIRS, A], B)]),
    ("@in", &[global(&[A, AS], Bool), global(&[A, PAIRS], Bool)]),
    (
        "size",
        &[
            global(&[Bytes], Int),
            method(&[Bytes], Int),
            global(&[AS], Int),
            method(&[AS], Int),
            global(&[PAIRS], Int),
            method(&[PAIRS], Int),
            global(&[Text], Int),
            method(&[Text], Int),
        ],
    ),
    ("type", &[global(&[A], TypeOf(&A))]),
    ("bool", &[global(&[Bool], Bool), global(&[Text], Bool)]),
    ("bytes", &[global(&[Bytes], Bytes), global(&[Text], Bytes)]),
    ("double", &[global(&[Double], Double), global(&[Int], Double), global(&[Text], Double), global(&[Uint], Double)]),
    (
        "duration",
        &[
            global(&[Duration], Duration),
            Overload { minors: (0, 11), ..global(&[Int], Duration) },
            global(&[Text], Duration),
        ],
    ),
    ("dyn", &[global(&[A], Dyn)]),
    (
        "int",
        &[
            global(&[Int], Int),
            global(&[Double], Int),
            global(&[Duration], Int),
            global(&[Text], Int),
            global(&[Timestamp], Int),
            global(&[Uint], Int),
        ],
    ),
    (
        "string",
        &[
            global(&[Text], Text),
            global(&[Bool], Text),
            global(&[Bytes], Text),
            global(&[Double], Text),
            global(&[Duration], Text),
            global(&[Int], Text),
            global(&[Timestamp], Text),
            global(&[Uint], Text),
        ],
    ),
    ("timestamp", &[global(&[Timestamp], Timestamp), global(&[Int], Timestamp), global(&[Text], Timestamp)]),
    ("uint", &[global(&[Uint], Uint), global(&[Double], Uint), global(&[Int], Uint), global(&[Text], Uint)]),
    ("contains", OF_TEXTS),
    ("endsWith", OF_TEXTS),
    ("startsWith", OF_TEXTS),
    ("matches", &[global(&[Text, Text], Bool), method(&[Text, Text], Bool)]),
    ("getFullYear", OF_TIME),
    ("getMonth", OF_TIME),
    ("getDayOfYear", OF_TIME),
    ("getDayOfMonth", OF_TIME),
    ("getDate", OF_TIME),
    ("getDayOfWeek", OF_TIME),
    ("getHours", OF_TIME_OR_DURATION),
    ("getMinutes", OF_TIME_OR_DURATION),
    ("getSeconds", OF_TIME_OR_DURATION),
    ("getMilliseconds", OF_TIME_OR_DURATION),
];

/// Additional functions of environments with optional values.
pub(super) const OPTIONAL: &[Function] = &[
    ("optional.of", &[global(&[A], MAYBE)]),
    ("optional.ofNonZeroValue", &[global(&[A], MAYBE)]),
    ("optional.none", &[global(&[], MAYBE)]),
    ("optional.unwrap", &[global(&[List(&MAYBE)], AS)]),
    ("unwrapOpt", &[method(&[List(&MAYBE)], AS)]),
    ("value", &[method(&[MAYBE], A)]),
    ("hasValue", &[method(&[MAYBE], Bool)]),
    ("or", &[method(&[MAYBE, MAYBE], MAYBE)]),
    ("orValue", &[method(&[MAYBE, A], A)]),
    ("first", &[method(&[AS], MAYBE)]),
    ("last", &[method(&[AS], MAYBE)]),
    (
        "_[?_]",
        &[
            global(&[AS, Int], MAYBE),
            global(&[Optional(&AS), Int], MAYBE),
            global(&[PAIRS, A], Optional(&B)),
            global(&[Optional(&PAIRS), A], Optional(&B)),
        ],
    ),
    ("_[_]", &[global(&[Optional(&AS), Int], MAYBE), global(&[Optional(&PAIRS), A], Optional(&B))]),
];
