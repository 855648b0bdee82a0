//! Spans and metrics of OpenTelemetry's SDK without a network between: services of one process, one graph.
//!
//! For tests of a single hop, where the [receiver](crate::otlp) would be more than is needed:
//!
//! ```
//! use opentelemetry::trace::{Tracer, TracerProvider};
//! use propagation_testkit::in_memory::InMemory;
//!
//! let memory = InMemory::new();
//! let (orders, billing) = (memory.provider("orders"), memory.provider("billing"));
//! orders.tracer("test").in_span("POST /orders", |_| {
//!     billing.tracer("test").in_span("charge", |_| ());
//! });
//! memory.graph().assert_continuous().assert_edge("POST /orders", "charge");
//! ```

mod metrics;

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::{Array, KeyValue, trace};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};

pub use metrics::InMemoryMetrics;

use crate::trace::{Attributes, Event, Link, Span, SpanId, SpanKind, Status, TraceGraph, TraceId, Value};

/// An exporter that keeps ended spans in memory. Clones share the spans; each serves one provider.
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    spans: Arc<Mutex<Vec<Arc<Span>>>>,
    resource: Arc<Attributes>,
}

impl InMemory {
    /// With no spans yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a provider for a service of this name, with the sampler `ParentBased(AlwaysOn)`.
    ///
    /// For another sampler or more of a resource, hand a clone to a provider's `with_simple_exporter`.
    #[must_use]
    pub fn provider(&self, service: &str) -> SdkTracerProvider {
        let resource = Resource::builder_empty().with_service_name(service.to_owned()).build();
        SdkTracerProvider::builder().with_resource(resource).with_simple_exporter(self.clone()).build()
    }

    /// All spans that have ended so far.
    #[must_use]
    pub fn graph(&self) -> TraceGraph {
        TraceGraph::new(self.spans.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned())
    }
}

impl SpanExporter for InMemory {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let ended = batch.into_iter().map(|span| Arc::new(read(span, &self.resource)));
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
        let done: Ready<OTelSdkResult> = ready(Ok(()));
        done
    }

    fn set_resource(&mut self, resource: &Resource) {
        let all = resource.iter().map(|(key, value)| (key.as_str().to_owned(), value_of(value.clone())));
        self.resource = Arc::new(all.collect());
    }
}

fn read(from: SpanData, resource: &Arc<Attributes>) -> Span {
    let context = &from.span_context;
    let mut span = Span::new(trace_id(context), span_id(context), from.name);
    span.parent =
        (from.parent_span_id != trace::SpanId::INVALID).then(|| SpanId::from_bytes(from.parent_span_id.to_bytes()));
    span.kind = match from.span_kind {
        trace::SpanKind::Client => SpanKind::Client,
        trace::SpanKind::Server => SpanKind::Server,
        trace::SpanKind::Producer => SpanKind::Producer,
        trace::SpanKind::Consumer => SpanKind::Consumer,
        trace::SpanKind::Internal => SpanKind::Internal,
    };
    (span.start, span.end) = (nanoseconds(from.start_time), nanoseconds(from.end_time));
    span.attributes = attributes(from.attributes);
    span.links = from.links.links.iter().map(link).collect();
    span.events = from.events.events.into_iter().map(event).collect();
    span.status = match from.status {
        trace::Status::Unset => Status::Unset,
        trace::Status::Ok => Status::Ok,
        trace::Status::Error { description } => Status::Error(description.into_owned()),
    };
    span.trace_state = context.trace_state().header();
    span.flags = Some(flags(context.trace_flags(), from.parent_span_is_remote));
    span.dropped = from.dropped_attributes_count + from.links.dropped_count + from.events.dropped_count;
    span.resource = Arc::clone(resource);
    span.scope = from.instrumentation_scope.name().to_owned();
    span
}

fn link(from: &trace::Link) -> Link {
    let context = &from.span_context;
    let mut link = Link::to(trace_id(context), span_id(context));
    link.trace_state = context.trace_state().header();
    link.flags = Some(flags(context.trace_flags(), context.is_remote()));
    link.attributes = attributes(from.attributes.clone());
    link
}

