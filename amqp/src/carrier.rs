//! Headers of a message as a carrier.

use std::{borrow::Cow, collections::BTreeMap, mem};

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
        let before = self.properties.headers().as_ref();
        let replaces = before.is_some_and(|headers| headers.inner().keys().any(|name| fields.contains(name.as_str())));
        if fields.is_empty() && !replaces {
            return InjectionReport::new();
        }
        // lapin's properties only give a copy of their table.
        let mut table = match before {
            Some(before) if replaces => without(fields, before),
            Some(before) => before.clone(),
            None => FieldTable::default(),
        };

        let room = self
            .limit
            .properties()
            .saturating_sub(frame::without_headers(self.properties))
            .saturating_sub(frame::table(&table));
        let cost = |field: &Field| frame::entry(field.name().as_str(), frame::long_string(field.value()));
        let (fitting, shortened) = within(fields, room, cost);
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
        for name in &shortened {
            report.record_rejected(name, RejectReason::TooLarge);
        }
        *self.properties = mem::take(self.properties).with_headers(table);
        report
    }
}

/// Returns a copy of a table without propagation fields.
fn without(fields: &OutgoingFields<'_>, table: &FieldTable) -> FieldTable {
    let kept = table.inner().iter().filter(|(name, _)| !fields.contains(name.as_str()));
    let kept: BTreeMap<ShortString, AMQPValue> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    kept.into()
}

/// Returns the fields that fit into `room` bytes, and the names of those that were truncated or dropped.
fn within<'f, 'n>(
    fields: &'f OutgoingFields<'n>,
    mut room: usize,
    cost: impl Fn(&Field) -> usize,
) -> (Cow<'f, OutgoingFields<'n>>, Vec<FieldName>) {
    if fields.iter().map(&cost).fold(0, usize::saturating_add) <= room {
        return (Cow::Borrowed(fields), Vec::new());
    }
    let mut fitting = fields.clone();
    let mut shortened = Vec::from_iter(fitting.truncate_state(room, &cost));
    shortened.extend(fitting.retain_fitting(|field| {
        let cost = cost(field);
        let fits = cost <= room;
        room -= if fits { cost } else { 0 };
        fits
    }));
    (Cow::Owned(fitting), shortened)
}
