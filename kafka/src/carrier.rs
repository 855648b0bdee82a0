//! rdkafka's headers as carriers.

use std::ffi::CString;

use propagation_core::{
    Extract, FieldName, Inject, InjectionReport, OutgoingFields, RejectReason, TraceContext, Value,
    carrier::{DuplicateParent, FieldPriority},
};
use rdkafka::{
    Message,
    message::{BorrowedHeaders, OwnedHeaders},
};

use crate::raw::{self, RawHeader, RawHeaders};

/// Headers in librdkafka's representation: rdkafka's two types, and user types that wrap one of them.
pub trait NativeHeaders {
    /// Returns the borrowed headers.
    fn as_native(&self) -> &BorrowedHeaders;
}

impl NativeHeaders for BorrowedHeaders {
    fn as_native(&self) -> &BorrowedHeaders {
        self
    }
}

impl NativeHeaders for OwnedHeaders {
    fn as_native(&self) -> &BorrowedHeaders {
        self.as_borrowed()
    }
}

/// The headers of a received message, or of a record that is about to be sent.
///
/// A null value reads as an empty one. Headers whose name is not UTF-8 are skipped.
/// Names are compared ignoring ASCII case, because B3's names occur in both.
#[derive(Clone, Copy)]
pub struct HeadersCarrier<'a>(Native<'a>);

/// Prints no values: they may be personal.
impl std::fmt::Debug for HeadersCarrier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadersCarrier").finish_non_exhaustive()
    }
}

/// Some producers append a `traceparent` on every retry, so the last is the most recent.
const DUPLICATE_PARENT: DuplicateParent = DuplicateParent::UseLast;

#[derive(Clone, Copy)]
struct Native<'a>(Option<&'a BorrowedHeaders>);

impl<'a> HeadersCarrier<'a> {
    /// Creates a carrier of headers.
    #[must_use]
    pub fn new(headers: &'a impl NativeHeaders) -> Self {
        Self(Native(Some(headers.as_native())))
    }

    /// Creates a carrier of a message's headers, or of no headers if the message has none.
    #[must_use]
    pub fn of_message(message: &'a impl Message<Headers: NativeHeaders>) -> Self {
        Self(Native(message.headers().map(NativeHeaders::as_native)))
    }
}

impl Extract for HeadersCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit(self.0.0, name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.0.0, each);
    }

    fn duplicate_parent(&self) -> DuplicateParent {
        DUPLICATE_PARENT
    }
}

/// The headers of a record to inject into.
///
/// If the record carries no propagation field, fields are appended. Otherwise the list is rebuilt: the user's headers in their
/// order, including duplicates, null values and names that are not UTF-8, then the fields.
pub struct HeadersCarrierMut<'a> {
    headers: &'a mut Option<OwnedHeaders>,
    before: Before,
}

/// Prints no values: they may be personal.
impl std::fmt::Debug for HeadersCarrierMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadersCarrierMut").finish_non_exhaustive()
    }
}

impl<'a> HeadersCarrierMut<'a> {
    /// Creates a carrier of the field `headers` of a record.
    #[must_use]
    pub fn new(headers: &'a mut Option<OwnedHeaders>) -> Self {
        Self { headers, before: Before::default() }
    }

    /// Returns the state before the injection, to restore it if the send fails.
    pub(crate) fn into_before(self) -> Before {
        self.before
    }
}

impl Extract for HeadersCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit(self.headers.as_ref().map(OwnedHeaders::as_borrowed), name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.headers.as_ref().map(OwnedHeaders::as_borrowed), each);
    }

    fn duplicate_parent(&self) -> DuplicateParent {
        DUPLICATE_PARENT
    }
}

