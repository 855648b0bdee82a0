//! Receive spans, and spans that link to many messages.

use std::collections::HashSet;

use crate::{
    Extract, Extracted, Hop, HopSpan, Outcome, Peer, Propagator, SpanKind, model::origin::AdmissionToken,
    propagator::CreationContext,
};

/// The most links that one span of a batch gets: OpenTelemetry's SDKs drop further links by default.
pub const LINKS_PER_SPAN: usize = 128;

/// Returns the creation context of a received message, for the receive and settle spans that link to it.
///
/// Applies the policy, but neither counts nor logs rejections: [`process`](super::process) does, once for each message. If no bridge
/// records, only the admitting rule is looked up, because no span will link.
#[must_use]
pub fn creation_context(propagator: &Propagator, peer: &Peer<'_>, message: &dyn Extract) -> CreationContext {
    if !propagator.is_enabled() {
        return CreationContext::default();
    }
    let extracted = if propagator.is_recording() { propagator.read(message) } else { Extracted::new() };
    CreationContext::of(&propagator.policy_guard().admit(peer, extracted))
}

/// Starts the receive span of a batch: a CLIENT span that links to the creation context of every message.
///
/// See [`batch`] for the limits.
#[must_use]
pub fn receive(
    propagator: &Propagator,
    creations: &[CreationContext],
    describe: impl FnMut(&mut Hop, usize),
) -> HopSpan {
    batch(propagator, SpanKind::Client, creations, describe)
}

/// Starts a span for a batch of messages, linked to the creation context of each.
///
/// Messages without [attributes](CreationContext::attributes) that share a creation context share a link.
///
/// `creations` has one entry for each message; it is empty for a message without a context. `describe` names a span of the given
/// number of messages. It is called only if the bridge records.
///
/// More than [`LINKS_PER_SPAN`] messages need more than one span. The first is returned; the others are its children and end at
/// once, so that no link is lost and no second trace begins.
///
/// The strictest admission of the batch applies to context that is already on messages sent inside the span.
#[must_use]
pub fn batch(
    propagator: &Propagator,
    kind: SpanKind,
    creations: &[CreationContext],
    mut describe: impl FnMut(&mut Hop, usize),
) -> HopSpan {
    let mut parent = propagator.current();
    if let Some(admission) = strictest(propagator, parent.origin.admission, creations) {
        parent.origin.admission = Some(admission);
    }
    parent.origin.in_batch = true;
    let mut chunks = creations.chunks(LINKS_PER_SPAN);
    let mut linked = HashSet::new();
    let mut start = |chunk: &[CreationContext], parent| {
        let mut hop = Hop::local(kind, parent);
        if propagator.is_recording() {
            let mut is_new = |creation: &&CreationContext| {
                let ids = (creation.trace.trace_id(), creation.trace.span_id());
                creation.trace.has_ids() && (linked.insert(ids) || !creation.attributes.is_empty())
            };
            hop.links.extend(chunk.iter().filter(&mut is_new).map(CreationContext::link));
            describe(&mut hop, chunk.len());
        }
        propagator.start(hop)
    };
    let first = start(chunks.next().unwrap_or_default(), parent);
    if propagator.is_recording() {
        first.in_scope(|| chunks.for_each(|chunk| start(chunk, propagator.current()).end(&Outcome::Unset)));
    }
    first
}

fn strictest(
    propagator: &Propagator,
    current: Option<AdmissionToken>,
    creations: &[CreationContext],
) -> Option<AdmissionToken> {
    let mut admissions = creations.iter().filter_map(CreationContext::admission).peekable();
    admissions.peek()?;
    let policy = propagator.policy_guard();
    admissions.fold(current, |merged, admission| policy.stricter(merged, Some(admission)))
}
