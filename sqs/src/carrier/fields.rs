//! The precedence of the places on a message, for received messages and those about to be sent.

use std::collections::HashMap;

use aws_sdk_sqs::types::MessageAttributeValue;
use propagation_core::{
    Extract, FieldName, StoredContext, TraceContext, Value, carrier::NameFilter, format::XRayFormat,
};

use super::{PACKED_ATTRIBUTE, TRACE_HEADER};

static PARENT: FieldName = FieldName::from_static("traceparent");
static PACKED: FieldName = FieldName::from_static(PACKED_ATTRIBUTE);

/// The fields of a message. In order of precedence: attributes, the packed attribute, an envelope, the trace header.
#[derive(Clone, Debug)]
pub(super) struct MessageFields {
    /// The names of the attributes: most look-ups are for absent ones.
    names: NameFilter,
    packed: Option<StoredContext>,
    envelope: Option<StoredContext>,
    header: Option<String>,
    /// The trace header as a `traceparent`, if no other place has one. Deferred sampling (`Sampled=?`) reads as not sampled.
    parent: Option<String>,
    /// The trace header's trace-id, if it has no parent-id and nothing else has a `traceparent`.
    root: Option<TraceContext>,
}

type Attributes = HashMap<String, MessageAttributeValue>;

impl MessageFields {
    pub(super) fn new(attributes: Option<&Attributes>, header: Option<&str>, envelope: Option<StoredContext>) -> Self {
        let mut names = NameFilter::EMPTY;
        attributes.into_iter().flatten().for_each(|(name, _)| names.insert(name.as_bytes()));
        let packed = find(attributes, names, &PACKED).map(|value| text(value).parse().ok());
        let unreadable = packed == Some(None);
        let packed = packed.flatten();
        let mut fields = Self { names, packed, envelope, header: header.map(str::to_owned), parent: None, root: None };
        let mut has_parent = false;
        if header.is_some() || unreadable {
            fields.visit(attributes, &PARENT, &mut |_| has_parent = true);
        }
        if !has_parent {
            // A malformed field differs from an absent one: an empty `traceparent` is rejected and counted.
            let malformed = || Some(String::new());
            let trace = header.map(|text| XRayFormat::parse(text.as_bytes()));
            let parent = trace.as_ref().and_then(|trace| trace.as_ref().ok()?.parent);
            fields.parent = match (parent, &trace) {
                (Some(parent), _) => Some(parent.to_string()),
                (None, Some(Err(_))) => malformed(),
                (None, _) => malformed().filter(|_| unreadable),
            };
            fields.root = trace.and_then(Result::ok).filter(|trace| trace.root_trace_id().is_some());
        }
        fields
    }

    pub(super) fn root(&self) -> Option<TraceContext> {
        self.root.clone()
    }

    pub(super) fn visit<'a>(
        &'a self,
        attributes: Option<&'a Attributes>,
        name: &FieldName,
        each: &mut dyn FnMut(Value<'a>),
    ) {
        if let Some(value) = find(attributes, self.names, name) {
            return each(bytes(value));
        }
        let mut found = false;
        for stored in self.packed.iter().chain(&self.envelope) {
            stored.visit(name, &mut |value| {
                found = true;
                each(value);
            });
            if found {
                return;
            }
        }
        let header = match name.as_str() {
            "traceparent" => &self.parent,
            TRACE_HEADER => &self.header,
            _ => return,
        };
        if let Some(text) = header {
            each(Value::Borrowed(text.as_bytes()));
        }
    }

    pub(super) fn visit_all<'a>(
        &'a self,
        attributes: Option<&'a Attributes>,
        each: &mut dyn FnMut(&'a str, Value<'a>),
    ) {
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in attributes.into_iter().flatten() {
            if name != PACKED_ATTRIBUTE || self.packed.is_none() {
                each(name, bytes(value));
                seen.push(name);
            }
        }
        for stored in self.packed.iter().chain(&self.envelope) {
            let before = seen.len();
            stored.visit_all(&mut |name, value| {
                if !seen.iter().take(before).any(|found| *found == name) {
                    each(name, value);
                    seen.push(name);
                }
            });
        }
        for (name, text) in [("traceparent", &self.parent), (TRACE_HEADER, &self.header)] {
            if let Some(text) = text
                && !seen.contains(&name)
            {
                each(name, Value::Borrowed(text.as_bytes()));
            }
        }
    }
}

/// Looks an attribute up, unless the filter of all names excludes it.
fn find<'a>(
    attributes: Option<&'a Attributes>,
    names: NameFilter,
    name: &FieldName,
) -> Option<&'a MessageAttributeValue> {
    attributes.filter(|_| names.might_contain(name))?.get(name.as_str())
}

fn text(value: &MessageAttributeValue) -> &str {
    value.string_value.as_deref().unwrap_or_default()
}

/// Returns the characters of text and numbers, the bytes of binary, and an empty value for anything else.
fn bytes(value: &MessageAttributeValue) -> Value<'_> {
    Value::Borrowed(match (&value.string_value, &value.binary_value) {
        (Some(text), _) => text.as_bytes(),
        (None, Some(blob)) => blob.as_ref(),
        (None, None) => &[],
    })
}
