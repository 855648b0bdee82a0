//! The context of a hop as one value in OpenTelemetry's context.

#[cfg(feature = "sdk")]
use std::borrow::Cow;
use std::{fmt, sync::OnceLock};

use opentelemetry::{
    Context,
    baggage::{Baggage as OtelBaggage, BaggageExt},
    trace::{SpanContext, TraceContextExt},
};

use propagation_core::{
    Baggage, Hop, PropagationContext, SpanId, TraceContext,
    bridge::{CurrentHop, HopId},
};

use super::{
    convert::{baggage_from, baggage_into, trace_context},
    opentelemetry::Parent,
};

/// The context of a hop, in the OpenTelemetry context that its code runs in.
///
/// Outgoing calls carry it without a conversion. Changes that user code makes through OpenTelemetry's API are detected by comparison: the
/// current span is another one, or the baggage map is not the one that the bridge left there.
pub(crate) struct Carried {
    id: HopId,
    baggage: Baggage,
    /// Whether OpenTelemetry's map holds the baggage.
    mirrored: bool,
    /// A context with OpenTelemetry's map of the hop. Maps are compared by address, so it must live. `None` for an empty map.
    map: Option<Context>,
    /// The trace of the hop, once its span has started.
    trace: OnceLock<TraceContext>,
    /// The `tracing` span of the hop.
    #[cfg(feature = "tracing")]
    span: OnceLock<tracing::span::Id>,
}

impl Carried {
    /// Adds the context of a hop to the one that its span starts in. `mirror` copies the baggage into OpenTelemetry's map.
    ///
    /// The map of another hop is removed. `inherits` is true for the context of the hop's parent, whose map user code may have set.
    pub(super) fn add(parent: Parent<'_>, context: Context, inherits: bool, mirror: bool) -> Context {
        let baggage = &parent.context.baggage;
        let outer = context.get::<Self>().filter(|outer| outer.has_map_of(&context));
        let context = if mirror {
            let held = outer.is_some_and(|outer| outer.mirrored && outer.baggage == *baggage);
            if held { context } else { baggage_into(baggage, context) }
        } else if inherits || context.baggage().is_empty() {
            context
        } else {
            context.with_baggage(OtelBaggage::new())
        };
        let map = if context.baggage().is_empty() {
            None
        } else {
            let outer = context.get::<Self>().filter(|outer| outer.has_map_of(&context));
            // Without the span of a parent in this process, which must not live longer for it.
            let holder =
                || if inherits { context.with_remote_span_context(SpanContext::NONE) } else { context.clone() };
            Some(outer.and_then(|outer| outer.map.clone()).unwrap_or_else(holder))
        };
        context.with_value(Self {
            id: parent.id,
            baggage: baggage.clone(),
            mirrored: mirror,
            map,
            trace: OnceLock::new(),
            #[cfg(feature = "tracing")]
            span: OnceLock::new(),
        })
    }

    /// Detaches what a hop has received from the message, whose bytes must not live as long as OpenTelemetry's contexts.
    pub(super) fn detach(hop: &mut Hop) {
        let parent = &mut hop.parent;
        let has_lists = !parent.baggage.is_empty() || !parent.trace.state.is_empty();
        if has_lists && !hop.local {
            *parent = parent.detach();
        }
    }

    /// Adds the trace that the hop goes on in.
    pub(super) fn set_trace(context: &Context, trace: &TraceContext) {
        if let Some(carried) = context.get::<Self>() {
            let _ = carried.trace.set(trace.clone());
        }
    }

    /// Adds the `tracing` span of the hop.
    #[cfg(feature = "tracing")]
    pub(super) fn set_span(context: &Context, span: &tracing::Span) {
        if let Some((carried, id)) = context.get::<Self>().zip(span.id()) {
            let _ = carried.span.set(id);
        }
    }

    /// Returns true if the current `tracing` span is that of a hop, and the context is inside of it.
    #[cfg(feature = "tracing")]
    pub(super) fn is_entered(context: &Context, id: HopId) -> bool {
        let carried = context.get::<Self>().filter(|carried| carried.id == id);
        let span = carried.and_then(|carried| carried.span.get());
        span.is_some_and(|span| tracing::dispatcher::get_default(|dispatch| dispatch.current_span().id() == Some(span)))
    }

