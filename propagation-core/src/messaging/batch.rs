use std::collections::HashSet;

use crate::{
    Admission, Extract, Hop, HopSpan, Outcome, Peer, Propagator, SpanKind, TraceContext, origin::AdmissionToken,
};

/// The most links that one span of a batch gets: the limit that OpenTelemetry's SDKs have by default, beyond which they drop.
pub const LINKS_PER_SPAN: usize = 128;

/// The creation context of a received message, with the admission that let it in: for spans of several messages, and for settling.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Creation {
    /// The context that spans link to. Empty where there are no ids, and where the policy lets no span link to the sender.
    pub trace: TraceContext,
    /// Whether the trace goes on: if not, `trace` is only to be linked to.
    continues: bool,
    admission: Option<AdmissionToken>,
}

impl Creation {
    /// The creation context of a message that was admitted.
    #[must_use]
    pub fn of(admission: &Admission) -> Self {
        let trace = &admission.context.trace;
        let continues = trace.has_ids();
        let links = std::iter::once(trace).chain(&admission.links);
        Self {
            trace: links.clone().find(|trace| trace.has_ids()).cloned().unwrap_or_default(),
            continues,
            admission: admission.context.origin.admission,
        }
    }

    /// Whether a span may be a child of it.
    pub(super) fn is_admitted(&self) -> bool {
        self.continues
    }

    /// Takes over the less trusted admission of two messages, for a span of both.
    pub fn restrict(&mut self, propagator: &Propagator, other: &Self) {
        self.admission = propagator.policy().stricter(self.admission, other.admission);
    }
}

impl From<TraceContext> for Creation {
    /// The creation context of a message of our own.
    fn from(trace: TraceContext) -> Self {
        Self { continues: trace.has_ids(), trace, admission: None }
    }
}

/// Returns the creation context of a received message, for spans that link to it beside the process span: receive, settle.
///
/// Judged by the policy, but neither counted nor logged: processing the message does that, once. Where nothing records, only the
/// admitting rule is looked up, because no span would link.
#[must_use]
pub fn creation(propagator: &Propagator, peer: &Peer<'_>, message: &dyn Extract) -> Creation {
    if !propagator.is_enabled() {
        return Creation::default();
    }
    let (context, rejections) =
        if propagator.records() { propagator.read(peer.transport, message).into_parts() } else { Default::default() };
    Creation::of(&propagator.policy().admit(peer, context, rejections))
}

/// Starts the receive span of a batch: a CLIENT span that links to the creation context of every message.
///
/// See [`batch`] for the limits.
#[must_use]
pub fn receive(propagator: &Propagator, creations: &[Creation], describe: impl FnMut(&mut Hop, usize)) -> HopSpan {
    batch(propagator, SpanKind::Client, creations, describe)
}

/// Starts a span for a batch of messages, linked to the creation context of each, none twice.
///
/// `creations` has one entry a message, empty for one without a context. `describe` names a span of so many
/// messages, and is called only if the bridge records. More than [`LINKS_PER_SPAN`] messages need more than one span: the first
/// is returned, the others are its children and end at once, so that no link is lost and no second trace begins.
///
/// Context that messages sent in the span carry already is judged by the strictest admission of the batch.
#[must_use]
pub fn batch(
    propagator: &Propagator,
    kind: SpanKind,
    creations: &[Creation],
    mut describe: impl FnMut(&mut Hop, usize),
) -> HopSpan {
    let mut parent = propagator.current();
    if let Some(admission) = strictest(propagator, parent.origin.admission, creations) {
        parent.origin.admission = Some(admission);
    }
    parent.origin.in_batch = true;
    let mut chunks = creations.chunks(LINKS_PER_SPAN);
    let mut linked = HashSet::new();
    let mut start = |chunk: &[Creation], parent| {
        let mut hop = Hop::local(kind, parent);
        if propagator.records() {
            let traces = chunk.iter().map(|creation| &creation.trace);
            hop.links.extend(
                traces.filter(|trace| trace.has_ids() && linked.insert((trace.trace_id(), trace.span_id()))).cloned(),
            );
            describe(&mut hop, chunk.len());
        }
        propagator.start(hop)
    };
    let first = start(chunks.next().unwrap_or_default(), parent);
    if propagator.records() {
        first.in_scope(|| chunks.for_each(|chunk| start(chunk, propagator.current()).end(&Outcome::Unset)));
    }
    first
}

fn strictest(
    propagator: &Propagator,
    current: Option<AdmissionToken>,
    creations: &[Creation],
) -> Option<AdmissionToken> {
    let mut admissions = creations.iter().filter_map(|creation| creation.admission).peekable();
    admissions.peek()?;
    let policy = propagator.policy();
    admissions.fold(current, |merged, admission| policy.stricter(merged, Some(admission)))
}
