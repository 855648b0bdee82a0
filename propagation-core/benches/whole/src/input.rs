//! The inputs, the same for every side, and our propagators.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::noop::NoopTracer;
use propagation_core::{InboundRule, OutboundRule, Policy, Propagator, Scrub};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge, metrics::HopMetrics};

use crate::{
    cases::{Bridge, Case, Input, Rules},
    telemetry,
};

pub const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub const STATE_3: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7,ot=th:8;rv:6e6d1a75832a2f";
pub const BAGGAGE_5: &str =
    "tenant.id=blue%20sky,feature.express=on,locale=de%2DAT,plan=free%20trial,session.id=3f9a6c%2D1e7b52";
pub const KEYS_5: [&str; 5] = ["tenant.id", "feature.express", "locale", "plan", "session.id"];

/// The context's fields.
pub fn fields(input: Input) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if input != Input::Nothing {
        fields.push(("traceparent", PARENT.to_owned()));
    }
    match input {
        Input::Full => {
            fields.push(("tracestate", STATE_3.to_owned()));
            fields.push(("baggage", BAGGAGE_5.to_owned()));
        }
        Input::Members => {
            let members: Vec<String> = (0..64).map(|n| format!("key.{n:02}=value{n}")).collect();
            fields.push(("baggage", members.join(",")));
        }
        Input::Nothing | Input::Parent => {}
    }
    fields
}

/// Headers as hyper makes them: values are slices of one shared buffer.
pub fn headers(input: Input, own: &[(&'static str, &str)]) -> HeaderMap {
    headers_of_buffer(input, own, 0)
}

/// Like [`headers`], with a buffer of at least `size` bytes.
pub fn headers_of_buffer(input: Input, own: &[(&'static str, &str)], size: usize) -> HeaderMap {
    let own = own.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let lines: Vec<(&'static str, String)> = own.chain(fields(input)).collect();
    let mut buffer: Vec<u8> = lines.iter().flat_map(|(_, value)| value.bytes()).collect();
    buffer.resize(buffer.len().max(size), 0);
    let buffer = Bytes::from(buffer);
    let mut map = HeaderMap::with_capacity(16);
    let mut begin = 0;
    for (name, value) in lines {
        let end = begin + value.len();
        let value = HeaderValue::from_maybe_shared(buffer.slice(begin..end)).expect("a legal value");
        map.append(HeaderName::from_static(name), value);
        begin = end;
    }
    map
}

pub fn propagator(case: &Case) -> Propagator {
    let policy = match case.rules {
        Rules::Internal => Policy::internal(KEYS_5),
        Rules::Default => Policy::default(),
        Rules::Open => Policy::builder()
            .scrub(Scrub::off())
            .inbound(InboundRule::peers(["*"]).allow("*"))
            .outbound(OutboundRule::peers(["*"]).allow("*"))
            .build()
            .expect("a legal policy"),
    };
    let builder = Propagator::builder().policy(policy);
    match case.bridge {
        Bridge::None => builder,
        Bridge::OpenTelemetry => builder.bridge(OpenTelemetryBridge::new(telemetry::tracer())),
        Bridge::WithBaggage => {
            builder.bridge(OpenTelemetryBridge::new(telemetry::tracer()).with_baggage_map(true))
        }
        Bridge::WithMetrics => {
            builder.bridge(HopMetrics::new(&telemetry::meter(), OpenTelemetryBridge::new(telemetry::tracer())))
        }
        Bridge::Tracing | Bridge::IdleTracing => builder.bridge(TracingBridge::new()),
        Bridge::IdleOpenTelemetry => builder.bridge(OpenTelemetryBridge::new(NoopTracer::new())),
    }
    .build()
}
