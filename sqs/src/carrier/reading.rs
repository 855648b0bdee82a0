//! The one order in which the places of a message are read, for received messages and those about to be sent.

use std::collections::HashMap;

use aws_sdk_sqs::types::MessageAttributeValue;
use propagation_core::{Extract, FieldName, StoredContext, TraceContext, Value};

use super::{PACKED_ATTRIBUTE, TRACE_HEADER};
use crate::xray;

static PARENT: FieldName = FieldName::from_static("traceparent");

/// What a message carries: an attribute counts before the packed one, that before an envelope, and the trace header last.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    packed: Option<StoredContext>,
    envelope: Option<StoredContext>,
    header: Option<String>,
    /// What the trace header says, as a `traceparent`, where nothing else says one.
    parent: Option<String>,
    /// The trace header's trace-id, if it has no parent-id and nothing else has a `traceparent`.
    root: Option<TraceContext>,
}

type Attributes = HashMap<String, MessageAttributeValue>;

impl Reading {
    pub(super) fn new(attributes: Option<&Attributes>, header: Option<&str>, envelope: Option<StoredContext>) -> Self {
        let packed =
            attributes.and_then(|attributes| attributes.get(PACKED_ATTRIBUTE)).map(|value| text(value).parse().ok());
        let unreadable = packed == Some(None);
        let mut reading =
            Self { packed: packed.flatten(), envelope, header: header.map(str::to_owned), parent: None, root: None };
        let mut has_parent = false;
        reading.each(attributes, &PARENT, &mut |_| has_parent = true);
        if !has_parent {
            // What is there and broken is not the same as none: an empty `traceparent` is refused and counted.
            let broken = || Some(String::new());
            let trace = header.map(xray::read);
            let parent = trace.as_ref().and_then(|trace| trace.as_ref().ok()?.parent);
            reading.parent = match (parent, &trace) {
                (Some(parent), _) => Some(parent.to_string()),
                (None, Some(Err(_))) => broken(),
                (None, _) => broken().filter(|_| unreadable),
            };
            reading.root = trace.and_then(Result::ok).filter(|trace| trace.root_trace_id().is_some());
        }
        reading
    }

    pub(super) fn root(&self) -> Option<TraceContext> {
        self.root.clone()
    }

    pub(super) fn each<'a>(
        &'a self,
        attributes: Option<&'a Attributes>,
        name: &FieldName,
        each: &mut dyn FnMut(Value<'a>),
    ) {
        if let Some(value) = attributes.and_then(|attributes| attributes.get(name.as_str())) {
            return each(shown(value));
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

    pub(super) fn each_of_all<'a>(
        &'a self,
        attributes: Option<&'a Attributes>,
        each: &mut dyn FnMut(&'a str, Value<'a>),
    ) {
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in attributes.into_iter().flatten() {
            if name != PACKED_ATTRIBUTE || self.packed.is_none() {
                each(name, shown(value));
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

fn text(value: &MessageAttributeValue) -> &str {
    value.string_value.as_deref().unwrap_or_default()
}

/// Text and numbers show their characters, binary its bytes, anything else shows as empty.
fn shown(value: &MessageAttributeValue) -> Value<'_> {
    Value::Borrowed(match (&value.string_value, &value.binary_value) {
        (Some(text), _) => text.as_bytes(),
        (None, Some(blob)) => blob.as_ref(),
        (None, None) => &[],
    })
}
