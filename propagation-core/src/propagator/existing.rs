//! Context that an outgoing carrier already holds: judged by the rule that admitted the hop, and merged.

use crate::{
    Direction, Extract, Inject, InjectionReport, Peer, PropagationContext, Propagator, RejectReason, Rejection, hop,
    model::origin::Origin, policy::Forwarded,
};

impl Propagator {
    /// Like [`inject`](Self::inject), but keeps the baggage that other code has put on the carrier, as far as the policy releases it to this
    /// peer. The context's own members win. A trace on the carrier is replaced. In a hop that a rule has admitted, baggage on the carrier is
    /// judged by that rule first, as by [`existing`](Self::existing): handlers copy received headers.
    ///
    /// Members that are dropped (malformed, without a rule, beyond the limits, or with a key of the context's own) are counted and reported.
    pub fn inject_merged<C: Extract + Inject>(
        &self,
        peer: &Peer<'_>,
        context: &PropagationContext,
        into: &mut C,
    ) -> InjectionReport {
        if !self.is_enabled() {
            return InjectionReport::new();
        }
        let (found, mut rejections) = self.read(&*into).into_parts();
        // Only baggage is merged: a trace that is replaced need not be valid.
        rejections.retain(|rejection| rejection.field == "baggage");
        let policy = self.policy_guard();
        for rejection in &mut rejections {
            rejection.retain_key(|key| policy.may_show_key(key));
        }
        // A handler may have copied the headers that it was called with.
        let found = PropagationContext::EMPTY.with_baggage(found.baggage);
        let found = policy.evaluate_existing(hop::origin_of(context), found, &mut rejections).context;
        if found.baggage.is_empty() {
            return self.write(peer, context, into, rejections);
        }
        let mut merged = context.clone();
        merged.baggage.merge(&found.baggage);
        for member in found.baggage.iter() {
            let reason = match merged.baggage.member(member.key()) {
                Some(kept) if kept.value() == member.value() => continue,
                Some(_) => RejectReason::DuplicateKey,
                None => RejectReason::TooManyMembers,
            };
            let rejection = Rejection::new("baggage", reason);
            let shown = policy.may_show_key(member.wire_key());
            rejections.push(if shown { rejection.with_key(member.key().as_bytes()) } else { rejection });
        }
        self.write(peer, &merged, into, rejections)
    }

    /// Returns the context that an outgoing carrier already holds, as far as it may go out again.
    ///
    /// Trust survives forwarding: inside a hop, context on an outgoing message or request is judged by the rule that
    /// admitted the hop, because handlers copy received headers. Outside of hops it is the application's own. Dropped fields are counted.
    /// The outbound rules of the policy are applied by [`inject`](Self::inject).
    #[must_use]
    pub fn existing(&self, peer: &Peer<'_>, carrier: &dyn Extract) -> PropagationContext {
        if !self.is_enabled() {
            return PropagationContext::EMPTY;
        }
        let Forwarded { mut context, ids_only, .. } =
            self.existing_in(hop::origin_of(&PropagationContext::EMPTY), peer, carrier);
        if ids_only && context.trace.trace_id().is_some() {
            context.trace = context.trace.sampled_as(&self.current().trace);
        }
        context
    }

    /// Like [`existing`](Self::existing), in the hop of an origin.
    pub(crate) fn existing_in(&self, origin: Origin, peer: &Peer<'_>, carrier: &dyn Extract) -> Forwarded {
        let found = self.read(carrier).into_parts().0;
        if found.is_empty() {
            return Forwarded { context: found, link: None, ids_only: false };
        }
        let mut rejections = Vec::new();
        let forwarded = self.0.policy.load().evaluate_existing(origin, found, &mut rejections);
        if !rejections.is_empty() {
            self.report(Direction::Outbound, peer, &rejections);
        }
        forwarded
    }
}