impl Inject for HeadersCarrierMut<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        // A second injection replaces the first; `before` keeps the user's own headers.
        std::mem::take(&mut self.before).restore(self.headers);
        let kept = match self.headers.as_ref().map(|headers| without(fields, headers)) {
            Some(Ok(rebuilt)) => rebuilt,
            Some(Err(Unrepresentable)) => return InjectionReport::all_rejected(fields, RejectReason::Unrepresentable),
            None => None,
        };
        if kept.is_none() && fields.is_empty() {
            return InjectionReport::new();
        }
        let original = match kept {
            Some(kept) => self.headers.replace(kept).map_or(Original::Absent, Original::Replaced),
            None if self.headers.is_none() => Original::Absent,
            None => Original::Extended,
        };
        let headers = self.headers.get_or_insert_with(|| OwnedHeaders::new_with_capacity(fields.len()));
        let (mut written, mut report) = (Vec::with_capacity(fields.len()), InjectionReport::new());
        for field in fields.iter() {
            let (name, value) = (field.name(), Some(field.value()));
            if raw::append(headers, RawHeader { name: name.as_str().as_bytes(), value }) {
                report.record_written(name);
                written.push((name.clone(), field.priority()));
            } else {
                report.record_rejected(name, RejectReason::Unrepresentable);
            }
        }
        self.before = Before { original, written };
        report
    }
}

/// A record's headers before an injection.
#[derive(Debug, Default)]
pub(crate) struct Before {
    original: Original,
    written: Vec<(FieldName, FieldPriority)>,
}

#[derive(Debug, Default)]
enum Original {
    /// The headers are unchanged.
    #[default]
    Same,
    /// The record had no headers.
    Absent,
    /// Fields were appended, and no header had their names.
    Extended,
    /// The record carried propagation fields already.
    Replaced(OwnedHeaders),
}

impl Before {
    /// Restores the headers. They may be a copy of those that were injected into.
    pub(crate) fn restore(self, headers: &mut Option<OwnedHeaders>) {
        match self.original {
            Original::Same => {}
            Original::Absent => *headers = None,
            Original::Replaced(original) => *headers = Some(original),
            Original::Extended => {
                for (name, _) in &self.written {
                    remove(headers, name.as_str());
                }
            }
        }
    }

    /// Removes the written fields with a priority below `least`, or all if `least` is `None`. Returns the removed names.
    pub(crate) fn shed(&mut self, headers: &mut Option<OwnedHeaders>, least: Option<FieldPriority>) -> Vec<FieldName> {
        let (shed, stays): (Vec<_>, Vec<_>) = std::mem::take(&mut self.written)
            .into_iter()
            .partition(|(_, priority)| least.is_none_or(|l| *priority < l));
        self.written = stays;
        shed.into_iter().map(|(name, _)| name).inspect(|name| remove(headers, name.as_str())).collect()
    }
}

/// librdkafka rejected a header. It accepts every header that it returned itself.
struct Unrepresentable;

/// Returns a copy of the headers without propagation fields, or `None` if there are no such fields.
fn without(fields: &OutgoingFields<'_>, headers: &OwnedHeaders) -> Result<Option<OwnedHeaders>, Unrepresentable> {
    let owned = |header: &RawHeader<'_>| std::str::from_utf8(header.name).is_ok_and(|name| fields.contains(name));
    let all = RawHeaders::of(headers.as_borrowed());
    if !all.clone().any(|header| owned(&header)) {
        return Ok(None);
    }
    let mut kept = OwnedHeaders::new_with_capacity(all.len());
    for header in all.filter(|header| !owned(header)) {
        if !raw::append(&mut kept, header) {
            return Err(Unrepresentable);
        }
    }
    Ok(Some(kept))
}

fn remove(headers: &mut Option<OwnedHeaders>, name: &str) {
    if let (Some(headers), Ok(name)) = (headers, CString::new(name)) {
        raw::remove(headers, &name);
    }
}

fn visit<'a>(headers: Option<&'a BorrowedHeaders>, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
    let (Some(headers), name) = (headers, name.as_str().as_bytes()) else { return };
    for header in RawHeaders::of(headers) {
        if header.name == name || header.name.eq_ignore_ascii_case(name) {
            each(value(&header));
        }
    }
}

fn visit_all<'a>(headers: Option<&'a BorrowedHeaders>, each: &mut dyn FnMut(&'a str, Value<'a>)) {
    for header in headers.into_iter().flat_map(RawHeaders::of) {
        if let Ok(name) = std::str::from_utf8(header.name) {
            each(name, value(&header));
        }
    }
}

fn value<'a>(header: &RawHeader<'a>) -> Value<'a> {
    Value::Borrowed(header.value.unwrap_or_default())
}

impl std::fmt::Debug for Native<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Headers").field("count", &self.0.map_or(0, |headers| RawHeaders::of(headers).len())).finish()
    }
}
