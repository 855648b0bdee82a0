//! The propagator: formats, policy, bridge and counters in one handle.

mod admitted;
mod builder;
mod callback;
mod counters;
mod deliveries;
mod existing;
mod host;
mod own_values;
mod report;
mod start;

use std::{
    borrow::Cow,
    fmt,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};

pub use builder::PropagatorBuilder;
pub use counters::Counters;
pub use deliveries::{CreationContext, DeliveryKey};
pub(crate) use deliveries::{Delivered, Deliveries};

use self::{callback::RejectionCallback, counters::by_reason, host::Host, report::RejectionReporter};
use crate::{
    Admission, Attribute, Bridge, Direction, Extract, Extracted, FieldNames, Format, Inject, InjectionReport,
    OutgoingFields, Peer, Policy, PolicySink, PropagationContext, Rejection,
    bridge::{BridgeError, CurrentHop},
    carrier::FilteredCarrier,
    hop::{
        self, GuardLeaks, gate, names,
        thread_end::{Access, access},
    },
    policy::Release,
    semconv::SemanticConventions,
};

/// Extracts, injects, and starts hops: the handle that adapters get.
///
/// Holds the formats, the policy in force, the bridge and the counters. Clones share all of it.
///
/// ```
/// use propagation_core::{OutboundRule, Peer, Policy, Propagator, Transport};
///
/// let policy = Policy::builder().outbound(OutboundRule::peers(["kafka:orders"]).allow("tenant.id")).build()?;
/// let propagator = Propagator::builder().policy(policy).build();
///
/// let received = vec![("traceparent".to_owned(), b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_vec())];
/// let admission = propagator.extract(&Peer::caller(Transport::HTTP), &received);
/// let mut record = Vec::new();
/// propagator.inject(&Peer::kafka("orders"), &admission.context, &mut record);
/// assert_eq!(record, received);
/// # Ok::<(), propagation_core::policy::PolicyError>(())
/// ```
#[derive(Clone)]
pub struct Propagator(Arc<Inner>, Arc<[Arc<Host>]>);

struct Inner {
    extract: Vec<Box<dyn Format>>,
    /// Whether extraction filters the names of a carrier before it looks them up.
    filters_names: bool,
    inject: Vec<Box<dyn Format>>,
    /// The names that the formats of both directions declare: a stale `b3` must not stay beside a new `traceparent`.
    fields: FieldNames,
    policy: ArcSwap<Policy>,
    bridge: Arc<dyn Bridge>,
    counters: Arc<Counters>,
    reporter: RejectionReporter,
    on_rejection: Option<RejectionCallback>,
    enabled: AtomicBool,
    deliveries: Deliveries,
    guard_leaks: GuardLeaks,
    semantic_conventions: SemanticConventions,
    stack_traces: bool,
}

impl Propagator {
    /// Returns a builder with the settings of [`Propagator::default`].
    #[must_use]
    pub fn builder() -> PropagatorBuilder {
        PropagatorBuilder::default()
    }

    /// Reads the context that a carrier brings from a peer, and applies the policy. Never fails: rejected fields are counted and reported.
    #[must_use]
    pub fn extract(&self, peer: &Peer<'_>, from: &dyn Extract) -> Admission {
        self.extract_with_claims(peer, from, &|_| None)
    }

    /// Like [`extract`](Self::extract), but also takes the claims about the caller that the matching rule lists as baggage (see
    /// [`InboundRule::baggage_from_claim`](crate::InboundRule::baggage_from_claim)).
    ///
    /// `claims` returns the value of a claim by its name. It is called only for claims that the rule lists. Claims must come from
    /// verified data, never from a header that the caller can choose.
    #[must_use]
    pub fn extract_with_claims(
        &self,
        peer: &Peer<'_>,
        from: &dyn Extract,
        claims: &dyn Fn(&str) -> Option<String>,
    ) -> Admission {
        if !self.is_enabled() {
            return Admission::default();
        }
        let policy = self.0.policy.load();
        let mut extracted = Extracted::new();
        self.read_into(from, &mut extracted);
        let terms = policy.restrict(peer, &mut extracted);
        if let Some(rule) = policy.rule_with_sources(&extracted.context) {
            let mut admission = terms.into_admission(extracted);
            let before = admission.rejections.len();
            own_values::admit(rule, from, claims, &mut admission);
            policy.hide_personal_keys(admission.rejections.get_mut(before..).unwrap_or_default());
            if !admission.rejections.is_empty() {
                self.report(Direction::Inbound, peer, &admission.rejections);
            }
            return admission;
        }
        if !extracted.rejections.is_empty() {
            self.report(Direction::Inbound, peer, &extracted.rejections);
        }
        // Made in the place of the caller: a variable would be copied.
        terms.into_admission(extracted)
    }

