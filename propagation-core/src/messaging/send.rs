//! Send spans, and the treatment of a context that a message already carries.

use crate::{
    Attribute, Extract, Hop, HopSpan, Inject, InjectionReport, Peer, PropagationContext, Propagator, SpanKind,
    StoredContext, TraceContext, hop, policy::Forwarded,
};

/// The treatment of a context that an outgoing message already carries: forwarded, dead-lettered, retried, or from an outbox.
///
/// Trust survives forwarding. Inside an admitted hop, and in tasks and threads that the helpers of [`task`](crate::task) start from
/// it, the rule that admitted the hop applies to context on outgoing messages. Outside such a hop the context is the
/// application's own, unless the policy sets [`existing_outside_hops`](crate::policy::PolicyBuilder::existing_outside_hops).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExistingContext {
    /// Keeps a valid trace context that the policy releases to the peer; the send span links to it, or has a trace-id that came without a
    /// parent-id as the attribute `propagation.received.trace_id`. Replaces an invalid context, and
    /// any context under a rule that restarts or ignores the sender's trace. A rule that accepts only ids keeps the ids.
    ///
    /// Existing baggage is released like any other. In an admitted hop the rule must admit it first, and the service's own
    /// baggage takes precedence.
    #[default]
    Keep,
    /// Replaces the whole context with the send span's.
    Replace,
    /// Replaces the whole context with one that the application stored itself. It is trusted even in the hop of an untrusted caller, and
    /// released by the policy like any other. If its ids are invalid, its baggage goes out with the send span's ids.
    Stored(StoredContext),
}

impl From<StoredContext> for ExistingContext {
    fn from(stored: StoredContext) -> Self {
        Self::Stored(stored)
    }
}

/// A message that carries its context, and the span of its send.
#[derive(Debug)]
#[must_use = "the send span ends as cancelled when this is dropped"]
#[non_exhaustive]
pub struct PreparedMessage {
    /// The send span: run the send in it, and end it with the send's outcome.
    pub hop: HopSpan,
    /// The fields that were written to the message.
    pub injection: InjectionReport,
    /// The message's creation context: its existing one if that was kept, otherwise the send span's.
    pub creation: TraceContext,
}

/// Starts the span that sends or creates one message, and writes the creation context to the message.
///
/// A batch has a create span for each message, which ends with the message's outcome, and a send span that links to all of them (see
/// [`batch`](super::batch)).
///
/// The span's kind is PRODUCER if its own context is written, CLIENT if the message keeps an existing one. `describe`
/// names the span. It is called only if the bridge records.
pub fn send<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: &ExistingContext,
    message: &mut C,
    describe: impl FnOnce(&mut Hop),
) -> PreparedMessage {
    let current = propagator.current();
    let found = Found::on(propagator, peer, existing, message, &current);
    let mut hop = Hop::local(if found.stays { SpanKind::Client } else { SpanKind::Producer }, current);
    if propagator.is_recording() {
        describe(&mut hop);
        found.describe(&mut hop);
    }
    let hop = propagator.start(hop);
    let (injection, creation) = found.write(propagator, peer, message, hop.context());
    PreparedMessage { hop, injection, creation }
}

/// Writes the send span's context to one message of a batch whose messages get no create spans.
///
/// Links the send span to the existing context of the message, if the policy allows it.
pub fn place<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: &ExistingContext,
    message: &mut C,
    hop: &HopSpan,
) -> InjectionReport {
    let found = Found::on(propagator, peer, existing, message, hop.context());
    if let Some(link) = found.link() {
        hop.add_link(link);
    }
    found.write(propagator, peer, message, hop.context()).0
}

/// The existing context of an outgoing message, after the policy was applied.
struct Found {
    existing: Forwarded,
    stays: bool,
    baggage: Precedence,
}

/// The precedence of the service's and the message's baggage.
#[derive(Clone, Copy)]
enum Precedence {
    /// The service's own baggage, then the message's.
    Own,
    /// The message's baggage, then the service's own: outside admitted hops.
    Message,
    /// Only the stored context's baggage: it belongs to other work than the current one.
    Stored,
}

impl Found {
    fn on(
        propagator: &Propagator,
        peer: &Peer<'_>,
        existing: &ExistingContext,
        message: &impl Extract,
        current: &PropagationContext,
    ) -> Self {
        let empty = || Forwarded { context: PropagationContext::EMPTY, link: None, ids_only: false };
        let (existing, baggage) = match existing {
            _ if !propagator.is_enabled() => (empty(), Precedence::Own),
            ExistingContext::Replace => (empty(), Precedence::Own),
            ExistingContext::Keep => {
                let origin = hop::origin_of(current);
                let baggage = if origin.admission.is_some() { Precedence::Own } else { Precedence::Message };
                (propagator.existing_in(origin, peer, message), baggage)
            }
            ExistingContext::Stored(stored) => {
                let context = propagator.read(stored).into_parts().0;
                let baggage = if context.is_empty() { Precedence::Own } else { Precedence::Stored };
                (Forwarded { context, ..empty() }, baggage)
            }
        };
        let found = &existing.context;
        let names_a_trace = |context: &PropagationContext| context.trace.trace_id().is_some();
        let stays = names_a_trace(found) && names_a_trace(&propagator.policy_guard().release(peer, found).context);
        Self { existing, stays, baggage }
    }

    /// Returns the context that the send span links to. A trace-id without a parent-id cannot be linked to.
    fn link(&self) -> Option<TraceContext> {
        let kept = &self.existing.context.trace;
        if self.stays { Some(kept.clone()).filter(TraceContext::has_ids) } else { self.existing.link.clone() }
    }

    /// Describes on the send span a kept trace-id that it cannot link to.
    fn describe(&self, hop: &mut Hop) {
        hop.links.extend(self.link().map(Into::into));
        if let Some(received) = self.existing.context.trace.root_trace_id().filter(|_| self.stays) {
            hop.attributes.push(Attribute::received_trace_id(received));
        }
    }

    /// Writes the outgoing context to the message; returns the report and the creation context.
    fn write(
        self,
        propagator: &Propagator,
        peer: &Peer<'_>,
        message: &mut impl Inject,
        context: &PropagationContext,
    ) -> (InjectionReport, TraceContext) {
        let Forwarded { context: existing, ids_only, .. } = self.existing;
        let mut outgoing = PropagationContext::EMPTY;
        let (first, second) = match self.baggage {
            Precedence::Own => (&context.baggage, Some(&existing.baggage)),
            Precedence::Message => (&existing.baggage, Some(&context.baggage)),
            Precedence::Stored => (&existing.baggage, None),
        };
        outgoing.baggage = first.clone();
        if let Some(second) = second {
            outgoing.baggage.merge(second);
        }
        outgoing.trace = match self.stays {
            true if ids_only => existing.trace.sampled_as(&context.trace),
            true => existing.trace,
            false => context.trace.clone(),
        };
        let injection = propagator.inject(peer, &outgoing, message);
        (injection, outgoing.trace)
    }
}
