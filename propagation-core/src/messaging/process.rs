use std::time::Duration;

use crate::{Admission, Hop, HopSpan, Propagator, SpanKind, TraceContext};

/// How a process span relates to the message's creation context. It links to it in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relation {
    /// A child of the span that is current, if there is one, and else of the creation context.
    #[default]
    Ambient,
    /// Always a child of the creation context.
    Parent,
    /// A trace of its own.
    LinkOnly,
    /// A child of the creation context if the message is younger than this, else a trace of its own: a backlog that is worked off
    /// days later does not stretch old traces.
    ParentIfYounger(Duration),
}

/// Starts the process span of one message.
///
/// `age` is how long ago the message was made, where the broker says so; `describe` names the span, and is called only if
/// the bridge records. Run the handler in the hop, and end it with the handler's outcome.
#[must_use]
pub fn process(
    propagator: &Propagator,
    admission: Admission,
    relation: Relation,
    age: Option<Duration>,
    describe: impl FnOnce(&mut Hop),
) -> HopSpan {
    if !propagator.records() {
        return propagator.pass(admission.context);
    }
    let creation = admission.context.trace.clone();
    let mut hop = Hop::admitted(SpanKind::Consumer, admission);
    if creation.has_ids() {
        hop.links.push(creation);
    }
    // Without spans there is no trace but the message's.
    let relation = if propagator.makes_spans() { relation } else { Relation::Parent };
    let own_trace = match relation {
        Relation::LinkOnly => true,
        Relation::ParentIfYounger(limit) => age.is_some_and(|age| age >= limit),
        Relation::Ambient | Relation::Parent => false,
    };
    if own_trace {
        hop.parent.trace = TraceContext::EMPTY;
    } else if relation == Relation::Ambient && propagator.has_current() {
        hop.parent.trace = propagator.current().trace;
        hop.local = true;
    }
    describe(&mut hop);
    propagator.start(hop)
}

/// Starts the settle span of one message (acknowledge, reject, delete), linked to its creation context.
#[must_use]
pub fn settle(propagator: &Propagator, creation: &TraceContext, describe: impl FnOnce(&mut Hop)) -> HopSpan {
    let mut hop = Hop::local(SpanKind::Client, propagator.current());
    if propagator.records() {
        if creation.has_ids() {
            hop.links.push(creation.clone());
        }
        describe(&mut hop);
    }
    propagator.start(hop)
}
