#[cfg(feature = "sdk")]
use opentelemetry::trace::SpanContext;
use opentelemetry::{
    Context,
    trace::{SpanId, TraceId},
};

use propagation_core::{SamplingDecision, TraceContext};

/// A caller's sampling decision that the sampled flag cannot express: deferred, debug, a priority, or a decision without ids. Kept in the
/// context that samplers receive.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "sdk"), expect(dead_code, reason = "read by our samplers"))]
pub(crate) struct Caller {
    /// The parent that this is about; `None` where the caller names no trace.
    parent: Option<(TraceId, SpanId)>,
    sampling: SamplingDecision,
}

impl Caller {
    /// Leaves it in a context whose span is the parent that `trace` names.
    pub(crate) fn note(trace: &TraceContext, context: Context) -> Context {
        let flag_suffices = match trace.sampling {
            // A root trace-id has no parent whose flag samplers could see.
            SamplingDecision::Drop => trace.root_trace_id().is_none(),
            SamplingDecision::Sample => trace.has_ids(),
            SamplingDecision::Defer => !trace.has_ids(),
            _ => false,
        };
        // A value that an outer hop has left must not apply to this one.
        if flag_suffices && context.get::<Self>().is_none() {
            return context;
        }
        let ids = trace.trace_id().zip(trace.span_id());
        let parent = ids.map(|(trace_id, span_id)| {
            (TraceId::from_bytes(trace_id.to_bytes()), SpanId::from_bytes(span_id.to_bytes()))
        });
        context.with_value(Self { parent, sampling: trace.sampling })
    }

    /// Returns the decision for a new span with this parent. Contexts are inherited, but only debug with them: the parent of the next span
    /// has its own decision.
    #[cfg(feature = "sdk")]
    pub(crate) fn decision_for(
        context: &Context,
        trace_id: TraceId,
        parent: Option<&SpanContext>,
    ) -> Option<SamplingDecision> {
        let found = context.get::<Self>()?;
        let direct = found.parent.map(|(_, span_id)| span_id) == parent.map(SpanContext::span_id);
        let inherited =
            found.sampling == SamplingDecision::Debug && found.parent.is_none_or(|(of_trace, _)| of_trace == trace_id);
        (direct || inherited).then_some(found.sampling)
    }
}
