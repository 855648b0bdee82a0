//! async-nats' headers as carriers.

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use propagation_core::{
    Extract, FieldName, Inject, InjectionReport, OutgoingFields, RejectReason, TraceContext, Value,
};

/// The headers of a received message, or no headers.
#[derive(Clone, Copy)]
pub struct HeadersCarrier<'a>(Option<&'a HeaderMap>);

/// The headers of a message to publish.
pub struct HeadersCarrierMut<'a>(&'a mut HeaderMap);

impl<'a> HeadersCarrier<'a> {
    /// Creates a carrier of the field `headers` of a message.
    #[must_use]
    pub fn new(headers: Option<&'a HeaderMap>) -> Self {
        Self(headers)
    }
}

impl<'a> HeadersCarrierMut<'a> {
    /// Creates a carrier of headers.
    #[must_use]
    pub fn new(headers: &'a mut HeaderMap) -> Self {
        Self(headers)
    }
}

// Two traits read and write a carrier. Neither parses: values are bytes here, and the formats decide.
impl Extract for HeadersCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit_all(self.0, &mut |found, value| {
            // NATS compares names by case; publishers write `traceparent` in several.
            if found.eq_ignore_ascii_case(name.as_str()) {
                each(value);
            }
        });
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.0, each);
    }
}

impl Extract for HeadersCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit_all(Some(self.0), &mut |found, value| {
            if found.eq_ignore_ascii_case(name.as_str()) {
                each(value);
            }
        });
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(Some(self.0), each);
    }
}

impl Inject for HeadersCarrierMut<'_> {
    /// Replaces every propagation field at once: those that are written, and stale ones.
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        // All names and values first: a commit that fails leaves the message as it was.
        let mut written: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(fields.len());
        for field in fields.iter() {
            let name = field.name().as_str().parse();
            let value = std::str::from_utf8(field.value()).ok().and_then(|value| value.parse().ok());
            let (Ok(name), Some(value)) = (name, value) else {
                return InjectionReport::all_rejected(fields, RejectReason::Unrepresentable);
            };
            written.push((name, value));
        }
        // The map has no removal, so the user's own headers are copied where a propagation field is among them.
        let is_field = |name: &HeaderName| fields.contains(name.as_ref());
        if self.0.iter().any(|(name, _)| is_field(name)) {
            let mut kept = HeaderMap::new();
            for (name, values) in self.0.iter().filter(|(name, _)| !is_field(name)) {
                for value in values {
                    kept.append(name.clone(), value.clone());
                }
            }
            *self.0 = kept;
        }
        for (name, value) in written {
            self.0.insert(name, value);
        }
        InjectionReport::all_written(fields)
    }
}

fn visit_all<'a>(headers: Option<&'a HeaderMap>, each: &mut dyn FnMut(&'a str, Value<'a>)) {
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        for value in values {
            each(name.as_ref(), Value::Borrowed(value.as_ref()));
        }
    }
}

/// Prints no values: they may be personal.
impl std::fmt::Debug for HeadersCarrier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadersCarrier").finish_non_exhaustive()
    }
}

/// Prints no values: they may be personal.
impl std::fmt::Debug for HeadersCarrierMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadersCarrierMut").finish_non_exhaustive()
    }
}
