//! Subscribers without a layer that the bridge to `tracing` can use.
#![cfg(feature = "sdk")]
#![cfg(feature = "tracing")]

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use propagation_core::{
    Hop, Outcome, Peer, PropagationContext, Propagator, SpanKind, TraceContext, bridge::BridgeError,
};
use propagation_opentelemetry::TracingBridge;
use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    layer::{Layered, SubscriberExt},
    registry::LookupSpan,
    reload,
};

use crate::{logs_of::Events, wire::PARENT};

struct Setup {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
    events: Events,
    propagator: Propagator,
}

impl Setup {
    fn new() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let propagator = Propagator::builder().bridge(TracingBridge::new()).build();
        Self { exporter, provider, events: Events::default(), propagator }
    }

    fn registry(&self) -> Layered<Events, Registry> {
        tracing_subscriber::registry().with(self.events.clone())
    }

    fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer("app"))
    }

    /// Starts a server and a client inside of it, and returns the `traceparent` that goes out.
    fn exchange(&self) -> String {
        let caller = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
        let server = self.propagator.start(Hop::remote(SpanKind::Server, caller).named("GET /orders"));
        let mut written: Vec<(String, Vec<u8>)> = Vec::new();
        server.in_scope(|| {
            let client = Hop::local(SpanKind::Client, self.propagator.current()).named("GET");
            let client = self.propagator.start(client);
            self.propagator.inject(&Peer::http("stock"), client.context(), &mut written);
            client.end(&Outcome::Unset);
        });
        server.end(&Outcome::Unset);
        String::from_utf8(written.remove(0).1).unwrap()
    }

    fn assert_passes_through(&self) {
        for _ in 0..3 {
            assert_eq!(self.exchange(), PARENT, "the caller's context goes on");
        }
        assert!(!self.propagator.is_recording());
        assert!(self.exporter.get_finished_spans().unwrap().is_empty());
        assert_eq!(self.events.spans().len(), 1, "the first span alone finds out: {:?}", self.events.spans());
        let errors = self.events.of(Level::ERROR);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains("cargo tree -i tracing-opentelemetry") && errors[0].contains("reload"),
            "{errors:?}"
        );
        assert_eq!(self.propagator.check(), Err(BridgeError::LayerNotFound));
    }
}

#[test]
fn a_layer_of_another_version_lets_the_context_pass() {
    let setup = Setup::new();
    let subscriber = setup.registry().with(tracing_opentelemetry_0_33::layer());
    tracing::subscriber::with_default(subscriber, || {
        // A user's span around it keeps its status.
        tracing::info_span!("outer").in_scope(|| setup.assert_passes_through());
    });
}

#[test]
fn a_layer_inside_of_reload_lets_the_context_pass() {
    let setup = Setup::new();
    let (layer, _handle) = reload::Layer::new(setup.layer());
    tracing::subscriber::with_default(setup.registry().with(layer), || setup.assert_passes_through());
}

#[test]
fn a_subscriber_without_any_layer_lets_the_context_pass() {
    let setup = Setup::new();
    tracing::subscriber::with_default(setup.registry(), || setup.assert_passes_through());
}

#[test]
fn both_versions_side_by_side_make_our_spans() {
    let setup = Setup::new();
    let subscriber = setup.registry().with(tracing_opentelemetry_0_33::layer()).with(setup.layer());
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(setup.propagator.check(), Ok(()));
        assert_ne!(setup.exchange(), PARENT);
    });
    let names: Vec<_> = setup.exporter.get_finished_spans().unwrap().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["GET", "GET /orders"], "and the check exports nothing");
    assert!(setup.events.of(Level::ERROR).is_empty());
}

#[test]
fn a_layer_that_starts_our_spans_lets_the_context_pass() {
    #[derive(Default)]
    struct Eager(std::sync::OnceLock<tracing::dispatcher::WeakDispatch>);
    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Eager {
        fn on_register_dispatch(&self, dispatch: &tracing::Dispatch) {
            let _ = self.0.set(dispatch.downgrade());
        }

        fn on_new_span(
            &self,
            _: &tracing::span::Attributes<'_>,
            id: &tracing::span::Id,
            _: tracing_subscriber::layer::Context<'_, S>,
        ) {
            let dispatch = self.0.get().and_then(tracing::dispatcher::WeakDispatch::upgrade).unwrap();
            let context = tracing_opentelemetry::get_otel_context(id, &dispatch);
            assert!(context.is_some_and(|context| context.has_active_span()));
        }
    }
    let setup = Setup::new();
    let subscriber = setup.registry().with(setup.layer()).with(Eager::default());
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(setup.exchange(), PARENT);
        assert_eq!(setup.exchange(), PARENT);
        assert_eq!(setup.propagator.check(), Err(BridgeError::SpanAlreadyStarted));
    });
    assert_eq!(setup.events.of(Level::ERROR).len(), 1);
    assert!(setup.exporter.get_finished_spans().unwrap().is_empty());
}

#[test]
fn filters_that_hide_our_spans_are_found_by_the_check() {
    for filter in ["myapp=info", "warn", "propagation_core=trace", "off"] {
        let setup = Setup::new();
        let subscriber = setup.registry().with(setup.layer()).with(EnvFilter::new(filter));
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(setup.propagator.check(), Err(BridgeError::SpansDisabled), "{filter}");
            assert_eq!(setup.exchange(), PARENT, "{filter}");
        });
    }
    let setup = Setup::new();
    let layer = setup.layer().with_filter(LevelFilter::WARN);
    tracing::subscriber::with_default(setup.registry().with(layer), || {
        assert_eq!(setup.propagator.check(), Err(BridgeError::SpansDisabled), "of the layer alone");
        assert_eq!(setup.exchange(), PARENT);
        assert_eq!(setup.exchange(), PARENT);
    });
    assert_eq!(setup.events.of(Level::WARN).len(), 1, "reported once");
    let setup = Setup::new();
    assert_eq!(setup.propagator.check(), Err(BridgeError::NoSubscriber));
    assert!(!setup.propagator.is_recording());
    tracing::subscriber::with_default(setup.registry().with(setup.layer()), || {
        assert!(setup.propagator.is_recording(), "a subscriber may come later");
    });
}

#[test]
fn our_spans_have_no_place_in_our_source() {
    let setup = Setup::new();
    tracing::subscriber::with_default(setup.registry().with(setup.layer()), || {
        setup.exchange();
        tracing::info_span!("of the user").in_scope(|| {});
    });
    for span in setup.exporter.get_finished_spans().unwrap() {
        let has_place = span.attributes.iter().any(|attribute| attribute.key.as_str().starts_with("code."));
        assert_eq!(has_place, span.name == "of the user", "{span:?}");
    }
    assert_eq!(setup.events.spans(), ["GET /orders", "GET"]);
}

#[test]
fn more_span_names_than_callsites_keep_their_names() {
    let setup = Setup::new();
    tracing::subscriber::with_default(setup.registry().with(setup.layer()), || {
        for number in 0..1_100 {
            let hop = Hop::remote(SpanKind::Server, PropagationContext::EMPTY).named(format!("GET /{number}"));
            setup.propagator.start(hop).end(&Outcome::Unset);
        }
    });
    let spans = setup.exporter.get_finished_spans().unwrap();
    assert!(spans.iter().enumerate().all(|(number, span)| span.name == format!("GET /{number}")));
    assert!(setup.events.spans().iter().any(|name| name == "server"));
}
