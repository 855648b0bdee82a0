//! Spans, logs and the policy: what every service sets up when it starts.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use propagation_core::{
    InboundRule, OutboundRule, Policy, Propagator, bridge::tracing_opentelemetry_0_34::TracingBridge,
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::Context,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    Error,
    event::Event,
    service::Name,
    shop::{FEATURE, LOCALE, TENANT},
};

/// Sets up tracing with an OTLP exporter and makes the propagator that all adapters of the service share.
pub(crate) fn start(name: Name) -> Result<(Propagator, SdkTracerProvider), Error> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build()?;
    let batches = BatchConfigBuilder::default()
        .with_scheduled_delay(std::time::Duration::from_millis(200))
        .with_max_queue_size(65_536);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build())
        .with_resource(Resource::builder().with_service_name(name.as_str()).build())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop")).with_filter(ours());
    // What the policy keeps back is told to the demo, and a connection that ends when the demo does is no news.
    let quiet = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("propagation", LevelFilter::ERROR)
        .with_target("lapin", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(quiet);
    tracing_subscriber::registry().with(layer).with(lines).with(Stops { name }).try_init()?;
    let propagator = Propagator::builder().policy(policy()?).bridge(TracingBridge::new()).build();
    Ok((propagator, provider))
}

/// Spans of the adapters and of the shop; libraries' own stay out of the picture.
fn ours() -> Targets {
    Targets::new().with_target("propagation", LevelFilter::INFO).with_target("demo", LevelFilter::INFO)
}

/// Between the shop's services three keys may travel, and nothing else.
fn policy() -> Result<Policy, Error> {
    let inbound = InboundRule::peers(["http:*", "grpc:*", "kafka:*", "amqp:*", "sqs:*"]).named("shop-in");
    let outbound =
        OutboundRule::peers(["http:127.0.0.1", "grpc:shop.*", "kafka:*", "amqp:*", "sqs:*"]).named("shop-out");
    let (inbound, outbound) = [TENANT, FEATURE, LOCALE]
        .into_iter()
        .fold((inbound, outbound), |(inbound, outbound), key| (inbound.allow(key), outbound.allow(key)));
    Ok(Policy::builder().inbound(inbound).outbound(outbound).build()?)
}

/// Tells the demo what the policy kept back.
struct Stops {
    name: Name,
}

impl<S: Subscriber> Layer<S> for Stops {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "propagation" {
            return;
        }
        let mut kept = KeptBack::default();
        event.record(&mut kept);
        if let Some(key) = kept.key {
            let service = self.name.as_str();
            let at = if kept.direction == "inbound" {
                format!("{service}, coming in")
            } else {
                format!("{service} → {}", kept.peer)
            };
            Event::Stopped { key, at, reason: kept.reason }.tell();
        }
    }
}

#[derive(Default)]
struct KeptBack {
    direction: String,
    peer: String,
    key: Option<String>,
    reason: String,
}

impl Visit for KeptBack {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "direction" => value.clone_into(&mut self.direction),
            "key" => self.key = Some(value.to_owned()),
            "reason" => value.clone_into(&mut self.reason),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "peer" {
            self.peer = format!("{value:?}");
        }
    }
}