    /// Returns true if a context is inside of a hop.
    pub(super) fn is_inside(context: &Context, id: HopId) -> bool {
        context.get::<Self>().is_some_and(|carried| carried.id == id)
    }

    /// Returns the baggage member of a key, from the hop or from OpenTelemetry's map.
    #[cfg(feature = "sdk")]
    pub(crate) fn member<'a>(context: &'a Context, key: &str) -> Option<Cow<'a, str>> {
        let carried = context.get::<Self>();
        let set =
            if carried.is_some_and(|carried| carried.has_map_of(context)) { None } else { context.baggage().get(key) };
        let own = || carried.filter(|carried| !carried.mirrored || carried.has_map_of(context))?.baggage.get(key);
        set.map(|value| Cow::Borrowed(value.as_str())).or_else(own)
    }

    /// Returns the baggage that applies in a context: the hop's, with the changes of user code.
    pub(crate) fn baggage_of(context: &Context) -> Baggage {
        let Some(carried) = context.get::<Self>() else { return baggage_from(context.baggage()) };
        if carried.has_map_of(context) {
            return carried.baggage.clone();
        }
        let set = baggage_from(context.baggage());
        if carried.mirrored {
            return set;
        }
        let mut baggage = carried.baggage.clone();
        baggage.update(&set);
        baggage
    }

    /// Returns the context that applies in a context of OpenTelemetry's.
    ///
    /// `None` if no span is current, or if the innermost hop's own context applies unchanged.
    pub(super) fn current_in(
        context: &Context,
        innermost: Option<CurrentHop<'_>>,
        random_flag: bool,
    ) -> Option<PropagationContext> {
        let carried = context.get::<Self>();
        let inside = innermost.is_none_or(|hop| carried.is_some_and(|carried| carried.id == hop.id));
        if !inside || !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let span = span.span_context();
        let is_of = |trace: &&TraceContext| is_span(span, trace.span_id());
        let trace = innermost.map(|hop| hop.trace).or_else(|| carried?.trace.get());
        let own = trace.filter(is_of);
        if innermost.is_some() && own.is_some() && carried.is_some_and(|carried| carried.has_map_of(context)) {
            return None;
        }
        let trace = own.cloned().unwrap_or_else(|| trace_context(span, trace, None, random_flag));
        trace.has_ids().then(|| PropagationContext::new(trace).with_baggage(Self::baggage_of(context)))
    }

    /// Returns true if a context is that of a hop, with the same span and baggage.
    #[cfg(feature = "tracing")]
    pub(super) fn is_same(current: &Context, own: &Context) -> bool {
        let Some(carried) = current.get::<Self>() else { return false };
        let (current_span, own_span) = (current.span(), own.span());
        std::ptr::eq(current_span.span_context(), own_span.span_context())
            && own.get::<Self>().is_some_and(|own| std::ptr::eq(own, carried))
            && carried.has_map_of(current)
    }

    /// Returns the baggage that user code has changed through OpenTelemetry's API.
    #[cfg(feature = "tracing")]
    pub(super) fn changed_baggage(context: &Context) -> Option<Baggage> {
        let unchanged = match context.get::<Self>() {
            Some(carried) => carried.has_map_of(context),
            None => context.baggage().is_empty(),
        };
        (!unchanged).then(|| Self::baggage_of(context))
    }

    /// Returns true if the map of a context is the one that the bridge left.
    fn has_map_of(&self, context: &Context) -> bool {
        match &self.map {
            Some(map) => std::ptr::eq(map.baggage(), context.baggage()),
            None => context.baggage().is_empty(),
        }
    }
}

/// Prints no baggage.
impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Returns true if a span context has this span-id.
pub(super) fn is_span(span: &SpanContext, id: Option<SpanId>) -> bool {
    id.is_some_and(|id| span.span_id().to_bytes() == id.to_bytes())
}
