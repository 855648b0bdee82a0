//! The cases: an operation, its input, and the bridge that makes spans of it.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Server,
    /// A response that streams, of which the held bytes count.
    Stream,
    Client,
    GrpcServer,
    GrpcClient,
    Reqwest,
    Send(Broker),
    Process(Broker),
    Inject(Broker),
    Extract(Broker),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    Kafka,
    Amqp,
    Sqs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    None,
    OpenTelemetry,
    /// With baggage in OpenTelemetry's own map.
    WithBaggage,
    WithMetrics,
    Tracing,
    /// A tracer that makes no spans.
    IdleOpenTelemetry,
    /// No subscriber.
    IdleTracing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    Always,
    Never,
    /// Sampled, and the sampler changes tracestate.
    WritesOt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// `Policy::internal` with the five keys, all detectors.
    Internal,
    /// `Policy::default()`: no baggage.
    Default,
    /// All keys, no scrubbing.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// No context.
    Nothing,
    /// traceparent alone.
    Parent,
    /// And 3 members of tracestate, 5 members of baggage.
    Full,
    /// And 64 short members of baggage.
    Members,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub operation: Operation,
    pub input: Input,
    pub bridge: Bridge,
    pub sampling: Sampling,
    pub rules: Rules,
    pub peers: Vec<&'static str>,
}

/// Every case, in the order of the tables.
pub fn all() -> Vec<Case> {
    use Bridge::{IdleOpenTelemetry, IdleTracing, None, OpenTelemetry, Tracing, WithBaggage, WithMetrics};
    use Input::{Full, Members, Parent};
    use Operation::{Client, Extract, GrpcClient, GrpcServer, Inject, Process, Reqwest, Send, Server, Stream};

    const SERVERS: [&str; 2] = ["by-hand", "opentelemetry-instrumentation-tower"];
    const TRACING_SERVERS: [&str; 3] = ["tracelayer", "axum-tracing-opentelemetry", "tower-otel"];
    let case = |name: &str, operation, input, bridge, peers: &[&'static str]| Case {
        name: format!("whole-{name}"),
        operation,
        input,
        bridge,
        sampling: Sampling::Always,
        rules: Rules::Internal,
        peers: peers.to_vec(),
    };
    let mut cases = vec![
        case("server-tp-otel", Server, Parent, OpenTelemetry, &SERVERS),
        case("server-full-otel", Server, Full, OpenTelemetry, &SERVERS),
        case("server-full-otel-baggage", Server, Full, WithBaggage, &SERVERS),
        case("client-tp-otel", Client, Parent, OpenTelemetry, &["by-hand"]),
        case("client-full-otel", Client, Full, OpenTelemetry, &["by-hand"]),
        case("client-full-otel-baggage", Client, Full, WithBaggage, &["by-hand"]),
        case("server-tp-tracing", Server, Parent, Tracing, &TRACING_SERVERS),
        case("server-full-tracing", Server, Full, Tracing, &TRACING_SERVERS),
        case("client-tp-tracing", Client, Parent, Tracing, &["tower-otel"]),
        case("client-full-tracing", Client, Full, Tracing, &["tower-otel"]),
        case("server-tp-none", Server, Parent, None, &[]),
        case("server-full-none", Server, Full, None, &[]),
        Case { rules: Rules::Default, ..case("server-full-none-default", Server, Full, None, &[]) },
        case("stream-tp-otel", Stream, Parent, OpenTelemetry, &[]),
        case("stream-full-otel", Stream, Full, OpenTelemetry, &[]),
        case("stream-full-otel-baggage", Stream, Full, WithBaggage, &[]),
        case("stream-full-tracing", Stream, Full, Tracing, &[]),
        case("stream-full-none", Stream, Full, None, &[]),
        case("client-tp-none", Client, Parent, None, &[]),
        case("client-full-none", Client, Full, None, &[]),
    ];
    for (suffix, bridge) in [("otel", OpenTelemetry), ("tracing", Tracing)] {
        let grpc = &["tonic-tracing-opentelemetry"];
        for (name, input) in [("tp", Parent), ("full", Full)] {
            cases.push(case(&format!("grpc-server-{name}-{suffix}"), GrpcServer, input, bridge, grpc));
            cases.push(case(&format!("grpc-client-{name}-{suffix}"), GrpcClient, input, bridge, grpc));
            cases.push(case(&format!("reqwest-{name}-{suffix}"), Reqwest, input, bridge, &["reqwest-tracing"]));
        }
    }
    cases.push(case("reqwest-full-none", Reqwest, Full, None, &[]));
    for (broker, which) in [("kafka", Broker::Kafka), ("rabbitmq", Broker::Amqp), ("sqs", Broker::Sqs)] {
        let by_hand = &["by-hand"];
        for (name, input) in [("tp", Parent), ("full", Full)] {
            cases.push(case(&format!("{broker}-send-{name}-otel"), Send(which), input, OpenTelemetry, by_hand));
            cases.push(case(&format!("{broker}-process-{name}-otel"), Process(which), input, OpenTelemetry, by_hand));
        }
        cases.push(case(&format!("{broker}-send-full-tracing"), Send(which), Full, Tracing, &[]));
        cases.push(case(&format!("{broker}-process-full-tracing"), Process(which), Full, Tracing, &[]));
        for (name, input) in [("nothing", Input::Nothing), ("tp", Parent), ("full", Full)] {
            cases.push(case(&format!("{broker}-inject-{name}-none"), Inject(which), input, None, by_hand));
            cases.push(case(&format!("{broker}-extract-{name}-none"), Extract(which), input, None, by_hand));
        }
    }
    let server = |name: &str, bridge| case(name, Server, Full, bridge, &[]);
    cases.extend([
        server("server-full-idle-otel", IdleOpenTelemetry),
        server("server-full-idle-tracing", IdleTracing),
        server("server-full-otel-metrics", WithMetrics),
        case("client-full-otel-metrics", Client, Full, WithMetrics, &[]),
        Case { sampling: Sampling::Never, ..case("server-full-otel-unsampled", Server, Full, OpenTelemetry, &SERVERS) },
        Case { sampling: Sampling::Never, ..case("client-full-otel-unsampled", Client, Full, OpenTelemetry, &["by-hand"]) },
        Case { sampling: Sampling::WritesOt, ..case("server-full-otel-ot", Server, Full, OpenTelemetry, &SERVERS) },
        Case { sampling: Sampling::WritesOt, ..case("client-full-otel-ot", Client, Full, OpenTelemetry, &["by-hand"]) },
        Case { rules: Rules::Open, ..case("client-64-members-otel", Client, Members, OpenTelemetry, &["by-hand"]) },
        Case { rules: Rules::Open, ..case("client-64-members-tracing", Client, Members, Tracing, &["tower-otel"]) },
    ]);
    cases
}
