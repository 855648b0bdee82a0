//! The set-up of every service: spans, logs and the policy.

use propagation_core::{Direction, InboundRule, OutboundRule, Peer, Policy, RejectReason, Rejection};
use propagation_opentelemetry::setup::{LogFormat, Setup, Telemetry};
use tracing_subscriber::filter::{LevelFilter, Targets};

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
        .on_rejection(move |direction, peer, rejection| print(name.as_str(), direction, peer, rejection))
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

/// Sends a rejected or reported key to the demo as an event.
fn print(service: &str, direction: Direction, peer: &Peer<'_>, rejection: &Rejection) {
    let Some(key) = rejection.key() else { return };
    let at = match direction {
        Direction::Inbound => format!("{service}, coming in"),
        Direction::Outbound => format!("{service} → {peer}"),
    };
    let rule: Vec<&str> = rejection.rule().into_iter().chain(rejection.detector()).collect();
    Event::Stopped {
        key: key.to_owned(),
        at,
        reason: rejection.underlying.unwrap_or(rejection.reason).as_str().to_owned(),
        rule: rule.join(", "),
        reported: rejection.reason == RejectReason::ReportOnly,
    }
    .print();
}
