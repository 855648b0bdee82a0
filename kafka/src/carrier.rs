//! rdkafka's headers as carriers.

use std::{borrow::Cow, ffi::CString};

use propagation_core::{Extract, FieldName, Fields, Inject, Injection, Priority, Reason, Value};
use rdkafka::{
    Message,
    message::{BorrowedHeaders, Header, OwnedHeaders},
};

use crate::raw::{self, RawHeader, RawHeaders};

/// Headers that librdkafka holds: rdkafka's two types, and what you wrap around them.
pub trait NativeHeaders {
    /// The headers as rdkafka borrows them.
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

/// Shows the headers of a received message, or of one that is yet to be sent.
///
/// A null value shows as an empty one. A name that is not UTF-8 is none that a format could ask for: it is passed over.
/// Names are compared without regard to ASCII case, as B3's are written in either.
#[derive(Clone, Copy, Debug)]
pub struct HeadersCarrier<'a>(Native<'a>);

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
}

/// Takes the headers of a record, and can give them back as they were.
///
/// Where nothing of ours stands on the record, what is written is appended. Otherwise the list is built anew: the user's
/// headers in their order, duplicates, null values and odd names included, then ours.
#[derive(Debug)]
pub struct HeadersCarrierMut<'a> {
    headers: &'a mut Option<OwnedHeaders>,
    before: Before,
}

impl<'a> HeadersCarrierMut<'a> {
    /// Of a record's field `headers`.
    #[must_use]
    pub fn new(headers: &'a mut Option<OwnedHeaders>) -> Self {
        Self { headers, before: Before::default() }
    }

    /// How to undo what was written.
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
}

impl Inject for HeadersCarrierMut<'_> {
    fn commit(&mut self, fields: &Fields) -> Injection {
        // A second injection takes the place of the first; the way back stays the way to what the user had.
        std::mem::take(&mut self.before).restore(self.headers);
        let kept = match self.headers.as_ref().map(|headers| without(fields, headers)) {
            Some(Ok(rebuilt)) => rebuilt,
            Some(Err(Unrepresentable)) => return Injection::failed(fields, Reason::Unrepresentable),
            None => None,
        };
        if kept.is_none() && fields.is_empty() {
            return Injection::none();
        }
        let original = match kept {
            Some(kept) => self.headers.replace(kept).map_or(Original::Absent, Original::Replaced),
            None if self.headers.is_none() => Original::Absent,
            None => Original::Extended,
        };
        let mut headers = self.headers.take().unwrap_or_else(|| OwnedHeaders::new_with_capacity(fields.len()));
        for field in fields.iter() {
            headers = headers.insert(Header { key: field.name().as_str(), value: Some(field.value()) });
        }
        *self.headers = Some(headers);
        let injection = Injection::all(fields);
        let priorities = fields.iter().map(propagation_core::Field::priority);
        self.before = Before { original, written: injection.written.iter().cloned().zip(priorities).collect() };
        injection
    }
}

/// What a record's headers were before an injection.
#[derive(Debug, Default)]
pub(crate) struct Before {
    original: Original,
    written: Vec<(Cow<'static, str>, Priority)>,
}

#[derive(Debug, Default)]
enum Original {
    /// Nothing was changed.
    #[default]
    Same,
    /// There were none.
    Absent,
    /// Ours were appended, and nothing stood under their names.
    Extended,
    /// Fields of ours stood there already.
    Replaced(OwnedHeaders),
}

impl Before {
    /// Makes the headers what they were. They may be a copy of those that were injected into.
    pub(crate) fn restore(self, headers: &mut Option<OwnedHeaders>) {
        match self.original {
            Original::Same => {}
            Original::Absent => *headers = None,
            Original::Replaced(original) => *headers = Some(original),
            Original::Extended => {
                for (name, _) in &self.written {
                    remove(headers, name);
                }
            }
        }
    }

    /// Takes off the record what was written and matters less than `least`; all of it where `least` is `None`. Answers the names.
    pub(crate) fn shed(
        &mut self,
        headers: &mut Option<OwnedHeaders>,
        least: Option<Priority>,
    ) -> Vec<Cow<'static, str>> {
        let (shed, stays): (Vec<_>, Vec<_>) = std::mem::take(&mut self.written)
            .into_iter()
            .partition(|(_, priority)| least.is_none_or(|l| *priority < l));
        self.written = stays;
        shed.into_iter().map(|(name, _)| name).inspect(|name| remove(headers, name)).collect()
    }
}

/// A header that librdkafka won't take; it takes all that it has given.
struct Unrepresentable;

/// The headers without those that fields own, or nothing if there are none of them.
fn without(fields: &Fields, headers: &OwnedHeaders) -> Result<Option<OwnedHeaders>, Unrepresentable> {
    let owned = |header: &RawHeader<'_>| std::str::from_utf8(header.name).is_ok_and(|name| fields.owns(name));
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
    for header in headers.into_iter().flat_map(RawHeaders::of) {
        if header.name.eq_ignore_ascii_case(name.as_str().as_bytes()) {
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
