use crate::{Extract, Hop, HopSpan, Inject, Injection, Peer, PropagationContext, Propagator, SpanKind, TraceContext};

/// What happens to a context that a message already carries: one from an outbox, forwarded, dead-lettered, retried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existing {
    /// A valid trace context stays, if the peer may have it, and the send span links to it; an invalid one is replaced. Baggage
    /// that is there is released by the policy like any other.
    #[default]
    Preserve,
    /// The message gets the context of its send span, whatever it had.
    Replace,
}

/// A send that is about to happen: the message carries its context.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sending {
    /// The send span: run the send in it, and end it with the send's outcome.
    pub hop: HopSpan,
    /// What was written on the message.
    pub injection: Injection,
    /// The message's creation context: its own where one stayed, the send span's otherwise.
    pub creation: TraceContext,
}

/// Starts the send span of one message and puts the creation context on it.
///
/// The span is a PRODUCER if its own context is on the message, a CLIENT if the message keeps the one it had. `describe`
/// names the span; it is called only if the bridge records.
pub fn send<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: Existing,
    message: &mut C,
    describe: impl FnOnce(&mut Hop),
) -> Sending {
    publish(propagator, peer, existing, message, SpanKind::Producer, describe)
}

/// Starts and ends the create span of one message of a batch, and puts its context on the message.
///
/// Answers with the creation context, for the send span of the whole batch to link to; none where there are no ids.
pub fn create<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: Existing,
    message: &mut C,
    describe: impl FnOnce(&mut Hop),
) -> Option<TraceContext> {
    let Sending { hop, creation, .. } = publish(propagator, peer, existing, message, SpanKind::Producer, describe);
    hop.end(&crate::Outcome::Unset);
    creation.has_ids().then_some(creation)
}

/// Puts a context on a message that gets no span of its own: one of a batch whose create spans are switched off, where the
/// send span's context goes onto all of them.
pub fn place<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: Existing,
    message: &mut C,
    context: &PropagationContext,
) -> Placed {
    Found::on(propagator, peer, existing, message).place(propagator, peer, message, context)
}

/// What [`place`] did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Placed {
    /// What was written on the message.
    pub injection: Injection,
    /// The message's creation context: its own where one stayed.
    pub creation: TraceContext,
    /// Whether the message had one that stayed: the send span links to it.
    pub stayed: bool,
}

fn publish<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: Existing,
    message: &mut C,
    kind: SpanKind,
    describe: impl FnOnce(&mut Hop),
) -> Sending {
    let found = Found::on(propagator, peer, existing, message);
    let mut hop = Hop::local(if found.stays { SpanKind::Client } else { kind }, propagator.current());
    if propagator.records() {
        describe(&mut hop);
        if found.stays {
            hop.links.push(found.context.trace.clone());
        }
    }
    let hop = propagator.start(hop);
    let Placed { injection, creation, .. } = found.place(propagator, peer, message, hop.context());
    Sending { hop, injection, creation }
}

/// What a message carries before it is sent.
struct Found {
    context: PropagationContext,
    stays: bool,
}

impl Found {
    fn on(propagator: &Propagator, peer: &Peer<'_>, existing: Existing, message: &impl Extract) -> Self {
        let context = if existing == Existing::Preserve && propagator.is_enabled() {
            propagator.read(peer.transport, message).into_parts().0
        } else {
            PropagationContext::EMPTY
        };
        let stays = context.trace.has_ids() && propagator.policy().release(peer, &context).context.trace.has_ids();
        Self { context, stays }
    }

    fn place(
        self,
        propagator: &Propagator,
        peer: &Peer<'_>,
        message: &mut impl Inject,
        context: &PropagationContext,
    ) -> Placed {
        let mut outgoing = PropagationContext { baggage: self.context.baggage, ..PropagationContext::EMPTY };
        outgoing.baggage.merge(&context.baggage);
        outgoing.trace = if self.stays { self.context.trace } else { context.trace.clone() };
        let injection = propagator.inject(peer, &outgoing, message);
        Placed { injection, creation: outgoing.trace, stayed: self.stays }
    }
}
