//! Between our types and those of the `opentelemetry` API.

use std::{
    borrow::Cow,
    hash::{BuildHasher, Hasher, RandomState},
};

use opentelemetry::{
    Array, Context, Key, KeyValue, StringValue, Value,
    baggage::{Baggage as OtelBaggage, BaggageExt, BaggageMetadata},
    trace::{self as otel, SpanContext, SpanKind as OtelKind},
};

use propagation_core::{
    Attribute, AttributeValue, Baggage, Link, SamplingDecision, SpanId, SpanKind, TraceContext, TraceFlags, TraceId,
    TraceParent, TraceState,
};

pub(crate) fn kind(kind: SpanKind) -> OtelKind {
    match kind {
        SpanKind::Server => OtelKind::Server,
        SpanKind::Client => OtelKind::Client,
        SpanKind::Producer => OtelKind::Producer,
        SpanKind::Consumer => OtelKind::Consumer,
        SpanKind::Internal => OtelKind::Internal,
    }
}

pub(crate) fn attribute(attribute: Attribute) -> KeyValue {
    // Almost all keys are those of the conventions.
    let key = match attribute.key {
        Cow::Borrowed(key) => Key::from_static_str(key),
        Cow::Owned(key) => Key::from(key),
    };
    let value = match attribute.value {
        AttributeValue::Text(text) => Value::String(StringValue::from(text)),
        AttributeValue::Int(number) => Value::I64(number),
        AttributeValue::Float(number) => Value::F64(number),
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::Texts(texts) => Value::Array(Array::String(texts.into_iter().map(StringValue::from).collect())),
        // A kind of value that a later core adds: an empty attribute shows that it was there.
        _ => Value::String(StringValue::from("")),
    };
    KeyValue::new(key, value)
}

/// The parent of a root span whose trace-id came without a parent-id: it has that trace-id and no span-id. The SDK makes a root span of it,
/// and samplers see the caller's decision and tracestate. `None` where they would see neither.
pub(crate) fn root_context(trace: &TraceContext, remote: bool) -> Option<SpanContext> {
    let trace_id = trace.root_trace_id()?;
    if trace.sampling.decided().is_none() && trace.state.is_empty() {
        return None;
    }
    let sampled = trace.sampling.decided().unwrap_or(true);
    Some(SpanContext::new(
        otel::TraceId::from_bytes(trace_id.to_bytes()),
        otel::SpanId::INVALID,
        otel::TraceFlags::new(TraceFlags::NONE.with_sampled(sampled).to_byte()),
        remote,
        state_into(&trace.state),
    ))
}

/// A span context of these ids; `None` without ids.
pub(crate) fn span_context(trace: &TraceContext, remote: bool) -> Option<SpanContext> {
    let parent = trace.parent?;
    // Where nothing is decided yet, the decision is ours: a stock parent-based sampler would read the unset flag as a no.
    let sampled = trace.sampling.decided().unwrap_or(true);
    Some(SpanContext::new(
        otel::TraceId::from_bytes(parent.trace_id.to_bytes()),
        otel::SpanId::from_bytes(parent.span_id.to_bytes()),
        otel::TraceFlags::new(parent.flags.with_sampled(sampled).to_byte()),
        remote,
        state_into(&trace.state),
    ))
}

/// Converts a link with its attributes. Returns `None` without ids.
///
/// A link to the span's `parent` takes the context that the parent was `converted` to.
pub(crate) fn link(link: Link, parent: &TraceContext, converted: &SpanContext) -> Option<otel::Link> {
    let is_parent = converted.is_remote() && link.trace.sampling.decided().is_some() && link.trace == *parent;
    let context = if is_parent { converted.clone() } else { linked(&link.trace)? };
    let attributes = link.attributes.into_iter().map(attribute).collect();
    Some(otel::Link::new(context, attributes, 0))
}

/// Converts the trace of a link. It is sampled only if a trusted caller has decided so: a sampler that reads links must not keep spans for
/// an outsider.
fn linked(trace: &TraceContext) -> Option<SpanContext> {
    let sampling = if trace.sampling.decided().is_some() { trace.sampling } else { SamplingDecision::Drop };
    span_context(&trace.clone().with_sampling(sampling), true)
}

/// A remote parent that says no: for a caller who denies sampling and names no trace (`b3: 0`). Parent-based samplers follow it, and
/// what goes on has ids, without which other formats could not say so. Nothing is recorded, so nothing refers to the parent.
pub(crate) fn denied(trace: &TraceContext) -> Option<SpanContext> {
    if trace.trace_id().is_some() || trace.sampling.decided() != Some(false) {
        return None;
    }
    // Never zero: one time in 2⁶⁴ an id is a little less random.
    let random = || RandomState::new().build_hasher().finish().max(1);
    let trace_id = otel::TraceId::from(u128::from(random()) << 64 | u128::from(random()));
    let span_id = otel::SpanId::from(random());
    Some(SpanContext::new(trace_id, span_id, otel::TraceFlags::NOT_SAMPLED, true, otel::TraceState::NONE))
}

