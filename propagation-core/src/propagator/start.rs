//! Starts hops, and continues in a context without a span.

use crate::{
    Hop, HopSpan, PropagationContext, Propagator,
    bridge::Continued,
    hop::{
        self, HopId, gate, names,
        thread_end::{self, Access, access},
    },
    model::origin::Origin,
};

impl Propagator {
    /// Starts a hop: a context to run in, and a span if the bridge makes one.
    #[must_use]
    pub fn start(&self, mut hop: Hop) -> HopSpan {
        let id = hop.id();
        if hop.parent.origin.suppressed || !self.is_recording() {
            return self.pass_by(hop.parent, id);
        }
        let origin = hop::origin_of(&hop.parent);
        gate::hop(&**self.0.policy.load(), &mut hop);
        names::hop(self.0.semantic_conventions, &mut hop);
        let mut started = if thread_end::is_known(Access::Start) {
            self.0.bridge.start(hop)
        } else {
            let parent = hop.parent.clone();
            let Some(started) = access(Access::Start, || self.0.bridge.start(hop)) else {
                return self.pass_by(parent, id);
            };
            started
        };
        started.context.origin = origin;
        match started.span {
            Some(span) => HopSpan::with_span(started.context, id, span, self.host()),
            None => HopSpan::new(started.context, id),
        }
    }

    /// Continues in a context that was admitted, stored or made by hand, without a span: calls made inside the hop carry the context.
    #[must_use]
    pub fn continue_from(&self, context: PropagationContext) -> HopSpan {
        self.continue_in(context, HopId::next(), false)
    }

    /// Continues in the current context elsewhere in the process. The work keeps the id of its hop, so that spans of user code in
    /// that hop still count as inside.
    pub(crate) fn carry(&self, context: PropagationContext, hop: Option<HopId>) -> HopSpan {
        self.continue_in(context, hop.unwrap_or_else(HopId::next), true)
    }

    fn continue_in(&self, context: PropagationContext, id: HopId, local: bool) -> HopSpan {
        if context.origin.suppressed || !self.is_recording() {
            return self.pass_by(context, id);
        }
        let origin = hop::origin_of(&context);
        let context = PropagationContext { origin, ..context };
        let continued = Continued::new(id, &context).with_local(local);
        match access(Access::Start, || self.0.bridge.continue_from(continued)).flatten() {
            Some(span) => HopSpan::with_span(context, id, span, self.host()),
            None => HopSpan::new(context, id),
        }
    }

    /// Returns a scope without telemetry: inside, hops make no spans and are not measured, outgoing calls carry no context, and spans that the
    /// application makes with the tracing API are suppressed as far as the bridge can do so.
    ///
    /// For health checks that a service sends in a loop, and for polls that return no message. Run the work with
    /// [`in_scope`](HopSpan::in_scope) or [`scope`](HopSpan::scope); the helpers of [`task`](crate::task) carry the scope elsewhere. A context that
    /// code passes to [`inject`](Self::inject) explicitly is written nevertheless.
    ///
    /// ```
    /// use propagation_core::{Hop, PropagationContext, Propagator, SpanKind, TraceContext};
    ///
    /// let propagator = Propagator::default();
    /// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
    /// let request = propagator.start(Hop::remote(SpanKind::Server, PropagationContext::new(TraceContext::new(parent))));
    /// let sent = request.in_scope(|| propagator.suppressed().in_scope(|| propagator.current()));
    /// assert!(sent.is_empty());
    /// # Ok::<(), propagation_core::model::TraceParentError>(())
    /// ```
    #[must_use]
    pub fn suppressed(&self) -> HopSpan {
        let id = HopId::next();
        let origin = Origin { suppressed: true, ..Origin::OWN };
        let context = PropagationContext { origin, ..PropagationContext::EMPTY };
        let continued = Continued::new(id, &context).with_suppressed(true);
        let bridged = self.is_enabled() && self.0.bridge.is_recording();
        let scope = || if bridged { self.0.bridge.continue_from(continued) } else { None };
        match access(Access::Start, scope).flatten() {
            Some(span) => HopSpan::with_span(context, id, span, self.host()),
            None => HopSpan::new(context, id),
        }
    }

    fn pass_by(&self, context: PropagationContext, id: HopId) -> HopSpan {
        if !self.is_enabled() {
            return HopSpan::new(PropagationContext::EMPTY, id);
        }
        if context.origin.suppressed || hop::is_suppressed() {
            return self.suppressed();
        }
        let origin = hop::origin_of(&context);
        HopSpan::new(PropagationContext { origin, ..context }, id)
    }
}
