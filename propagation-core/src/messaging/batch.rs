use std::collections::HashSet;

use crate::{Extract, Hop, HopSpan, Outcome, Peer, Propagator, SpanKind, TraceContext};

/// The most links that one span of a batch gets: the limit that OpenTelemetry's SDKs have by default, beyond which they drop.
pub const LINKS_PER_SPAN: usize = 128;

/// The creation context of a received message, for spans that link to it beside the process span: receive, settle.
///
/// Judged by the policy, but neither counted nor logged: processing the message does that, once. Empty where there are no ids, or
/// where the policy lets nobody link to the sender; and where nothing records, because nobody would see the link.
#[must_use]
pub fn creation(propagator: &Propagator, peer: &Peer<'_>, message: &dyn Extract) -> TraceContext {
    if !propagator.records() {
        return TraceContext::EMPTY;
    }
    let (context, rejections) = propagator.read(peer.transport, message).into_parts();
    let admission = propagator.policy().admit(peer, context, rejections);
    let links = admission.links.into_iter();
    std::iter::once(admission.context.trace).chain(links).find(TraceContext::has_ids).unwrap_or_default()
}

/// Starts the receive span of a batch: a CLIENT span that links to the creation context of every message.
///
/// See [`batch`] for what becomes of many messages.
#[must_use]
pub fn receive(propagator: &Propagator, creations: &[TraceContext], describe: impl FnMut(&mut Hop, usize)) -> HopSpan {
    batch(propagator, SpanKind::Client, creations, describe)
}

/// Starts a span for a batch of messages, linked to the creation context of each, none twice.
///
/// `creations` has one entry a message, empty for one without a context. `describe` names a span that stands for so many
/// messages, and is called only if the bridge records. More than [`LINKS_PER_SPAN`] messages need more than one span: the first
/// is the answer, the others are its children and end at once, so that no link is lost and no second trace begins.
#[must_use]
pub fn batch(
    propagator: &Propagator,
    kind: SpanKind,
    creations: &[TraceContext],
    mut describe: impl FnMut(&mut Hop, usize),
) -> HopSpan {
    let mut chunks = creations.chunks(LINKS_PER_SPAN);
    let mut linked = HashSet::new();
    let mut start = |chunk: &[TraceContext]| {
        let mut hop = Hop::local(kind, propagator.current());
        if propagator.records() {
            hop.links.extend(
                chunk
                    .iter()
                    .filter(|trace| trace.has_ids() && linked.insert((trace.trace_id(), trace.span_id())))
                    .cloned(),
            );
            describe(&mut hop, chunk.len());
        }
        propagator.start(hop)
    };
    let first = start(chunks.next().unwrap_or_default());
    if propagator.records() {
        first.in_scope(|| chunks.for_each(|chunk| start(chunk).end(&Outcome::Unset)));
    }
    first
}
