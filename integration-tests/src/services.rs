//! Two services of one process for the tests of an adapter: `orders` is called from outside and sends, `billing` receives.
//!
//! Each has its own propagator, with a bridge to spans in memory. What lies between them is the adapter's, and the test's:
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
//!         // Where your adapter stands: it sends, and the message is read before it is handled.
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
};
use propagation_opentelemetry::OpenTelemetryBridge;

use crate::{
    in_memory::InMemory,
    trace::{SpanId, SpanKind, SpanSelector, TraceGraph, service},
    wire::{Wire, WireRecord},
};

/// The span of whoever calls `orders`, which nobody here has made.
pub const CALLER: &str = "00f067aa0ba902b7";

/// What all the callers' trace ids begin with.
const CALLED: &str = "4bf92f3577b34da6a3ce929d0e0e47";

/// What a caller sends: each request has a trace of its own.
#[must_use]
pub fn traceparent(request: u8, flags: &str) -> String {
    format!("00-{CALLED}{request:02x}-{CALLER}-{flags}")
}

/// What an earlier request has left on a message, which must not go out again.
#[must_use]
pub fn stale() -> String {
    traceparent(0xff, "01")
}

/// Two services, what they send each other, and their spans.
#[derive(Clone, Debug)]
pub struct TestServices {
    /// Where both services' spans are kept.
    pub memory: InMemory,
    /// What crossed between them. Tests record what `billing` reads; [`receive`](Self::receive) records what `orders` does.
    pub wire: Wire,
    /// Called from outside, trusts its callers, and sends.
    pub orders: Propagator,
    /// Receives.
    pub billing: Propagator,
    providers: [SdkTracerProvider; 2],
}

impl TestServices {
    /// The two services. `billing` trusts whoever sends as far as this.
    ///
    /// # Panics
    ///
    /// Never: the policy is built of what is always legal.
    #[must_use]
    pub fn new(trusted_by_billing: TraceTrust) -> Self {
        let memory = InMemory::new();
        let providers = ["orders", "billing"].map(|service| memory.provider(service));
        let [orders, billing] = [(0, TraceTrust::Full), (1, trusted_by_billing)].map(|(at, trust)| {
            let policy = Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust)).build().expect("legal");
            let bridge = OpenTelemetryBridge::new(providers[at].tracer("propagation"));
            Propagator::builder().policy(policy).bridge(bridge).build()
        });
        Self { memory, wire: Wire::new(), orders, billing, providers }
    }

    /// Three requests from outside, each in a trace of its own with these flags. `orders` does this in each, in a SERVER span.
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

    /// Runs work of `billing` inside a span that its user has made, as `#[instrument] async fn run()` does around a consumer loop.
    pub async fn in_a_users_span<T>(&self, work: impl Future<Output = T>) -> T {
        let span = self.providers[1].tracer("app").start("run");
        work.with_context(Context::current_with_span(span)).await
    }

    /// The spans that have ended so far, with the caller known to be outside.
    #[must_use]
    pub fn graph(&self) -> TraceGraph {
        self.memory.graph().with_outside(CALLER.parse::<SpanId>())
    }

    /// The same, once there are as many: over a socket a caller may be done before the server is. Gives up after some seconds.
    pub async fn graph_of(&self, spans: usize) -> TraceGraph {
        for _ in 0..1000 {
            if self.memory.graph().len() >= spans {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.graph()
    }

    /// Asserts that what crossed has one valid `traceparent` each, and that of `orders` names a span of its own; and gives the graph.
    ///
    /// # Panics
    ///
    /// With the message and what is wrong with it.
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
/// With the tree, and what is missing.
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
