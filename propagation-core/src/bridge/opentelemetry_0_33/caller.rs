use opentelemetry::{Context, trace::SpanId};

use crate::{Sampling, TraceContext};

/// What a caller has decided about sampling, where the sampled flag that samplers see can't say it: nothing yet, debug, a priority, or a
/// decision without ids. In the context that samplers get.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "opentelemetry-sdk-0-33"), expect(dead_code, reason = "read by our samplers"))]
pub(crate) struct Caller {
    /// The parent that this is about: contexts are handed down to spans whose parent is another. `None` where there is no parent.
    pub(crate) span_id: Option<SpanId>,
    pub(crate) sampling: Sampling,
}

impl Caller {
    /// Leaves it in a context whose span is the parent that `trace` names.
    pub(in crate::bridge) fn note(trace: &TraceContext, context: Context) -> Context {
        let told = match trace.sampling {
            Sampling::Drop => true,
            Sampling::Sample => trace.has_ids(),
            Sampling::Defer => !trace.has_ids(),
            Sampling::Debug | Sampling::Priority(_) => false,
        };
        if told {
            return context;
        }
        let span_id = trace.span_id().map(|id| SpanId::from_bytes(id.to_bytes()));
        context.with_value(Self { span_id, sampling: trace.sampling })
    }
}