fn event(from: trace::Event) -> Event {
    let mut event = Event::new(from.name, nanoseconds(from.timestamp));
    event.attributes = attributes(from.attributes);
    event
}

/// OTLP span flags: bit 8 marks bit 9 as known.
fn flags(flags: trace::TraceFlags, remote: bool) -> u32 {
    u32::from(flags.to_u8()) | 0x100 | if remote { 0x200 } else { 0 }
}

fn trace_id(context: &trace::SpanContext) -> TraceId {
    TraceId::from_bytes(context.trace_id().to_bytes())
}

fn span_id(context: &trace::SpanContext) -> SpanId {
    SpanId::from_bytes(context.span_id().to_bytes())
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn attributes(from: Vec<KeyValue>) -> Attributes {
    from.into_iter().map(|pair| (pair.key.as_str().to_owned(), value_of(pair.value))).collect()
}

fn value_of(value: opentelemetry::Value) -> Value {
    match value {
        opentelemetry::Value::Bool(value) => value.into(),
        opentelemetry::Value::I64(value) => value.into(),
        opentelemetry::Value::F64(value) => value.into(),
        opentelemetry::Value::String(text) => text.as_str().into(),
        opentelemetry::Value::Array(Array::Bool(all)) => Value::Array(all.into_iter().map(Value::from).collect()),
        opentelemetry::Value::Array(Array::I64(all)) => Value::Array(all.into_iter().map(Value::from).collect()),
        opentelemetry::Value::Array(Array::F64(all)) => Value::Array(all.into_iter().map(Value::from).collect()),
        opentelemetry::Value::Array(Array::String(all)) => {
            Value::Array(all.iter().map(|text| Value::from(text.as_str())).collect())
        }
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider};

    use super::*;
    use crate::trace::{named, service};

    #[test]
    fn a_span_is_kept_as_it_was_made() {
        let memory = InMemory::new();
        let provider = memory.provider("orders");
        let tracer = provider.tracer("shop");
        let remote = trace::SpanContext::new(
            0xaa_u128.into(),
            0xbb_u64.into(),
            trace::TraceFlags::SAMPLED,
            true,
            trace::TraceState::from_key_value([("vendor", "x")]).unwrap(),
        );
        let parent = trace::TraceContextExt::with_remote_span_context(&opentelemetry::Context::new(), remote.clone());
        let made = SpanBuilder::from_name("send orders")
            .with_kind(trace::SpanKind::Producer)
            .with_attributes([
                KeyValue::new("count", 3),
                KeyValue::new("tags", opentelemetry::Value::Array(Array::Bool(vec![true]))),
            ])
            .with_links(vec![trace::Link::new(remote, vec![KeyValue::new("why", "test")], 0)]);
        let mut span = tracer.build_with_context(made, &parent);
        trace::Span::add_event(&mut span, "sent", vec![KeyValue::new("partition", 1)]);
        trace::Span::set_status(&mut span, trace::Status::error("no room"));
        trace::Span::end(&mut span);

        let graph = memory.graph();
        let span = graph.find(named("send orders")).next().unwrap();
        assert_eq!((span.service(), span.kind, span.scope.as_str()), ("orders", SpanKind::Producer, "shop"));
        assert_eq!(span.parent, Some(SpanId::from_bytes(0xbb_u64.to_be_bytes())));
        assert_eq!(
            (span.sampled(), span.parent_is_remote(), span.trace_state.as_str()),
            (Some(true), Some(true), "vendor=x")
        );
        assert_eq!(span.attribute("count"), Some(&Value::Int(3)));
        assert_eq!(span.attribute("tags"), Some(&Value::Array(vec![Value::Bool(true)])));
        assert_eq!(span.status, Status::Error("no room".to_owned()));
        assert_eq!((span.events[0].name.as_str(), span.events[0].attributes.len()), ("sent", 1));
        assert_eq!((Some(span.links[0].span_id), span.links[0].attributes.text("why")), (span.parent, Some("test")));
        assert!(span.start > 0 && span.end >= span.start);
        let local = tracer.start("a root of its own");
        drop(local);
        let root = memory.graph().find(service("orders").name("a root of its own")).next().unwrap().clone();
        assert_eq!((root.parent, root.parent_is_remote()), (None, Some(false)));
    }
}
