//! Process and settle spans of single messages.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    Admission, Attribute, Hop, HopSpan, Propagator, SpanKind, TraceContext, hop,
    model::origin::ProcessId,
    propagator::{CreationContext, Delivered, DeliveryKey},
};

/// The parent of a process span. It links to the message's creation context in any case.
///
/// A receive or batch hop of ours that is current adopts the spans of its messages under [`Message`](Self::Message) and
/// [`MessageIfYounger`](Self::MessageIfYounger).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParentMode {
    /// The message's creation context: processing continues the message's trace, also inside a user's span around the consumer
    /// loop. A root if the message has no context, or the policy restarts or ignores it.
    #[default]
    Message,
    /// The current span, or the creation context if no span is current.
    Current,
    /// No parent: processing starts a new trace.
    LinkOnly,
    /// The creation context if the message is younger than this, otherwise a new trace: a backlog that is processed
    /// days later does not extend old traces. A message of unknown age counts as young.
    MessageIfYounger(Duration),
}

/// Properties of a message that is processed.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Processing {
    /// The parent of the process span.
    pub parent: ParentMode,
    /// The time since the message was created, if the broker provides it. See [`age`]. It becomes the attribute
    /// `propagation.message.age` of the process span, in seconds.
    pub age: Option<Duration>,
    /// The key by which [`settle`] finds the process span.
    pub delivery: Option<DeliveryKey>,
}

impl Processing {
    /// Creates the properties of a message of unknown age that is not settled by itself.
    #[must_use]
    pub fn new(parent: ParentMode) -> Self {
        Self { parent, age: None, delivery: None }
    }

    /// Sets the message's age.
    #[must_use]
    pub fn with_age(mut self, age: Option<Duration>) -> Self {
        self.age = age;
        self
    }

    /// Sets the key of the delivery.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Option<DeliveryKey>) -> Self {
        self.delivery = delivery;
        self
    }
}

/// Returns the age of a message that was created at this time after the Unix epoch, by the local clock.
///
/// Zero for a time in the future, because clocks differ. `None` if the local clock is before 1970.
#[must_use]
pub fn age(created: Duration) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(now.saturating_sub(created))
}

/// Starts the process span of one message.
///
/// `describe` names the span. It is called only if the bridge records. Run the handler with [`HopSpan::run`], or run it in the hop
/// and end the hop with the handler's outcome.
#[must_use]
pub fn process(
    propagator: &Propagator,
    admission: Admission,
    processing: Processing,
    describe: impl FnOnce(&mut Hop),
) -> HopSpan {
    if !propagator.is_recording() {
        return propagator.continue_from(admission.context);
    }
    let delivered = processing.delivery.map(|key| (key, CreationContext::of(&admission)));
    let creation = admission.context.trace.clone();
    let received = creation.root_trace_id();
    let mut hop = Hop::admitted(SpanKind::Consumer, admission);
    hop.reserve_attributes();
    if creation.has_ids() {
        hop.links.push(creation.into());
    }
    let id = ProcessId::next();
    hop.parent.origin.process = Some(id);
    // Without spans, the message's trace is the only one.
    if propagator.makes_spans() {
        set_parent(propagator, &mut hop, processing);
    }
    if let Some(received) = received.filter(|received| hop.parent.trace.trace_id() != Some(*received)) {
        hop.attributes.push(Attribute::received_trace_id(received));
    }
    hop.attributes.extend(processing.age.map(|age| Attribute::new("propagation.message.age", age.as_secs_f64())));
    describe(&mut hop);
    let hop = propagator.start(hop);
    if let Some((key, creation)) = delivered.filter(|_| propagator.makes_spans()) {
        let mut trace = hop.context().trace.clone();
        // A remembered trace must not keep the message's bytes alive, beside the creation context.
        trace.state = match trace.state == creation.trace.state {
            true => creation.trace.state.clone(),
            false => trace.state.detach(),
        };
        propagator.deliveries().remember(key, Delivered { creation, process: Some((id, trace)) });
    }
    hop
}

fn set_parent(propagator: &Propagator, hop: &mut Hop, processing: Processing) {
    let is_old = |limit| processing.age.is_some_and(|age| age >= limit);
    let in_batch = || hop::innermost(|current| current.is_some_and(|(context, _)| context.origin.in_batch));
    let adopted = match processing.parent {
        ParentMode::Message => in_batch(),
        ParentMode::Current => propagator.has_current(),
        ParentMode::MessageIfYounger(limit) => !is_old(limit) && in_batch(),
        ParentMode::LinkOnly => false,
    };
    if adopted {
        hop.parent.trace = propagator.current().trace;
        hop.local = true;
    } else if match processing.parent {
        ParentMode::LinkOnly => true,
        ParentMode::MessageIfYounger(limit) => is_old(limit),
        ParentMode::Message | ParentMode::Current => false,
    } {
        hop.parent.trace = TraceContext::EMPTY;
    }
}

/// Remembers a received delivery for [`settle`] and [`recall`], for brokers whose settle requests carry only a receipt handle.
pub fn remember(propagator: &Propagator, delivery: DeliveryKey, creation: CreationContext) {
    propagator.deliveries().remember(delivery, Delivered { creation, process: None });
}

/// Returns the creation context of a delivery that was received or processed before, or `None` if it has been evicted.
#[must_use]
pub fn recall(propagator: &Propagator, delivery: DeliveryKey) -> Option<CreationContext> {
    propagator.deliveries().recall(delivery).map(|delivered| delivered.creation)
}

/// Starts the settle span of one message (acknowledge, reject, delete), linked to its creation context.
///
/// The span is a child of the span that processed the delivery, or of the current span if that is inside the process span. If the
/// delivery was not processed or has been evicted, the span is a child of the admitted context, which `creation` looks up, or of
/// the current span if there is no such context.
#[must_use]
pub fn settle(
    propagator: &Propagator,
    delivery: DeliveryKey,
    creation: impl FnOnce() -> CreationContext,
    describe: impl FnOnce(&mut Hop),
) -> HopSpan {
    let mut hop = Hop::local(SpanKind::Client, propagator.current());
    if !propagator.is_recording() {
        return propagator.start(hop);
    }
    let delivered =
        propagator.deliveries().recall(delivery).unwrap_or_else(|| Delivered { creation: creation(), process: None });
    let Delivered { creation, process } = delivered;
    let inside = process.as_ref().is_some_and(|(id, _)| hop.parent.origin.process == Some(*id));
    match process {
        _ if inside || !propagator.makes_spans() => {}
        Some((_, trace)) => hop.parent.trace = trace,
        None if creation.is_admitted() => {
            hop.parent.trace = creation.trace.clone();
            hop.local = false;
        }
        None => {}
    }
    if creation.trace.has_ids() {
        hop.links.push(creation.trace.into());
    }
    describe(&mut hop);
    propagator.start(hop)
}
