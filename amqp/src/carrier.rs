//! Headers of a message as a carrier.

use std::{collections::BTreeMap, mem};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use propagation_core::{
    Extract, FieldName, Inject, InjectionReport, OutgoingFields, RejectReason, TraceContext, Value, carrier::Field,
};

use crate::frame::{self, FrameLimit};

/// The headers of a received message.
///
/// Long strings, short strings and byte arrays read as their bytes, any other type as an empty value.
#[derive(Clone, Copy)]
pub struct PropertiesCarrier<'a>(&'a BasicProperties);

impl<'a> PropertiesCarrier<'a> {
    /// Creates a carrier of received properties.
    #[must_use]
    pub fn new(properties: &'a BasicProperties) -> Self {
        Self(properties)
    }
}

/// The properties of a message that is about to be published.
///
/// Writes long strings. Fields that do not fit into one frame are dropped, baggage first; then tracestate is truncated by whole members.
/// If even the ids do not fit, the properties are unchanged.
pub struct PropertiesCarrierMut<'a> {
    properties: &'a mut BasicProperties,
    limit: FrameLimit,
}

impl<'a> PropertiesCarrierMut<'a> {
    /// Creates a carrier of properties that are sent over a connection with this frame limit.
    #[must_use]
    pub fn new(properties: &'a mut BasicProperties, limit: impl Into<FrameLimit>) -> Self {
        Self { properties, limit: limit.into() }
    }
}

/// Prints no values: they may be personal data.
impl std::fmt::Debug for PropertiesCarrier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PropertiesCarrier").finish_non_exhaustive()
    }
}

/// Prints no values: they may be personal data.
impl std::fmt::Debug for PropertiesCarrierMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PropertiesCarrierMut").finish_non_exhaustive()
    }
}

fn bytes(value: &AMQPValue) -> Value<'_> {
    Value::Borrowed(match value {
        AMQPValue::LongString(text) => text.as_bytes(),
        AMQPValue::ShortString(text) => text.as_str().as_bytes(),
        AMQPValue::ByteArray(bytes) => bytes.as_slice(),
        _ => &[],
    })
}

impl Extract for PropertiesCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        let headers = self.0.headers().as_ref();
        if let Some(value) = headers.and_then(|headers| headers.inner().get(name.as_str())) {
            each(bytes(value));
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in self.0.headers().iter().flat_map(FieldTable::inner) {
            each(name.as_str(), bytes(value));
        }
    }
}

impl Extract for PropertiesCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        let headers = self.properties.headers().as_ref();
        if let Some(value) = headers.and_then(|headers| headers.inner().get(name.as_str())) {
            each(bytes(value));
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in self.properties.headers().iter().flat_map(FieldTable::inner) {
            each(name.as_str(), bytes(value));
        }
    }
}

impl Inject for PropertiesCarrierMut<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        let before: &BTreeMap<ShortString, AMQPValue> = match self.properties.headers() {
            Some(headers) => headers.inner(),
            None if fields.is_empty() => return InjectionReport::new(),
            None => &BTreeMap::new(),
        };
        // lapin's properties only give a copy of their table.
        if fields.is_empty() && !before.keys().any(|name| fields.contains(name.as_str())) {
            return InjectionReport::new();
        }
        let kept: BTreeMap<ShortString, AMQPValue> = before
            .iter()
            .filter(|(name, _)| !fields.contains(name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut table = FieldTable::from(kept);

        let mut room = self
            .limit
            .properties()
            .saturating_sub(frame::without_headers(self.properties))
            .saturating_sub(frame::table(&table));
        let cost = |field: &Field| frame::entry(field.name().as_str(), frame::long_string(field.value()));
        let mut fitting = fields.clone();
        let truncated = fitting.truncate_state(room, cost);
        let dropped = fitting.retain_fitting(|field| {
            let cost = cost(field);
            let fits = cost <= room;
            room -= if fits { cost } else { 0 };
            fits
        });
        if fitting.is_empty() && !fields.is_empty() {
            return InjectionReport::all_rejected(fields, RejectReason::TooLarge);
        }

        let mut report = InjectionReport::new();
        for field in fitting.iter() {
            let Ok(name) = ShortString::try_new(field.name().as_str()) else {
                report.record_rejected(field.name(), RejectReason::Unrepresentable);
                continue;
            };
            table.insert(name, AMQPValue::LongString(LongString::from(field.value())));
            report.record_written(field.name());
        }
        for name in truncated.iter().chain(&dropped) {
            report.record_rejected(name, RejectReason::TooLarge);
        }
        *self.properties = mem::take(self.properties).with_headers(table);
        report
    }
}
