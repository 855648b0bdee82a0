//! At the edge an outsider can't choose the trace id, switch sampling on or off, or add baggage: by any enabled format, repeated
//! fields or a spoofed forwarding header.

use propagation_core::{Formats, Peer, Policy, Propagator, Transport};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn every_format(policy: Policy) -> Propagator {
    let names = "tracecontext,baggage,b3,b3multi,jaeger,xray,datadog,gcp,grpc-trace-bin";
    Propagator::builder().policy(policy).formats(names.parse::<Formats>().unwrap()).build()
}

fn attempts() -> Vec<Vec<(String, Vec<u8>)>> {
    let w3c = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let attempts: Vec<Vec<(&str, &str)>> = vec![
        vec![("traceparent", &w3c), ("tracestate", "a=1"), ("baggage", "admin=true")],
        vec![("traceparent", &w3c), ("traceparent", &w3c), ("baggage", "a=1"), ("baggage", "b=2")],
        vec![("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1")],
        vec![("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d")],
        vec![("b3", "0")],
        vec![("x-b3-traceid", TRACE), ("x-b3-spanid", "00f067aa0ba902b7"), ("x-b3-sampled", "0")],
        vec![("uber-trace-id", "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1"), ("uberctx-admin", "true")],
        vec![("x-amzn-trace-id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1")],
        vec![
            ("x-datadog-trace-id", "11803532876627986230"),
            ("x-datadog-parent-id", "67667974448284343"),
            ("x-datadog-sampling-priority", "2"),
        ],
        vec![("x-cloud-trace-context", "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1")],
        vec![
            ("traceparent", &w3c),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
        ],
    ];
    attempts.iter().map(|pairs| headers(pairs)).collect()
}

#[test]
fn at_the_edge_nothing_of_an_outsiders_goes_on() {
    let trusting = every_format(Policy::default());
    let edge = every_format(Policy::edge());
    let outsider = Peer::caller(Transport::HTTP).with_address([203, 0, 113, 9].into());
    for attempt in attempts() {
        let repeated = attempt.iter().filter(|(name, _)| name == "traceparent").count() > 1;
        let trusted = trusting.extract(&outsider, &attempt).context;
        assert!(repeated || !trusted.trace.is_empty(), "the attempt would work where callers are trusted: {attempt:?}");

        let admission = edge.extract(&outsider, &attempt);
        assert!(admission.context.is_empty(), "{attempt:?}: {admission:?}");
        // A link names the caller's trace, but carries no tracestate and so no sampling decision.
        assert!(admission.links.iter().all(|link| link.state.is_empty()));
    }
}
