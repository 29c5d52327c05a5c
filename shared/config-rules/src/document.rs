//! One document by itself: the constraints of its fields, then the rules of its kind.

use machine_config::Document;
use machine_config::schema::{Field, Schema, Type};

use crate::checks::nanoseconds;
use crate::lookup::Lookup;
use crate::report::Report;
use crate::rule::Input;
use crate::table;

/// Checks a document: the constraints of its fields, then the rules of its kind.
pub(crate) fn check(input: Input<'_>, document: &Document, report: &mut Report) {
    let (kind, fields) = (document.kind, Lookup::Fields(&document.fields));
    let mut own = Report { minor: input.contract.minor(), ..Report::default() };
    schema(kind.schema, fields, &mut own);
    let row = table::of(kind.name);
    let rules = row.map(|row| row.rules).unwrap_or_default();
    rules.iter().filter(|rule| rule.holds(input.contract)).for_each(|rule| (rule.check)(fields, &mut own));
    if row.is_some_and(|row| row.first_only) {
        own.errors.truncate(1);
    }
    // As in Talos, a document without its name is shown with a slash and nothing after it.
    let slash = if kind.named { "/" } else { "" };
    let identity = format!("{}{slash}{}", kind.name, document.identity().name);
    report.errors.extend(own.errors.into_iter().map(|text| format!("{identity}: {text}")));
    report.warnings.extend(own.warnings.into_iter().map(|text| format!("{identity}: {text}")));
}

/// Checks the constraints of a structure's fields. A structure that isn't behind a pointer always exists.
fn schema(schema: &Schema, fields: Lookup<'_>, report: &mut Report) {
    for field in schema.fields() {
        let value = fields.at(field.key);
        report.errors.extend(missing(field, value).into_iter().chain(beyond(field, value)));
        if let Type::Struct(inner) = field.ty
            && (value.is_set() || !field.optional)
        {
            self::schema(inner, value, report);
        }
    }
}

fn missing(field: &Field, value: Lookup<'_>) -> Option<String> {
    let is_missing = if field.optional { !value.is_set() } else { value.is_empty() };
    field.required.filter(|_| is_missing).map(str::to_owned)
}

fn beyond(field: &Field, value: Lookup<'_>) -> Option<String> {
    let bounds = field.bounds.filter(|_| value.is_set() || !field.optional)?;
    let (number, shown) = match field.ty {
        Type::Duration => (nanoseconds(value), value.text().to_owned()),
        _ => (value.number().into(), value.number().to_string()),
    };
    let unset = matches!(field.ty, Type::Duration) && number == 0;
    let within = (bounds.low..=bounds.high).contains(&number);
    (!unset && !within).then(|| bounds.message.replace("{}", &shown))
}
