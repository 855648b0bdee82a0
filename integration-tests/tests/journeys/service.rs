//! A service of the shop: it is called, sends, receives, and sends on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use propagation_core::{Hop, Outcome, PropagationContext, Propagator, SpanKind, TraceContext, TraceState};
use propagation_testkit::{
    trace::TraceId,
    wire::{Wire, WireRecord},
};
use tokio::sync::{Notify, mpsc};

use crate::{
    Failure,
    shop::{CALLER, PATIENCE},
    transport::{Address, Sender, Transport},
};

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) propagator: Propagator,
    pub(crate) wire: Wire,
}

/// A caller's request, in its own trace.
pub(crate) struct Request {
    traceparent: String,
    state: TraceState,
    baggage: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn sampled() -> Self {
        Self::with_flags("01")
    }

    pub(crate) fn unsampled() -> Self {
        Self::with_flags("00")
    }

    fn with_flags(flags: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let traceparent = format!("00-4bf92f3577b34da6{count:016x}-{CALLER}-{flags}");
        Self { traceparent, state: TraceState::EMPTY, baggage: Vec::new() }
    }

    pub(crate) fn baggage(mut self, key: &str, value: &str) -> Self {
        self.baggage.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn state(mut self, state: &str) -> Self {
        self.state = TraceState::parse(state.as_bytes()).unwrap();
        self
    }

    pub(crate) fn traceparent(&self) -> &str {
        &self.traceparent
    }

    pub(crate) fn trace(&self) -> TraceId {
        self.traceparent[3..35].parse().unwrap()
    }

    fn context(&self) -> PropagationContext {
        let trace = TraceContext::new(self.traceparent.parse().unwrap()).with_state(self.state.clone());
        let mut context = PropagationContext::new(trace);
        for (key, value) in &self.baggage {
            context.baggage.set(key, value).unwrap();
        }
        context
    }
}

impl Service {
    /// Does something for a request from outside.
    pub(crate) async fn on<T>(&self, request: &Request, work: impl Future<Output = T>) -> T {
        self.in_context(request.context(), work).await
    }

    pub(crate) async fn in_context<T>(&self, context: PropagationContext, work: impl Future<Output = T>) -> T {
        let hop = self.propagator.start(Hop::remote(SpanKind::Server, context).named("POST /orders"));
        let done = hop.scope(work).await;
        hop.end(&Outcome::Unset);
        done
    }

    /// Something that receives as this service, from that one.
    pub(crate) async fn stop(
        &self,
        from: &str,
        by: Transport,
        to: Option<&Address>,
    ) -> Result<(Stop, Arrivals), Failure> {
        let next = match to {
            Some(address) => Some(Sender::open(self, address).await?),
            None => None,
        };
        let (told, arrivals) = mpsc::unbounded_channel();
        let stop = Stop { service: self.clone(), from: from.to_owned(), by, next, told, hold: None };
        Ok((stop, Arrivals(arrivals)))
    }
}

/// The handler: passes the message to the test, and forwards it if the route continues.
pub(crate) struct Stop {
    pub(crate) service: Service,
    from: String,
    by: Transport,
    next: Option<Sender>,
    told: mpsc::UnboundedSender<Arrival>,
    hold: Option<Hold>,
}

/// Makes the first message wait until it is let go, and then fail.
#[derive(Clone, Default)]
pub(crate) struct Hold(Arc<HoldState>);

#[derive(Default)]
struct HoldState {
    begun: AtomicBool,
    arrived: Notify,
    let_go: Notify,
}

impl Hold {
    /// Waits until the first message has arrived.
    pub(crate) async fn arrived(&self) {
        tokio::time::timeout(PATIENCE, self.0.arrived.notified()).await.expect("the first message arrives");
    }

    pub(crate) fn let_go(&self) {
        self.0.let_go.notify_one();
    }

    async fn pass(&self) -> Result<(), Failure> {
        if self.0.begun.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.0.arrived.notify_one();
        self.0.let_go.notified().await;
        Err("the first delivery fails".into())
    }
}

/// A processed message, and its current context.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) body: String,
    pub(crate) context: PropagationContext,
}

impl Stop {
    /// Records the fields before extraction.
    pub(crate) fn saw<N: Into<String>, V: Into<Vec<u8>>>(
        &self,
        message: &str,
        fields: impl IntoIterator<Item = (N, V)>,
    ) {
        let record = WireRecord::new(self.from.clone(), self.service.name, self.by.name()).of_message(message);
        self.service.wire.record(record.with_fields(fields));
    }

    pub(crate) fn holding(mut self, hold: &Hold) -> Self {
        self.hold = Some(hold.clone());
        self
    }

    /// Handles a message: call it in the message's context.
    pub(crate) async fn handle(self: &Arc<Self>, body: String) -> Result<(), Failure> {
        let context = self.service.propagator.current();
        if let Some(hold) = &self.hold {
            hold.pass().await?;
        }
        if let Some(next) = &self.next {
            next.send(&body).await?;
        }
        self.told.send(Arrival { body, context }).ok();
        Ok(())
    }
}

/// The messages at the end of a route. Receivers run until the test's runtime ends.
pub(crate) struct Arrivals(mpsc::UnboundedReceiver<Arrival>);

impl Arrivals {
    pub(crate) async fn next(&mut self) -> Arrival {
        let arrival = self.within(PATIENCE).await;
        arrival.unwrap_or_else(|| panic!("nothing arrived within {PATIENCE:?}"))
    }

    /// Returns the next message, or `None` if none arrives in that time.
    pub(crate) async fn within(&mut self, limit: Duration) -> Option<Arrival> {
        let arrival = tokio::time::timeout(limit, self.0.recv()).await.ok()?;
        Some(arrival.expect("a receiver runs"))
    }
}

/// Prints the errors of an operation that is repeated until it succeeds: each one once, while it stays the same.
pub(crate) struct Errors {
    of: String,
    last: String,
}

impl Errors {
    pub(crate) fn new(of: impl Into<String>) -> Self {
        Self { of: of.into(), last: String::new() }
    }

    pub(crate) fn print(&mut self, error: &impl std::fmt::Display) {
        let error = error.to_string();
        if error != self.last {
            eprintln!("{}: {error}", self.of);
            self.last = error;
        }
    }
}
