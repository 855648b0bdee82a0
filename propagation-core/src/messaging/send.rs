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

fn publish<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: Existing,
    message: &mut C,
    kind: SpanKind,
    describe: impl FnOnce(&mut Hop),
) -> Sending {
    let current = propagator.current();
    let found = if existing == Existing::Preserve && propagator.is_enabled() {
        propagator.read(peer.transport, message).into_parts().0
    } else {
        PropagationContext::EMPTY
    };
    let stays = found.trace.has_ids() && propagator.policy().release(peer, &found).context.trace.has_ids();

    let mut hop = Hop::local(if stays { SpanKind::Client } else { kind }, current);
    if propagator.records() {
        describe(&mut hop);
        if stays {
            hop.links.push(found.trace.clone());
        }
    }
    let hop = propagator.start(hop);
    let mut outgoing = PropagationContext { baggage: found.baggage, ..PropagationContext::EMPTY };
    outgoing.baggage.merge(&hop.context().baggage);
    outgoing.trace = if stays { found.trace } else { hop.context().trace.clone() };
    let injection = propagator.inject(peer, &outgoing, message);
    Sending { hop, injection, creation: outgoing.trace }
}