    /// Writes the part of a context that the policy releases to a peer. Never fails: fields that could not be written are counted and
    /// reported.
    pub fn inject(&self, peer: &Peer<'_>, context: &PropagationContext, into: &mut dyn Inject) -> InjectionReport {
        self.write(peer, context, into, Vec::new())
    }

    /// Writes a context, and reports `rejections` together with its own.
    fn write(
        &self,
        peer: &Peer<'_>,
        context: &PropagationContext,
        into: &mut dyn Inject,
        rejections: Vec<Rejection>,
    ) -> InjectionReport {
        if !self.is_enabled() {
            return InjectionReport::new();
        }
        let mut release = Release { context: Cow::Borrowed(context), rejections };
        let mut fields = OutgoingFields::new(&self.0.fields);
        // Without a context there is nothing to release. Fields that the carrier has are removed nevertheless.
        if !context.is_empty() || !context.trace.state.is_empty() {
            self.0.policy.load().restrict_release(peer, &mut release);
        }
        for format in &self.0.inject {
            format.write(&release.context, &mut fields);
        }
        let mut report = into.commit(&fields, &release.context.trace);
        report.append_rejected(&mut release.rejections);
        report.append_rejected(fields.rejections_mut());
        if !report.rejected().is_empty() {
            self.report(Direction::Outbound, peer, report.rejected());
        }
        report
    }

    /// Returns the context that outgoing calls carry: that of the tracing API's span inside the innermost hop, or of the hop itself.
    #[must_use]
    pub fn current(&self) -> PropagationContext {
        hop::innermost(|hop| {
            let innermost = hop.map(|(context, id)| CurrentHop { id, trace: &context.trace });
            match (self.bridge_current(innermost), hop) {
                (Some(found), Some((hop, _))) => {
                    let mut baggage = hop.baggage.clone();
                    baggage.follow(&found.baggage);
                    PropagationContext { origin: hop.origin, ..found.with_baggage(baggage) }
                }
                (Some(found), None) => found,
                (None, hop) => hop.map(|(context, _)| context.clone()).unwrap_or_default(),
            }
        })
    }

    /// Returns the recent deliveries, for [`messaging`](crate::messaging).
    pub(crate) fn deliveries(&self) -> &Deliveries {
        &self.0.deliveries
    }

    /// Switches propagation off or on, for all clones.
    ///
    /// While it is off, nothing is extracted or injected: headers that the user has set pass unchanged, and no baggage of ours goes out.
    pub fn set_enabled(&self, enabled: bool) {
        self.0.enabled.store(enabled, Ordering::Relaxed);
    }

