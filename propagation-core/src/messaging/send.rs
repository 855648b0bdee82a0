use crate::{
    Extract, Hop, HopSpan, Inject, Injection, Peer, PropagationContext, Propagator, Sampling, SpanKind, StoredContext,
    TraceContext, policy::Forwarded,
};

/// The treatment of a context that a message already carries: forwarded, dead-lettered, retried, or from an outbox.
///
/// Trust survives forwarding. In a hop that a policy has admitted, also in tasks and threads that the helpers of
/// [`task`](crate::task) start from it, context on an outgoing message is judged by the rule that admitted the hop. Outside of such a
/// hop it is the application's own, unless the policy sets
/// [`existing_outside_hops`](crate::PolicyBuilder::existing_outside_hops).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExistingContext {
    /// A valid trace context stays, if the peer may have it, and the send span links to it; an invalid one is replaced. Under
    /// a rule that restarts or ignores the sender's trace it is replaced, too; under one that accepts ids alone, the ids stay.
    /// Baggage that is there is released like any other; in an admitted hop the rule must let it in first, and the service's own wins.
    #[default]
    Keep,
    /// The message gets the context of its send span, and none of what it had.
    Replace,
    /// The message gets this context, which the application has stored itself, whatever it had: trusted even in the hop of an outsider.
    /// Released by the policy like any other. Without valid ids it counts as none, and its baggage goes out with the send span's ids.
    Stored(StoredContext),
}

impl From<StoredContext> for ExistingContext {
    fn from(stored: StoredContext) -> Self {
        Self::Stored(stored)
    }
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
    existing: &ExistingContext,
    message: &mut C,
    describe: impl FnOnce(&mut Hop),
) -> Sending {
    let current = propagator.current();
    let found = Found::on(propagator, peer, existing, message, &current);
    let mut hop = Hop::local(if found.stays { SpanKind::Client } else { SpanKind::Producer }, current);
    if propagator.records() {
        describe(&mut hop);
        hop.links.extend(found.link());
    }
    let hop = propagator.start(hop);
    let Placed { injection, creation, .. } = found.place(propagator, peer, message, hop.context());
    Sending { hop, injection, creation }
}

/// Starts and ends the create span of one message of a batch, and puts its context on the message.
///
/// Returns the creation context, for the send span of the whole batch to link to; none where there are no ids.
pub fn create<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: &ExistingContext,
    message: &mut C,
    describe: impl FnOnce(&mut Hop),
) -> Option<TraceContext> {
    let Sending { hop, creation, .. } = send(propagator, peer, existing, message, describe);
    hop.end(&crate::Outcome::Unset);
    creation.has_ids().then_some(creation)
}

/// Puts a context on a message that gets no span of its own: one of a batch whose create spans are switched off, where the
/// send span's context goes onto all of them.
pub fn place<C: Extract + Inject>(
    propagator: &Propagator,
    peer: &Peer<'_>,
    existing: &ExistingContext,
    message: &mut C,
    context: &PropagationContext,
) -> Placed {
    Found::on(propagator, peer, existing, message, context).place(propagator, peer, message, context)
}

/// The result of [`place`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Placed {
    /// What was written on the message.
    pub injection: Injection,
    /// The message's creation context: its own where one stayed.
    pub creation: TraceContext,
    /// The context that the message had, for the send span to link to; `None` where there was none or the policy lets no span link to it.
    pub link: Option<TraceContext>,
}

/// The context that a message carries before it is sent, judged.
struct Found {
    existing: Forwarded,
    stays: bool,
    baggage: Precedence,
}

/// Whose baggage goes out.
#[derive(Clone, Copy)]
enum Precedence {
    /// The service's own first, then the message's.
    Own,
    /// The message's first, then the service's own: outside of admitted hops.
    Message,
    /// The stored context's alone: it belongs to other work than the current one.
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
                let origin = crate::current::origin_of(current);
                let baggage = if origin.admission.is_some() { Precedence::Own } else { Precedence::Message };
                (propagator.existing_in(origin, peer, message), baggage)
            }
            ExistingContext::Stored(stored) => {
                let context = propagator.read(peer.transport, stored).into_parts().0;
                let baggage = if context.is_empty() { Precedence::Own } else { Precedence::Stored };
                (Forwarded { context, ..empty() }, baggage)
            }
        };
        let found = &existing.context;
        let stays = found.trace.has_ids() && propagator.policy().release(peer, found).context.trace.has_ids();
        Self { existing, stays, baggage }
    }

    /// The context that the send span links to.
    fn link(&self) -> Option<TraceContext> {
        if self.stays { Some(self.existing.context.trace.clone()) } else { self.existing.link.clone() }
    }

    fn place(
        self,
        propagator: &Propagator,
        peer: &Peer<'_>,
        message: &mut impl Inject,
        context: &PropagationContext,
    ) -> Placed {
        let link = self.link();
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
            true if ids_only => sampled_as(existing.trace, &context.trace),
            true => existing.trace,
            false => context.trace.clone(),
        };
        let injection = propagator.inject(peer, &outgoing, message);
        Placed { injection, creation: outgoing.trace, link }
    }
}

/// Ids of an outsider under the sampling decision of this service.
pub(crate) fn sampled_as(ids: TraceContext, own: &TraceContext) -> TraceContext {
    ids.with_sampling(own.sampling.decided().map_or(Sampling::Defer, Sampling::from_sampled))
}
