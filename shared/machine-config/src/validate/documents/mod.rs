//! Rules for each document by itself, by kind. The rows of the table of kinds name those that are in force.

pub(crate) mod cluster;
pub(crate) mod container;
pub(crate) mod images;
pub(crate) mod kubernetes;
pub(crate) mod links;
pub(crate) mod network;
pub(crate) mod storage;
pub(crate) mod system;
pub(crate) mod volumes;

use super::{Case, Report, View, view};
use crate::config::Document;
use crate::shape::{Field, Shape, Type};
use crate::validate::words::nanoseconds;

/// Checks a document: what its fields say, then the rules of its kind.
pub(super) fn check(case: Case<'_>, document: &Document, report: &mut Report) {
    let (kind, fields) = (document.kind, view(document));
    let mut own = Report { minor: case.contract.minor(), ..Report::default() };
    shape(kind.shape, fields, &mut own);
    kind.rules.iter().filter(|rule| rule.holds(case.contract)).for_each(|rule| (rule.check)(fields, &mut own));
    if kind.first_only {
        own.errors.truncate(1);
    }
    // A document that lacks its name is spoken of with a slash and nothing, as in Talos.
    let slash = if kind.named { "/" } else { "" };
    let identity = format!("{}{slash}{}", kind.name, document.identity().name);
    report.errors.extend(own.errors.into_iter().map(|text| format!("{identity}: {text}")));
    report.warnings.extend(own.warnings.into_iter().map(|text| format!("{identity}: {text}")));
}

/// What the fields of a structure say. A structure without a pointer to it is always there.
fn shape(shape: &Shape, fields: View<'_>, report: &mut Report) {
    for field in shape.fields() {
        let value = fields.at(field.key);
        report.errors.extend(missing(field, value).into_iter().chain(beyond(field, value)));
        if let Type::Struct(inner) = field.ty
            && (value.is_set() || !field.optional)
        {
            self::shape(inner, value, report);
        }
    }
}

fn missing(field: &Field, value: View<'_>) -> Option<String> {
    let is_missing = if field.optional { !value.is_set() } else { value.is_empty() };
    field.required.filter(|_| is_missing).map(str::to_owned)
}

fn beyond(field: &Field, value: View<'_>) -> Option<String> {
    let bounds = field.bounds.filter(|_| value.is_set() || !field.optional)?;
    let (number, shown) = match field.ty {
        Type::Duration => (nanoseconds(value), value.text().to_owned()),
        _ => (value.number().into(), value.number().to_string()),
    };
    let unset = matches!(field.ty, Type::Duration) && number == 0;
    let within = (bounds.low..=bounds.high).contains(&number);
    (!unset && !within).then(|| bounds.said.replace("{}", &shown))
}

/// The document's name.
fn name<'a>(fields: View<'a>) -> &'a str {
    fields.at("name").text()
}

/// A field without which a document means nothing.
fn required(fields: View<'_>, path: &str, text: &str, report: &mut Report) {
    if fields.at(path).text().is_empty() {
        report.error(text);
    }
}