    /// Returns `true` if propagation is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.enabled.load(Ordering::Relaxed)
    }

    /// Returns `true` if the bridge makes spans or measures. Adapters describe hops only then.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.is_enabled() && self.0.bridge.is_recording() && !hop::is_suppressed()
    }

    /// Checks that the bridge makes spans here. Call it once the subscriber is installed; the one-call set-up does.
    ///
    /// # Errors
    ///
    /// Returns the reason why hops get no spans, with the remedy.
    pub fn check(&self) -> Result<(), BridgeError> {
        access(Access::Start, || self.0.bridge.check()).unwrap_or(Ok(()))
    }

    /// Returns the names of the fields that the formats read and write, for receivers that must request fields by name.
    #[must_use]
    pub fn fields(&self) -> &FieldNames {
        &self.0.fields
    }

    /// Returns the attributes that each span inside the current hop gets from the hop's baggage: those of keys whose rule has
    /// [`every_span`](crate::KeyRule::every_span), in the rule that admitted the hop. The values have passed the policy's guard.
    #[must_use]
    pub fn attributes_for_every_span(&self) -> Vec<Attribute> {
        let policy = self.0.policy.load();
        if !policy.copies_to_every_span() || !self.is_recording() {
            return Vec::new();
        }
        let found = policy.attributes_for_every_span(&PropagationContext::current());
        let mut attributes: Vec<_> = found.into_iter().filter_map(|found| gate::attribute(&**policy, found)).collect();
        names::translate(self.0.semantic_conventions, &mut attributes);
        attributes
    }

    /// Returns the names that attributes are recorded with.
    pub fn semantic_conventions(&self) -> SemanticConventions {
        self.0.semantic_conventions
    }

    /// Returns the policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.0.policy.load_full()
    }

    /// Returns the policy in force for a short look at it. Unlike [`policy`](Self::policy), it writes to no memory that other threads share.
    ///
    /// Do not keep the guard across an await: there are few of them for each thread, and further ones count references.
    pub fn policy_guard(&self) -> PolicyGuard {
        PolicyGuard(self.0.policy.load())
    }

    /// Replaces the policy for all clones. An extract or inject that is under way finishes with the policy it began with.
    pub fn set_policy(&self, policy: Policy) {
        self.0.policy.store(Arc::new(policy));
    }

    /// Returns the counters of rejections; a clone of the handle does not keep the propagator alive.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// Counts a rejection that an adapter made outside of an injection, and passes it to
    /// [`on_rejection`](PropagatorBuilder::on_rejection). Logging it is the adapter's part.
    pub fn record_rejection(&self, direction: Direction, peer: &Peer<'_>, rejection: &Rejection) {
        self.0.counters.add(direction, rejection.reason, 1);
        if let Some(callback) = &self.0.on_rejection {
            callback.call(direction, peer, std::slice::from_ref(rejection));
        }
    }

    /// Extracts the context on a carrier, without the policy.
    pub(crate) fn read(&self, from: &dyn Extract) -> Extracted {
        let mut extracted = Extracted::new();
        self.read_into(from, &mut extracted);
        extracted
    }

    fn read_into(&self, from: &dyn Extract, extracted: &mut Extracted) {
        let filtered;
        let from = if self.0.filters_names {
            filtered = FilteredCarrier::new(from);
            &filtered
        } else {
            from
        };
        for format in &self.0.extract {
            format.extract(from, extracted);
        }
    }

    /// Returns the bridge's current context; `None` while the thread ends.
    fn bridge_current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext> {
        access(Access::Current, || self.0.bridge.current(innermost)).flatten()
    }

    /// Returns `true` if hops get spans. If not, contexts pass through unchanged.
    pub(crate) fn makes_spans(&self) -> bool {
        self.is_enabled() && self.0.bridge.makes_spans()
    }

    /// Counts and logs rejections, and passes them to the callback. Out of line: most messages have none.
    #[cold]
    fn report(&self, direction: Direction, peer: &Peer<'_>, rejections: &[Rejection]) {
        let reasons = by_reason(rejections);
        self.0.counters.record(direction, &reasons);
        self.0.reporter.report(direction, peer, rejections, &reasons);
        if let Some(callback) = &self.0.on_rejection {
            callback.call(direction, peer, rejections);
        }
    }

    /// Returns `true` inside a hop, and inside a span of the tracing API.
    pub(crate) fn has_current(&self) -> bool {
        hop::is_inside() || self.bridge_current(None).is_some()
    }
}

/// A reference to the policy in force; see [`Propagator::policy_guard`].
#[derive(Debug)]
#[must_use]
pub struct PolicyGuard(Guard<Arc<Policy>>);

impl Deref for PolicyGuard {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.0
    }
}

impl Default for Propagator {
    /// Returns a propagator of W3C Trace Context and Baggage with [`Policy::default`] and without a bridge.
    fn default() -> Self {
        Self::builder().build()
    }
}

impl PolicySink for Propagator {
    fn replace_policy(&self, policy: Policy) {
        self.set_policy(policy);
    }
}

impl fmt::Debug for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Propagator")
            .field("extract", &self.0.extract)
            .field("inject", &self.0.inject)
            .field("bridge", &self.0.bridge)
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}
