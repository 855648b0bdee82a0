//! The set-up of every service: spans, logs and the policy.

use propagation_core::{InboundRule, OutboundRule, Policy};
use propagation_opentelemetry::setup::{LogFormat, Setup, Telemetry};
use tracing::{
    Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::Context,
};

use crate::{
    Error, PolicyMode,
    event::Event,
    service::Name,
    shop::{FEATURE, LOCALE, TENANT},
};

/// Selects the mode of the policy: see [`PolicyMode`].
pub(crate) const POLICY: &str = "DEMO_POLICY";

/// Starts telemetry in one call: exporter, sampler, subscriber, log lines, and the propagator that all adapters of the service share.
/// The demo sets OpenTelemetry's variables for the exporter.
pub(crate) fn start(name: Name) -> Result<Telemetry, Error> {
    // Rejections are sent to the demo. A connection that ends with the demo is not reported.
    let quiet = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("propagation", LevelFilter::ERROR)
        .with_target("lapin", LevelFilter::OFF);
    let mode = match std::env::var(POLICY) {
        Ok(mode) if mode == PolicyMode::Report.as_str() => PolicyMode::Report,
        _ => PolicyMode::Enforce,
    };
    let telemetry = Setup::new(name.as_str())
        .policy(policy(mode)?)
        // Standard output is where the demo listens.
        .log_format(LogFormat::text().filter(quiet).writer(std::io::stderr))
        .exported_spans(ours())
        .layer(Stops { name })
        .install()?;
    Ok(telemetry)
}

/// Spans of the adapters and of the shop; libraries' own stay out of the picture.
fn ours() -> Targets {
    Targets::new().with_target("propagation", LevelFilter::INFO).with_target("demo", LevelFilter::INFO)
}

/// Only three keys pass between the shop's services; in report mode all pass, and the others are reported.
fn policy(mode: PolicyMode) -> Result<Policy, Error> {
    let inbound = InboundRule::peers(["http:*", "grpc:*", "kafka:*", "amqp:*", "sqs:*"]).named("shop-in");
    let outbound = OutboundRule::peers(["http:127.0.0.1", "http:gateway", "grpc:shop.*", "kafka:*", "amqp:*", "sqs:*"])
        .named("shop-out");
    let (inbound, outbound) = [TENANT, FEATURE, LOCALE]
        .into_iter()
        .fold((inbound, outbound), |(inbound, outbound), key| (inbound.allow(key), outbound.allow(key)));
    let (inbound, outbound) = match mode {
        PolicyMode::Enforce => (inbound, outbound),
        PolicyMode::Report => (inbound.report_only(), outbound.report_only()),
    };
    Ok(Policy::builder().inbound(inbound).outbound(outbound).build()?)
}

/// Sends rejected fields to the demo as events.
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
            let rule = kept.detector.map_or(kept.rule.clone(), |detector| format!("{}, {detector}", kept.rule));
            Event::Stopped { key, at, reason: kept.reason, rule, reported: kept.reported }.tell();
        }
    }
}

#[derive(Default)]
struct KeptBack {
    direction: String,
    peer: String,
    key: Option<String>,
    reason: String,
    rule: String,
    detector: Option<String>,
    reported: bool,
}

impl Visit for KeptBack {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "direction" => value.clone_into(&mut self.direction),
            "key" => self.key = Some(value.to_owned()),
            "reason" => value.clone_into(&mut self.reason),
            "rule" => value.clone_into(&mut self.rule),
            "detector" => self.detector = Some(value.to_owned()),
            "mode" => self.reported = value == "report",
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "peer" {
            self.peer = format!("{value:?}");
        }
    }
}
