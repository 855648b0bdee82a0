use std::{collections::BTreeMap, fmt};

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use propagation_core::{
    Extract, FieldName, Inject, InjectionReport, OutgoingFields, RejectReason, TraceContext, Value,
    carrier::{Field, FieldPriority},
    format::XRayFormat,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

use super::TRACE_HEADER;
use crate::SizeLimit;

/// An event that is about to be put on a bus of EventBridge.
///
/// Writes members of `detail`, after the event's own, which keep their order and their exact text. If `detail` is not an object, or has no
/// room, the ids go into `TraceHeader`.
pub struct EventCarrierMut<'a> {
    entry: &'a mut PutEventsRequestEntry,
    /// The members of `detail` that are text.
    texts: BTreeMap<String, String>,
    limit: SizeLimit,
}

/// Prints no values: they may be personal data.
impl fmt::Debug for EventCarrierMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventCarrierMut").finish_non_exhaustive()
    }
}

impl<'a> EventCarrierMut<'a> {
    /// Creates a carrier of an event that is sent alone or in a request of several.
    #[must_use]
    pub fn new(entry: &'a mut PutEventsRequestEntry, limit: SizeLimit) -> Self {
        let texts = texts(&detail(entry));
        Self { entry, texts, limit }
    }
}

/// Returns the size of an event in bytes, as EventBridge counts it.
pub(crate) fn size(entry: &PutEventsRequestEntry) -> usize {
    let texts = [&entry.source, &entry.detail_type, &entry.detail];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let resources: usize = entry.resources.iter().flatten().map(String::len).sum();
    texts + resources + if entry.time.is_some() { 14 } else { 0 }
}

/// Returns the size of an event without the fields that an injection replaces.
pub(crate) fn kept_size(entry: &PutEventsRequestEntry, is_ours: impl Fn(&str) -> bool) -> usize {
    let members = detail(entry).map(|detail| detail.0).unwrap_or_default();
    let removed = members.iter().filter(|(name, _)| is_ours(name));
    size(entry).saturating_sub(removed.map(|(name, value)| cost(name.len(), value.get().len())).sum())
}

/// Returns the size of a member: quotation marks, colon and comma included.
fn cost(name: usize, value: usize) -> usize {
    name + value + 4
}

fn detail(entry: &PutEventsRequestEntry) -> Option<Detail> {
    serde_json::from_str(entry.detail.as_deref()?).ok()
}

fn texts(detail: &Option<Detail>) -> BTreeMap<String, String> {
    let members = detail.iter().flat_map(|detail| &detail.0).filter(|(_, value)| value.get() != "null");
    // A member of another type reads as an empty value, so that it is rejected and counted.
    members.map(|(name, value)| (name.clone(), serde_json::from_str(value.get()).unwrap_or_default())).collect()
}

impl Extract for EventCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        if let Some(value) = self.texts.get(name.as_str()) {
            each(Value::Borrowed(value.as_bytes()));
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in &self.texts {
            each(name, Value::Borrowed(value.as_bytes()));
        }
    }
}

impl Inject for EventCarrierMut<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, trace: &TraceContext) -> InjectionReport {
        let mut report = InjectionReport::new();
        let detail = detail(self.entry);
        let own = kept_size(self.entry, |name| fields.contains(name));
        let mut room = if detail.is_some() { self.limit.for_own_size(own).saturating_sub(own) } else { 0 };
        // Values are visible ASCII, of which JSON escapes quotation marks and backslashes.
        let cost = |field: &Field| {
            let escapes = field.value().iter().filter(|byte| matches!(byte, b'"' | b'\\' | b'\t')).count();
            cost(field.name().as_str().len(), field.value().len() + escapes + 2)
        };
        let mut fitting = fields.clone();
        let truncated = fitting.truncate_state(room, cost);
        let dropped = fitting.retain_fitting(|field| {
            let cost = cost(field);
            let fits = field.name().as_str() != TRACE_HEADER && cost <= room;
            room -= if fits { cost } else { 0 };
            fits
        });
        let ids_written = fitting.iter().any(|field| field.priority() == FieldPriority::Ids);
        let in_header = self.settle_header(fields, trace, ids_written);
        for name in truncated.iter().chain(&dropped) {
            if !(in_header && fields.iter().any(|field| field.name() == name && is_id(field))) {
                let reason = if detail.is_some() { RejectReason::TooLarge } else { RejectReason::Unrepresentable };
                report.record_rejected(name, reason);
            }
        }
        if let Some(mut detail) = detail {
            detail.0.retain(|(name, _)| !fields.contains(name));
            for field in fitting.iter() {
                if let Ok(value) = serde_json::value::to_raw_value(field.value_str()) {
                    detail.0.push((field.name().as_str().to_owned(), value));
                    report.record_written(field.name());
                }
            }
            if let Ok(text) = serde_json::to_string(&detail) {
                self.texts = texts(&Some(detail));
                self.entry.detail = Some(text);
            }
        }
        if in_header {
            report.record_derived("TraceHeader");
        }
        report
    }
}

fn is_id(field: &Field) -> bool {
    field.priority() == FieldPriority::Ids
}

impl EventCarrierMut<'_> {
    /// Makes `TraceHeader` agree with the written fields. Returns `true` if it carries the ids.
    fn settle_header(&mut self, fields: &OutgoingFields<'_>, trace: &TraceContext, ids_written: bool) -> bool {
        let own = fields.iter().find(|field| field.name().as_str() == TRACE_HEADER);
        let needed = fields.iter().any(is_id) && (self.entry.trace_header.is_some() || !ids_written);
        self.entry.trace_header = match (own, trace.parent_to_write()) {
            (Some(field), _) => Some(field.value_str().to_owned()),
            (None, Some(parent)) if needed => {
                XRayFormat::format(&TraceContext::new(parent).with_sampling(trace.sampling))
            }
            _ => None,
        };
        self.entry.trace_header.is_some()
    }
}

/// An object with its members in order and their exact texts: numbers of a payload keep all their digits.
struct Detail(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Detail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Detail;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Detail, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Detail(members))
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