/// Converts a span context. OpenTelemetry's types hold no tracestate as received, finer sampling decision or random flag: they come
/// from the parent. `given` is the tracestate of the parent in OpenTelemetry's type, if it is at hand.
pub(crate) fn trace_context(
    span: &SpanContext,
    parent: Option<&TraceContext>,
    given: Option<&otel::TraceState>,
    random_flag: bool,
) -> TraceContext {
    let ids = TraceId::from_bytes(span.trace_id().to_bytes()).zip(SpanId::from_bytes(span.span_id().to_bytes()));
    let Some((trace_id, span_id)) = ids else { return TraceContext::EMPTY };
    // A decision without ids is the parent's, too: debug goes on.
    let parent = parent.filter(|parent| parent.trace_id().is_none_or(|id| id == trace_id));
    let flags = TraceFlags::from_byte(span.trace_flags().to_u8());
    // A trace-id that came without flags is not known to be random.
    let random = parent
        .filter(|parent| parent.trace_id().is_some())
        .map_or(random_flag || flags.is_random(), |parent| parent.flags().is_random());
    let sampled = span.is_sampled();
    let kept = parent.filter(|parent| parent.sampling.decided() == Some(sampled));

    // A parent without ids is converted to none: its tracestate was not given to the span.
    let given = given.filter(|_| parent.is_some_and(|parent| parent.trace_id().is_some()));
    let mut state = match parent {
        Some(parent) => state_from(span.trace_state(), given, &parent.state),
        None => parsed(span.trace_state()),
    };
    if let Some(parent) = parent
        && kept.is_none()
        && state.ot("th") == parent.state.ot("th")
    {
        state.erase_threshold();
    }
    let sampling = kept.map_or(SamplingDecision::from_sampled(sampled), |parent| parent.sampling);
    let parent = TraceParent { trace_id, span_id, flags: flags.with_random(random) };
    TraceContext::new(parent).with_sampling(sampling).with_state(state)
}

/// Returns the tracestate of a span: the parent's `own` as it was received, unless a sampler has changed it.
///
/// `given` is the parent's tracestate as OpenTelemetry has it. It is more than what `own` converts to where a threshold was erased.
fn state_from(found: &otel::TraceState, given: Option<&otel::TraceState>, own: &TraceState) -> TraceState {
    match given {
        Some(given) if given == found => own.clone(),
        Some(given) => changed(found, given, own),
        None if is_written_as(found, own.as_bytes()) => own.clone(),
        None => {
            let given = state_into(own);
            if given == *found { own.clone() } else { changed(found, &given, own) }
        }
    }
}

/// Returns the tracestate of a span whose sampler has changed the one that it was given.
fn changed(found: &otel::TraceState, given: &otel::TraceState, own: &TraceState) -> TraceState {
    if own.iter().all(|(key, _)| given.get(key).is_some()) {
        return parsed(found);
    }
    // OpenTelemetry's type refuses some keys of Level 2; what it was given in their place a sampler has changed.
    let mut state = own.clone();
    state.retain(|key| given.get(key).is_none());
    let members: Vec<_> = found.into_iter().collect();
    for (key, value) in members.into_iter().rev() {
        let _ = state.set(key, value);
    }
    state
}

/// Parses a tracestate of OpenTelemetry's. Returns an empty one if it is not valid.
fn parsed(state: &otel::TraceState) -> TraceState {
    let mut text = Vec::with_capacity(256);
    for (key, value) in state {
        if !text.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(key.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
    }
    TraceState::parse(&text).unwrap_or_default()
}

/// Returns true if a list is written as this text. Makes no text of it.
fn is_written_as(state: &otel::TraceState, text: &[u8]) -> bool {
    let mut rest = Some(text);
    for (index, (key, value)) in state.into_iter().enumerate() {
        rest = rest
            .and_then(|rest| if index == 0 { Some(rest) } else { rest.strip_prefix(b",") })
            .and_then(|rest| rest.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?.strip_prefix(value.as_bytes()));
    }
    rest.is_some_and(<[u8]>::is_empty)
}

/// Converts a tracestate. If OpenTelemetry's type rejects a key, only the member that samplers read (`ot`) is kept.
fn state_into(state: &TraceState) -> otel::TraceState {
    if state.is_empty() {
        return otel::TraceState::NONE;
    }
    otel::TraceState::from_key_value(state.iter())
        .or_else(|_| otel::TraceState::from_key_value(state.get("ot").map(|member| ("ot", member))))
        .unwrap_or_default()
}

/// Attaches our baggage, so that user code can read it through OpenTelemetry's API.
pub(crate) fn baggage_into(baggage: &Baggage, context: Context) -> Context {
    if baggage.is_empty() && context.baggage().is_empty() {
        return context;
    }
    let mut members = OtelBaggage::new();
    for (key, value, properties) in baggage.entries() {
        let metadata = if properties.is_empty() { BaggageMetadata::default() } else { properties.into() };
        members.insert_with_metadata(key.to_owned(), value.into_owned(), metadata);
    }
    context.with_baggage(members)
}

/// Converts the baggage that is set through OpenTelemetry's API.
pub(crate) fn baggage_from(members: &OtelBaggage) -> Baggage {
    let mut members: Vec<_> =
        members.iter().map(|(key, (value, metadata))| (key.as_str(), value.as_str(), metadata.as_str())).collect();
    // The map has no order, and the list should not have another one each time.
    members.sort_unstable();
    members.into_iter().collect()
}
