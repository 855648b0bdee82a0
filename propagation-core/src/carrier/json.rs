//! Objects of `serde_json`: MCP's `_meta`, CloudEvents, job payloads.

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::{Extract, FieldName, Inject, InjectionReport, OutgoingFields, TraceContext, Value};

/// A received JSON object, such as `_meta` of an MCP request or the attributes of a CloudEvent.
///
/// A member of any other type than string reads as an empty value, so that it is rejected and counted. `null` reads as absent.
///
/// ```
/// use propagation_core::{Peer, Propagator, carrier::{JsonCarrier, JsonCarrierMut}};
/// use serde_json::json;
///
/// let propagator = Propagator::default();
/// let mut request = json!({"method": "tools/call", "params": {"name": "quote", "_meta": {}}});
/// if let Some(meta) = request["params"]["_meta"].as_object_mut() {
///     propagator.inject(&Peer::process("quotes"), &propagator.current(), &mut JsonCarrierMut::new(meta));
/// }
/// if let Some(meta) = request["params"]["_meta"].as_object() {
///     let admission = propagator.extract(&Peer::process("agent"), &JsonCarrier::new(meta));
/// }
/// ```
#[derive(Clone, Copy)]
pub struct JsonCarrier<'a>(&'a Map<String, Json>);

impl<'a> JsonCarrier<'a> {
    /// Creates a carrier of a received object.
    #[must_use]
    pub fn new(object: &'a Map<String, Json>) -> Self {
        Self(object)
    }
}

/// Prints no values: they may be personal data.
impl fmt::Debug for JsonCarrier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonCarrier").finish_non_exhaustive()
    }
}

/// A JSON object to inject into. Keeps all other members.
pub struct JsonCarrierMut<'a>(&'a mut Map<String, Json>);

impl<'a> JsonCarrierMut<'a> {
    /// Creates a carrier of an object that is about to be sent or stored.
    #[must_use]
    pub fn new(object: &'a mut Map<String, Json>) -> Self {
        Self(object)
    }
}

/// Prints no values: they may be personal data.
impl fmt::Debug for JsonCarrierMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonCarrierMut").finish_non_exhaustive()
    }
}

fn visit<'a>(object: &'a Map<String, Json>, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
    if let Some(value) = object.get(name.as_str()).filter(|value| !value.is_null()) {
        each(bytes(value));
    }
}

fn visit_all<'a>(object: &'a Map<String, Json>, each: &mut dyn FnMut(&'a str, Value<'a>)) {
    for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        each(name, bytes(value));
    }
}

fn bytes(value: &Json) -> Value<'_> {
    Value::Borrowed(value.as_str().unwrap_or_default().as_bytes())
}

impl Extract for JsonCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit(self.0, name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.0, each);
    }
}

impl Extract for JsonCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit(self.0, name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.0, each);
    }
}

impl Inject for JsonCarrierMut<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        self.0.retain(|name, _| !fields.contains(name));
        for field in fields.iter() {
            self.0.insert(field.name().as_str().to_owned(), Json::from(field.value_str()));
        }
        InjectionReport::all_written(fields)
    }
}
