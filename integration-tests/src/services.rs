//! Two services of one process for the tests of an adapter: `orders` is called from outside and sends, `billing` receives.
//!
//! Each has a propagator with a bridge to spans in memory. The adapter under test connects them:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use propagation_core::{Hop, Outcome, Peer, TraceTrust};
//! use propagation_testkit::{services::{self, TestServices}, wire::WireRecord};
//!
//! let services = TestServices::new(TraceTrust::Full);
//! services
//!     .receive("01", async || {
//!         // Replace with your adapter: it sends, and the message is recorded before processing.
//!         let mut message = Vec::new();
//!         let sent = services.orders.start(Hop::local(propagation_core::SpanKind::Producer, services.orders.current()));
//!         services.orders.inject(&Peer::kafka("orders"), sent.context(), &mut message);
//!         sent.end(&Outcome::Unset);
//!         services.wire.record(WireRecord::new("orders", "billing", "kafka").with_fields(message.clone()));
//!         let admission = services.billing.extract(&Peer::kafka("orders"), &message);
//!         services.billing.start(Hop::admitted(propagation_core::SpanKind::Consumer, admission)).end(&Outcome::Unset);
//!     })
//!     .await;
//! let graph = services.assert_carried();
//! graph.assert_each_edge(services::server(), services::sent()).assert_each_edge(services::sent(), services::processed());
//! # }
//! ```

use std::time::Duration;

use opentelemetry::{
    Context,
    trace::{FutureExt, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{
    Hop, InboundRule, Outcome, Policy, PropagationContext, Propagator, SpanKind as Kind, TraceContext, TraceTrust,
    semconv::SemanticConventions,
};
use propagation_opentelemetry::{OpenTelemetryBridge, instrumentation_scope};

use crate::{
    in_memory::InMemory,
    trace::{SpanId, SpanKind, SpanSelector, TraceGraph, service},
    wire::{Wire, WireRecord},
};

/// The caller's parent-id: a span outside of the test.
pub const CALLER: &str = "00f067aa0ba902b7";

/// The prefix of all callers' trace ids.
const CALLED: &str = "4bf92f3577b34da6a3ce929d0e0e47";

/// Returns a caller's `traceparent`; each request number has its own trace.
#[must_use]
pub fn traceparent(request: u8, flags: &str) -> String {
    format!("00-{CALLED}{request:02x}-{CALLER}-{flags}")
}

/// Returns the `traceparent` of an earlier request, which must not be sent again.
#[must_use]
pub fn stale() -> String {
    traceparent(0xff, "01")
}

/// Two services in one process, their messages and their spans.
#[derive(Clone, Debug)]
pub struct TestServices {
    /// Where both services' spans are kept.
    pub memory: InMemory,
    /// The recorded messages. Tests record those of `billing`; [`receive`](Self::receive) records those of `orders`.
    pub wire: Wire,
    /// Called from outside, trusts its callers, and sends.
    pub orders: Propagator,
    /// Receives.
    pub billing: Propagator,
    providers: [SdkTracerProvider; 2],
}

impl TestServices {
    /// Creates the two services. `billing` trusts senders at this level.
    ///
    /// # Panics
    ///
    /// Never: the policy is valid.
    #[must_use]
    pub fn new(trusted_by_billing: TraceTrust) -> Self {
        let memory = InMemory::new();
        let providers = ["orders", "billing"].map(|service| memory.provider(service));
        let [orders, billing] = [(0, TraceTrust::Full), (1, trusted_by_billing)].map(|(at, trust)| {
            let policy = Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust)).build().expect("legal");
            let bridge = OpenTelemetryBridge::new(
                providers[at].tracer_with_scope(instrumentation_scope(SemanticConventions::default())),
            );
            Propagator::builder().policy(policy).bridge(bridge).build()
        });
        Self { memory, wire: Wire::new(), orders, billing, providers }
    }

    /// Simulates three requests, each in its own trace with these flags. Runs `handle` in a SERVER span of `orders`.
    ///
    /// # Panics
    ///
    /// If the flags are not two hexadecimal digits.
    pub async fn receive(&self, flags: &str, handle: impl AsyncFn()) {
        for request in 1..=3 {
            let traceparent = traceparent(request, flags);
            self.wire.record(WireRecord::new("caller", "orders", "http").field("traceparent", &*traceparent));
            let context = PropagationContext::new(TraceContext::new(traceparent.parse().expect("two digits of flags")));
            let hop = self.orders.start(Hop::remote(Kind::Server, context).named("POST /orders"));
            hop.scope(handle()).await;
            hop.end(&Outcome::Unset);
        }
    }

    /// Runs work of `billing` inside a user's span, as `#[instrument] async fn run()` does around a consumer loop.
    pub async fn in_a_users_span<T>(&self, work: impl Future<Output = T>) -> T {
        let span = self.providers[1].tracer("app").start("run");
        work.with_context(Context::current_with_span(span)).await
    }

    /// Returns the graph of ended spans, with the caller marked as outside.
    #[must_use]
    pub fn graph(&self) -> TraceGraph {
        self.memory.graph().with_outside(CALLER.parse::<SpanId>())
    }

    /// Like [`graph`](Self::graph), but waits up to 5 seconds for this number of spans: a server can end after its caller.
    pub async fn graph_of(&self, spans: usize) -> TraceGraph {
        for _ in 0..1000 {
            if self.memory.graph().len() >= spans {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.graph()
    }

    /// Asserts that each message has one valid `traceparent`, and that `orders` sent its own spans' ids. Returns the graph.
    ///
    /// # Panics
    ///
    /// Panics with the message and its fault.
    #[track_caller]
    pub fn assert_carried(&self) -> TraceGraph {
        let graph = self.graph();
        self.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
        self.wire.between("orders", "billing").assert_carries_spans_of(&graph);
        graph
    }
}

/// The spans of `orders` that a request from outside begins.
#[must_use]
pub fn server() -> SpanSelector {
    service("orders").kind(SpanKind::Server)
}

/// The spans of `orders` of a message each.
#[must_use]
pub fn sent() -> SpanSelector {
    service("orders").kind(SpanKind::Producer)
}

/// The spans of `billing` that handle a message.
#[must_use]
pub fn processed() -> SpanSelector {
    service("billing").kind(SpanKind::Consumer)
}

/// Asserts that a trace that a request from outside began is whole, and of both services.
///
/// # Panics
///
/// Panics with the tree and the missing part.
#[track_caller]
pub fn assert_whole_requests(graph: &TraceGraph) {
    for trace in graph.traces().into_iter().filter(|trace| trace.find(server()).next().is_some()) {
        trace.assert_continuous().assert_services(&["orders", "billing"]);
    }
}

/// Asserts that there are such spans, and that none of them is in a trace that a caller chose.
///
/// # Panics
///
/// With the trace ids.
#[track_caller]
pub fn assert_own_traces(graph: &TraceGraph, which: SpanSelector) {
    let own: Vec<String> = graph.find(which).map(|span| span.trace_id.to_string()).collect();
    assert!(!own.is_empty() && own.iter().all(|trace| !trace.starts_with(CALLED)), "a trace of its own: {own:?}");
}
