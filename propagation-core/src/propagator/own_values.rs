//! Baggage from the application's own headers and claims.

use std::borrow::Cow;

use crate::{
    Admission, Extract, FieldName, InboundRule, RejectReason, Value,
    policy::{BaggageSource, SourceRule},
};

/// A function that returns the claim of a name about the caller.
pub(super) type Claims<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Adds the values that a rule takes as baggage.
pub(super) fn admit(rule: &InboundRule, from: &dyn Extract, claims: &Claims<'_>, admission: &mut Admission) {
    for entry in rule.sources() {
        if let Some(value) = value_of(entry, from, claims) {
            entry.admit(rule, value, admission);
        }
    }
}

/// Returns the value of a source. Empty values count as absent.
fn value_of<'a>(
    entry: &SourceRule,
    from: &'a dyn Extract,
    claims: &Claims<'_>,
) -> Option<Result<Cow<'a, str>, RejectReason>> {
    match entry.header() {
        Some(name) => header(from, name),
        None => {
            let BaggageSource::Claim(name) = entry.source() else { return None };
            claims(name).filter(|claim| !claim.is_empty()).map(|claim| Ok(claim.into()))
        }
    }
}

/// Returns the value of a header. Identical duplicates count as one; others are ambiguous.
fn header<'a>(from: &'a dyn Extract, name: &FieldName) -> Option<Result<Cow<'a, str>, RejectReason>> {
    let mut found: Option<Value<'a>> = None;
    let mut differ = false;
    from.visit(name, &mut |value| match &found {
        Some(first) => differ |= first.as_bytes() != value.as_bytes(),
        None => found = Some(value),
    });
    let bytes = found?.as_bytes().trim_ascii();
    if differ {
        return Some(Err(RejectReason::Duplicate));
    }
    if bytes.is_empty() {
        return None;
    }
    Some(std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| RejectReason::Malformed))
}
