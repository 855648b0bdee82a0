//! From the messages of OTLP to plain spans.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as proto;

use crate::trace::{Attributes, Event, Link, Span, SpanId, SpanKind, Status, TraceId, Value};

/// Deeper values are cut off: nothing sane nests deeper, and reading must not use up the stack.
const DEEPEST: usize = 16;

/// All spans of a request, and how many of them were refused for ids of a wrong length.
pub(super) fn spans(request: ExportTraceServiceRequest) -> (Vec<Span>, usize) {
    let mut spans = Vec::new();
    let mut refused = 0;
    for resource_spans in request.resource_spans {
        let resource =
            Arc::new(attributes(resource_spans.resource.map(|resource| resource.attributes).unwrap_or_default()));
        for scope_spans in resource_spans.scope_spans {
            let scope = scope_spans.scope.map(|scope| scope.name).unwrap_or_default();
            for received in scope_spans.spans {
                match span(received, &resource, &scope) {
                    Some(span) => spans.push(span),
                    None => refused += 1,
                }
            }
        }
    }
    (spans, refused)
}

fn span(from: proto::Span, resource: &Arc<Attributes>, scope: &str) -> Option<Span> {
    let mut span = Span::new(TraceId::from_slice(&from.trace_id)?, SpanId::from_slice(&from.span_id)?, from.name);
    span.parent = match from.parent_span_id.as_slice() {
        [] => None,
        bytes => Some(SpanId::from_slice(bytes)?),
    };
    span.kind = match from.kind {
        1 => SpanKind::Internal,
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Unspecified,
    };
    span.start = from.start_time_unix_nano;
    span.end = from.end_time_unix_nano;
    span.attributes = attributes(from.attributes);
    span.links = from.links.into_iter().map(link).collect::<Option<_>>()?;
    span.events = from.events.into_iter().map(event).collect();
    span.status = match from.status {
        Some(status) if status.code == 1 => Status::Ok,
        Some(status) if status.code == 2 => Status::Error(status.message),
        _ => Status::Unset,
    };
    span.trace_state = from.trace_state;
    span.flags = flags(from.flags);
    span.dropped = from
        .dropped_attributes_count
        .saturating_add(from.dropped_events_count)
        .saturating_add(from.dropped_links_count);
    span.resource = resource.clone();
    scope.clone_into(&mut span.scope);
    Some(span)
}

/// Exporters older than the field send zero, and so would one for an unsampled span without the bits on remoteness: zero
/// means unknown.
fn flags(flags: u32) -> Option<u32> {
    (flags != 0).then_some(flags)
}

fn link(from: proto::span::Link) -> Option<Link> {
    let mut link = Link::to(TraceId::from_slice(&from.trace_id)?, SpanId::from_slice(&from.span_id)?);
    link.trace_state = from.trace_state;
    link.flags = flags(from.flags);
    link.attributes = attributes(from.attributes);
    Some(link)
}

fn event(from: proto::span::Event) -> Event {
    let mut event = Event::new(from.name, from.time_unix_nano);
    event.attributes = attributes(from.attributes);
    event
}

pub(super) fn attributes(from: Vec<KeyValue>) -> Attributes {
    pairs(from, 0)
}

fn pairs(from: Vec<KeyValue>, depth: usize) -> Attributes {
    from.into_iter().map(|pair| (pair.key, value(pair.value, depth))).collect()
}

pub(super) fn value(from: Option<AnyValue>, depth: usize) -> Value {
    let Some(value_of) = from.and_then(|value| value.value) else { return Value::Empty };
    match value_of {
        any_value::Value::StringValue(text) => Value::String(text),
        any_value::Value::BoolValue(truth) => Value::Bool(truth),
        any_value::Value::IntValue(number) => Value::Int(number),
        any_value::Value::DoubleValue(number) => Value::Double(number),
        any_value::Value::BytesValue(bytes) => Value::Bytes(bytes),
        any_value::Value::ArrayValue(list) if depth < DEEPEST => {
            Value::Array(list.values.into_iter().map(|member| value(Some(member), depth + 1)).collect())
        }
        any_value::Value::KvlistValue(list) if depth < DEEPEST => Value::Map(pairs(list.values, depth + 1)),
        _ => Value::Empty,
    }
}
