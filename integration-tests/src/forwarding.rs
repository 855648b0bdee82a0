//! Messages that a handler sends on with the fields that it received: the rule that admitted the handler decides.
//!
//! An outsider's message has [`PARENT`], a tracestate and `tenant.id=evil`. The handler copies these fields
//! onto a message of its own, which it sends from a context with `tenant.id=blue` ([`in_own_tenant`]), in the handler itself, in a
//! task or on a thread ([`Handover`]). [`ForwardingCase::assert`] checks the fields that the next receiver reads.

use propagation_core::messaging::ExistingContext;
use propagation_core::task::{InContextExt, carry};
use propagation_core::{Hop, InboundRule, OutboundRule, Outcome, Policy, Propagator, SpanKind, TraceTrust};

use crate::telemetry::{PARENT, TestTelemetry};
use crate::trace::{SpanSelector, TraceGraph};

/// A trust level for the outsider, and its effect on the forwarded message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForwardingCase {
    /// The trust of the inbound rule.
    pub trust: TraceTrust,
    /// The option of the producer.
    pub existing: ExistingContext,
    /// Whether the received `traceparent` stays on the message.
    pub stays: bool,
    /// The number of links of the send span.
    pub links: usize,
}

impl ForwardingCase {
    /// Returns every case.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use ExistingContext::{Keep, Replace};
        [
            (TraceTrust::Full, Keep, true, 1),
            (TraceTrust::IdsOnly, Keep, true, 1),
            (TraceTrust::RestartWithLink, Keep, false, 1),
            (TraceTrust::Restart, Keep, false, 0),
            (TraceTrust::Ignore, Keep, false, 0),
            (TraceTrust::Restart, Replace, false, 0),
            (TraceTrust::Ignore, Replace, false, 0),
        ]
        .into_iter()
        .map(|(trust, existing, stays, links)| Self { trust, existing, stays, links })
        .collect()
    }

    /// Creates a propagator with spans in memory that trusts `outsider` and HTTP callers as in this case and lets `tenant.id` go to
    /// `next`. Both are peers of policy rules, such as `kafka:orders`.
    ///
    /// # Panics
    ///
    /// If a peer is invalid.
    #[must_use]
    pub fn telemetry(&self, outsider: &str, next: &str) -> TestTelemetry {
        TestTelemetry::new(policy(self.trust, outsider, next))
    }

    /// Asserts that a forwarded message has the fields of this case, and that a send span has its links.
    ///
    /// # Panics
    ///
    /// With the case and the field that differs.
    #[track_caller]
    pub fn assert(
        &self,
        way: &str,
        field: impl Fn(&str) -> Option<String>,
        graph: &TraceGraph,
        send: impl Into<SpanSelector>,
    ) {
        let case = format!("{:?} {:?} {way}", self.trust, self.existing);
        let parent = field("traceparent").unwrap_or_else(|| panic!("{case}: no traceparent"));
        assert_eq!(parent == PARENT, self.stays, "{case}: {parent}");
        assert_eq!(parent.get(3..35) == PARENT.get(3..35), self.stays, "{case}: {parent}");
        let state = field("tracestate");
        assert_eq!(state.is_some(), self.stays && self.trust == TraceTrust::Full, "{case}: {state:?}");
        assert_eq!(field("baggage").as_deref(), Some("tenant.id=blue"), "{case}");
        let sent: Vec<_> = graph.find(send).collect();
        assert!(sent.iter().any(|span| span.links.len() == self.links), "{case}: {sent:?}");
    }
}

/// Returns a policy that trusts `outsider` and HTTP callers at this level and lets `tenant.id` go to `next`.
///
/// # Panics
///
/// If a peer is invalid.
#[must_use]
pub fn policy(trust: TraceTrust, outsider: &str, next: &str) -> Policy {
    Policy::builder()
        .inbound(InboundRule::peers([outsider, "http:*"]).trust(trust))
        .outbound(OutboundRule::peers([next]).allow("tenant.id"))
        .build()
        .unwrap_or_else(|error| panic!("{outsider}, {next}: {error}"))
}

/// Runs work in a hop with `tenant.id=blue`, which the handler itself has set.
///
/// # Panics
///
/// If the baggage has no room for it.
pub async fn in_own_tenant<T>(propagator: &Propagator, work: impl Future<Output = T>) -> T {
    let mut context = propagator.current();
    context.baggage.set("tenant.id", "blue").unwrap_or_else(|error| panic!("tenant.id: {error}"));
    let hop = propagator.start(Hop::local(SpanKind::Internal, context));
    let done = hop.scope(work).await;
    hop.end(&Outcome::Unset);
    done
}

/// The place in which a handler does a part of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handover {
    /// In the handler itself.
    Inline,
    /// In a spawned task.
    Task,
    /// On a new thread.
    Thread,
    /// On a thread of tokio's blocking pool.
    Blocking,
}

impl Handover {
    /// Every place.
    pub const ALL: &[Self] = &[Self::Inline, Self::Task, Self::Thread, Self::Blocking];

    /// Runs work in this place, in the current context of the caller.
    ///
    /// # Panics
    ///
    /// If the work panics.
    pub async fn run(self, propagator: &Propagator, work: impl Future<Output = ()> + Send + 'static) {
        let (p, handle) = (propagator.clone(), tokio::runtime::Handle::current());
        let joined = match self {
            Self::Inline => return work.await,
            Self::Task => tokio::spawn(work.in_current_context(propagator)).await,
            Self::Thread => {
                let work = carry(propagator, move || handle.block_on(work.in_current_context(&p)));
                let thread = std::thread::spawn(work);
                tokio::task::spawn_blocking(|| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .await
            }
            Self::Blocking => {
                let work = carry(propagator, move || handle.block_on(work.in_current_context(&p)));
                tokio::task::spawn_blocking(work).await
            }
        };
        joined.unwrap_or_else(|error| panic!("{self:?}: {error}"));
    }
}
