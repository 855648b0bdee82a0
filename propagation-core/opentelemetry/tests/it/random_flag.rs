//! The random flag, and services that reject it.
#![cfg(all(feature = "tracing", feature = "sdk"))]

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{Bridge, Hop, Peer, Propagator, SpanKind, Transport};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing_subscriber::layer::SubscriberExt;

use crate::wire::PARENT;

/// `TraceContext.extract` of OpenTelemetry Go up to 1.39, restated: version 0 with options above 2 is no span context.
fn opentelemetry_go_reads(header: &str) -> bool {
    let parts: Vec<&str> = header.split('-').collect();
    let lower_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let [version, trace_id, span_id, options] = parts[..] else { return false };
    lower_hex(version, 2)
        && lower_hex(trace_id, 32)
        && lower_hex(span_id, 16)
        && lower_hex(options, 2)
        && version == "00"
        && u8::from_str_radix(options, 16).is_ok_and(|options| options <= 2)
        && trace_id.bytes().any(|byte| byte != b'0')
        && span_id.bytes().any(|byte| byte != b'0')
}

/// `TraceContextPropagator::extract_span_context` of OpenTelemetry Rust 0.31, restated.
fn opentelemetry_rust_0_31_reads(header: &str) -> bool {
    let parts: Vec<&str> = header.split_terminator('-').collect();
    if parts.len() < 4 || parts.iter().any(|part| part.chars().any(|letter| letter.is_ascii_uppercase())) {
        return false;
    }
    let Ok(version) = u8::from_str_radix(parts[0], 16) else { return false };
    let ids = u128::from_str_radix(parts[1], 16).is_ok_and(|id| id != 0)
        && u64::from_str_radix(parts[2], 16).is_ok_and(|id| id != 0);
    let options = u8::from_str_radix(parts[3], 16);
    version != 255 && ids && options.is_ok_and(|options| version != 0 || options <= 2)
}

/// Returns the `traceparent` that a server hop sends for a received one.
fn sent(bridge: impl Bridge + 'static, received: Option<&str>) -> String {
    let propagator = Propagator::builder().bridge(bridge).build();
    let received: Vec<_> =
        received.map(|value| ("traceparent".to_owned(), value.as_bytes().to_vec())).into_iter().collect();
    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &received);
    let hop = propagator.start(Hop::admitted(SpanKind::Server, admission).named("server"));
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    hop.in_scope(|| propagator.inject(&Peer::http("api"), &propagator.current(), &mut sent));
    String::from_utf8(sent.remove(0).1).unwrap()
}

/// Runs a check with each bridge: the flag switched as given, and the received header.
fn with_each(random: bool, received: Option<&str>, check: impl Fn(&str)) {
    let provider = SdkTracerProvider::builder().build();
    check(&sent(OpenTelemetryBridge::new(provider.tracer("shop")).with_random_flag(random), received));
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        check(&sent(TracingBridge::new().with_random_flag(random), received));
    });
}

#[test]
fn new_traces_are_read_by_older_opentelemetry() {
    with_each(false, None, |sent| {
        assert!(sent.ends_with("-01"), "{sent}");
        assert!(opentelemetry_go_reads(sent) && opentelemetry_rust_0_31_reads(sent), "{sent}");
    });
}

#[test]
fn the_random_flag_on_request_loses_older_opentelemetry() {
    with_each(true, None, |sent| {
        assert!(sent.ends_with("-03"), "{sent}");
        assert!(!opentelemetry_go_reads(sent) && !opentelemetry_rust_0_31_reads(sent), "{sent}");
    });
}

#[test]
fn a_received_random_flag_is_kept_both_ways() {
    for random in [false, true] {
        for flags in ["00", "01", "02", "03"] {
            let received = PARENT.replace("-01", &format!("-{flags}"));
            with_each(random, Some(&received), |sent| {
                assert_eq!(&sent[53..], flags, "{received} with {random}: {sent}");
            });
        }
    }
}
