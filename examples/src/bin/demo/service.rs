//! One service of the shop, as a process of its own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use clap::ValueEnum;
use propagation_core::{PropagationContext, Propagator};
use tokio::net::TcpListener;

use crate::{Error, event::Event, services, shop, telemetry};

/// The services, in the order in which an order meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    Gateway,
    Orders,
    Payments,
    Shipping,
    Notifications,
}

impl Name {
    pub(crate) const ALL: [Self; 5] =
        [Self::Gateway, Self::Orders, Self::Payments, Self::Shipping, Self::Notifications];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Shipping => "shipping",
            Self::Notifications => "notifications",
        }
    }
}

/// A service's name, and the propagator that all its adapters share.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) name: Name,
    pub(crate) propagator: Propagator,
    in_flight: Arc<AtomicUsize>,
    ready: Arc<AtomicBool>,
}

/// The listening address, by default a free loopback port, and the optional address of the health route.
const LISTEN: &str = "DEMO_LISTEN";
const HEALTH: &str = "DEMO_HEALTH";

/// Runs a service until the demo closes its standard input, or until a signal ends it.
pub(crate) async fn run(name: Name) -> Result<(), Error> {
    let telemetry = telemetry::start(name)?;
    let service =
        Service { name, propagator: telemetry.propagator(), in_flight: Arc::default(), ready: Arc::default() };
    let stopping = service.clone();
    let health = service.clone();
    let health = async {
        match std::env::var(HEALTH) {
            Ok(address) => services::health::serve(health, &address).await,
            Err(_) => std::future::pending().await,
        }
    };
    let work = async {
        match name {
            Name::Gateway => services::gateway::run(service).await,
            Name::Orders => services::orders::run(service).await,
            Name::Payments => services::payments::run(service).await,
            Name::Shipping => services::shipping::run(service).await,
            Name::Notifications => services::notifications::run(service).await,
        }
    };
    tokio::select! {
        ended = work => ended?,
        ended = health => ended?,
        () = stop_requested() => {}
    }
    stopping.finish().await;
    // Exports the remaining spans.
    if let Err(error) = telemetry.shutdown().await {
        tracing::error!(%error, "telemetry is incomplete");
    }
    Ok(())
}

async fn stop_requested() {
    let (closed, input) = tokio::sync::oneshot::channel();
    // On a thread of its own: the runtime would not end before a read that it has begun.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    tokio::select! {
        _ = input => {}
        () = interrupted() => {}
    }
}

/// Waits for Ctrl-C, or for SIGTERM as `docker stop` sends it.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        if let (Ok(mut asked), Ok(mut hung_up)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
            tokio::select! {
                _ = asked.recv() => {}
                _ = hung_up.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Binds to the address that the demo has set.
pub(crate) async fn listen() -> Result<TcpListener, Error> {
    let address = std::env::var(LISTEN).unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    Ok(TcpListener::bind(address).await?)
}

impl Service {
    /// Reports readiness to the demo and on the health route.
    pub(crate) fn ready(&self, address: Option<SocketAddr>) {
        self.ready.store(true, Ordering::Relaxed);
        Event::Ready { address: address.map(|address| address.to_string()) }.print();
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Handles a message on a task of its own.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let in_flight = Arc::clone(&self.in_flight);
        in_flight.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            work.await;
            in_flight.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Waits until no message is in work any more, within reason.
    async fn finish(&self) {
        for _ in 0..500 {
            if self.in_flight.load(Ordering::Relaxed) == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Checks that the tenant in the baggage is the order's. Also marks
    /// the current span with the order, as a shop would to find it again.
    pub(crate) fn check(&self, order: &shop::Order) {
        mark(&order.id);
        let PropagationContext { baggage, .. } = self.propagator.current();
        let tenant = baggage.get(shop::TENANT);
        if tenant.as_deref() != Some(&*order.tenant) {
            Event::Tenant {
                order: order.id.clone(),
                service: self.name.as_str().to_owned(),
                body: order.tenant.clone(),
                baggage: tenant.map(Into::into),
            }
            .print();
        }
    }
}

/// Marks the current span with the order.
fn mark(order: &str) {
    use opentelemetry::trace::TraceContextExt;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    let span = tracing::Span::current();
    if span.is_none() {
        opentelemetry::Context::map_current(|context| {
            context.span().set_attribute(opentelemetry::KeyValue::new("order.id", order.to_owned()));
        });
    } else {
        span.set_attribute("order.id", order.to_owned());
    }
}

/// Returns a variable that the demo has set: an address, a name.
pub(crate) fn variable(name: &str) -> Result<String, Error> {
    std::env::var(name).map_err(|_| format!("{name} is not set; the demo sets it").into())
}
